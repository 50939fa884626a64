//! The forwarding decision: where a frame goes.
//!
//! The same functions run in the BPF programs over the kernel's maps and in unit tests over
//! `BTreeMap`s; they have no side effects.

use crate::{
    addr::{Mac, VtepAddr},
    map::{
        allowed::AllowedKey,
        fdb::{FdbEntry, FdbKey, place},
        neighbour::{Neighbour, NeighbourKey},
        port::{self, Port},
        segment::{self, Segment},
    },
    reason::Reason,
    vlan,
    vxlan::Tunnelled,
};

/// The look-ups that a decision needs.
pub trait Tables {
    /// Returns the row of `FDB`.
    fn fdb(&self, key: &FdbKey) -> Option<&FdbEntry>;
    /// Returns the row of `PORTS`.
    fn port(&self, slot: u32) -> Option<&Port>;
    /// Returns the row of `SEGMENTS`.
    fn segment(&self, slot: u32) -> Option<&Segment>;
    /// Returns the slot of the segment with that VNI.
    fn vni(&self, vni: u32) -> Option<u32>;
    /// Returns the slot of the VTEP with that underlay address.
    fn vtep(&self, address: VtepAddr) -> Option<u32>;
    /// Returns the slot of the segment that is a VLAN of a network.
    fn vlan(&self, network: u32, vid: u16) -> Option<u32>;
    /// Returns whether the port in that slot takes and gets frames tagged with a VLAN.
    fn carries(&self, port: u32, vid: u16) -> bool;
    /// Returns whether `ALLOWED` has the row.
    fn allows(&self, key: &AllowedKey) -> bool;
    /// Returns the row of `NEIGHBOURS`.
    fn neighbour(&self, key: &NeighbourKey) -> Option<&Neighbour>;
}

/// Where a frame came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// From the port in that slot of `PORTS`; the host is a port too.
    Port(u32),
    /// Over the overlay, from the peer in that slot of `VTEPS`.
    Vtep(u32),
}

/// Where a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// To the link with that ifindex, with a VLAN tag or without; `flags` are the port's.
    Port {
        slot: u32,
        ifindex: u32,
        flags: u32,
        tagged: bool,
    },
    /// To the host, through its bridge device with that ifindex.
    Host { slot: u32, ifindex: u32 },
    /// To the peer in that slot of `VTEPS`.
    Vtep(u32),
    /// To everyone else in the segment; to the peers only if it did not come from one.
    Flood { overlay: bool },
}

/// Accepts a VXLAN packet: returns the slots of its segment and its sender.
///
/// Only hosts of the fabric may send, and only VNIs that they and this host share.
#[inline(always)]
pub fn admit(tables: &impl Tables, packet: &Tunnelled) -> Result<(u32, u32), Reason> {
    // Free rows hold these values; no packet may be taken for theirs.
    if packet.source == VtepAddr::NONE {
        return Err(Reason::UnknownVtep);
    }
    if packet.vni == 0 {
        return Err(Reason::UnknownVni);
    }
    let Some(vtep) = tables.vtep(packet.source) else {
        return Err(Reason::UnknownVtep);
    };
    let Some(slot) = tables.vni(packet.vni) else {
        return Err(Reason::UnknownVni);
    };
    let Some(segment) = tables.segment(slot) else {
        return Err(Reason::UnknownVni);
    };
    // The slot may have been given to another network between the two look-ups.
    if segment.vni != packet.vni {
        return Err(Reason::UnknownVni);
    }
    if packet.group != VtepAddr::NONE && packet.group != segment.group {
        return Err(Reason::NotOurs);
    }
    if !segment.has_vtep(vtep) {
        return Err(Reason::VniNotShared);
    }
    Ok((slot, vtep))
}

/// Decides where a frame to `dst` goes within the segment in slot `segment`; `sender` are the flags
/// of the port that it comes from, or 0.
#[inline(always)]
pub fn decide(
    tables: &impl Tables,
    segment_slot: u32,
    segment: &Segment,
    from: From,
    sender: u32,
    dst: Mac,
    now: u64,
) -> Result<To, Reason> {
    if dst.is_link_local() {
        return Err(Reason::LinkLocal);
    }
    if dst.is_group() {
        let off = if dst == Mac::BROADCAST {
            segment::flag::NO_BROADCAST
        } else {
            segment::flag::NO_MULTICAST
        };
        return flood(segment, from, off);
    }
    let row = match tables.fdb(&FdbKey::new(segment_slot, dst)) {
        Some(row) if row.is_live(now, segment.ageing) => row,
        _ => return flood(segment, from, segment::flag::NO_UNKNOWN),
    };
    if row.place == place::VTEP {
        // The peer may have left since: a tenant's frames do not go to a host without the network.
        if !segment.has_vtep(row.slot) {
            return flood(segment, from, segment::flag::NO_UNKNOWN);
        }
        return match from {
            From::Port(_) => Ok(To::Vtep(row.slot)),
            From::Vtep(_) => Err(Reason::SplitHorizon),
        };
    }
    if from == From::Port(row.slot) {
        return Err(Reason::SamePort);
    }
    let Some(port) = tables.port(row.slot) else {
        return Err(Reason::PortGone);
    };
    let Some(tagged) = vlan::egress(tables, row.slot, port, segment_slot, segment) else {
        return Err(Reason::PortGone);
    };
    if sender & port.flags & port::flag::ISOLATED != 0 {
        return Err(Reason::Isolated);
    }
    if port.kind == port::kind::HOST {
        return Ok(To::Host {
            slot: row.slot,
            ifindex: port.ifindex,
        });
    }
    Ok(To::Port {
        slot: row.slot,
        ifindex: port.ifindex,
        flags: port.flags,
        tagged,
    })
}

/// Returns whether the place in a row of `FDB` takes part in the row's segment. It may have left
/// since the row was written: a peer the network, or a port the bridge or the VLAN.
pub fn is_in_segment(tables: &impl Tables, key: &FdbKey, row: &FdbEntry) -> bool {
    let Some(segment) = tables.segment(key.segment) else {
        return false;
    };
    if row.place == place::VTEP {
        return segment.has_vtep(row.slot);
    }
    tables
        .port(row.slot)
        .is_some_and(|port| vlan::egress(tables, row.slot, port, key.segment, segment).is_some())
}

/// Floods, unless the segment does not flood frames of that kind.
#[inline(always)]
fn flood(segment: &Segment, from: From, off: u16) -> Result<To, Reason> {
    if segment.flags & off != 0 {
        return Err(Reason::FloodOff);
    }
    Ok(To::Flood {
        overlay: matches!(from, From::Port(_)),
    })
}

#[cfg(test)]
mod tests;
