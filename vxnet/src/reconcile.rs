//! Bringing a host from what it is to what it should be.

mod rehearsal;

use std::fmt::Write as _;

use anyhow::{Result, bail};

use crate::{
    plan::{Op, plan},
    state::{Observed, State},
};

pub use self::rehearsal::Rehearsal;

/// How many rounds may be needed: links, then what refers to them, then what those allow.
const ROUNDS: usize = 8;

/// A host that can be looked at and changed.
pub trait Host {
    /// Looks at the host.
    fn observe(&mut self) -> impl Future<Output = Result<Observed>>;

    /// Carries out one operation.
    fn apply(&mut self, op: &Op) -> impl Future<Output = Result<()>>;

    /// Does what several operations have left to be done at once, before the next look.
    fn settle(&mut self) -> impl Future<Output = Result<()>>;
}

/// What an operation that fails means for the others of its round.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// They are tried all the same.
    Alone,
    /// They wait for the next look.
    EndsRound,
}

/// Changes the host until it is as `desired` says, and returns the operations that it took.
///
/// What a host should be depends on what it is (an ifindex is known once a link exists), so it
/// takes several rounds. A failed operation does not keep the others from being tried: a guest that
/// vanishes half-way must not cut off the rest.
pub async fn converge<H: Host>(
    host: &mut H,
    desired: impl Fn(&Observed) -> Result<State>,
) -> Result<Vec<Op>> {
    rounds(host, desired, Failure::Alone).await
}

/// As [`converge`], but gives up sooner: nothing of the former state is removed while something of
/// the new one cannot be made, so that there is a way back.
pub async fn replace<H: Host>(
    host: &mut H,
    desired: impl Fn(&Observed) -> Result<State>,
) -> Result<Vec<Op>> {
    rounds(host, desired, Failure::EndsRound).await
}

async fn rounds<H: Host>(
    host: &mut H,
    desired: impl Fn(&Observed) -> Result<State>,
    failure: Failure,
) -> Result<Vec<Op>> {
    let mut done = Vec::new();
    let mut failures = String::new();
    for _ in 0..ROUNDS {
        host.settle().await?;
        let observed = host.observe().await?;
        let ops = plan(&observed.state, &desired(&observed)?);
        if ops.is_empty() {
            return Ok(done);
        }
        failures.clear();
        let before = done.len();
        for op in ops {
            match host.apply(&op).await {
                Ok(()) => done.push(op),
                Err(error) => {
                    let _ = write!(failures, "\n  {op}: {error:#}");
                    if failure == Failure::EndsRound {
                        break;
                    }
                }
            }
        }
        if done.len() == before {
            break;
        }
    }
    if failures.is_empty() {
        bail!("the host does not come to rest: something else keeps changing it");
    }
    bail!("not everything could be applied:{failures}");
}

#[cfg(test)]
mod tests;
