//! One copy for everyone in the segment but the sender: the order of `vxnet-ebpf/src/flood.rs`.

use vxnet_common::{
    forward::Tables as _,
    map::{
        port::flag,
        segment::{FloodKey, list},
    },
    reason::Reason,
    vlan,
};

use super::{
    Ends, Rows, Verdict, Walk,
    deliver::Inside,
    verdict::{Lost, Receiver, ReceiverKind},
    words,
};

impl<R: Rows> Walk<'_, R> {
    /// Follows the copies of a flooded frame; those to the peers only if it goes over the overlay.
    pub(super) fn flood(&mut self, inside: &Inside<'_>, overlay: bool) -> Ends<Verdict> {
        let mut receivers: Vec<Receiver> = self.ports(inside);
        let segment = inside.segment;
        if segment.bridge != 0 && segment.host_port != inside.except {
            let slot = segment.host_port;
            receivers.push(self.local_receiver(inside, slot, ReceiverKind::Host, false));
        }
        for receiver in &receivers {
            self.tell_if_down(receiver);
        }
        let local = receivers.len();
        self.step("flood", format!("{local} local receivers"));
        let members = if overlay {
            self.members(inside.segment_slot, list::VTEPS, segment.flood_vteps)
        } else {
            Vec::new()
        };
        if receivers.is_empty() && members.is_empty() && self.lost.is_empty() {
            return Err(Reason::NoDestination);
        }
        self.peers(inside, &members, &mut receivers);
        match (receivers.is_empty(), self.lost.first()) {
            (true, Some(lost)) => Err(lost.reason),
            _ => Ok(Verdict::Delivered { receivers }),
        }
    }

    /// Returns the slots in a flood list.
    pub(super) fn members(&self, segment: u32, list: u32, count: u32) -> Vec<u32> {
        let key = |index| FloodKey {
            segment,
            list,
            index,
        };
        (0..count)
            .filter_map(|index| self.tables.member(&key(index)))
            .collect()
    }

    /// Returns the ports that get a copy.
    fn ports(&mut self, inside: &Inside<'_>) -> Vec<Receiver> {
        let mut receivers = Vec::new();
        let segment = inside.segment;
        for slot in self.members(inside.segment_slot, list::PORTS, segment.flood_ports) {
            let Some(port) = self.tables.port(slot).filter(|_| slot != inside.except) else {
                continue;
            };
            let (port, name) = (*port, words::port(self.tables.rows(), slot));
            let tables = &self.tables;
            let Some(tagged) = vlan::egress(tables, slot, &port, inside.segment_slot, segment)
            else {
                continue;
            };
            if inside.sender & port.flags & flag::ISOLATED != 0 {
                self.step(
                    "isolate",
                    format!("{name} gets no copy: both ports are isolated"),
                );
            } else if self.tables.is_shut(slot, self.now) {
                self.step(
                    "shut",
                    format!("{name} gets no copy: it is shut because of a loop"),
                );
            } else {
                let receiver = self.local_receiver(inside, slot, ReceiverKind::Port, tagged);
                match self.exceeded(inside, slot) {
                    Some(mtu) => {
                        let why = self.exceeds(inside, slot, mtu);
                        self.step("size", format!("{why}: it gets no copy"));
                        let reason = Reason::TooBig;
                        self.lost.push(Lost { receiver, reason });
                    }
                    None => receivers.push(receiver),
                }
            }
        }
        receivers
    }

    /// Adds the peers that get a copy, and those that would lose theirs to the losses.
    fn peers(&mut self, inside: &Inside<'_>, members: &[u32], receivers: &mut Vec<Receiver>) {
        // Who has a way that the frame fits; the last of them gets the frame itself.
        let is_addressed = |slot: &u32| {
            self.tables.rows().peer(*slot).is_some_and(|row| {
                let hop = row.next_hop();
                hop.ifindex != 0 && (hop.mtu == 0 || inside.wire_len() <= hop.mtu)
            })
        };
        let last = members.iter().rfind(|slot| is_addressed(slot)).copied();
        for slot in members {
            let receiver = self.peer_receiver(*slot);
            match self.path(inside, *slot, last == Some(*slot)) {
                Ok(()) => receivers.push(receiver),
                Err(reason) => self.lost.push(Lost { receiver, reason }),
            }
        }
    }
}
