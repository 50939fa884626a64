//! The links of a network on this host: guests, the trunk, and the host itself.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use vxnet_common::{
    addr::{VlanId, VtepAddr},
    map::{
        self,
        allowed::AllowedKey,
        port::{self, PortVlans, flag, kind},
    },
};

use super::underlay::Underlay;
use crate::{
    model::{Host, Network, PortRule},
    state::{Facts, Id, Link, Observed, Spec, State},
};

/// How many addresses a guest's link may have, unless its portgroup says otherwise, and how many a
/// trunk link: what is behind a physical switch.
const GUEST_FDB_LIMIT: u32 = 4096;
const TRUNK_FDB_LIMIT: u32 = 65_536;

/// A link of a network.
pub(super) struct Port<'a> {
    pub(super) slot: u32,
    pub(super) link: &'a Link,
    kind: u32,
    flags: u32,
    pvid: Option<VlanId>,
    vlans: Vec<VlanId>,
    /// Only VLANs let frames in: the network has them, or the port is blocked.
    is_vlan_aware: bool,
    bum_limit: u32,
    fdb_limit: u32,
    rule: Option<&'a PortRule>,
}

/// Returns the guests' links of a network: the bridge's ports but vxnet's own.
pub(super) fn guests<'a>(bridge: &Link, observed: &'a Observed) -> Vec<&'a Link> {
    let ports = observed.facts.ports_of(bridge.ifindex);
    ports.filter(|link| !link.is_ours).collect()
}

/// Returns a network's trunk link on a host, once it is there.
pub(super) fn trunk<'a>(network: &Network, host: &Host, facts: &'a Facts) -> Option<&'a Link> {
    facts.link(&host.trunks.get(&network.name)?.link)
}

impl<'a> Port<'a> {
    /// Returns the port of a guest.
    pub(super) fn guest(network: &Network, host: &'a Host, link: &'a Link, slot: u32) -> Self {
        let rule = host.ports.get(&link.name);
        let group = network.portgroup(rule);
        let mut flags = flag::NO_VXLAN;
        let mut set = |is_set: bool, bit| flags |= if is_set { bit } else { 0 };
        set(link.kind == "tun", flag::XDP_TARGET);
        set(link.kind == "veth", flag::TAKES_MARKED);
        set(
            !group.is_some_and(|group| group.dhcp_server),
            flag::NO_DHCP_SERVER,
        );
        set(!group.is_some_and(|group| group.router), flag::NO_RA);
        set(group.is_some_and(|group| group.isolated), flag::ISOLATED);
        set(group.is_some_and(|group| group.locked), flag::LOCKED);
        set(
            group.is_some_and(|group| group.native_tagged),
            flag::NATIVE_TAGGED,
        );
        set(
            rule.is_some_and(|rule| !rule.macs.is_empty()),
            flag::CHECK_MAC,
        );
        set(
            rule.is_some_and(|rule| !rule.addresses.is_empty()),
            flag::CHECK_IP,
        );
        let tagged = group
            .map(|group| &group.tagged)
            .filter(|tagged| !tagged.is_empty());
        // Whatever the group would forbid is not known, so nothing is allowed.
        let is_blocked = group.is_none() && rule.is_some_and(|rule| rule.portgroup.is_some());
        let pvid = group.and_then(|group| group.pvid);
        let vlans = match tagged {
            Some(tagged) => tagged.iter().copied().chain(pvid).collect(),
            None => Vec::new(),
        };
        Self {
            slot,
            link,
            kind: kind::GUEST,
            flags,
            pvid,
            vlans,
            is_vlan_aware: network.is_vlan_aware() || is_blocked,
            bum_limit: group.and_then(|group| group.bum_limit).unwrap_or(0),
            fdb_limit: group
                .and_then(|group| group.fdb_limit)
                .unwrap_or(GUEST_FDB_LIMIT),
            rule,
        }
    }

    /// Returns the port of a trunk link.
    pub(super) fn trunk(network: &Network, host: &Host, link: &'a Link, slot: u32) -> Self {
        let native = host
            .trunks
            .get(&network.name)
            .and_then(|trunk| trunk.native);
        Self {
            slot,
            link,
            kind: kind::TRUNK,
            flags: flag::KEEP_ROWS,
            pvid: native,
            vlans: network.trunk_vlans(&host.name).collect(),
            is_vlan_aware: true,
            bum_limit: 0,
            fdb_limit: TRUNK_FDB_LIMIT,
            rule: None,
        }
    }

    /// Returns the port of the host. In a network with VLANs it takes part in none.
    pub(super) fn host(network: &Network, bridge: &'a Link, slot: u32) -> Self {
        Self {
            slot,
            link: bridge,
            kind: kind::HOST,
            flags: 0,
            pvid: None,
            vlans: Vec::new(),
            is_vlan_aware: network.is_vlan_aware(),
            bum_limit: 0,
            fdb_limit: 0,
            rule: None,
        }
    }

    /// Returns whether frames of the VLAN (or of a network without) leave by the port.
    pub(super) fn is_in(&self, vid: Option<VlanId>) -> bool {
        match vid {
            None => !self.is_vlan_aware,
            Some(vid) => self.pvid == Some(vid) || self.vlans.contains(&vid),
        }
    }

    /// Returns the MTU that frames to the port are held to, or 0: a tap takes what its guest has
    /// room for, and the host what it is handed.
    fn mtu(&self) -> u32 {
        match (self.kind, self.link.kind.as_str()) {
            (kind::HOST, _) | (_, "tun") => 0,
            _ => self.link.mtu,
        }
    }

    /// Adds the port's rows. `segments` are the slots of the network's segments, `network` that of
    /// its host port.
    pub(super) fn fill(
        &self,
        state: &mut State,
        segments: &BTreeMap<Option<VlanId>, u32>,
        network: u32,
    ) {
        let mut flags = self.flags;
        if self.is_vlan_aware {
            flags |= flag::VLAN_AWARE;
        }
        if !self.vlans.is_empty() {
            flags |= flag::TAGGED;
            let mut row = PortVlans::NONE;
            for vid in &self.vlans {
                row.insert(vid.value());
            }
            state.insert(Id::PortVlans(self.slot), Spec::PortVlans(Box::new(row)));
        }
        let own = if self.is_vlan_aware {
            self.pvid.and_then(|vid| segments.get(&Some(vid)))
        } else {
            segments.get(&None)
        };
        let row = port::Port {
            kind: self.kind,
            segment: own.copied().unwrap_or(map::NO_SLOT),
            flags,
            network,
            bum_limit: self.bum_limit,
            fdb_limit: self.fdb_limit,
            mtu: self.mtu(),
            pvid: self.pvid.map_or(0, VlanId::value),
            ..of_link(self.link)
        };
        state.insert(Id::Port(self.slot), Spec::Port(row));
        state.insert(Id::PortSlot(self.link.ifindex), Spec::Slot(self.slot));
        let Some(rule) = self.rule else { return };
        for mac in &rule.macs {
            state.insert(Id::Allowed(AllowedKey::mac(self.slot, *mac)), Spec::Allowed);
        }
        for address in &rule.addresses {
            let key = AllowedKey::ip(self.slot, VtepAddr::from(*address));
            state.insert(Id::Allowed(key), Spec::Allowed);
        }
    }
}

/// Returns a row with what a link itself says.
pub(super) fn of_link(link: &Link) -> port::Port {
    port::Port {
        ifindex: link.ifindex,
        mac: link.mac.0,
        name: map::name(&link.name),
        ..port::Port::FREE
    }
}

/// Refuses a trunk link that the host itself needs: nothing has been changed yet.
pub(super) fn refuse_trunk(
    network: &Network,
    host: &Host,
    underlay: &Underlay<'_>,
    facts: &Facts,
) -> Result<()> {
    let Some(link) = trunk(network, host, facts) else {
        return Ok(());
    };
    let leads_to_peers = underlay
        .uplinks
        .get(&link.ifindex)
        .is_some_and(|uplink| uplink.in_use);
    let holds_vtep = link.addresses.iter().any(|net| net.addr() == host.underlay);
    if leads_to_peers || holds_vtep {
        bail!(
            "trunk link {} of network {} leads to the underlay; taking its frames would cut this \
             host off\nhint: give the network a link of its own",
            link.name,
            network.name
        );
    }
    if let Some(master) = link.master.and_then(|master| facts.links.get(&master)) {
        // A bond, say, and not one of the bridges that we make for guests.
        let instead = if master.is_ours {
            String::new()
        } else {
            format!(", or name {} as the trunk", master.name)
        };
        bail!(
            "trunk link {} of network {} is a port of {}\nhint: `ip link set {0} nomaster`{instead}",
            link.name,
            network.name,
            master.name
        );
    }
    Ok(())
}

/// Adds what is doubtful about the ports of a network.
pub(super) fn doubts(network: &Network, host: &Host, facts: &Facts, doubts: &mut Vec<String>) {
    let bridge = facts.link(&network.bridge);
    if let Some(named) = host.trunks.get(&network.name) {
        let link = facts.link(&named.link);
        if let (Some(link), Some(bridge)) = (link, bridge)
            && link.mtu < bridge.mtu
        {
            doubts.push(format!(
                "trunk link {} has an MTU of {}, network {} one of {}: what is longer does not reach \
                 the trunk (too_big)",
                link.name, link.mtu, network.name, bridge.mtu
            ));
        }
        match link {
            None => doubts.push(format!(
                "there is no link {}, which is the trunk of network {}",
                named.link, network.name
            )),
            Some(link) if !link.addresses.is_empty() => doubts.push(format!(
                "trunk link {} has an address of the host's, which no frame reaches any more",
                link.name
            )),
            Some(_) => {}
        }
    }
    let Some(bridge) = bridge else {
        return;
    };
    let guests = facts.ports_of(bridge.ifindex).filter(|link| !link.is_ours);
    for link in guests {
        let rule = host.ports.get(&link.name);
        let named = rule.and_then(|rule| rule.portgroup.as_deref());
        if let Some(named) = named.filter(|named| !network.portgroups.contains_key(*named)) {
            doubts.push(format!(
                "port {} is in network {}, which has no portgroup {named}: it is blocked (no_vlan)",
                link.name, network.name
            ));
        } else if network.is_vlan_aware() && network.portgroup(rule).is_none() {
            doubts.push(format!(
                "port {} of network {} has no portgroup and is blocked (no_vlan)",
                link.name, network.name
            ));
        }
    }
}
