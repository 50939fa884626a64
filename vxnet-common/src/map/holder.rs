//! `HOLDERS` and `HELD`: what the data path keeps for everyone that addresses are behind.
//!
//! A holder is a port or a peer. The rows of `FDB` that it holds are listed in `HELD`, in the order
//! in which they were learned, so that a holder at its limit gives up its own rows and nobody
//! else's. Each knows its place ([`super::fdb::FdbEntry::held`]), and whoever removes or moves it
//! clears that: so `HELD` needs no more rows than `FDB`, however long the rings are together.

use super::{MAX_PORTS, MAX_VTEPS, map_type};

/// How many holders there can be: ports first, then peers.
pub const MAX_HOLDERS: u32 = MAX_PORTS + MAX_VTEPS;

/// How many rows of `FDB` a peer may hold: what one host's guests can fill.
pub const VTEP_FDB_LIMIT: u32 = 1 << 17;

/// How many places of a holder's ring are looked at for one that is out of date, before the oldest
/// of them gives way to a new address.
pub const LOOKS: u32 = 8;

/// Returns the holder that a peer is.
#[inline(always)]
pub const fn of_vtep(slot: u32) -> u32 {
    MAX_PORTS + slot
}

/// A row of `HOLDERS`, by slot of the port, or [`of_vtep`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// Until when the port is shut because it is part of a loop (`CLOCK_MONOTONIC_COARSE`,
    /// nanoseconds). Written by the daemon.
    pub shut_until: u64,
    /// Frames that count against [`super::port::Port::bum_limit`]: the window in the upper half,
    /// the count in the lower.
    pub bum: u64,
    /// ICMP messages about frames that are too big, in the same form.
    pub told: u64,
    /// How many addresses were learned, modulo 2^64: where the next goes in `HELD`.
    pub learned: u64,
}

map_type!(Holder, 32);

/// Length of a window in which frames are counted against a limit, as a power of two of nanoseconds:
/// an eighth of a second, nearly.
pub const WINDOW_BITS: u32 = 27;

/// Counts a frame in a [`Holder::bum`] or [`Holder::told`], and returns the new value and whether
/// the frame is within a limit of so many frames a second.
#[inline(always)]
pub const fn budget(counted: u64, limit: u32, now: u64) -> (u64, bool) {
    let window = now >> WINDOW_BITS & 0xffff_ffff;
    let count = if counted >> 32 == window {
        counted & 0xffff_ffff
    } else {
        0
    };
    // A window is 2^27 / 10^9 of a second, or 137 / 1024; a limit of a few still lets one through.
    let most = ((limit as u64 * 137) >> 10) + 1;
    if count >= most {
        return (counted, false);
    }
    (window << 32 | (count + 1), true)
}

/// A key of `HELD`; the value is a [`super::fdb::FdbKey`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldKey {
    pub holder: u32,
    /// Place in the holder's ring, below its limit.
    pub place: u32,
}

map_type!(HeldKey, 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_over_a_second_within_a_window() {
        for limit in [1, 10, 1000, 100_000] {
            let (mut counted, mut passed) = (0, 0);
            for now in (0..1_000_000_000u64).step_by(4_000) {
                let (next, within) = budget(counted, limit, now);
                counted = next;
                passed += u32::from(within);
            }
            let windows = 8;
            assert!(passed + windows >= limit, "{passed} of {limit}");
            assert!(passed <= limit + limit / 8 + windows, "{passed} of {limit}");
        }
    }

    #[test]
    fn ports_and_peers_are_different_holders() {
        assert_eq!(of_vtep(0), MAX_PORTS);
        assert!(of_vtep(MAX_VTEPS - 1) < MAX_HOLDERS);
    }
}
