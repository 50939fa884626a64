//! vxnet's decision alone: the functions of vxnet-common over tables in memory, in the order in
//! which the program calls them.

use std::collections::BTreeMap;

use anyhow::Result;
use vxnet_common::addr::{Mac as Address, VtepAddr};
use vxnet_common::forward::{self, From, Tables, To};
use vxnet_common::frame::Ethernet;
use vxnet_common::learn::{self, Lesson};
use vxnet_common::map::{
    allowed::AllowedKey,
    fdb::{FdbEntry, FdbKey},
    neighbour::{Neighbour, NeighbourKey},
    port::{Port, PortVlans, flag},
    segment::{FloodKey, Segment, list},
    vlan::VlanKey,
};
use vxnet_common::reason::Reason;
use vxnet_common::vlan::{self, Tag};

use crate::layout::Layout;
use crate::outcome::{Outcome, Switch};
use crate::rows::{self, NOW, Rows};
use crate::sample::{CUSTOMER_TAG, push_tag};

impl Tables for Rows {
    fn fdb(&self, key: &FdbKey) -> Option<&FdbEntry> {
        self.fdb.get(key)
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

    fn vlan(&self, network: u32, vid: u16) -> Option<u32> {
        let vid = u32::from(vid);
        self.vlans.get(&VlanKey { network, vid }).copied()
    }

    fn carries(&self, port: u32, vid: u16) -> bool {
        self.port_vlans
            .get(&port)
            .is_some_and(|vlans: &PortVlans| vlans.contains(vid))
    }

    fn allows(&self, _: &AllowedKey) -> bool {
        false
    }

    fn neighbour(&self, _: &NeighbourKey) -> Option<&Neighbour> {
        None
    }
}

/// The decision over the rows of a layout.
#[derive(Default)]
pub(crate) struct Decision {
    rows: Rows,
    /// The FDB before the first frame.
    stations: BTreeMap<FdbKey, FdbEntry>,
}

impl Decision {
    fn switch(&mut self, slot: u32, frame: &[u8], outcome: &mut Outcome) -> Result<(), Reason> {
        let tables = &self.rows;
        let header = Ethernet::parse(frame, 0).ok_or(Reason::ShortFrame)?;
        let tag = header.tag(frame);
        let port = tables.port(slot).ok_or(Reason::UnknownPort)?;
        let segment_slot = vlan::ingress(tables, slot, port, tag)?;
        let segment = *tables.segment(segment_slot).ok_or(Reason::UnknownPort)?;
        let (from, flags) = (From::Port(slot), port.flags);
        let key = FdbKey::new(segment_slot, header.src);
        match learn::judge(tables.fdb(&key), header.src, from, NOW, segment.ageing) {
            Lesson::Write(row) => {
                let many = u8::from(flags & flag::KEEP_ROWS != 0);
                let row = learn::marked(row, self.rows.fdb.get(&key), many, NOW);
                let lesson = (segment.vid, header.src.0, row.slot);
                outcome.learned.insert(lesson);
                // The frame may be to its own sender.
                self.rows.fdb.insert(key, row);
            }
            Lesson::Lie(reason) => return Err(reason),
            _ => {}
        }
        let receivers = match self.decide(segment_slot, &segment, from, flags, header.dst)? {
            To::Port { slot, tagged, .. } => BTreeMap::from([(slot, tagged)]),
            To::Flood { .. } => self.flood(slot, flags, segment_slot, &segment),
            to => unreachable!("there is neither a host nor a peer: {to:?}"),
        };
        if receivers.is_empty() {
            return Err(Reason::NoDestination);
        }
        let bare = match tag {
            Tag::Customer(_) => [&frame[..12], &frame[16..]].concat(),
            _ => frame.to_vec(),
        };
        for (slot, tagged) in receivers {
            let mut copy = bare.clone();
            if tagged {
                push_tag(&mut copy, CUSTOMER_TAG, tag.priority() | segment.vid);
            }
            outcome.delivered.insert(slot, vec![copy]);
        }
        Ok(())
    }

    fn decide(
        &self,
        segment_slot: u32,
        segment: &Segment,
        from: From,
        sender: u32,
        dst: Address,
    ) -> Result<To, Reason> {
        forward::decide(&self.rows, segment_slot, segment, from, sender, dst, NOW)
    }

    /// Returns who gets a copy, with a tag or without.
    fn flood(
        &self,
        except: u32,
        sender: u32,
        segment_slot: u32,
        segment: &Segment,
    ) -> BTreeMap<u32, bool> {
        let members = (0..segment.flood_ports).filter_map(|index| {
            let key = FloodKey {
                segment: segment_slot,
                list: list::PORTS,
                index,
            };
            let slot = *self.rows.flood.get(&key)?;
            let port = self.rows.port(slot)?;
            let tagged = vlan::egress(&self.rows, slot, port, segment_slot, segment)?;
            let apart = sender & port.flags & flag::ISOLATED != 0;
            (slot != except && !apart).then_some((slot, tagged))
        });
        members.collect()
    }
}

impl Switch for Decision {
    fn configure(&mut self, layout: &Layout) -> Result<()> {
        self.rows = rows::of(layout, NOW);
        self.stations = self.rows.fdb.clone();
        Ok(())
    }

    fn receive(&mut self, port: u32, frame: &[u8]) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        outcome.reason = self.switch(port, frame, &mut outcome).err();
        if !outcome.learned.is_empty() {
            self.rows.fdb = self.stations.clone();
        }
        Ok(outcome)
    }
}
