//! The host's place on the underlay: which links lead to the peers, and how wide they are.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use crate::{
    model::{Fabric, Host, Receive},
    state::{Facts, Link},
};

/// The host's place on the underlay.
pub(super) struct Underlay<'a> {
    /// 4 or 6.
    pub(super) family: u8,
    /// The smallest MTU of the links in use and of the routes to the peers.
    pub(super) mtu: u32,
    receive: Receive,
    /// Links that packets of peers may come in on, by ifindex.
    pub(super) uplinks: BTreeMap<u32, Uplink<'a>>,
}

/// A link to the underlay.
pub(super) struct Uplink<'a> {
    pub(super) link: &'a Link,
    /// The user named it, or a route to a peer leaves by it. Others stand by: routes may move to
    /// them while no daemon runs, and then packets of peers must be taken there too.
    pub(super) in_use: bool,
    receive: Receive,
}

impl Uplink<'_> {
    /// Returns whether frames may leave the skb world here: checksums must be finished on the wire,
    /// and a virtual link hands over some that its other end has not computed yet.
    pub(super) fn is_direct(&self) -> bool {
        match self.receive {
            Receive::Auto => self.link.kind.is_empty(),
            Receive::XdpDirect => true,
            Receive::Xdp | Receive::Tc => false,
        }
    }
}

/// The least MTU of a path that the networks' MTU follows: that of IPv6 (RFC 8200 section 5).
const NARROWEST_PATH: u32 = 1280;

/// The kinds of link that can lead to an underlay without being named: hardware and what carries
/// it. Bridges and taps of other software are not ours to look into.
const CARRIERS: &[&str] = &["", "veth", "bond", "team", "vlan", "macvlan", "ipvlan"];

impl<'a> Underlay<'a> {
    /// Finds the links that lead to the host's peers.
    pub(super) fn find(fabric: &Fabric, host: &Host, facts: &'a Facts) -> Self {
        let family = if host.underlay.is_ipv4() { 4 } else { 6 };
        let mut in_use: BTreeSet<u32> = if host.uplinks.is_empty() {
            peers(fabric, host)
                .filter_map(|address| facts.routes.get(&address))
                .copied()
                .collect()
        } else {
            let named = host.uplinks.iter().filter_map(|name| facts.link(name));
            named.map(|link| link.ifindex).collect()
        };
        // What is sent to multicast groups comes in there.
        let groups = host.multicast.as_ref().and_then(|name| facts.link(name));
        in_use.extend(groups.map(|link| link.ifindex));
        let is_trunk = |link: &Link| host.trunks.values().any(|trunk| trunk.link == link.name);
        let may_stand_by = |link: &Link| {
            host.uplinks.is_empty()
                && !is_trunk(link)
                && link.is_ethernet
                && !link.is_ours
                && link.master.is_none()
                && CARRIERS.contains(&link.kind.as_str())
                && link
                    .addresses
                    .iter()
                    .any(|net| net.addr().is_ipv4() == (family == 4))
        };
        let uplinks: BTreeMap<u32, Uplink<'_>> = facts
            .links
            .values()
            .filter(|link| in_use.contains(&link.ifindex) || may_stand_by(link))
            .map(|link| {
                (
                    link.ifindex,
                    Uplink {
                        link,
                        in_use: in_use.contains(&link.ifindex),
                        receive: host.receive,
                    },
                )
            })
            .collect();
        let used = uplinks.values().filter(|uplink| uplink.in_use);
        let of_links = used.map(|uplink| uplink.link.mtu).min();
        let of_paths = peers(fabric, host).filter_map(|peer| facts.route_mtu.get(&peer));
        // Whoever forges an ICMP message can make a path look narrow (RFC 8201 section 6); below
        // this, the data path judges frame by frame.
        let of_paths = of_paths.map(|mtu| (*mtu).max(NARROWEST_PATH)).min();
        // Ethernet's usual MTU while nothing leads to the peers yet.
        let mtu = of_links.into_iter().chain(of_paths).min().unwrap_or(1500);
        Self {
            family,
            mtu,
            receive: host.receive,
            uplinks,
        }
    }

    /// Returns the uplinks whose frames XDP may strip.
    pub(super) fn stripping(&self, facts: &Facts) -> Vec<&'a Link> {
        let strips = |uplink: &&Uplink<'a>| {
            uplink.in_use && self.receive != Receive::Tc && facts.may_run_xdp(uplink.link)
        };
        self.uplinks
            .values()
            .filter(strips)
            .map(|uplink| uplink.link)
            .collect()
    }

    /// Adds the links that the user wants XDP on, and that cannot have it.
    pub(super) fn doubts(&self, facts: &Facts, doubts: &mut Vec<String>) {
        let forced = match self.receive {
            Receive::Auto | Receive::Tc => return,
            Receive::Xdp => "xdp",
            Receive::XdpDirect => "xdp-direct",
        };
        let in_use = self.uplinks.values().filter(|uplink| uplink.in_use);
        for uplink in in_use.filter(|uplink| !facts.may_run_xdp(uplink.link)) {
            doubts.push(format!(
                "uplink {} receives through tc and not through {forced}, which `receive` says: its \
                 driver refuses XDP (with this MTU), or the link is a port of another or shared",
                uplink.link.name
            ));
        }
    }

    /// Returns whether an uplink in use receives at TC.
    pub(super) fn receives_at_tc(&self, facts: &Facts) -> bool {
        let in_use = self.uplinks.values().filter(|uplink| uplink.in_use).count();
        self.stripping(facts).len() < in_use
    }

    /// Returns the kernel parameter that `bpf_fib_lookup` asks for: forwarding on the link that it
    /// looks from, which is `lo`. It concerns only packets received on `lo`.
    pub(super) fn forwarding(&self) -> (String, String) {
        let family = if self.family == 4 { "ipv4" } else { "ipv6" };
        (format!("net/{family}/conf/lo/forwarding"), "1".into())
    }
}

/// Returns the underlay addresses of all hosts that share a network with this one.
pub(super) fn peers<'a>(fabric: &'a Fabric, host: &'a Host) -> impl Iterator<Item = IpAddr> {
    let addresses: BTreeSet<IpAddr> = fabric
        .networks_of(&host.name)
        .filter(|network| network.is_on_overlay())
        .flat_map(|network| fabric.peers_of(network, &host.name))
        .map(|peer| peer.underlay)
        .collect();
    addresses.into_iter()
}
