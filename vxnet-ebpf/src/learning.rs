//! Learning: who a frame came from, and who has to forget something for it.
//!
//! Every holder of addresses, a port or a peer, has a ring in `HELD` with as many places as it may
//! hold rows of the FDB: a port one, a peer one for each segment. A new address takes an empty place
//! or that of a row that is out of date, or else of the oldest of the holder's own that it comes
//! across: nobody loses a row because of somebody else.

use core::{ffi::c_void, ptr};

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_for_each_map_elem};
use vxnet_common::{
    addr::Mac,
    event::{self, Event},
    forward::From,
    learn::{self, Lesson},
    map::{
        fdb::{self, FdbEntry, FdbKey},
        holder::{self, HeldKey, LOOKS, VTEP_FDB_LIMIT},
        port::{Port, flag},
        segment::Segment,
    },
    reason::Reason,
};

use crate::{account, maps};

/// How long the FDB is left alone after a sweep, in nanoseconds.
const SWEEP_EVERY: u64 = 1_000_000_000;

/// Who sent a frame, and how many addresses it may have.
#[derive(Clone, Copy)]
pub(crate) struct Sender {
    pub(crate) from: From,
    limit: u32,
    /// It stands for many stations, as peers and trunk links do: at the limit, a new address is not
    /// learned. Otherwise the oldest goes.
    keeps: bool,
}

impl Sender {
    #[inline(always)]
    pub(crate) fn port(slot: u32, port: &Port) -> Self {
        Self {
            from: From::Port(slot),
            limit: port.fdb_limit,
            keeps: port.flags & flag::KEEP_ROWS != 0,
        }
    }

    /// A peer stands for many guests: a live row of one never goes for another's.
    #[inline(always)]
    pub(crate) fn vtep(slot: u32) -> Self {
        Self {
            from: From::Vtep(slot),
            limit: VTEP_FDB_LIMIT,
            keeps: true,
        }
    }
}

/// What is to be written to the FDB.
struct Entry {
    key: FdbKey,
    row: FdbEntry,
    limit: u32,
    keeps: u32,
    /// Slot of the port that notices are counted for.
    count_for: u32,
    /// The place that the address leaves, which is none if that is [`fdb::NO_PLACE`].
    left: HeldKey,
}

/// Learns a frame's source, or tells why the frame must be dropped.
#[inline(always)]
pub(crate) fn learn(
    count_for: u32,
    segment_slot: u32,
    segment: &Segment,
    src: Mac,
    sender: Sender,
    now: u64,
) -> Result<(), Reason> {
    let key = FdbKey::new(segment_slot, src);
    let row = maps::FDB.get_ptr_mut(key);
    // SAFETY: as in `Live::fdb`.
    let known = row.map(|row| unsafe { &*row });
    match learn::judge(known, src, sender.from, now, segment.ageing) {
        Lesson::Known => {}
        Lesson::Refresh => {
            if let Some(row) = row {
                // SAFETY: the row is valid as in `Live::fdb`; all writers store a clock value.
                unsafe { (&raw mut (*row).last_seen).write_volatile(now) };
            }
        }
        Lesson::Write(fresh) => {
            let mut entry = Entry {
                key,
                row: fresh,
                limit: sender.limit,
                keeps: u32::from(sender.keeps),
                count_for,
                left: HeldKey {
                    ring: 0,
                    place: fdb::NO_PLACE,
                },
            };
            if let Some(known) = known {
                if known.holder() == fresh.holder() {
                    entry.row.held = known.held;
                } else {
                    entry.left.ring = known.ring(segment_slot);
                    entry.left.place = known.held;
                }
            }
            write(&raw mut entry, now);
        }
        Lesson::Freeze(frozen) => {
            let _ = maps::FDB.insert(key, frozen, 0);
            let holder = learn::holder(sender.from);
            tell_flapping(&raw const key, holder, frozen.holder());
            account::notice(count_for, Reason::MacFlap);
        }
        Lesson::Frozen => account::notice(count_for, Reason::MacFlap),
        Lesson::Lie(reason) => return Err(reason),
    }
    Ok(())
}

/// Tells the daemon of an address that is in two places in turns.
#[inline(never)]
fn tell_flapping(key: *const FdbKey, holder: u32, other: u32) {
    let Some(mut event) = maps::EVENTS.reserve::<Event>(0) else {
        return;
    };
    // SAFETY: the caller passed a reference.
    let key = unsafe { *key };
    event.write(Event {
        kind: event::kind::FLAPPING,
        segment: key.segment,
        holder,
        other,
        mac: key.mac,
        vid: 0,
        frame: [0; event::PROBE_BYTES],
    });
    event.submit(0);
}

/// Writes a row for a new address, or one that has moved. A call of its own: it is seldom needed.
///
/// CPUs may do this at once. The row comes before its place in the ring, and who finds the place
/// taken meanwhile takes the row back: so no row is without a place for longer than this takes.
#[inline(never)]
fn write(entry: *mut Entry, now: u64) {
    // SAFETY: the caller passed a reference, and does not look at it again.
    let entry = unsafe { &mut *entry };
    // SAFETY: as in `Live::fdb`.
    let known = unsafe { maps::FDB.get(entry.key) };
    entry.row = learn::marked(entry.row, known, entry.keeps as u8, now);
    let needs_place = entry.limit != 0 && entry.row.held == fdb::NO_PLACE;
    let place = if needs_place {
        make_place(entry, now)
    } else {
        None
    };
    if let Some(place) = place {
        entry.row.held = place.place;
    } else if needs_place {
        account::notice(entry.count_for, Reason::FdbLimit);
        // A station that is known is followed all the same, or its frames would go to where it was.
        // That takes no row more than there are.
        if known.is_none() {
            return;
        }
    }
    // Full, or the kernel had no memory: rows that have expired may be in the way.
    if maps::FDB.insert(entry.key, entry.row, 0).is_err()
        && (!sweep(now) || maps::FDB.insert(entry.key, entry.row, 0).is_err())
    {
        return account::notice(entry.count_for, Reason::FdbFull);
    }
    if let Some(place) = place
        && maps::HELD
            .insert(place, entry.key, u64::from(BPF_NOEXIST))
            .is_err()
    {
        let _ = maps::FDB.remove(entry.key);
        account::notice(entry.count_for, Reason::FdbLimit);
    }
    if entry.left.place != fdb::NO_PLACE {
        let _ = maps::HELD.remove(entry.left);
    }
}

/// Finds or makes a free place in the holder's ring.
#[inline(always)]
fn make_place(entry: &Entry, now: u64) -> Option<HeldKey> {
    let state = maps::HOLDERS.get_ptr_mut(entry.row.holder())?;
    let ring = entry.row.ring(entry.key.segment);
    // SAFETY: array rows are never freed. CPUs that take the same number begin at the same place.
    let learned = unsafe {
        let learned = (*state).learned;
        (*state).learned = learned + 1;
        learned
    };
    let found = vx_find_place(ring, learned, entry.limit, now);
    let chosen = HeldKey {
        ring,
        place: found as u32,
    };
    let is_live = found & LIVE != 0;
    if is_live && entry.keeps != 0 {
        return None;
    }
    // SAFETY: as in `vx_live_since`.
    if let Some(held) = unsafe { maps::HELD.get(chosen) } {
        let held = *held;
        // Another CPU may have chosen it too: whoever takes it away has it.
        maps::HELD.remove(chosen).ok()?;
        forget(&held, chosen, &entry.key);
        if is_live {
            account::notice(entry.count_for, Reason::FdbLimit);
        }
    }
    Some(chosen)
}

/// Marks a place with a live row, the oldest of those that were looked at.
const LIVE: u64 = 1 << 32;

/// Returns the place in a ring for the address after `learned` others, and [`LIVE`] if somebody has
/// to give way there. Exported for the same reason as `vx_count`.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn vx_find_place(ring: u32, learned: u64, limit: u32, now: u64) -> u64 {
    let (mut chosen, mut oldest) = (0, u64::MAX);
    let mut look = 0;
    while look < LOOKS {
        let place = holder::place(learned, look, limit);
        let seen = vx_live_since(ring, place, now);
        if seen == 0 {
            return u64::from(place);
        }
        if seen < oldest {
            (chosen, oldest) = (u64::from(place), seen);
        }
        look += 1;
    }
    chosen | LIVE
}

/// Returns when the address in a place was last seen, or 0 if there is none, or its row is out of
/// date or elsewhere. Exported for the same reason as `vx_count`.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn vx_live_since(ring: u32, place: u32, now: u64) -> u64 {
    let place = HeldKey { ring, place };
    // SAFETY: keys and rows are plain integers; torn ones name nothing that exists.
    let Some(key) = (unsafe { maps::HELD.get(place) }) else {
        return 0;
    };
    // SAFETY: as in `Live::fdb`.
    let Some(row) = (unsafe { maps::FDB.get(key) }) else {
        return 0;
    };
    let Some(segment) = maps::SEGMENTS.get(key.segment) else {
        return 0;
    };
    if row.is_in(key.segment, &place) && row.is_live(now, segment.ageing) {
        // Never 0, which stands for a row that may go.
        row.last_seen | 1
    } else {
        0
    }
}

/// Removes the row that was in a place, unless it is somewhere else by now.
#[inline(always)]
fn forget(key: &FdbKey, place: HeldKey, but: &FdbKey) {
    // SAFETY: as in `Live::fdb`.
    let row = unsafe { maps::FDB.get(key) };
    let is_there = row.is_some_and(|row| row.is_in(key.segment, &place));
    if is_there && *key != *but {
        let _ = maps::FDB.remove(key);
    }
}

/// What a sweep knows.
struct Sweep {
    now: u64,
}

/// Removes the expired rows of a full FDB, at most once a second: without a daemon nobody else
/// would. Returns whether it did.
#[inline(never)]
fn sweep(now: u64) -> bool {
    let Some(swept) = maps::SWEPT.get_ptr_mut(0) else {
        return false;
    };
    // SAFETY: an array row is never freed, and a `u64` is read and written whole; two CPUs may
    // sweep at once.
    unsafe {
        if now.wrapping_sub(*swept) < SWEEP_EVERY && *swept != 0 {
            return false;
        }
        *swept = now;
    }
    let mut sweep = Sweep { now };
    // SAFETY: the callback has the signature that the helper asks for, and the verifier checks it.
    unsafe {
        bpf_for_each_map_elem(
            (&raw const maps::FDB).cast_mut().cast(),
            remove_if_expired as *mut c_void,
            ptr::from_mut(&mut sweep).cast(),
            0,
        );
    }
    true
}

extern "C" fn remove_if_expired(
    _map: *mut c_void,
    key: *const FdbKey,
    row: *const FdbEntry,
    sweep: *mut Sweep,
) -> i64 {
    // SAFETY: the kernel passes a row of the FDB, and what `sweep` passed. Not copied: this runs at
    // the end of the longest chain of calls, and the stack is short.
    let (key, row, now) = unsafe { (&*key, &*row, (*sweep).now) };
    let ageing = maps::SEGMENTS
        .get(key.segment)
        .map_or(0, |segment| segment.ageing);
    if !row.is_live(now, ageing) {
        // Read first: the kernel may give the row's memory to another address at once.
        let place = row.held_key(key.segment);
        let _ = maps::FDB.remove(key);
        if let Some(place) = place {
            let _ = maps::HELD.remove(place);
        }
    }
    0
}
