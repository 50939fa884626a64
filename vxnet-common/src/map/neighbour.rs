//! `NEIGHBOURS`: which MAC address has an IP address, for answering ARP and neighbour solicitations;
//! and `RESERVED`: whose an IP address is, whatever anybody says.
//!
//! Two maps, because guests fill the first with as many claims as they like, until others go.

use super::map_type;
use crate::addr::VtepAddr;

/// A key of `NEIGHBOURS` and `RESERVED`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NeighbourKey {
    /// Slot of the segment.
    pub segment: u32,
    pub pad: u32,
    /// IPv4 in its mapped form.
    pub address: [u8; 16],
}

map_type!(NeighbourKey, 24);

impl NeighbourKey {
    #[inline(always)]
    pub const fn new(segment: u32, address: VtepAddr) -> Self {
        Self {
            segment,
            pad: 0,
            address: address.octets(),
        }
    }
}

/// Bits of [`Neighbour::flags`].
pub mod flag {
    /// The station is a router: an answer must say so, or the asker forgets its default route
    /// (RFC 4861 section 7.2.5).
    pub const ROUTER: u16 = 1;
}

/// A row of `NEIGHBOURS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    pub mac: [u8; 6],
    /// Bits of [`flag`].
    pub flags: u16,
    /// `CLOCK_MONOTONIC_COARSE` when the station last said so, in nanoseconds.
    pub last_seen: u64,
}

map_type!(Neighbour, 16);

/// A row of `RESERVED` that says of an address that it is never learned and never answered for:
/// the user says so. Any other row names the holder ([`super::holder`]) that alone may claim it.
pub const NOBODY: u32 = super::NO_SLOT;
