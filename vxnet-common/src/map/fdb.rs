//! `FDB`: which address is where.

use super::{holder::HeldKey, map_type};
use crate::addr::Mac;

/// A key of `FDB`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FdbKey {
    /// Slot of the segment.
    pub segment: u32,
    pub mac: [u8; 6],
    pub pad: [u8; 2],
}

map_type!(FdbKey, 12);

impl FdbKey {
    #[inline(always)]
    pub const fn new(segment: u32, mac: Mac) -> Self {
        Self {
            segment,
            mac: mac.0,
            pad: [0; 2],
        }
    }
}

/// Where an address is: the meaning of [`FdbEntry::slot`].
pub mod place {
    /// Behind the port in that slot of `PORTS`.
    pub const PORT: u8 = 1;
    /// At the peer in that slot of `VTEPS`.
    pub const VTEP: u8 = 2;
}

/// Who wrote a row.
pub mod origin {
    /// The data path, from a source address. The only kind that ages.
    pub const LEARNED: u8 = 0;
    /// The daemon: the host's own address.
    pub const STATIC: u8 = 1;
    /// A control plane (not used yet).
    pub const CONTROL: u8 = 2;
    /// The user, by `vxnet fdb add`.
    pub const MANUAL: u8 = 3;
}

/// Bits of [`FdbEntry::flags`].
pub mod flag {
    /// The address does not move while the row lives.
    pub const STICKY: u8 = 1;
    /// It is behind a trunk link: a station of the physical network, which a peer may have next.
    pub const TRUNK: u8 = 1 << 1;
    /// A port took it from a peer, not long ago: who had it may have it back.
    pub const TAKEN: u8 = 1 << 2;
}

/// [`FdbEntry::moves`] of an address that the table follows no longer.
pub const FROZEN: u8 = u8::MAX;

/// A row of `FDB`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FdbEntry {
    /// Slot of `PORTS` or `VTEPS`, as `place` says.
    pub slot: u32,
    /// One of [`place`].
    pub place: u8,
    /// One of [`origin`].
    pub origin: u8,
    /// Bits of [`flag`].
    pub flags: u8,
    /// How often the address has moved since `moved`, or [`FROZEN`].
    pub moves: u8,
    /// `CLOCK_MONOTONIC_COARSE` when the address was last a source, in nanoseconds. The data path
    /// writes it in place, at most every [`crate::learn::REFRESH`].
    pub last_seen: u64,
    /// When the moves began to be counted, on the same clock.
    pub moved: u64,
    /// The row's place in its holder's ring (see [`super::holder`]), or [`NO_PLACE`].
    pub held: u32,
    pub pad: u32,
}

map_type!(FdbEntry, 32);

/// [`FdbEntry::held`] of a row that is in no ring: nobody learned it, or its holder has no limit.
pub const NO_PLACE: u32 = u32::MAX;

impl FdbEntry {
    /// Returns a row that was just learned.
    #[inline(always)]
    pub const fn learned(place: u8, slot: u32, now: u64) -> Self {
        Self {
            slot,
            place,
            origin: origin::LEARNED,
            flags: 0,
            moves: 0,
            last_seen: now,
            moved: 0,
            held: NO_PLACE,
            pad: 0,
        }
    }

    /// Returns a row of another origin, which stays as it is.
    pub const fn fixed(place: u8, slot: u32, origin: u8) -> Self {
        Self {
            origin,
            ..Self::learned(place, slot, 0)
        }
    }

    /// Returns who holds the address: see [`super::holder`].
    #[inline(always)]
    pub const fn holder(&self) -> u32 {
        if self.place == place::VTEP {
            super::holder::of_vtep(self.slot)
        } else {
            self.slot
        }
    }

    /// Returns the ring of `HELD` that the row, of that segment, has a place in.
    #[inline(always)]
    pub const fn ring(&self, segment: u32) -> u32 {
        if self.place == place::VTEP {
            super::holder::ring_of_vtep(self.slot, segment)
        } else {
            self.slot
        }
    }

    /// Returns the key in `HELD` of the row of that segment, which goes when the row does.
    #[inline(always)]
    pub const fn held_key(&self, segment: u32) -> Option<HeldKey> {
        if self.held == NO_PLACE {
            return None;
        }
        Some(HeldKey {
            ring: self.ring(segment),
            place: self.held,
        })
    }

    /// Returns whether the row of that segment was learned, and is in that place of a ring.
    #[inline(always)]
    pub const fn is_in(&self, segment: u32, place: &HeldKey) -> bool {
        self.origin == origin::LEARNED
            && self.ring(segment) == place.ring
            && self.held == place.place
    }

    /// Returns whether the row may still be used at `now`.
    #[inline(always)]
    pub const fn is_live(&self, now: u64, ageing: u64) -> bool {
        // A row seen by another CPU a tick ahead of `now` is live: the difference saturates to 0.
        self.origin != origin::LEARNED || now.saturating_sub(self.last_seen) < ageing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_one_holders() {
        let held = FdbEntry {
            held: 7,
            ..FdbEntry::learned(place::VTEP, 3, 100)
        };
        let key = HeldKey {
            ring: super::super::holder::ring_of_vtep(3, 5),
            place: 7,
        };
        assert_eq!(held.held_key(5), Some(key));
        assert!(held.is_in(5, &key));
        assert!(!held.is_in(5, &HeldKey { place: 6, ..key }));
        assert!(!held.is_in(5, &HeldKey { ring: 3, ..key }));
        assert!(!held.is_in(6, &key), "the same peer in another network");
        let manual = FdbEntry {
            origin: origin::MANUAL,
            ..held
        };
        assert!(!manual.is_in(5, &key));
        let port = FdbEntry::learned(place::PORT, 3, 100);
        assert_eq!(port.held_key(5), None);
        // A port's limit is one for all its VLANs.
        assert_eq!(port.ring(5), port.ring(6));
    }

    #[test]
    fn only_learned_rows_age() {
        let row = FdbEntry::learned(place::PORT, 1, 100);
        assert!(row.is_live(109, 10));
        assert!(!row.is_live(110, 10));
        assert!(row.is_live(90, 10), "a clock that is behind does not age");
        assert!(FdbEntry::fixed(place::PORT, 1, origin::STATIC).is_live(u64::MAX, 10));
    }
}
