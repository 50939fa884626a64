//! A layout as rows of vxnet's tables.

use std::collections::BTreeMap;

use vxnet_common::addr::Mac as Address;
use vxnet_common::map::{
    NO_SLOT,
    fdb::{FdbEntry, FdbKey, place},
    port::{Port, PortVlans, flag, kind},
    segment::{FloodKey, Segment, list},
    vlan::VlanKey,
};

use crate::layout::{Layout, Mac, Mode, VLANS};

/// The time of tables in memory.
pub(crate) const NOW: u64 = 1_000_000_000;
/// Nothing ages while the test runs.
const AGEING: u64 = 1 << 50;
/// The slot that a host port would have: it names the network.
const NETWORK: u32 = 100;

/// The rows of every table that counts, by key or slot. A port's slot is its number; links are left
/// to whoever has them.
#[derive(Default)]
pub(crate) struct Rows {
    pub(crate) ports: BTreeMap<u32, Port>,
    pub(crate) port_vlans: BTreeMap<u32, PortVlans>,
    pub(crate) segments: BTreeMap<u32, Segment>,
    pub(crate) vlans: BTreeMap<VlanKey, u32>,
    pub(crate) flood: BTreeMap<FloodKey, u32>,
    pub(crate) fdb: BTreeMap<FdbKey, FdbEntry>,
}

/// Returns the rows of a layout; its stations have just spoken.
pub(crate) fn of(layout: &Layout, now: u64) -> Rows {
    let mut rows = Rows::default();
    for (slot, vid) in (1..).zip(VLANS) {
        let members: Vec<u32> = layout.members(vid).collect();
        let segment = Segment {
            network: NETWORK,
            mtu: 1500,
            vid,
            ageing: AGEING,
            flood_ports: members.len() as u32,
            ..Segment::FREE
        };
        rows.segments.insert(slot, segment);
        let key = VlanKey {
            network: NETWORK,
            vid: u32::from(vid),
        };
        rows.vlans.insert(key, slot);
        for (index, member) in (0..).zip(members) {
            let key = FloodKey {
                segment: slot,
                list: list::PORTS,
                index,
            };
            rows.flood.insert(key, member);
        }
    }
    for (number, port) in &layout.ports {
        let mut vids = PortVlans::NONE;
        port.tagged.iter().for_each(|vid| vids.insert(*vid));
        rows.port_vlans.insert(*number, vids);
        let mut flags = flag::VLAN_AWARE;
        if port.mode != Mode::Access {
            flags |= flag::TAGGED;
        }
        if port.mode == Mode::NativeTagged {
            flags |= flag::NATIVE_TAGGED;
        }
        if port.isolated {
            flags |= flag::ISOLATED;
        }
        let row = Port {
            kind: kind::GUEST,
            segment: port.own.map_or(NO_SLOT, segment_of),
            flags,
            network: NETWORK,
            pvid: port.own.unwrap_or(0),
            ..Port::FREE
        };
        rows.ports.insert(*number, row);
    }
    rows.fdb = stations(layout, now);
    rows
}

/// Returns the rows of the stations that are known.
pub(crate) fn stations(layout: &Layout, now: u64) -> BTreeMap<FdbKey, FdbEntry> {
    let rows = layout.stations.iter().map(|((vid, mac), port)| {
        let row = FdbEntry::learned(place::PORT, *port, now);
        (FdbKey::new(segment_of(*vid), Address(*mac)), row)
    });
    rows.collect()
}

/// Returns the VLAN and the address that a row of the FDB is about.
pub(crate) fn meaning(key: &FdbKey) -> (u16, Mac) {
    (VLANS[key.segment as usize - 1], key.mac)
}

fn segment_of(vid: u16) -> u32 {
    let place = VLANS.iter().position(|other| *other == vid);
    place.expect("a VLAN of the network") as u32 + 1
}
