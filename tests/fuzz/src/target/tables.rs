//! The maps of a host, in `BTreeMap`s.

use std::collections::{BTreeMap, BTreeSet};

use vxnet_common::{
    addr::{Mac, VtepAddr},
    forward::Tables,
    map::{
        NO_SLOT,
        allowed::AllowedKey,
        fdb::{FdbEntry, FdbKey, place},
        neighbour::{Neighbour, NeighbourKey},
        port::{Port, PortVlans, flag, kind},
        segment::Segment,
    },
};

use super::draw::Draw;

/// VLANs of the networks that have some.
pub(super) const VIDS: [u16; 4] = [1, 10, 1001, 4094];
/// Addresses of stations: few, so that frames meet them.
const STATIONS: [Mac; 4] = [
    Mac([0x52, 0x54, 0, 0, 0, 1]),
    Mac([0x52, 0x54, 0, 0, 0, 2]),
    Mac([0x52, 0x54, 0, 0, 0, 3]),
    Mac([2, 0, 0, 0, 0, 4]),
];
/// Slots of the first network's host port, and of the first guest's.
const HOSTS: u32 = 1;
const GUESTS: u32 = 8;
/// Slots of the peers.
pub(super) const VTEPS: [u32; 3] = [1, 2, 3];

#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub(super) fdb: BTreeMap<FdbKey, FdbEntry>,
    pub(super) ports: BTreeMap<u32, Port>,
    pub(super) segments: BTreeMap<u32, Segment>,
    pub(super) vnis: BTreeMap<u32, u32>,
    pub(super) vteps: BTreeMap<VtepAddr, u32>,
    pub(super) vlans: BTreeMap<(u32, u16), u32>,
    pub(super) carried: BTreeMap<u32, PortVlans>,
    pub(super) allowed: BTreeSet<AllowedKey>,
}

impl World {
    /// Makes up to three networks, each with VLANs or without, and ports of all kinds in them. The
    /// rows of `FDB` may say anything: they outlive what they speak of.
    pub(super) fn draw(draw: &mut Draw<'_>) -> Self {
        let mut world = Self::default();
        for slot in VTEPS {
            world.vteps.insert(peer(slot), slot);
        }
        for network in HOSTS..=HOSTS + draw.below(3) as u32 {
            world.add_network(draw, network);
        }
        for slot in GUESTS..GUESTS + draw.below(8) as u32 {
            world.add_port(draw, slot);
        }
        for _ in 0..draw.below(8) {
            world.add_row(draw);
        }
        world
    }

    fn add_network(&mut self, draw: &mut Draw<'_>, network: u32) {
        let is_aware = draw.flag();
        let first = network * 8;
        let count = if is_aware { 1 + draw.below(4) } else { 1 };
        for (index, vid) in VIDS.iter().enumerate().take(count) {
            let slot = first + index as u32;
            let is_on_overlay = !is_aware || draw.flag();
            let mut segment = Segment {
                vni: if is_on_overlay { 0x100 + slot } else { 0 },
                network,
                host_port: network,
                bridge: 100 + network,
                vid: if is_aware { *vid } else { 0 },
                flags: u16::from(draw.u8() & 0xf),
                ageing: u64::from(draw.u16()),
                ..Segment::FREE
            };
            if is_on_overlay {
                segment.vteps[0] = u64::from(draw.u8() & 0xe);
                self.vnis.insert(segment.vni, slot);
            }
            if is_aware {
                self.vlans.insert((network, *vid), slot);
            }
            self.segments.insert(slot, segment);
        }
        let host = Port {
            ifindex: 100 + network,
            kind: kind::HOST,
            segment: first,
            flags: if is_aware { flag::VLAN_AWARE } else { 0 },
            network,
            ..Port::FREE
        };
        self.ports.insert(network, host);
    }

    fn add_port(&mut self, draw: &mut Draw<'_>, slot: u32) {
        let networks = self.vlans_of().len();
        let (network, is_aware) = self.vlans_of()[draw.below(networks)];
        let segments: Vec<u32> = self
            .segments
            .iter()
            .filter(|(_, segment)| segment.network == network)
            .map(|(slot, _)| *slot)
            .collect();
        let own = segments[draw.below(segments.len())];
        let [kinds, flags] = draw.array();
        let chosen = |bit: u8, flag: u32| if flags & bit != 0 { flag } else { 0 };
        let mut carried = PortVlans::NONE;
        let vlans = draw.u8();
        for (index, vid) in VIDS.iter().enumerate() {
            if vlans >> index & 1 == 1 {
                carried.insert(*vid);
            }
        }
        let mut port = Port {
            ifindex: 200 + slot,
            kind: match kinds % 8 {
                0 => kind::TRUNK,
                1 => kind::UPLINK,
                2 => kind::NONE,
                _ => kind::GUEST,
            },
            segment: own,
            flags: chosen(1, flag::ISOLATED),
            network,
            ..Port::FREE
        };
        if is_aware {
            port.flags |=
                flag::VLAN_AWARE | chosen(2, flag::TAGGED) | chosen(4, flag::NATIVE_TAGGED);
            if flags & 8 != 0 {
                port.segment = NO_SLOT;
            }
            self.carried.insert(slot, carried);
        }
        self.ports.insert(slot, port);
    }

    fn add_row(&mut self, draw: &mut Draw<'_>) {
        let segments: Vec<u32> = self.segments.keys().copied().collect();
        let key = FdbKey::new(draw.one_of(&segments), station(draw));
        let row = FdbEntry {
            slot: draw.below(18) as u32,
            place: draw.one_of(&[place::PORT, place::PORT, place::VTEP]),
            origin: draw.one_of(&[0, 0, 0, 1, 2, 3]),
            flags: draw.u8() & 1,
            moves: draw.u8(),
            last_seen: u64::from(draw.u16()),
            moved: u64::from(draw.u16()),
            held: draw.below(8) as u32,
            pad: 0,
        };
        self.fdb.insert(key, row);
    }

    /// Returns the networks, each with whether it has VLANs.
    fn vlans_of(&self) -> Vec<(u32, bool)> {
        let hosts = self.ports.values().filter(|port| port.kind == kind::HOST);
        hosts
            .map(|host| (host.network, host.flags & flag::VLAN_AWARE != 0))
            .collect()
    }
}

/// Returns the underlay address of the peer in that slot.
pub(super) const fn peer(slot: u32) -> VtepAddr {
    VtepAddr::v4([192, 0, 2, slot as u8])
}

/// Takes one of few stations, or any address.
pub(super) fn station(draw: &mut Draw<'_>) -> Mac {
    match draw.below(6) {
        known @ 0..4 => STATIONS[known],
        4 => Mac::BROADCAST,
        _ => draw.mac(),
    }
}

impl Tables for World {
    fn fdb(&self, key: &FdbKey) -> Option<&FdbEntry> {
        self.fdb.get(key)
    }

    fn port(&self, slot: u32) -> Option<&Port> {
        self.ports.get(&slot)
    }

    fn segment(&self, slot: u32) -> Option<&Segment> {
        self.segments.get(&slot)
    }

    fn vni(&self, vni: u32) -> Option<u32> {
        self.vnis.get(&vni).copied()
    }

    fn vtep(&self, address: VtepAddr) -> Option<u32> {
        self.vteps.get(&address).copied()
    }

    fn vlan(&self, network: u32, vid: u16) -> Option<u32> {
        self.vlans.get(&(network, vid)).copied()
    }

    fn carries(&self, port: u32, vid: u16) -> bool {
        let vlans = self.carried.get(&port);
        vlans.is_some_and(|vlans| vlans.contains(vid))
    }

    fn allows(&self, key: &AllowedKey) -> bool {
        self.allowed.contains(key)
    }

    fn neighbour(&self, _: &NeighbourKey) -> Option<&Neighbour> {
        None
    }
}
