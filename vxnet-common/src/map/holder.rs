//! `HOLDERS` and `HELD`: what the data path keeps for everyone that addresses are behind.
//!
//! A holder is a port or a peer. The rows of `FDB` that it holds are listed in rings of `HELD`: those
//! of a port in one, those of a peer in one for each segment, since a peer stands for the guests of
//! many. So a holder at its limit gives up its own rows and nobody else's. Each knows its place
//! ([`super::fdb::FdbEntry::held`]), and whoever removes or moves it clears that: so `HELD` needs no
//! more rows than `FDB`, however long the rings are together.

use super::{MAX_PORTS, MAX_SEGMENTS, MAX_VTEPS, map_type};

/// How many holders there can be: ports first, then peers.
pub const MAX_HOLDERS: u32 = MAX_PORTS + MAX_VTEPS;

/// How many rows of `FDB` a peer may hold in one segment: a guest that floods addresses, of which its
/// own host forgets the oldest, must not use up what there is for other networks.
pub const VTEP_FDB_LIMIT: u32 = 1 << 14;

/// How many places of a ring are looked at for one that is empty or out of date, before the oldest of
/// them gives way to a new address. They are all places of a small ring, and spread over a large one:
/// where live rows stand side by side says nothing of the rest. While 95 of 100 places are taken at
/// random, every other new address still finds a free one (1 - 0.95^16).
pub const LOOKS: u32 = 16;

/// Returns the place that a look is at, in a ring of so many, for the address after `learned` others.
#[inline(always)]
pub const fn place(learned: u64, look: u32, limit: u32) -> u32 {
    let limit = if limit == 0 { 1 } else { limit };
    let apart = if limit < LOOKS { 1 } else { limit / LOOKS };
    (learned.wrapping_add(look as u64 * apart as u64) % limit as u64) as u32
}

/// Returns the holder that a peer is.
#[inline(always)]
pub const fn of_vtep(slot: u32) -> u32 {
    MAX_PORTS + slot
}

/// Returns the ring of a peer in a segment. That of a port is the port's slot.
#[inline(always)]
pub const fn ring_of_vtep(slot: u32, segment: u32) -> u32 {
    MAX_PORTS + slot * MAX_SEGMENTS + segment
}

/// A row of `HOLDERS`, by slot of the port, or [`of_vtep`].
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// Until when the port is shut because it is part of a loop (`CLOCK_MONOTONIC_COARSE`,
    /// nanoseconds). Written by the daemon.
    pub shut_until: u64,
    /// Frames that count against [`super::port::Port::bum_limit`], as [`budget`] keeps them.
    pub bum: u64,
    /// ICMP messages about frames that are too big, likewise.
    pub told: u64,
    /// How many addresses were learned, modulo 2^64: where in its ring a place for the next is looked
    /// for. The rings of a peer share the count.
    pub learned: u64,
}

map_type!(Holder, 32);

/// A second, in nanoseconds.
const SECOND: u64 = 1_000_000_000;
/// Frames that may always come at once: a guest that starts asks for several things.
const BURST: u64 = 8;

/// Counts a frame in a [`Holder::bum`] or [`Holder::told`], and returns the new value and whether
/// the frame is within a limit of so many frames a second.
///
/// The value is the time by which all that has passed would have passed evenly (the generic cell
/// rate algorithm of ITU-T I.371). It may be ahead by an eighth of a second or by eight frames,
/// whichever is more, but not by more than a second: so much may come at once after a silence.
#[inline(always)]
pub const fn budget(counted: u64, limit: u32, now: u64) -> (u64, bool) {
    let interval = SECOND / (if limit == 0 { 1 } else { limit }) as u64;
    let start = if counted > now { counted } else { now };
    let mut ahead = SECOND / 8;
    if ahead < BURST * interval {
        ahead = BURST * interval;
    }
    if ahead > SECOND {
        ahead = SECOND;
    }
    if start + interval > now + ahead {
        return (counted, false);
    }
    (start + interval, true)
}

/// A key of `HELD`; the value is a [`super::fdb::FdbKey`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldKey {
    /// Slot of a port, or [`ring_of_vtep`].
    pub ring: u32,
    /// Place in the ring, below the holder's limit.
    pub place: u32,
}

map_type!(HeldKey, 8);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn attack26_a_limit_is_frames_a_second() {
        for limit in [1, 3, 5, 10, 1000, 100_000] {
            let (mut counted, mut passed) = (0, 0);
            let start = 7 * SECOND;
            let mut after = |from: u64, to: u64| {
                for now in (start + from..start + to).step_by(4_000) {
                    let (next, within) = budget(counted, limit, now);
                    counted = next;
                    passed += u32::from(within);
                }
                core::mem::take(&mut passed)
            };
            let first = after(0, SECOND);
            let burst = 8;
            assert!(first + burst >= limit, "{first} of {limit}");
            assert!(first <= limit + limit / 8 + burst, "{first} of {limit}");
            let second = after(SECOND, 2 * SECOND);
            assert!(
                second.abs_diff(limit) <= 1 + limit / 100,
                "{second} of {limit}"
            );
        }
        // At once, after a silence.
        let now = 9 * SECOND;
        for (limit, at_once) in [(1, 1), (5, 5), (8, 8), (16, 8), (1000, 125)] {
            let mut counted = 0;
            let passed = (0..200).filter(|_| {
                let (next, within) = budget(counted, limit, now);
                counted = next;
                within
            });
            assert_eq!(passed.count(), at_once, "{limit}");
        }
    }

    #[test]
    fn p20_p21_all_places_of_a_small_ring_are_looked_at_and_a_large_one_everywhere() {
        let places = |learned, limit| -> BTreeSet<u32> {
            (0..LOOKS).map(|look| place(learned, look, limit)).collect()
        };
        for limit in 1..=LOOKS {
            assert_eq!(places(7, limit), (0..limit).collect(), "{limit}");
        }
        for limit in [17, 31, 32, 100, 4096, 16_384, 65_536] {
            for learned in [0, 1, 4095, u64::MAX / 2] {
                let places = places(learned, limit);
                assert_eq!(places.len() as u32, LOOKS, "{limit}");
                // However many live rows stand side by side, they are no more than half of these.
                let half = places.range(..limit / 2).count() as u32;
                assert!(limit < 64 || half.abs_diff(LOOKS / 2) <= 1, "{limit}");
            }
        }
    }

    #[test]
    fn ports_and_peers_are_different_holders() {
        assert_eq!(of_vtep(0), MAX_PORTS);
        assert!(of_vtep(MAX_VTEPS - 1) < MAX_HOLDERS);
    }

    #[test]
    fn every_peer_has_a_ring_of_its_own_in_every_segment() {
        assert_eq!(ring_of_vtep(0, 0), MAX_PORTS);
        assert_eq!(ring_of_vtep(0, MAX_SEGMENTS - 1) + 1, ring_of_vtep(1, 0));
        assert!(ring_of_vtep(MAX_VTEPS - 1, MAX_SEGMENTS - 1) < u32::MAX);
    }
}
