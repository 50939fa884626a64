//! What the switch would learn of a frame: the rules of `vxnet-ebpf/src/learning.rs`.

use std::fmt::Write as _;

use vxnet_common::{
    addr::Mac,
    forward::{From, Tables as _},
    learn::{self, Lesson},
    map::{
        fdb::{FdbEntry, FdbKey, NO_PLACE},
        holder::{self, HeldKey, LOOKS, VTEP_FDB_LIMIT},
        port::{Port, flag},
        segment::Segment,
    },
    reason::Reason,
};

use super::{Ends, Rows, Walk, words};

/// Who sent a frame, and how many addresses it may have.
#[derive(Clone, Copy)]
pub(super) struct Sender {
    pub(super) from: From,
    limit: u32,
    /// It stands for many stations, as peers and trunk links do: at the limit, a new address is not
    /// learned. Otherwise the oldest goes.
    keeps: bool,
}

/// Where a new address would stand among those of its holder.
enum Place {
    /// In an empty place, or in one whose row is out of date.
    Free(Option<(HeldKey, FdbKey)>),
    /// In that of the holder's oldest.
    Oldest((HeldKey, FdbKey)),
    /// Nowhere.
    Full,
}

impl Sender {
    pub(super) fn port(slot: u32, port: &Port) -> Self {
        Self {
            from: From::Port(slot),
            limit: port.fdb_limit,
            keeps: port.flags & flag::KEEP_ROWS != 0,
        }
    }

    pub(super) fn vtep(slot: u32) -> Self {
        Self {
            from: From::Vtep(slot),
            limit: VTEP_FDB_LIMIT,
            keeps: true,
        }
    }
}

impl<R: Rows> Walk<'_, R> {
    /// Says what the switch would learn of a frame's source.
    pub(super) fn learn(
        &mut self,
        segment_slot: u32,
        segment: &Segment,
        src: Mac,
        sender: Sender,
    ) -> Ends<()> {
        let key = FdbKey::new(segment_slot, src);
        let known = self.tables.fdb(&key).copied();
        let lesson = learn::judge(known.as_ref(), src, sender.from, self.now, segment.ageing);
        let here = self.name_of(sender.from);
        let text = match lesson {
            Lesson::Known => format!("{src} is known to be at {here}"),
            Lesson::Refresh => format!("{src} is known to be at {here}; its age would start anew"),
            Lesson::Write(fresh) => {
                let fresh = learn::marked(fresh, known.as_ref(), sender.keeps.into(), self.now);
                self.write(key, known, fresh, sender)
            }
            Lesson::Freeze(_) | Lesson::Frozen => {
                self.notices.push(Reason::MacFlap);
                let there = known.map(|row| words::entry(self.tables.rows(), &row, self.now));
                let there = there.unwrap_or_default();
                format!("{src} moves too often, and stays at {there}")
            }
            Lesson::Lie(Reason::LocalMac) => {
                let there = known.map(|row| words::entry(self.tables.rows(), &row, self.now));
                format!("{src} belongs to {}", there.unwrap_or_default())
            }
            Lesson::Lie(_) => format!("{src} is no station's address"),
        };
        self.step("learn", text);
        match lesson {
            Lesson::Lie(reason) => Err(reason),
            _ => Ok(()),
        }
    }

    /// Says where a new row would go, and takes it for written.
    fn write(
        &mut self,
        key: FdbKey,
        known: Option<FdbEntry>,
        fresh: FdbEntry,
        sender: Sender,
    ) -> String {
        let src = Mac(key.mac);
        let holder = fresh.holder();
        let is_placed = known.is_some_and(|row| row.holder() == holder && row.held != NO_PLACE);
        let here = self.name_of(sender.from);
        let mut text = match known.filter(|row| row.holder() != holder) {
            Some(row) if fresh.moves != 0 => {
                let there = words::entry(self.tables.rows(), &row, self.now);
                format!("{src} would move from {there}, to {here}")
            }
            _ => format!("{src} would be learned at {here}"),
        };
        if sender.limit != 0 && !is_placed {
            let place = self.place(holder, fresh.ring(key.segment), sender);
            let gone = match place {
                Place::Full => {
                    self.notices.push(Reason::FdbLimit);
                    if known.is_none() {
                        return format!(
                            "{src} would not be learned: {here} has no place left of {}",
                            sender.limit
                        );
                    }
                    let _ = write!(text, ", beyond the {} that it may have", sender.limit);
                    None
                }
                Place::Oldest(oldest) => {
                    self.notices.push(Reason::FdbLimit);
                    let mac = Mac(oldest.1.mac);
                    let _ = write!(text, ", in the place of {mac}, its oldest");
                    Some(oldest)
                }
                Place::Free(gone) => gone,
            };
            if let Some((place, gone)) = gone
                && gone != key
                && self.is_in(&gone, place)
            {
                self.forget(gone);
            }
        }
        self.tables.learned = Some((key, fresh));
        text
    }

    /// Finds the place of a new address in a ring of its holder.
    fn place(&self, holder: u32, ring: u32, sender: Sender) -> Place {
        let rows = self.tables.rows();
        let next = rows.holder(holder).learned;
        let mut oldest: Option<(u64, (HeldKey, FdbKey))> = None;
        for step in 0..LOOKS {
            let place = holder::place(next, step, sender.limit);
            let place = HeldKey { ring, place };
            let Some(held) = rows.held(&place) else {
                return Place::Free(None);
            };
            let seen = self.live_since(&held, place);
            if seen == 0 {
                return Place::Free(Some((place, held)));
            }
            if oldest.is_none_or(|(before, _)| seen < before) {
                oldest = Some((seen, (place, held)));
            }
        }
        match oldest {
            Some((_, held)) if !sender.keeps => Place::Oldest(held),
            _ => Place::Full,
        }
    }

    /// Returns when the address in a place was last seen, or 0 if its row is out of date or elsewhere.
    fn live_since(&self, key: &FdbKey, place: HeldKey) -> u64 {
        let rows = self.tables.rows();
        let ageing = rows
            .segment(key.segment)
            .map_or(0, |segment| segment.ageing);
        match rows.fdb(key) {
            Some(row) if row.is_in(key.segment, &place) && row.is_live(self.now, ageing) => {
                row.last_seen | 1
            }
            _ => 0,
        }
    }

    fn is_in(&self, key: &FdbKey, place: HeldKey) -> bool {
        let row = self.tables.rows().fdb(key);
        row.is_some_and(|row| row.is_in(key.segment, &place))
    }
}
