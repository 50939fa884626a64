//! What the data path tells the daemon, through the ring buffer `EVENTS`.
//!
//! An event is news, never a request: with no daemon to read it, nothing is lost but the message.

use crate::map::map_type;

/// Bytes of the ring buffer.
pub const RING: u32 = 1 << 18;

/// What has happened.
pub mod kind {
    /// An address moves so often that the FDB no longer follows.
    pub const FLAPPING: u32 = 1;
    /// A loop probe came in.
    pub const PROBE: u32 = 2;
}

/// Bytes of a loop probe that an event carries.
pub const PROBE_BYTES: usize = 96;

/// An event.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// One of [`kind`].
    pub kind: u32,
    /// Slot of the segment.
    pub segment: u32,
    /// The holder that the frame came from: see [`crate::map::holder`].
    pub holder: u32,
    /// The holder that the FDB has the address at.
    pub other: u32,
    /// The address.
    pub mac: [u8; 6],
    /// VLAN of the frame, or 0.
    pub vid: u16,
    /// The frame of a probe, from its Ethernet header on; zeros for other events.
    pub frame: [u8; PROBE_BYTES],
}

map_type!(Event, 120);
