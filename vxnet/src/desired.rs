//! What a host should be, given the fabric and what it is: a pure function.

mod datapath;
mod gro;
mod groups;
mod guard;
mod ports;
mod segments;
mod underlay;
mod vteps;

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use vxnet_common::{addr::Mac, outer};

use self::underlay::Underlay;
use crate::{
    model::{Fabric, Host, Network},
    state::{Bridge, Facts, Id, Link, Observed, Spec, State, anchor_names},
};

/// Returns the state that the host of that name should be in.
pub fn desired(fabric: &Fabric, host: &str, observed: &Observed) -> Result<State> {
    let Some(host) = fabric.hosts.get(host) else {
        bail!("the fabric has no host \"{host}\"\nhint: name one of its hosts with --host");
    };
    let mut state = State::new();
    let underlay = Underlay::find(fabric, host, &observed.facts);
    let (key, value) = underlay.forwarding();
    state.insert(Id::Sysctl(key), Spec::Sysctl(value));
    let networks: Vec<&Network> = fabric.networks_of(&host.name).collect();
    let leading: BTreeSet<u32> = observed.facts.routes.values().copied().collect();
    for network in &networks {
        refuse_foreign_link(network, host, &leading, &observed.facts)?;
        ports::refuse_trunk(network, host, &underlay, &observed.facts)?;
    }
    if let Some(spec) = gro::detour(fabric, &networks, &observed.facts) {
        state.insert(Id::Detour, spec);
    }
    if let Some(spec) = gro::socket(fabric, host, &networks, &underlay, &observed.facts) {
        state.insert(Id::GroSocket, spec);
    }
    let guard = guard::guard(&networks, fabric, host, &underlay, &observed.facts);
    state.insert(Id::Guard, Spec::Guard(guard));
    for network in &networks {
        let mtu = mtu(network, host, &underlay, &observed.facts);
        let bridge = Bridge {
            mac: bridge_mac(&host.name, network),
            mtu,
            up: true,
        };
        state.insert(Id::Bridge(network.bridge.clone()), Spec::Bridge(bridge));
        let (port, _) = anchor_names(anchor_id(network));
        let bridge = network.bridge.clone();
        state.insert(
            Id::Anchor(port),
            Spec::Anchor {
                bridge,
                mtu,
                up: true,
            },
        );
        for address in network.gateways.get(&host.name).into_iter().flatten() {
            state.insert(Id::Address(network.bridge.clone(), *address), Spec::Address);
        }
    }
    datapath::fill(&mut state, fabric, host, &networks, &underlay, observed)?;
    Ok(state)
}

/// Refuses to take over a link that is not there to hold guests: nothing has been changed yet.
///
/// Routes to the peers leave by the links in `leading`.
fn refuse_foreign_link(
    network: &Network,
    host: &Host,
    leading: &BTreeSet<u32>,
    facts: &Facts,
) -> Result<()> {
    let Some(link) = facts.link(&network.bridge) else {
        return Ok(());
    };
    let name = &network.bridge;
    if link.kind != "bridge" {
        bail!(
            "link {name} exists and is no bridge\nhint: give network {} another `bridge`",
            network.name
        );
    }
    let carries_underlay = leading.contains(&link.ifindex)
        || link.addresses.iter().any(|net| net.addr() == host.underlay);
    if carries_underlay {
        bail!(
            "bridge {name} leads to the underlay; taking it over would cut this host off\nhint: \
             give network {} another `bridge`, which needs no physical port",
            network.name
        );
    }
    Ok(())
}

/// Returns what is probably not as the user means it, but keeps nothing from working.
pub fn doubts(fabric: &Fabric, host: &str, facts: &Facts) -> Vec<String> {
    let Some(host) = fabric.hosts.get(host) else {
        return Vec::new();
    };
    let mut doubts = Vec::new();
    let holds = |link: &Link| link.addresses.iter().any(|net| net.addr() == host.underlay);
    if !facts.links.values().any(holds) {
        doubts.push(format!(
            "no link has the underlay address {} of host {}: is this that host?",
            host.underlay, host.name
        ));
    }
    for name in host
        .uplinks
        .iter()
        .filter(|name| facts.link(name).is_none())
    {
        doubts.push(format!(
            "there is no link {name}, which `uplinks` of host {} names",
            host.name
        ));
    }
    gro::doubts(fabric, host, facts, &mut doubts);
    let networks: Vec<&Network> = fabric.networks_of(&host.name).collect();
    for link in facts.kept_bridges() {
        if !networks.iter().any(|network| network.bridge == link.name) {
            doubts.push(format!(
                "bridge {} is in no network any more: it stays for the guests in it, who reach \
                 nobody",
                link.name
            ));
        }
    }
    for network in &networks {
        ports::doubts(network, host, facts, &mut doubts);
    }
    let underlay = Underlay::find(fabric, host, facts);
    underlay.doubts(facts, &mut doubts);
    groups::doubts(fabric, host, &underlay, facts, &mut doubts);
    let room = room(&underlay);
    for network in networks {
        let wants = network
            .mtu
            .map(u32::from)
            .filter(|_| network.is_on_overlay());
        if wants.is_some_and(|mtu| mtu > room) {
            doubts.push(format!(
                "the underlay has room for an MTU of {room}, less than network {} wants: larger \
                 frames to other hosts are dropped (too_big)",
                network.name
            ));
        }
    }
    doubts
}

/// Returns the MTU of a network: what the user says, or what the underlay leaves room for. What is
/// not on the overlay has the MTU of its trunk link.
fn mtu(network: &Network, host: &Host, underlay: &Underlay, facts: &Facts) -> u32 {
    let trunk = host.trunks.get(&network.name);
    let of_trunk = trunk
        .and_then(|trunk| facts.link(&trunk.link))
        .map(|link| link.mtu);
    let most = if network.is_on_overlay() {
        room(underlay)
    } else {
        of_trunk.unwrap_or(ETHERNET_MTU)
    };
    network.mtu.map_or(most, u32::from)
}

/// The MTU of Ethernet, where nothing else is known.
const ETHERNET_MTU: u32 = 1500;

/// Returns the MTU that the underlay leaves room for.
fn room(underlay: &Underlay) -> u32 {
    underlay
        .mtu
        .saturating_sub(outer::overhead(underlay.family))
}

/// Returns the MAC address of a host's bridge: always the same, and locally administered. The
/// kernel would take one of the ports', which changes as guests come and go.
fn bridge_mac(host: &str, network: &Network) -> Mac {
    let [a, b, c, d, e, ..] = hash(&format!("{host}/{}", id(network))).to_be_bytes();
    Mac([0x02, a, b, c, d, e])
}

/// Returns what tells a network from others: its VNI, or its name if it has VLANs.
fn id(network: &Network) -> String {
    match network.segments.get(&None).and_then(|segment| segment.vni) {
        Some(vni) => vni.to_string(),
        None => network.name.clone(),
    }
}

/// Returns the same within the 11 characters that the name of an anchor has for it.
fn anchor_id(network: &Network) -> String {
    if network.is_vlan_aware() {
        format!("n{:08x}", hash(&network.name) >> 32)
    } else {
        id(network)
    }
}

/// Returns a hash that is the same in all versions (FNV-1a), which the standard library's hashes do
/// not promise.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
pub(crate) mod tests;
