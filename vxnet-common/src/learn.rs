//! Which source addresses the switch learns.

use crate::{
    addr::Mac,
    forward::From,
    map::{
        fdb::{FROZEN, FdbEntry, flag, origin, place},
        holder,
    },
    reason::Reason,
};

/// How old `last_seen` must be before it is written again, in nanoseconds: a cache line that every
/// packet writes would bounce between the CPUs.
pub const REFRESH: u64 = 1 << 29;

// What `marked` counts on.
const _: () = assert!(place::PORT == 1 && flag::TRUNK == 2);

/// How long the moves of an address are counted, in nanoseconds, and how many are followed in that
/// time: the defaults of EVPN for MAC mobility (RFC 7432 section 15.1).
pub const MOVES_WINDOW: u64 = 180_000_000_000;
pub const MOVES: u8 = 5;

/// What to do about a frame's source address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lesson {
    /// The table is right.
    Known,
    /// The table is right, but the row's `last_seen` is old.
    Refresh,
    /// The address is new here, or has moved.
    Write(FdbEntry),
    /// It moves too often: write the row, which is where it was, and tell.
    Freeze(FdbEntry),
    /// It has moved too often: the row stays, and the frame goes on.
    Frozen,
    /// The frame lies about its source: drop it.
    Lie(Reason),
}

/// Returns whether the table no longer follows an address, which has moved too often.
#[inline(always)]
pub const fn is_frozen(row: &FdbEntry, now: u64) -> bool {
    row.moves == FROZEN && now.saturating_sub(row.moved) < MOVES_WINDOW
}

/// Returns whether an address behind a local port may move to a peer: it was learned on a trunk
/// link, or was a peer's a moment ago.
#[inline(always)]
pub const fn yields(row: &FdbEntry, now: u64) -> bool {
    row.flags & flag::TRUNK != 0 || was_taken(row, now)
}

#[inline(always)]
const fn was_taken(row: &FdbEntry, now: u64) -> bool {
    row.flags & flag::TAKEN != 0 && now.saturating_sub(row.moved) < MOVES_WINDOW
}

/// Returns a row to be written with its marks: what it is in the place of, and whether its sender
/// stands for many stations (1), as peers and trunk links do, or is a guest (0).
///
/// Apart from [`judge`], which every frame passes and which has no room left in the verifier's eyes.
#[inline(always)]
pub const fn marked(row: FdbEntry, known: Option<&FdbEntry>, many: u8, now: u64) -> FdbEntry {
    // 1 is PORT, and 2 is TRUNK.
    let mut flags = row.flags | (row.place & place::PORT & many) << 1;
    if let Some(known) = known
        && row.place == place::PORT
        && row.moves != 0
        && (known.place == place::VTEP || was_taken(known, now))
    {
        flags |= flag::TAKEN;
    }
    FdbEntry { flags, ..row }
}

/// Returns who holds an address that came `from` somewhere: see [`crate::map::holder`].
#[inline(always)]
pub const fn holder(from: From) -> u32 {
    match from {
        From::Port(slot) => slot,
        From::Vtep(slot) => holder::of_vtep(slot),
    }
}

/// Judges the source address of a frame that came `from` somewhere, given the row of the table.
///
/// - Group and zero addresses are no station's (IEEE 802.1Q 8.8).
/// - What the daemon or the user wrote is not for a frame to change, nor a sticky row.
/// - An address that is seen in two places in turns stays where it is for the rest of
///   [`MOVES_WINDOW`]: two stations have it, or a loop shows one twice.
/// - The overlay does not move an address away from a live local port: any peer could take over a
///   guest's traffic (RFC 7348 section 7). When the guest has really left, so has its port, and
///   the daemon has removed its rows. Two kinds of rows yield all the same ([`yields`]): otherwise a
///   guest that once sends from a remote station's address would have its traffic for good.
///
/// A row to be written is yet to be [`marked`]. Times are in nanoseconds.
#[inline(always)]
pub fn judge(row: Option<&FdbEntry>, src: Mac, from: From, now: u64, ageing: u64) -> Lesson {
    if src.is_group() || src.is_zero() {
        return Lesson::Lie(Reason::BadSource);
    }
    let (slot, at) = match from {
        From::Port(slot) => (slot, place::PORT),
        From::Vtep(slot) => (slot, place::VTEP),
    };
    let fresh = FdbEntry::learned(at, slot, now);
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
    if row.origin != origin::LEARNED
        || row.flags & flag::STICKY != 0
        || (at == place::VTEP && row.place == place::PORT && !yields(row, now))
    {
        return Lesson::Lie(Reason::LocalMac);
    }
    if row.moves == 0 || now.saturating_sub(row.moved) >= MOVES_WINDOW {
        return Lesson::Write(FdbEntry {
            moves: 1,
            moved: now,
            ..fresh
        });
    }
    if is_frozen(row, now) {
        return Lesson::Frozen;
    }
    if row.moves >= MOVES {
        return Lesson::Freeze(FdbEntry {
            moves: FROZEN,
            ..*row
        });
    }
    Lesson::Write(FdbEntry {
        moves: row.moves + 1,
        moved: row.moved,
        ..fresh
    })
}

#[cfg(test)]
mod tests;
