//! Which source addresses the switch learns.

use crate::{
    addr::Mac,
    forward::From,
    map::fdb::{FdbEntry, origin, place},
    reason::Reason,
};

/// How old `last_seen` must be before it is written again, in nanoseconds: a cache line that every
/// packet writes would bounce between the CPUs.
pub const REFRESH: u64 = 1 << 29;

/// What to do about a frame's source address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lesson {
    /// The table is right.
    Known,
    /// The table is right, but the row's `last_seen` is old.
    Refresh,
    /// The address is new here, or has moved.
    Write(FdbEntry),
    /// The frame lies about its source: drop it.
    Lie(Reason),
}

/// Judges the source address of a frame that came `from` somewhere, given the row of the table.
///
/// - Group and zero addresses are no station's (IEEE 802.1Q 8.8).
/// - What the daemon wrote is not for a frame to change.
/// - The overlay does not move an address away from a live local port: any peer could take over a
///   guest's traffic (RFC 7348 section 7). When the guest has really left, so has its port, and
///   the daemon has removed its rows.
#[inline(always)]
pub fn judge(row: Option<&FdbEntry>, src: Mac, from: From, now: u64, ageing: u64) -> Lesson {
    if src.is_group() || src.is_zero() {
        return Lesson::Lie(Reason::BadSource);
    }
    let (slot, at) = match from {
        From::Port(slot) => (slot, place::PORT),
        From::Vtep(slot) => (slot, place::VTEP),
    };
    let fresh = FdbEntry {
        slot,
        place: at,
        origin: origin::LEARNED,
        pad: [0; 2],
        last_seen: now,
    };
    let Some(row) = row else {
        return Lesson::Write(fresh);
    };
    if !row.is_live(now, ageing) {
        return Lesson::Write(fresh);
    }
    if row.slot == slot && row.place == at {
        if row.origin == origin::LEARNED && now.saturating_sub(row.last_seen) >= REFRESH {
            return Lesson::Refresh;
        }
        return Lesson::Known;
    }
    if row.origin != origin::LEARNED || (at == place::VTEP && row.place == place::PORT) {
        return Lesson::Lie(Reason::LocalMac);
    }
    Lesson::Write(fresh)
}

#[cfg(test)]
mod tests;
