//! The rows of the maps and the programs on the links.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use vxnet_common::{
    addr::VtepAddr,
    map::{
        self, LAYOUT, MAX_PORTS, MAX_SEGMENTS, MAX_VTEPS,
        fdb::{FdbEntry, FdbKey, origin, place},
        local::Local,
        port::{Port, flag, kind},
        segment::{FloodKey, Segment, list},
        vtep::Vtep,
    },
    outer::Template,
};

use super::underlay::{Underlay, Uplink, peers};
use crate::{
    model::{Fabric, Host, Network},
    state::{
        GRO_END, GRO_LINK, Hook, Id, Link, Observed, Program, Spec, State, allocate, anchor_names,
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
    let vteps = vteps(state, fabric, host, underlay, observed)?;
    // A network has rows once its bridge exists: they name its ifindex.
    let present: Vec<(&Network, &Link)> = networks
        .iter()
        .filter_map(|network| Some((*network, observed.facts.link(&network.bridge)?)))
        .collect();
    let resolver = local(state, fabric, host, underlay, &present, observed);
    let held = held(observed, |id, spec| match (id, spec) {
        (Id::Segment(slot), Spec::Segment(row)) => Some((row.vni, *slot)),
        _ => None,
    });
    let wanted = present.iter().map(|(network, _)| network.vni.value());
    let segments = allocate("networks", &held, wanted, MAX_SEGMENTS)?;
    let ports = port_slots(&present, underlay, observed)?;

    for (network, bridge) in present {
        let segment = Member {
            slot: segments[&network.vni.value()],
            network,
            bridge,
            vteps: fabric
                .peers_of(network, &host.name)
                .filter_map(|peer| vteps.get(&VtepAddr::from(peer.underlay)).copied())
                .collect(),
        };
        segment.fill(state, &ports, observed);
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
    if let Some(end) = observed.facts.link(GRO_END).filter(|end| end.is_ours) {
        program(state, end.ifindex, Hook::TcIngress, "vx_gro", observed);
    }
    Ok(())
}

/// A network of this host, with all that its rows refer to.
struct Member<'a> {
    slot: u32,
    network: &'a Network,
    bridge: &'a Link,
    vteps: BTreeSet<u32>,
}

impl Member<'_> {
    fn fill(&self, state: &mut State, ports: &BTreeMap<u32, u32>, observed: &Observed) {
        let host_port = ports[&self.bridge.ifindex];
        self.port(state, self.bridge, kind::HOST, 0, host_port);
        program(
            state,
            self.bridge.ifindex,
            Hook::TcEgress,
            "vx_port",
            observed,
        );
        let guests = guests(self.bridge, observed);
        for (index, link) in (0..).zip(&guests) {
            let slot = ports[&link.ifindex];
            let flags = if link.kind == "tun" {
                flag::XDP_TARGET
            } else {
                0
            };
            self.port(state, link, kind::GUEST, flags, slot);
            self.flood(state, list::PORTS, index, slot);
            program(state, link.ifindex, Hook::TcIngress, "vx_port", observed);
        }
        let mut row = Segment {
            vni: self.network.vni.value(),
            bridge: self.bridge.ifindex,
            host_port,
            mtu: self.bridge.mtu,
            ageing: u64::try_from(self.network.ageing.as_nanos()).unwrap_or(u64::MAX),
            flood_ports: guests.len() as u32,
            flood_vteps: self.vteps.len() as u32,
            name: map::name(&self.network.name),
            bridge_name: map::name(&self.network.bridge),
            ..Segment::FREE
        };
        for (index, slot) in (0..).zip(&self.vteps) {
            row.vteps[(slot / 64) as usize] |= 1 << (slot % 64);
            self.flood(state, list::VTEPS, index, *slot);
        }
        state.insert(Id::Segment(self.slot), Spec::Segment(Box::new(row)));
        state.insert(Id::Vni(row.vni), Spec::Slot(self.slot));
        let entry = FdbEntry {
            slot: host_port,
            place: place::PORT,
            origin: origin::STATIC,
            pad: [0; 2],
            last_seen: 0,
        };
        state.insert(
            Id::Fdb(FdbKey::new(self.slot, self.bridge.mac)),
            Spec::Fdb(entry),
        );
    }

    fn port(&self, state: &mut State, link: &Link, kind: u32, flags: u32, slot: u32) {
        let row = port_row(link, kind, self.slot, flags);
        state.insert(Id::Port(slot), Spec::Port(row));
        state.insert(Id::PortSlot(link.ifindex), Spec::Slot(slot));
    }

    fn flood(&self, state: &mut State, list: u32, index: u32, slot: u32) {
        let key = FloodKey {
            segment: self.slot,
            list,
            index,
        };
        state.insert(Id::Flood(key), Spec::Slot(slot));
    }
}

/// Returns the guests' links of a network: the bridge's ports but vxnet's own.
fn guests<'a>(bridge: &Link, observed: &'a Observed) -> Vec<&'a Link> {
    let ports = observed.facts.ports_of(bridge.ifindex);
    ports.filter(|link| !link.is_ours).collect()
}

fn port_row(link: &Link, kind: u32, segment: u32, flags: u32) -> Port {
    Port {
        ifindex: link.ifindex,
        kind,
        segment,
        flags,
        mac: link.mac.0,
        pad: [0; 2],
        name: map::name(&link.name),
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
    state.insert(
        Id::Port(slot),
        Spec::Port(port_row(link, kind::UPLINK, 0, flags)),
    );
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
        .filter_map(|(network, _)| observed.facts.link(&anchor_names(network.vni.value()).0))
        .map(|link| link.ifindex)
        .min();
    // Used once its other end takes what comes out.
    let gro_runs = observed
        .facts
        .link(GRO_END)
        .is_some_and(|end| observed.runs(end.ifindex, Hook::TcIngress));
    let gro = observed
        .facts
        .link(GRO_LINK)
        .filter(|link| gro_runs && link.is_ours);
    let row = Local {
        layout: LAYOUT,
        underlay: VtepAddr::from(host.underlay),
        port: fabric.port,
        family: underlay.family,
        pad: 0,
        gro: gro.map_or(0, |link| link.ifindex),
        resolver: resolver.unwrap_or(0),
        name: map::name(&host.name),
    };
    state.insert(Id::Local, Spec::Local(row));
    resolver
}

/// Adds the peers' rows, and returns their slots.
fn vteps(
    state: &mut State,
    fabric: &Fabric,
    host: &Host,
    underlay: &Underlay<'_>,
    observed: &Observed,
) -> Result<BTreeMap<VtepAddr, u32>> {
    let held = held(observed, |id, spec| match (id, spec) {
        (Id::Vtep(slot), Spec::Vtep(row)) => Some((row.address, *slot)),
        _ => None,
    });
    let slots = allocate(
        "hosts",
        &held,
        peers(fabric, host).map(VtepAddr::from),
        MAX_VTEPS,
    )?;
    for (address, slot) in &slots {
        let name = fabric
            .hosts
            .values()
            .find(|peer| VtepAddr::from(peer.underlay) == *address)
            .map_or("", |peer| &peer.name);
        let template = Template::new(
            underlay.family,
            VtepAddr::from(host.underlay),
            *address,
            fabric.port,
        );
        let row = Vtep {
            address: *address,
            checksum: template.checksum,
            header: template.header,
            name: map::name(name),
            ..Vtep::FREE
        };
        state.insert(Id::Vtep(*slot), Spec::Vtep(Box::new(row)));
        state.insert(Id::VtepSlot(*address), Spec::Slot(*slot));
    }
    Ok(slots)
}

/// Returns the slots of all links that a program runs on, by ifindex.
fn port_slots(
    present: &[(&Network, &Link)],
    underlay: &Underlay<'_>,
    observed: &Observed,
) -> Result<BTreeMap<u32, u32>> {
    let held = held(observed, |id, spec| match (id, spec) {
        (Id::Port(slot), Spec::Port(row)) => Some((row.ifindex, *slot)),
        _ => None,
    });
    let mut wanted: BTreeSet<u32> = underlay.uplinks.keys().copied().collect();
    for (_, bridge) in present {
        wanted.insert(bridge.ifindex);
        wanted.extend(guests(bridge, observed).iter().map(|link| link.ifindex));
    }
    allocate("ports", &held, wanted, MAX_PORTS)
}

/// Collects which slots are held by what.
fn held<K: Ord>(
    observed: &Observed,
    pick: impl Fn(&Id, &Spec) -> Option<(K, u32)>,
) -> BTreeMap<K, u32> {
    observed
        .state
        .iter()
        .filter_map(|(id, spec)| pick(id, spec))
        .collect()
}
