//! The rows that a trace looks at.

use std::collections::{BTreeMap, BTreeSet};

use vxnet_common::{
    addr::VtepAddr,
    forward::Tables,
    map::{
        allowed::AllowedKey,
        fdb::{FdbEntry, FdbKey},
        holder::{HeldKey, Holder},
        local::Local,
        neighbour::{Neighbour, NeighbourKey},
        port::{Port, PortVlans},
        segment::{FloodKey, Segment},
        vlan::VlanKey,
        vtep::Vtep,
    },
};

/// The look-ups of the programs beyond those of the forwarding decision.
pub trait Rows: Tables {
    /// Returns the row of `LOCAL`.
    fn local(&self) -> Option<&Local>;
    /// Returns the row of `VTEPS`.
    fn peer(&self, slot: u32) -> Option<&Vtep>;
    /// Returns the row of `FLOOD`.
    fn member(&self, key: &FloodKey) -> Option<u32>;
    /// Returns the row of `HOLDERS`.
    fn holder(&self, holder: u32) -> Holder;
    /// Returns the row of `HELD`.
    fn held(&self, key: &HeldKey) -> Option<FdbKey>;
    /// Returns the row of `RESERVED`.
    fn owner(&self, key: &NeighbourKey) -> Option<u32>;
    /// Returns whether the kernel has a route to a peer whose next hop is not resolved.
    fn has_route(&self, peer: u32) -> bool;
    /// Returns whether the link of a port lets nothing through.
    fn is_down(&self, port: u32) -> bool;
    /// Returns the name of the link with that ifindex, if a program of ours runs there.
    fn link(&self, ifindex: u32) -> Option<String>;
}

/// The rows of all tables at one time.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub local: Option<Local>,
    pub ports: BTreeMap<u32, Port>,
    pub port_vlans: BTreeMap<u32, PortVlans>,
    pub segments: BTreeMap<u32, Segment>,
    pub vnis: BTreeMap<u32, u32>,
    pub vlans: BTreeMap<VlanKey, u32>,
    pub flood: BTreeMap<FloodKey, u32>,
    pub vteps: BTreeMap<u32, Vtep>,
    pub allowed: BTreeSet<AllowedKey>,
    pub neighbours: BTreeMap<NeighbourKey, Neighbour>,
    pub reserved: BTreeMap<NeighbourKey, u32>,
    /// In the order of the keys.
    pub fdb: Vec<(FdbKey, FdbEntry)>,
    pub holders: BTreeMap<u32, Holder>,
    pub held: BTreeMap<HeldKey, FdbKey>,
    /// Slots of peers without a next hop that the kernel has a route to nevertheless.
    pub routed: BTreeSet<u32>,
    /// Slots of ports whose link lets nothing through.
    pub down: BTreeSet<u32>,
}

impl Tables for Snapshot {
    fn fdb(&self, key: &FdbKey) -> Option<&FdbEntry> {
        let place = self.fdb.binary_search_by_key(key, |(key, _)| *key).ok()?;
        Some(&self.fdb[place].1)
    }

    fn port(&self, slot: u32) -> Option<&Port> {
        // Free rows of the map are there too.
        Some(self.ports.get(&slot).unwrap_or(&Port::FREE))
    }

    fn segment(&self, slot: u32) -> Option<&Segment> {
        Some(self.segments.get(&slot).unwrap_or(&Segment::FREE))
    }

    fn vni(&self, vni: u32) -> Option<u32> {
        self.vnis.get(&vni).copied()
    }

    fn vtep(&self, address: VtepAddr) -> Option<u32> {
        // Nobody sends from a group, so no address of one leads to a row.
        self.vteps
            .iter()
            .find(|(_, row)| row.address == address && !address.is_multicast())
            .map(|(slot, _)| *slot)
    }

    fn vlan(&self, network: u32, vid: u16) -> Option<u32> {
        let key = VlanKey {
            network,
            vid: u32::from(vid),
        };
        self.vlans.get(&key).copied()
    }

    fn carries(&self, port: u32, vid: u16) -> bool {
        self.port_vlans
            .get(&port)
            .is_some_and(|vlans| vlans.contains(vid))
    }

    fn allows(&self, key: &AllowedKey) -> bool {
        self.allowed.contains(key)
    }

    fn neighbour(&self, key: &NeighbourKey) -> Option<&Neighbour> {
        self.neighbours.get(key)
    }
}

impl Rows for Snapshot {
    fn local(&self) -> Option<&Local> {
        self.local.as_ref()
    }

    fn peer(&self, slot: u32) -> Option<&Vtep> {
        self.vteps.get(&slot)
    }

    fn member(&self, key: &FloodKey) -> Option<u32> {
        self.flood.get(key).copied()
    }

    fn holder(&self, holder: u32) -> Holder {
        self.holders.get(&holder).copied().unwrap_or_default()
    }

    fn held(&self, key: &HeldKey) -> Option<FdbKey> {
        self.held.get(key).copied()
    }

    fn owner(&self, key: &NeighbourKey) -> Option<u32> {
        self.reserved.get(key).copied()
    }

    fn has_route(&self, peer: u32) -> bool {
        self.routed.contains(&peer)
    }

    fn is_down(&self, port: u32) -> bool {
        self.down.contains(&port)
    }

    fn link(&self, ifindex: u32) -> Option<String> {
        let port = self.ports.values().find(|port| port.ifindex == ifindex)?;
        Some(vxnet_common::map::name_str(&port.name).to_owned())
    }
}
