//! The forwarding decision: where a frame goes.
//!
//! The same functions run in the BPF programs over the kernel's maps and in unit tests over
//! `BTreeMap`s; they have no side effects.

use crate::{
    addr::{Mac, VtepAddr},
    map::{
        NO_SLOT,
        fdb::{FdbEntry, FdbKey, place},
        port::{self, Port},
        segment::Segment,
    },
    reason::Reason,
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
    /// To a guest's link with that ifindex.
    Port { slot: u32, ifindex: u32, flags: u32 },
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
    if !segment.has_vtep(vtep) {
        return Err(Reason::VniNotShared);
    }
    Ok((slot, vtep))
}

/// Decides where a frame to `dst` goes within the segment in slot `segment`.
#[inline(always)]
pub fn decide(
    tables: &impl Tables,
    segment_slot: u32,
    segment: &Segment,
    from: From,
    dst: Mac,
    now: u64,
) -> Result<To, Reason> {
    let overlay = matches!(from, From::Port(_));
    if dst.is_link_local() {
        return Err(Reason::LinkLocal);
    }
    if dst.is_group() {
        return Ok(To::Flood { overlay });
    }
    let row = match tables.fdb(&FdbKey::new(segment_slot, dst)) {
        Some(row) if row.is_live(now, segment.ageing) => row,
        _ => return Ok(To::Flood { overlay }),
    };
    if row.place == place::VTEP {
        return match from {
            From::Port(_) => Ok(To::Vtep(row.slot)),
            From::Vtep(_) => Err(Reason::SplitHorizon),
        };
    }
    if from == From::Port(row.slot) {
        return Err(Reason::SamePort);
    }
    // A slot can be reused by a port of another network: never deliver across segments.
    match tables.port(row.slot) {
        Some(Port {
            ifindex,
            kind: port::kind::GUEST,
            segment,
            flags,
            ..
        }) if *segment == segment_slot => Ok(To::Port {
            slot: row.slot,
            ifindex: *ifindex,
            flags: *flags,
        }),
        Some(Port {
            ifindex,
            kind: port::kind::HOST,
            segment,
            ..
        }) if *segment == segment_slot => Ok(To::Host {
            slot: row.slot,
            ifindex: *ifindex,
        }),
        _ => Err(Reason::PortGone),
    }
}

/// Returns the segment that frames of a port belong to.
#[inline(always)]
pub fn segment_of(port: &Port) -> Option<u32> {
    match port.kind {
        port::kind::GUEST | port::kind::HOST if port.segment != NO_SLOT => Some(port.segment),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
