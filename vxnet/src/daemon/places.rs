//! Where frames come in and go out, as names: a copy of the maps that the loop guard asks a few
//! thousand times a second.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use vxnet_common::{
    addr::Mac,
    map::{
        MAX_PORTS, NO_SLOT, holder, name_str,
        port::{Port, flag, kind},
        segment::Segment,
    },
};

use crate::host::{Paths, holders::Holders, maps::Maps};

/// The ports, peers and segments of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// Name of this host.
    pub(super) host: String,
    /// Guest and trunk ports, by slot.
    pub(super) ports: BTreeMap<u32, Place>,
    /// Peers' names, by slot.
    pub(super) peers: BTreeMap<u32, String>,
    /// By slot.
    pub(super) segments: BTreeMap<u32, Domain>,
}

/// A port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) ifindex: u32,
    pub(super) name: String,
    pub(super) mac: Mac,
    /// The segments that it is in; first that of its untagged frames, if it has one.
    pub(super) ways: Vec<Way>,
}

/// How frames of a segment leave by a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Slot of the segment.
    pub(super) segment: u32,
    pub(super) is_tagged: bool,
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Domain {
    /// Name of the network.
    pub(super) network: String,
    /// VLAN, or 0.
    pub(super) vid: u16,
    /// VNI, or 0.
    pub(super) vni: u32,
}

impl Places {
    /// Reads the maps.
    pub(super) fn read(paths: &Paths) -> Result<Self> {
        let maps = Maps::open(paths)?;
        let holders = Holders::open(paths)?;
        let local = maps.local()?.context("the host row is gone")?;
        let segments = maps.segments()?;
        let mut ports = BTreeMap::new();
        for (slot, row) in maps.ports()? {
            if !matches!(row.kind, kind::GUEST | kind::TRUNK) {
                continue;
            }
            let vlans = match row.flags & flag::TAGGED {
                0 => None,
                _ => Some(holders.vlans(slot)?),
            };
            let carries = |vid| vlans.as_ref().is_some_and(|vlans| vlans.contains(vid));
            ports.insert(slot, place(&row, &segments, carries));
        }
        let domain = |(slot, row): &(u32, Segment)| {
            let network = name_str(&row.name).to_owned();
            let (vid, vni) = (row.vid, row.vni);
            (*slot, Domain { network, vid, vni })
        };
        Ok(Self {
            host: name_str(&local.name).to_owned(),
            ports,
            peers: maps
                .vteps()?
                .iter()
                .map(|(slot, row)| (*slot, name_str(&row.name).to_owned()))
                .collect(),
            segments: segments.iter().map(domain).collect(),
        })
    }

    /// Returns the words for who holds an address.
    pub(super) fn holder(&self, holder: u32) -> String {
        let unknown = || format!("somewhere ({holder})");
        match holder.checked_sub(holder::of_vtep(0)) {
            Some(slot) => match self.peers.get(&slot) {
                Some(name) => format!("host {name}"),
                None => unknown(),
            },
            None => match self.ports.get(&holder) {
                Some(place) => format!("port {}", place.name),
                None => unknown(),
            },
        }
    }

    /// Returns the slot of a port of this host.
    pub(super) fn slot_of(&self, port: &str) -> Option<u32> {
        let mut ports = self.ports.iter();
        ports.find_map(|(slot, place)| (place.name == port).then_some(*slot))
    }

    /// Returns whether another host of the fabric has that name.
    pub(super) fn is_peer(&self, host: &str) -> bool {
        self.peers.values().any(|name| name == host)
    }
}

/// Returns a port and its segments.
fn place(row: &Port, segments: &[(u32, Segment)], carries: impl Fn(u16) -> bool) -> Place {
    let mut ways = Vec::new();
    if row.segment != NO_SLOT {
        ways.push(Way {
            segment: row.segment,
            is_tagged: row.flags & flag::NATIVE_TAGGED != 0,
        });
    }
    let is_tagged = |(slot, segment): &&(u32, Segment)| {
        segment.network == row.network
            && segment.vid != 0
            && *slot != row.segment
            && carries(segment.vid)
    };
    ways.extend(segments.iter().filter(is_tagged).map(|(slot, _)| Way {
        segment: *slot,
        is_tagged: true,
    }));
    Place {
        ifindex: row.ifindex,
        name: name_str(&row.name).to_owned(),
        mac: Mac(row.mac),
        ways,
    }
}

const _: () = assert!(holder::of_vtep(0) == MAX_PORTS);

#[cfg(test)]
mod tests {
    use vxnet_common::map::name;

    use super::*;

    #[test]
    fn a_trunk_port_is_in_its_native_and_its_tagged_segments() {
        let segment = |network, vid| Segment {
            network,
            vid,
            ..Segment::FREE
        };
        let segments = [
            (1, segment(5, 1001)),
            (2, segment(5, 1002)),
            (3, segment(5, 1003)),
            (4, segment(6, 1002)),
        ];
        let row = Port {
            ifindex: 9,
            kind: kind::TRUNK,
            segment: 1,
            network: 5,
            pvid: 1001,
            flags: flag::VLAN_AWARE | flag::TAGGED,
            name: name("enp5s0f0"),
            ..Port::FREE
        };
        let way = |segment, is_tagged| Way { segment, is_tagged };
        let found = place(&row, &segments, |vid| vid != 1003);
        assert_eq!(found.ways, [way(1, false), way(2, true)]);
        assert_eq!(found.name, "enp5s0f0");
        let access = Port {
            flags: flag::VLAN_AWARE,
            ..row
        };
        let found = place(&access, &segments, |_| false);
        assert_eq!(found.ways, [way(1, false)]);
    }

    #[test]
    fn holders_are_ports_and_hosts() {
        let places = Places {
            peers: BTreeMap::from([(3, "hv2".to_owned())]),
            ports: BTreeMap::from([(
                3,
                place(
                    &Port {
                        name: name("vnet0"),
                        ..Port::FREE
                    },
                    &[],
                    |_| false,
                ),
            )]),
            ..Places::default()
        };
        assert_eq!(places.holder(3), "port vnet0");
        assert_eq!(places.holder(holder::of_vtep(3)), "host hv2");
        assert_eq!(places.holder(4), "somewhere (4)");
    }
}
