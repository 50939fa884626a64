//! Carrying out a decision: the order of `vxnet-ebpf/src/deliver.rs` and `encap.rs`.

use vxnet_common::{
    addr::Mac,
    forward::To,
    frame::{Ethernet, ethertype},
    map::{
        local::Local,
        segment::{Segment, list},
        vtep::Vtep,
    },
    outer,
    reason::Reason,
    too_big, vlan,
};

use super::{
    Ends, Rows, Verdict, Walk,
    verdict::{Receiver, ReceiverKind},
    words,
};

/// A frame without a tag in its segment.
pub(super) struct Inside<'a> {
    pub(super) local: &'a Local,
    pub(super) segment_slot: u32,
    pub(super) segment: &'a Segment,
    /// Slot of the port that must not get the frame back, or none.
    pub(super) except: u32,
    /// Flags of that port, or 0.
    pub(super) sender: u32,
    /// Priority bits of the tag that the frame came with.
    pub(super) priority: u16,
    pub(super) frame: &'a [u8],
    pub(super) ethernet: Ethernet,
}

impl Inside<'_> {
    /// Returns the bytes of the frame.
    fn len(&self) -> u32 {
        u32::try_from(self.frame.len()).unwrap_or(u32::MAX)
    }

    /// Returns the bytes of the IP packet that the frame becomes on the underlay.
    pub(super) fn wire_len(&self) -> u32 {
        self.len()
            .saturating_add(outer::header_len(self.local.family) as u32)
    }

    /// Returns whether the kernel takes the encapsulated packet for IP.
    fn is_ip(&self) -> bool {
        matches!(self.ethernet.ethertype, ethertype::IPV4 | ethertype::IPV6)
    }
}

impl<R: Rows> Walk<'_, R> {
    /// Says what was decided.
    pub(super) fn decided(&mut self, dst: Mac, to: Ends<To>) {
        let text = match to {
            Ok(To::Port { slot, .. } | To::Host { slot, .. }) => {
                format!("{dst} is at {}", words::port(self.tables.rows(), slot))
            }
            Ok(To::Vtep(slot)) => format!("{dst} is at {}", words::vtep(self.tables.rows(), slot)),
            Ok(To::Flood { overlay }) => {
                let kind = if dst == Mac::BROADCAST {
                    "broadcast"
                } else if dst.is_group() {
                    "multicast"
                } else {
                    "not known where it is"
                };
                let far = if overlay { "" } else { ", local ports only" };
                format!("{dst}: {kind}, flooded{far}")
            }
            Err(reason) => format!("{dst}: {}", reason.meaning()),
        };
        self.step("decide", text);
    }

    /// Follows a frame to where the decision says.
    pub(super) fn deliver(&mut self, inside: &Inside<'_>, to: To) -> Ends<Verdict> {
        let overlay = inside.segment.vni != 0;
        match to {
            To::Vtep(slot) if overlay => self.over_vxlan(inside, slot),
            To::Flood { overlay: true } if overlay => match self.unfit(inside) {
                Some(path) => {
                    let wire = words::bytes(inside.wire_len());
                    let why = format!("{wire} on the underlay, widest path MTU {path}");
                    let mtu = path.saturating_sub(outer::overhead(inside.local.family));
                    self.too_big(inside, mtu, &why)
                }
                None => self.flood(inside, true),
            },
            To::Port { slot, .. } => match self.exceeded(inside, slot) {
                Some(mtu) => {
                    let why = self.exceeds(inside, slot, mtu);
                    self.too_big(inside, mtu, &why)
                }
                None => self.hand_over(inside, to),
            },
            _ => self.hand_over(inside, to),
        }
    }

    /// Follows a frame from the overlay to where the decision says, but never back.
    pub(super) fn deliver_locally(&mut self, inside: &Inside<'_>, to: To) -> Ends<Verdict> {
        if let To::Port { slot, .. } = to
            && let Some(mtu) = self.exceeded(inside, slot)
        {
            let why = self.exceeds(inside, slot, mtu);
            self.step("size", format!("{why}: nobody is told across the overlay"));
            return Err(Reason::TooBig);
        }
        self.hand_over(inside, to)
    }

    /// Returns the MTU of a port if the frame is too big for it.
    pub(super) fn exceeded(&self, inside: &Inside<'_>, slot: u32) -> Option<u32> {
        let port = self.tables.rows().port(slot)?;
        (!port.takes(inside.len())).then_some(port.mtu)
    }

    /// Says that a frame is too big for a port.
    pub(super) fn exceeds(&self, inside: &Inside<'_>, slot: u32, mtu: u32) -> String {
        let packet = words::bytes(inside.len() - Ethernet::LEN as u32);
        let name = words::port(self.tables.rows(), slot);
        format!("{packet} in the frame, MTU of {name} {mtu}")
    }

    /// Follows a frame to whom it fits.
    fn hand_over(&mut self, inside: &Inside<'_>, to: To) -> Ends<Verdict> {
        let receiver = match to {
            To::Port { slot, tagged, .. } => {
                if self.tables.is_shut(slot, self.now) {
                    self.step("shut", "the receiver's port is shut because of a loop");
                    return Err(Reason::Looped);
                }
                self.local_receiver(inside, slot, ReceiverKind::Port, tagged)
            }
            To::Host { slot, .. } => self.local_receiver(inside, slot, ReceiverKind::Host, false),
            To::Flood { .. } => return self.flood(inside, false),
            To::Vtep(_) => return Err(Reason::SplitHorizon),
        };
        self.tell_if_down(&receiver);
        Ok(Verdict::Delivered {
            receivers: vec![receiver],
        })
    }

    /// Says that a receiver's link is down. The switch hands the frame to it all the same, and does
    /// not learn that the kernel drops it.
    pub(super) fn tell_if_down(&mut self, receiver: &Receiver) {
        if self.tables.rows().is_down(receiver.slot) {
            let name = &receiver.name;
            let text = format!("the link of {name} is down: the kernel drops what it is given");
            self.step("down", text);
        }
    }

    fn over_vxlan(&mut self, inside: &Inside<'_>, slot: u32) -> Ends<Verdict> {
        let path = self
            .tables
            .rows()
            .peer(slot)
            .map_or(0, |row| row.next_hop().mtu);
        if path != 0 && inside.wire_len() > path {
            let wire = words::bytes(inside.wire_len());
            let why = format!("{wire} on the underlay, path MTU {path}");
            let mtu = path.saturating_sub(outer::overhead(inside.local.family));
            return self.too_big(inside, mtu, &why);
        }
        self.path(inside, slot, true)?;
        Ok(Verdict::Delivered {
            receivers: vec![self.peer_receiver(slot)],
        })
    }

    /// Returns the MTU of the widest way to the peers if none of them takes the frame, and its sender
    /// may be told.
    fn unfit(&self, inside: &Inside<'_>) -> Option<u32> {
        let members = self.members(inside.segment_slot, list::VTEPS, inside.segment.flood_vteps);
        let mut widest = None;
        for slot in members {
            let row = self.tables.rows().peer(slot)?;
            let hop = row.next_hop();
            let fits = hop.mtu == 0 || inside.wire_len() <= hop.mtu;
            if self.now >= row.deadline || (hop.ifindex != 0 && fits) {
                return None;
            }
            if hop.ifindex != 0 {
                widest = widest.max(Some(hop.mtu));
            }
        }
        widest.filter(|_| too_big::may_tell(inside.frame, &inside.ethernet))
    }

    /// Says whether the sender of a frame that is too big, and why it is, would be told.
    fn too_big(&mut self, inside: &Inside<'_>, mtu: u32, why: &str) -> Ends<Verdict> {
        let mut copy = inside.frame.to_vec();
        let told = too_big::may_tell(inside.frame, &inside.ethernet)
            && match inside.ethernet.ethertype {
                ethertype::IPV4 => too_big::quote_v4(&mut copy[..]).is_some(),
                _ => too_big::quote_v6(&mut copy[..]).is_some(),
            };
        let answer = if told {
            format!("the sender is told that {mtu} would fit")
        } else {
            "the sender is not one that may be told".to_owned()
        };
        self.step("size", format!("{why}: {answer}"));
        if told {
            self.notices.push(Reason::TooBig);
            Ok(Verdict::TooBig { mtu })
        } else {
            Err(Reason::TooBig)
        }
    }

    /// Follows a frame on its way to a peer. The last one of several gets the frame itself, for
    /// which the kernel can still find the next hop.
    pub(super) fn path(&mut self, inside: &Inside<'_>, slot: u32, is_last: bool) -> Ends<()> {
        let rows = self.tables.rows();
        let Some(row) = rows.peer(slot) else {
            return Err(Reason::NoRoute);
        };
        let (text, outcome) = self.way(inside, slot, row, is_last);
        let old = if self.now >= row.deadline {
            ", as last looked up"
        } else {
            ""
        };
        self.step("path", format!("{}: {text}{old}", words::vtep(rows, slot)));
        outcome
    }

    /// Returns the way to a peer in words, and what stops the frame there.
    fn way(&self, inside: &Inside<'_>, slot: u32, row: &Vtep, is_last: bool) -> (String, Ends<()>) {
        let rows = self.tables.rows();
        let hop = row.next_hop();
        if hop.ifindex == 0 {
            // An expired look-up is made anew, and may find what there was not.
            return if self.now >= row.deadline && rows.has_route(slot) {
                ("not looked up yet; there is a route".to_owned(), Ok(()))
            } else {
                ("no route".to_owned(), Err(Reason::NoRoute))
            };
        }
        let link = rows
            .link(hop.ifindex)
            .unwrap_or_else(|| format!("link {}", hop.ifindex));
        let wire = inside.wire_len();
        if hop.mtu != 0 && wire > hop.mtu {
            let text = format!(
                "{} on the underlay, path MTU {}",
                words::bytes(wire),
                hop.mtu
            );
            return (text, Err(Reason::TooBig));
        }
        if hop.dst != [0; 6] {
            return (format!("by {link}, next hop {}", Mac(hop.dst)), Ok(()));
        }
        let text = format!("by {link}, next hop not resolved");
        let outcome = match (is_last && inside.is_ip(), inside.local.resolver) {
            // The kernel's neighbour output takes it.
            (true, _) if rows.has_route(slot) => Ok(()),
            (true, _) => Err(Reason::NoRoute),
            (false, 0) => Err(Reason::NoNeighbour),
            (false, _) => Ok(()),
        };
        (text, outcome)
    }

    /// Returns a port or the host as a receiver.
    pub(super) fn local_receiver(
        &self,
        inside: &Inside<'_>,
        slot: u32,
        kind: ReceiverKind,
        tagged: bool,
    ) -> Receiver {
        Receiver {
            kind,
            slot,
            name: words::port(self.tables.rows(), slot),
            vlan: tagged.then_some(inside.segment.vid & vlan::VID),
            pcp: tagged.then_some((inside.priority >> 13) as u8),
        }
    }

    /// Returns a peer as a receiver.
    pub(super) fn peer_receiver(&self, slot: u32) -> Receiver {
        let address = self
            .tables
            .rows()
            .peer(slot)
            .map(|row| row.address.to_string());
        Receiver {
            kind: ReceiverKind::Vtep,
            slot,
            name: address.unwrap_or_default(),
            vlan: None,
            pcp: None,
        }
    }
}
