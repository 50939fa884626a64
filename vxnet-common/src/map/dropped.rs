//! `LAST_DROPS`: the headers of the frames that were dropped last, by reason.

use super::map_type;

/// How many frames are kept for each reason.
pub const KEPT: u32 = 8;
/// How many bytes of a frame are kept.
pub const HEADER: usize = 96;

/// Marks a tag in [`Dropped::tag`].
pub const TAGGED: u32 = 1 << 16;
/// Marks one that is a service tag (802.1ad).
pub const SERVICE: u32 = 1 << 17;

/// A row of `LAST_DROPS`: reason × [`KEPT`] + place.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dropped {
    /// `CLOCK_MONOTONIC_COARSE`, nanoseconds; 0 in a row that was never used.
    pub time: u64,
    /// Slot of the port that pays.
    pub port: u32,
    /// Bytes of the frame.
    pub len: u32,
    /// [`TAGGED`], [`SERVICE`] if it is one, and the control information of the VLAN tag beside the
    /// frame; or 0.
    pub tag: u32,
    /// How many bytes of `header` are the frame's.
    pub kept: u32,
    pub header: [u8; HEADER],
}

map_type!(Dropped, 120);
