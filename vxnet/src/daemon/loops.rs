//! Loops: which port is shut when a probe comes back, and until when.
//!
//! Pure: the time is passed in, and what is to be done comes out as [`Step`]s. A probe that comes
//! in by a port of the segment that it was sent into has found a way around the switch: everything
//! flooded goes around there for ever. Of its two ends the later one, by the names of host and
//! port, is shut, so that both hosts agree without talking to each other. The earlier one is shut
//! too if the other host does not do its part.
//!
//! Probes are sent and looked at by shut ports too: a port opens again once none has come back for
//! [`SHUT`].

mod notes;

use std::collections::BTreeMap;

pub use self::notes::{Loop, loops};
pub(super) use self::notes::{forget, note};

/// How long a port stays shut after the last probe that came back, in nanoseconds.
const SHUT: u64 = 3_000_000_000;
/// How long the other host has for shutting its end, in nanoseconds.
const PATIENCE: u64 = 400_000_000;
/// How long a probe of the other host is remembered, in nanoseconds: a few times the time between
/// two.
const MEMORY: u64 = 1_000_000_000;

/// One end of a loop, in the order in which they stay open.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct End {
    pub(super) host: String,
    pub(super) port: String,
}

/// A probe that came back.
#[derive(Clone, Debug)]
pub(super) struct Returned {
    /// Name of the network.
    pub(super) network: String,
    /// Slot of the port that it came in by,
    pub(super) slot: u32,
    /// and its name.
    pub(super) arrival: End,
    pub(super) sender: Sender,
}

/// Who sent a probe.
#[derive(Clone, Debug)]
pub(super) enum Sender {
    /// A port of this host, by slot and name.
    Here(u32, String),
    /// A port of another host.
    There {
        end: End,
        /// It says that it is shut.
        is_shut: bool,
    },
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Shut the port in `slot` until then; it was open before if `is_new`.
    Shut { slot: u32, until: u64, is_new: bool },
    /// The other host has shut its end of a loop in that network; the port in `slot` is this end.
    Cut { network: String, slot: u32 },
    /// The port is open again.
    Opened(Shut),
}

/// A port that is shut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shut {
    pub(super) network: String,
    pub(super) port: String,
    pub(super) other: End,
    /// Whether both ends are this one port.
    pub(super) is_own: bool,
    /// Since when.
    pub(super) since: u64,
    /// Until when, unless another probe comes back.
    until: u64,
}

/// The loops that are known now.
#[derive(Debug, Default)]
pub(super) struct Loops {
    /// By slot of the port.
    shut: BTreeMap<u32, Shut>,
    /// Loops whose other end is to be shut by another host.
    doubts: BTreeMap<(u32, End), Doubt>,
}

/// What another host says of its end.
#[derive(Debug)]
struct Doubt {
    /// When its probes came first, and last.
    first: u64,
    last: u64,
    /// It is shut, by the last of them.
    is_shut: bool,
}

/// What to do about an end that another host is to shut.
enum Patience {
    Wait,
    /// It has just been shut.
    Cut,
    /// There was time enough for it.
    Over,
}

impl Loops {
    /// Takes in a probe that came back.
    pub(super) fn returned(&mut self, now: u64, probe: Returned) -> Option<Step> {
        let Returned {
            network,
            slot,
            arrival,
            sender,
        } = probe;
        let host = arrival.host.clone();
        let (doomed, port, other) = match sender {
            Sender::Here(sent_by, name) => {
                let sender = End {
                    host: host.clone(),
                    port: name,
                };
                if sender > arrival {
                    (sent_by, sender.port, arrival)
                } else {
                    (slot, arrival.port, sender)
                }
            }
            Sender::There { end, is_shut } => {
                if end > arrival {
                    match self.patience(now, slot, &end, is_shut) {
                        Patience::Wait => return None,
                        Patience::Cut => return Some(Step::Cut { network, slot }),
                        Patience::Over => {}
                    }
                }
                (slot, arrival.port, end)
            }
        };
        let is_own = doomed == slot && other.port == port && other.host == host;
        let until = now + SHUT;
        let is_new = !self.shut.contains_key(&doomed);
        let shut = self.shut.entry(doomed).or_insert_with(|| Shut {
            network,
            is_own,
            port,
            other,
            since: now,
            until,
        });
        shut.until = until;
        Some(Step::Shut {
            slot: doomed,
            until,
            is_new,
        })
    }

    /// Takes in what another host says of its end, which is the later one.
    fn patience(&mut self, now: u64, slot: u32, end: &End, is_shut: bool) -> Patience {
        let fresh = Doubt {
            first: now,
            last: now,
            is_shut: false,
        };
        let doubt = self.doubts.entry((slot, end.clone())).or_insert(fresh);
        let was_shut = doubt.is_shut;
        // The time counts from when the end was opened, or was first heard of.
        if now.saturating_sub(doubt.last) > MEMORY || was_shut != is_shut {
            doubt.first = now;
        }
        doubt.last = now;
        doubt.is_shut = is_shut;
        if is_shut && !was_shut {
            Patience::Cut
        } else if !is_shut && now.saturating_sub(doubt.first) >= PATIENCE {
            Patience::Over
        } else {
            Patience::Wait
        }
    }

    /// Lets time pass: ports open again, and what is old is forgotten.
    pub(super) fn pass(&mut self, now: u64) -> Vec<Step> {
        self.doubts
            .retain(|_, doubt| now.saturating_sub(doubt.last) <= MEMORY);
        let open = self.shut.extract_if(.., |_, shut| shut.until <= now);
        open.map(|(_, shut)| Step::Opened(shut)).collect()
    }

    /// Forgets ports that are no more, and returns whether there were any.
    pub(super) fn keep(&mut self, is_port: impl Fn(u32, &str) -> bool) -> bool {
        let gone = self
            .shut
            .extract_if(.., |slot, shut| !is_port(*slot, &shut.port));
        gone.count() > 0
    }

    /// Takes back that the port in a slot is shut, as it could not be: its next probe tries again.
    pub(super) fn not_shut(&mut self, slot: u32) {
        self.shut.remove(&slot);
    }

    /// Returns whether the port in a slot is shut.
    pub(super) fn is_shut(&self, slot: u32) -> bool {
        self.shut.contains_key(&slot)
    }

    /// Returns the ports that are shut, by slot.
    pub(super) fn shut(&self) -> &BTreeMap<u32, Shut> {
        &self.shut
    }
}

#[cfg(test)]
mod tests;
