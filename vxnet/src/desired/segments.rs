//! The rows of broadcast domains: who is in them, and what they are called on the overlay.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use vxnet_common::{
    addr::{Mac, VlanId, VtepAddr},
    map::{
        self,
        fdb::{FdbEntry, FdbKey, origin, place},
        holder,
        neighbour::{self, NeighbourKey},
        segment::{self, FloodKey, list},
        vlan::VlanKey,
    },
};

use super::{bridge_mac, ports::Port};
use crate::{
    model::{Fabric, Host, Network, Segment},
    state::{Id, Link, Observed, Spec, State},
};

/// What tells a segment from others, and from what it was before: name of the network, VLAN, VNI.
pub(super) type Identity = (map::Name<32>, u16, u32);

/// Returns the identity of a segment.
pub(super) fn identity(network: &Network, vid: Option<VlanId>, segment: &Segment) -> Identity {
    (
        map::name(&network.name),
        vid.map_or(0, VlanId::value),
        segment.vni.map_or(0, vxnet_common::addr::Vni::value),
    )
}

/// Returns the slots that segments have.
pub(super) fn held_slots(observed: &Observed) -> BTreeMap<Identity, u32> {
    held(observed, |id, spec| match (id, spec) {
        (Id::Segment(slot), Spec::Segment(row)) => Some(((row.name, row.vid, row.vni), *slot)),
        _ => None,
    })
}

/// A segment of this host, with all that its rows refer to.
pub(super) struct Member<'a> {
    pub(super) slot: u32,
    pub(super) vid: Option<VlanId>,
    pub(super) segment: &'a Segment,
    pub(super) network: &'a Network,
    pub(super) bridge: &'a Link,
    /// Slot of the bridge's port.
    pub(super) host_port: u32,
}

impl Member<'_> {
    /// Adds the rows of the segment, whose network has these ports on this host.
    pub(super) fn fill(
        &self,
        state: &mut State,
        fabric: &Fabric,
        host: &Host,
        vteps: &BTreeMap<VtepAddr, u32>,
        ports: &[Port<'_>],
    ) {
        let peers = self.peers(fabric, host, vteps);
        let flooded = match self.segment.group {
            Some(group) => vteps
                .get(&VtepAddr::from(group))
                .copied()
                .into_iter()
                .collect(),
            None => peers.clone(),
        };
        let members: Vec<u32> = ports
            .iter()
            .filter(|port| port.is_in(self.vid))
            .map(|port| port.slot)
            .collect();
        self.flood(state, list::PORTS, &members);
        self.flood(
            state,
            list::VTEPS,
            &flooded.iter().copied().collect::<Vec<_>>(),
        );

        let mut row = self.row(host);
        row.flood_ports = members.len() as u32;
        row.flood_vteps = flooded.len() as u32;
        for slot in &peers {
            row.vteps[(slot / 64) as usize] |= 1 << (slot % 64);
        }
        if row.vni != 0 {
            state.insert(Id::Vni(row.vni), Spec::Slot(self.slot));
        }
        if let Some(vid) = self.vid {
            let key = VlanKey {
                network: self.host_port,
                vid: u32::from(vid.value()),
            };
            state.insert(Id::Vlan(key), Spec::Slot(self.slot));
        } else {
            let entry = FdbEntry::fixed(place::PORT, self.host_port, origin::STATIC);
            self.fdb(state, self.bridge.mac, entry);
        }
        state.insert(Id::Segment(self.slot), Spec::Segment(Box::new(row)));
        self.gateways(state, fabric, host, vteps);
        self.stations(state, fabric, host, vteps, ports);
        self.reserve(state, fabric, host, vteps);
    }

    fn row(&self, host: &Host) -> segment::Segment {
        let is_plain = self.vid.is_none();
        let gateways = self.network.gateways.get(&host.name);
        let mut row = segment::Segment {
            vni: self.segment.vni.map_or(0, vxnet_common::addr::Vni::value),
            network: self.host_port,
            // The host is a station of a network without VLANs only.
            bridge: if is_plain { self.bridge.ifindex } else { 0 },
            host_port: if is_plain { self.host_port } else { 0 },
            mtu: self.bridge.mtu,
            vid: self.vid.map_or(0, VlanId::value),
            flags: flags(self.segment),
            ageing: u64::try_from(self.segment.ageing.as_nanos()).unwrap_or(u64::MAX),
            group: self.segment.group.map_or(VtepAddr::NONE, VtepAddr::from),
            name: map::name(&self.network.name),
            bridge_name: map::name(&self.network.bridge),
            ..segment::Segment::FREE
        };
        for address in gateways.into_iter().flatten() {
            match address.addr() {
                IpAddr::V4(address) if row.gateway_v4 == [0; 4] => {
                    row.gateway_v4 = address.octets();
                }
                IpAddr::V6(address) if row.gateway_v6 == [0; 16] => {
                    row.gateway_v6 = address.octets();
                }
                _ => {}
            }
        }
        row
    }

    /// Returns the slots of the other hosts of the segment.
    fn peers(
        &self,
        fabric: &Fabric,
        host: &Host,
        vteps: &BTreeMap<VtepAddr, u32>,
    ) -> BTreeSet<u32> {
        if self.segment.vni.is_none() {
            return BTreeSet::new();
        }
        fabric
            .peers_of(self.network, &host.name)
            .filter_map(|peer| vteps.get(&VtepAddr::from(peer.underlay)).copied())
            .collect()
    }

    fn flood(&self, state: &mut State, list: u32, members: &[u32]) {
        for (index, slot) in (0..).zip(members) {
            let key = FloodKey {
                segment: self.slot,
                list,
                index,
            };
            state.insert(Id::Flood(key), Spec::Slot(*slot));
        }
    }

    fn fdb(&self, state: &mut State, mac: Mac, entry: FdbEntry) {
        state.insert(Id::Fdb(FdbKey::new(self.slot, mac)), Spec::Fdb(entry));
    }

    /// Adds the addresses of the other hosts that are gateways: a guest that sent from one would
    /// have what the network sends to all others.
    fn gateways(
        &self,
        state: &mut State,
        fabric: &Fabric,
        host: &Host,
        vteps: &BTreeMap<VtepAddr, u32>,
    ) {
        if self.vid.is_some() || self.segment.vni.is_none() {
            return;
        }
        let others = self.network.gateways.keys();
        for name in others.filter(|name| **name != host.name) {
            let peer = fabric.hosts.get(name);
            let slot = peer.and_then(|peer| vteps.get(&VtepAddr::from(peer.underlay)));
            if let Some(slot) = slot {
                let entry = FdbEntry::fixed(place::VTEP, *slot, origin::STATIC);
                self.fdb(state, bridge_mac(name, self.network), entry);
            }
        }
    }

    /// Adds the addresses whose place the user knows: here as soon as their link is, elsewhere at
    /// once.
    fn stations(
        &self,
        state: &mut State,
        fabric: &Fabric,
        host: &Host,
        vteps: &BTreeMap<VtepAddr, u32>,
        ports: &[Port<'_>],
    ) {
        for (mac, station) in &self.segment.stations {
            let entry = if station.host == host.name {
                let is_its = |port: &&Port<'_>| port.link.name == station.port;
                let port = ports.iter().find(is_its);
                port.map(|port| FdbEntry::fixed(place::PORT, port.slot, origin::STATIC))
            } else {
                let peer = fabric.hosts.get(&station.host);
                let slot = peer.and_then(|peer| vteps.get(&VtepAddr::from(peer.underlay)));
                let on_overlay = self.segment.vni.is_some();
                slot.filter(|_| on_overlay)
                    .map(|slot| FdbEntry::fixed(place::VTEP, *slot, origin::STATIC))
            };
            if let Some(entry) = entry {
                self.fdb(state, *mac, entry);
            }
        }
    }

    /// Adds whose the addresses are that the switch might answer for: a gateway's are those of its
    /// host, and for the user's exceptions it never answers.
    fn reserve(
        &self,
        state: &mut State,
        fabric: &Fabric,
        host: &Host,
        vteps: &BTreeMap<VtepAddr, u32>,
    ) {
        let Some(suppress) = &self.segment.suppress else {
            return;
        };
        let mut insert = |address: IpAddr, owner| {
            let key = NeighbourKey::new(self.slot, VtepAddr::from(address));
            state.insert(Id::Reserved(key), Spec::Slot(owner));
        };
        // Hosts are stations of a network without VLANs only.
        let gateways = self.network.gateways.iter().filter(|_| self.vid.is_none());
        for (name, addresses) in gateways {
            let owner = if *name == host.name {
                Some(self.host_port)
            } else {
                let peer = fabric.hosts.get(name);
                let slot = peer.and_then(|peer| vteps.get(&VtepAddr::from(peer.underlay)));
                slot.map(|slot| holder::of_vtep(*slot))
            };
            // Nobody here may be a gateway that cannot be reached from here.
            let owner = owner.unwrap_or(neighbour::NOBODY);
            for address in addresses {
                insert(address.addr(), owner);
            }
        }
        for address in &suppress.except {
            insert(*address, neighbour::NOBODY);
        }
    }
}

fn flags(segment: &Segment) -> u16 {
    let flood = segment.flood;
    [
        (!flood.unknown_unicast, segment::flag::NO_UNKNOWN),
        (!flood.broadcast, segment::flag::NO_BROADCAST),
        (!flood.multicast, segment::flag::NO_MULTICAST),
        (segment.suppress.is_some(), segment::flag::SUPPRESS),
    ]
    .into_iter()
    .filter(|(is_set, _)| *is_set)
    .fold(0, |flags, (_, flag)| flags | flag)
}

/// Collects which slots are held by what.
pub(super) fn held<K: Ord>(
    observed: &Observed,
    pick: impl Fn(&Id, &Spec) -> Option<(K, u32)>,
) -> BTreeMap<K, u32> {
    observed
        .state
        .iter()
        .filter_map(|(id, spec)| pick(id, spec))
        .collect()
}
