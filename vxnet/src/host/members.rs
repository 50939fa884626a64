//! Who is in which segment, as the rows of the maps say, and which addresses have outlived that.

use std::collections::BTreeMap;

use anyhow::Result;
use vxnet_common::{
    addr::VtepAddr,
    forward::{self, Tables},
    map::{
        allowed::AllowedKey,
        fdb::{FdbEntry, FdbKey, origin},
        neighbour::{Neighbour, NeighbourKey},
        port::{Port, PortVlans, flag},
        segment::Segment,
    },
};

use super::maps::Maps;

/// The rows that say who is in which segment.
#[derive(Default)]
pub(super) struct Members {
    pub(super) ports: BTreeMap<u32, Port>,
    /// Of ports with tagged frames.
    pub(super) port_vlans: BTreeMap<u32, PortVlans>,
    pub(super) segments: BTreeMap<u32, Segment>,
}

impl Members {
    pub(super) fn read(maps: &Maps) -> Result<Self> {
        let mut members = Self {
            ports: maps.ports()?.into_iter().collect(),
            segments: maps.segments()?.into_iter().collect(),
            port_vlans: BTreeMap::new(),
        };
        for (slot, row) in &members.ports {
            if row.flags & flag::TAGGED != 0 {
                members.port_vlans.insert(*slot, maps.port_vlans(*slot)?);
            }
        }
        Ok(members)
    }

    /// Returns whether a row of `FDB` has outlived its place in the segment. The daemon's own rows
    /// are as the configuration says, always.
    pub(super) fn is_stray(&self, key: &FdbKey, row: &FdbEntry) -> bool {
        row.origin != origin::STATIC && !forward::is_in_segment(self, key, row)
    }
}

/// Only what membership is about: the other tables are empty here.
impl Tables for Members {
    fn fdb(&self, _: &FdbKey) -> Option<&FdbEntry> {
        None
    }

    fn port(&self, slot: u32) -> Option<&Port> {
        self.ports.get(&slot)
    }

    fn segment(&self, slot: u32) -> Option<&Segment> {
        self.segments.get(&slot)
    }

    fn vni(&self, _: u32) -> Option<u32> {
        None
    }

    fn vtep(&self, _: VtepAddr) -> Option<u32> {
        None
    }

    fn vlan(&self, _: u32, _: u16) -> Option<u32> {
        None
    }

    fn carries(&self, port: u32, vid: u16) -> bool {
        let vlans = self.port_vlans.get(&port);
        vlans.is_some_and(|vlans| vlans.contains(vid))
    }

    fn allows(&self, _: &AllowedKey) -> bool {
        false
    }

    fn neighbour(&self, _: &NeighbourKey) -> Option<&Neighbour> {
        None
    }
}

#[cfg(test)]
mod tests {
    use vxnet_common::{
        addr::Mac,
        map::{fdb::place, port::kind},
    };

    use super::*;

    #[test]
    fn learned_and_manual_rows_go_with_their_place() {
        let mut members = Members::default();
        let mut vlans = PortVlans::NONE;
        vlans.insert(10);
        members.port_vlans.insert(4, vlans);
        let trunk = Port {
            ifindex: 9,
            kind: kind::GUEST,
            network: 1,
            flags: flag::TAGGED,
            ..Port::FREE
        };
        members.ports.insert(4, trunk);
        for (slot, vid) in [(1, 10), (2, 20)] {
            let segment = Segment {
                network: 1,
                vid,
                ..Segment::FREE
            };
            members.segments.insert(slot, segment);
        }
        for (segment, origin, expected) in [
            (1, origin::LEARNED, false),
            (1, origin::MANUAL, false),
            (2, origin::LEARNED, true),
            (2, origin::MANUAL, true),
            (2, origin::STATIC, false),
            // Of a network that is gone.
            (3, origin::MANUAL, true),
        ] {
            let key = FdbKey::new(segment, Mac([2, 0, 0, 0, 0, 1]));
            let row = FdbEntry::fixed(place::PORT, 4, origin);
            let is_stray = members.is_stray(&key, &row);
            assert_eq!(is_stray, expected, "segment {segment}, origin {origin}");
        }
    }
}
