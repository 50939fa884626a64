//! The rows of the maps and the programs on the links.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use vxnet_common::{
    addr::{VlanId, VtepAddr},
    map::{
        self, LAYOUT, MAX_PORTS, MAX_SEGMENTS,
        local::Local,
        port::{self, flag, kind},
    },
};

use super::{
    anchor_id, groups,
    ports::{self, Port, guests},
    segments::{self, Member, held},
    underlay::{Underlay, Uplink},
    vteps,
};
use crate::{
    model::{Fabric, Host, Network},
    state::{
        DETOUR, DETOUR_END, Hook, Id, Link, Observed, Program, Spec, State, allocate, anchor_names,
    },
};

/// Adds the maps' rows and the programs to `state`.
pub(super) fn fill(
    state: &mut State,
    fabric: &Fabric,
    host: &Host,
    networks: &[&Network],
    underlay: &Underlay<'_>,
    observed: &Observed,
) -> Result<()> {
    let vteps = vteps::fill(state, fabric, host, underlay, observed)?;
    groups::join(state, fabric, host, underlay, &observed.facts);
    // A network has rows once its bridge exists: they name its ifindex.
    let present: Vec<(&Network, &Link)> = networks
        .iter()
        .filter_map(|network| Some((*network, observed.facts.link(&network.bridge)?)))
        .collect();
    let resolver = local(state, fabric, host, underlay, &present, observed);
    let wanted = present.iter().flat_map(|(network, _)| {
        let segments = network.segments.iter();
        segments.map(|(vid, segment)| segments::identity(network, *vid, segment))
    });
    let slots = allocate(
        "networks",
        &segments::held_slots(observed),
        wanted,
        MAX_SEGMENTS,
    )?;
    let ports = port_slots(&present, host, underlay, observed)?;

    for (network, bridge) in present {
        let of_network: BTreeMap<Option<VlanId>, u32> = network
            .segments
            .iter()
            .map(|(vid, segment)| (*vid, slots[&segments::identity(network, *vid, segment)]))
            .collect();
        let host_port = ports[&bridge.ifindex];
        Port::host(network, bridge, host_port).fill(state, &of_network, host_port);
        program(state, bridge.ifindex, Hook::TcEgress, "vx_port", observed);
        let members = links(network, host, bridge, &ports, observed);
        for port in &members {
            port.fill(state, &of_network, host_port);
            let ifindex = port.link.ifindex;
            program(state, ifindex, Hook::TcIngress, "vx_port", observed);
        }
        own_links(state, network, host, bridge, observed);
        for (vid, segment) in &network.segments {
            let member = Member {
                slot: of_network[vid],
                vid: *vid,
                segment,
                network,
                bridge,
                host_port,
            };
            member.fill(state, fabric, host, &vteps, &members);
        }
    }
    let stripping: BTreeSet<u32> = underlay
        .stripping(&observed.facts)
        .iter()
        .map(|link| link.ifindex)
        .collect();
    for uplink in underlay.uplinks.values() {
        let strips = stripping.contains(&uplink.link.ifindex);
        self::uplink(state, uplink, strips, ports[&uplink.link.ifindex], observed);
    }
    if let Some(resolver) = resolver {
        program(state, resolver, Hook::TcIngress, "vx_resolve", observed);
    }
    if let Some(end) = observed.facts.link(DETOUR_END).filter(|end| end.is_ours) {
        program(state, end.ifindex, Hook::TcIngress, "vx_detour", observed);
    }
    Ok(())
}

/// Returns the ports of a network but the host's own.
fn links<'a>(
    network: &Network,
    host: &'a Host,
    bridge: &Link,
    slots: &BTreeMap<u32, u32>,
    observed: &'a Observed,
) -> Vec<Port<'a>> {
    let guests = guests(bridge, observed)
        .into_iter()
        .map(|link| Port::guest(network, host, link, slots[&link.ifindex]));
    let trunk = ports::trunk(network, host, &observed.facts)
        .map(|link| Port::trunk(network, host, link, slots[&link.ifindex]));
    guests.chain(trunk).collect()
}

/// Adds what the links of a network must be like: a trunk link takes everything, a tap has the
/// network's MTU.
fn own_links(
    state: &mut State,
    network: &Network,
    host: &Host,
    bridge: &Link,
    observed: &Observed,
) {
    if let Some(trunk) = ports::trunk(network, host, &observed.facts) {
        let spec = Spec::Trunk {
            promiscuous: true,
            all_vlans: true,
            up: true,
        };
        state.insert(Id::Trunk(trunk.name.clone()), spec);
    }
    for tap in guests(bridge, observed)
        .iter()
        .filter(|link| link.kind == "tun")
    {
        state.insert(Id::PortMtu(tap.name.clone()), Spec::PortMtu(bridge.mtu));
    }
}

/// Adds an uplink's rows and programs.
fn uplink(state: &mut State, uplink: &Uplink<'_>, strips: bool, slot: u32, observed: &Observed) {
    let link = uplink.link;
    let mut flags = if uplink.is_direct() {
        flag::WIRE_CSUM
    } else {
        0
    };
    // XDP may strip only what TC is there to take.
    if observed.runs(link.ifindex, Hook::Xdp) && observed.runs(link.ifindex, Hook::TcIngress) {
        flags |= flag::STRIP;
    }
    let row = port::Port {
        kind: kind::UPLINK,
        flags,
        ..ports::of_link(link)
    };
    state.insert(Id::Port(slot), Spec::Port(row));
    state.insert(Id::PortSlot(link.ifindex), Spec::Slot(slot));
    program(state, link.ifindex, Hook::TcIngress, "vx_uplink", observed);
    if strips {
        program(state, link.ifindex, Hook::Xdp, "vx_uplink_xdp", observed);
    }
}

/// Adds a program to a link, in the version that this vxnet brings.
fn program(state: &mut State, ifindex: u32, hook: Hook, name: &str, observed: &Observed) {
    let tag = observed.facts.programs.get(name).copied().unwrap_or(0);
    let spec = Program {
        name: name.into(),
        tag,
    };
    state.insert(Id::Program(ifindex, hook), Spec::Program(spec));
}

/// Adds the row of `LOCAL`, and returns the link that resolves next hops: any anchor will do.
fn local(
    state: &mut State,
    fabric: &Fabric,
    host: &Host,
    underlay: &Underlay<'_>,
    present: &[(&Network, &Link)],
    observed: &Observed,
) -> Option<u32> {
    let resolver = present
        .iter()
        .filter_map(|(network, _)| observed.facts.link(&anchor_names(anchor_id(network)).0))
        .map(|link| link.ifindex)
        .min();
    // Used once its other end takes what comes out.
    let end_runs = observed
        .facts
        .link(DETOUR_END)
        .is_some_and(|end| observed.runs(end.ifindex, Hook::TcIngress));
    let detour = observed
        .facts
        .link(DETOUR)
        .filter(|link| end_runs && link.is_ours);
    let row = Local {
        layout: LAYOUT,
        underlay: VtepAddr::from(host.underlay),
        port: fabric.port,
        family: underlay.family,
        pad: 0,
        detour: detour.map_or(0, |link| link.ifindex),
        resolver: resolver.unwrap_or(0),
        name: map::name(&host.name),
    };
    state.insert(Id::Local, Spec::Local(row));
    resolver
}

/// Returns the slots of all links that a program runs on, by ifindex.
fn port_slots(
    present: &[(&Network, &Link)],
    host: &Host,
    underlay: &Underlay<'_>,
    observed: &Observed,
) -> Result<BTreeMap<u32, u32>> {
    let held = held(observed, |id, spec| match (id, spec) {
        (Id::Port(slot), Spec::Port(row)) => Some((row.ifindex, *slot)),
        _ => None,
    });
    let mut wanted: BTreeSet<u32> = underlay.uplinks.keys().copied().collect();
    for (network, bridge) in present {
        wanted.insert(bridge.ifindex);
        wanted.extend(ports::trunk(network, host, &observed.facts).map(|link| link.ifindex));
        wanted.extend(guests(bridge, observed).iter().map(|link| link.ifindex));
    }
    allocate("ports", &held, wanted, MAX_PORTS)
}
