//! The way of one frame through the switch, step by step, without sending it: which rows are looked
//! at, and what becomes of it.
//!
//! Pure. The steps and their order are those of the programs (`vxnet-ebpf/src/prog/port.rs` and
//! `uplink.rs`), and the decisions are the same functions of `vxnet-common`; a test holds both to
//! the same verdicts. What a frame would change, a trace only says: it learns nothing, counts
//! nothing and remembers nothing.
//!
//! A frame is taken for one of its own, not for a super-packet of several segments; limits in
//! frames a second are told, and taken for kept.

mod deliver;
mod flood;
mod learn;
mod port;
mod rows;
mod suppress;
#[cfg(test)]
mod tests;
mod uplink;
mod verdict;
mod watched;
mod words;

use serde::Serialize;
use vxnet_common::{forward::From, map::fdb::FdbKey, reason::Reason};

use self::watched::Watched;
pub use self::{
    port::port,
    rows::{Rows, Snapshot},
    uplink::uplink,
    verdict::{Lost, Receiver, ReceiverKind, Verdict},
    watched::Lookup,
    words::{mode, ranges},
};

/// All that was found out about a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// What the switch does with the frame, in this order.
    pub steps: Vec<Step>,
    /// What becomes of it.
    pub verdict: Verdict,
    /// Copies of it that get lost on the way to some receivers, which are not among the verdict's.
    pub lost: Vec<Lost>,
    /// What is counted although the frame goes on.
    #[serde(serialize_with = "verdict::names")]
    pub notices: Vec<Reason>,
}

/// One thing that the switch does with a frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// A word for it, stable.
    pub step: &'static str,
    /// What came of it, for people.
    pub text: String,
    /// The rows that it looked at.
    pub lookups: Vec<Lookup>,
}

/// A trace in the making.
struct Walk<'a, R> {
    tables: Watched<'a, R>,
    now: u64,
    steps: Vec<Step>,
    lost: Vec<Lost>,
    notices: Vec<Reason>,
}

/// What a step says that ends the way.
type Ends<T> = Result<T, Reason>;

impl<'a, R: Rows> Walk<'a, R> {
    fn new(rows: &'a R, now: u64) -> Self {
        Self {
            tables: Watched::new(rows, now),
            now,
            steps: Vec::new(),
            lost: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Adds a step, with the look-ups since the last one.
    fn step(&mut self, step: &'static str, text: impl Into<String>) {
        let lookups = self.tables.take();
        self.steps.push(Step {
            step,
            text: text.into(),
            lookups,
        });
    }

    /// Ends the trace. What stopped the frame is said in a step of its own if it was a look-up.
    fn end(mut self, outcome: Ends<Verdict>) -> Trace {
        let verdict = outcome.unwrap_or_else(|reason| Verdict::Dropped { reason });
        let lookups = self.tables.take();
        if !lookups.is_empty() {
            self.steps.push(Step {
                step: "end",
                text: "here the way ends".to_owned(),
                lookups,
            });
        }
        Trace {
            steps: self.steps,
            verdict,
            lost: self.lost,
            notices: self.notices,
        }
    }

    /// Says who a frame came from.
    fn name_of(&self, from: From) -> String {
        match from {
            From::Port(slot) => words::port(self.tables.rows(), slot),
            From::Vtep(slot) => words::vtep(self.tables.rows(), slot),
        }
    }

    /// Forgets a row of the FDB for the rest of this trace.
    fn forget(&mut self, key: FdbKey) {
        self.tables.forgotten = Some(key);
    }
}
