//! VLANs at the edge of the switch (IEEE 802.1Q): which segment a frame of a port belongs to, and
//! whether it leaves with a tag.
//!
//! Inside the switch a frame has no tag: its segment says which VLAN it is in, and its priority is
//! kept beside it. So every tag is taken off when a frame comes in and put on when it leaves.

use crate::{
    forward::Tables,
    map::{
        NO_SLOT,
        port::{Port, flag, kind},
        segment::Segment,
    },
    reason::Reason,
};

/// Bits of a tag's control information that hold the VLAN id.
pub const VID: u16 = 0x0fff;
/// The bits above: priority and drop eligibility.
pub const PRIORITY: u16 = 0xf000;
/// The id that IEEE 802.1Q table 9-2 reserves.
pub const RESERVED_VID: u16 = 4095;

/// The VLAN tag of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    None,
    /// A C-tag with this control information, in host order.
    Customer(u16),
    /// A tag of another kind, or several.
    Other,
}

impl Tag {
    /// Returns the priority bits, for a tag that the frame may leave with.
    #[inline(always)]
    pub const fn priority(self) -> u16 {
        match self {
            Self::Customer(tci) => tci & PRIORITY,
            Self::None | Self::Other => 0,
        }
    }
}

/// Returns the slot of the segment that a frame with that tag belongs to, coming in on a port.
#[inline(always)]
pub fn ingress(tables: &impl Tables, slot: u32, port: &Port, tag: Tag) -> Result<u32, Reason> {
    if !matches!(port.kind, kind::GUEST | kind::HOST | kind::TRUNK) {
        return Err(Reason::UnknownPort);
    }
    let vid = match tag {
        Tag::None => 0,
        Tag::Customer(tci) => tci & VID,
        Tag::Other => return Err(Reason::Tagged),
    };
    if vid == 0 {
        // Without a tag, or with one that only holds a priority (802.1Q 6.9.1).
        return match (port.segment, port.flags & flag::VLAN_AWARE) {
            (NO_SLOT, 0) => Err(Reason::UnknownPort),
            (NO_SLOT, _) => Err(Reason::NoVlan),
            (segment, _) => Ok(segment),
        };
    }
    if vid == RESERVED_VID {
        return Err(Reason::BadVid);
    }
    if port.flags & flag::VLAN_AWARE == 0 {
        return Err(Reason::Tagged);
    }
    if port.flags & flag::TAGGED == 0 || !tables.carries(slot, vid) {
        return Err(Reason::VlanDenied);
    }
    match tables.vlan(port.network, vid) {
        Some(segment) => Ok(segment),
        None => Err(Reason::VlanDenied),
    }
}

/// Returns whether a frame of a segment leaves by a port with a tag (`Some(true)`), without one, or
/// not at all because the port is not in the segment.
///
/// A slot can be reused by a port of another network, so this is asked whenever a slot was found
/// in a table.
#[inline(always)]
pub fn egress(
    tables: &impl Tables,
    slot: u32,
    port: &Port,
    segment_slot: u32,
    segment: &Segment,
) -> Option<bool> {
    if !matches!(port.kind, kind::GUEST | kind::HOST | kind::TRUNK) || segment_slot == NO_SLOT {
        return None;
    }
    if port.segment == segment_slot {
        return Some(port.flags & flag::NATIVE_TAGGED != 0);
    }
    let carries = port.flags & flag::TAGGED != 0
        && segment.vid != 0
        && port.network == segment.network
        && tables.carries(slot, segment.vid);
    carries.then_some(true)
}

#[cfg(test)]
mod tests;
