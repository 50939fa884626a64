//! Bringing a host to what its fabric says, once, and trying out what that would take.

use std::{cell::RefCell, collections::BTreeMap};

use anyhow::{Error, Result};

use super::{
    Assignment, Lock,
    former::{self, Former},
    warnings::Warnings,
};
use crate::{
    desired::{desired, doubts},
    host::{Kernel, Paths, floor},
    plan::Op,
    reconcile::{Host, Rehearsal, converge, replace},
    state::{Facts, Observed, State},
};

/// What has been done, or would have to be.
pub struct Outcome {
    /// The operations of all rounds.
    pub ops: Vec<Op>,
    /// Names of the links that were there in any of them, by ifindex.
    pub names: BTreeMap<u32, String>,
    /// What is probably not as the user means it.
    pub doubts: Vec<String>,
}

/// Applies a fabric, all of it or nothing.
pub async fn apply(assignment: &Assignment, paths: &Paths) -> Result<Outcome> {
    floor::check()?;
    let lock = Lock::take(paths)?;
    assignment.judge(paths).await?;
    let former = Former::read(paths);
    let mut kernel = Kernel::open(paths.clone(), assignment.peers(), false)?;
    match switch(&mut kernel, assignment, &former, paths).await {
        Ok(outcome) => {
            Warnings::new(paths).doubts(outcome.doubts.clone())?;
            Ok(outcome)
        }
        Err(error) if former.is_nothing() => {
            drop((kernel, lock));
            Err(leave(paths, error))
        }
        Err(error) => {
            Warnings::new(paths).refused(Some(format!("{error:#}")))?;
            Err(error)
        }
    }
}

/// Leaves a host on which nothing is after an error, which it returns.
pub(super) fn leave(paths: &Paths, error: Error) -> Error {
    match paths.remove() {
        Ok(()) => error,
        Err(other) => error.context(format!("{other:#}")),
    }
}

/// Brings a host to what a fabric says, or back to what it was.
pub(super) async fn switch(
    kernel: &mut Kernel,
    fresh: &Assignment,
    former: &Former,
    paths: &Paths,
) -> Result<Outcome> {
    kernel.set_peers(fresh.peers());
    match bring(fresh, kernel).await {
        Ok(outcome) => {
            former::note(paths, fresh)?;
            Ok(outcome)
        }
        Err(error) => Err(bring_back(kernel, former, error).await),
    }
}

/// Brings a host back after an error, which it returns with what has become of the host.
async fn bring_back(kernel: &mut Kernel, former: &Former, error: Error) -> Error {
    let back = match former {
        Former::Nothing => converge(kernel, |_| Ok(State::new())).await,
        Former::Fabric(former) => {
            kernel.set_peers(former.peers());
            former.converge(kernel).await
        }
        Former::Unknown => {
            return error.context("the host is half-way: what it was before is not on record");
        }
    };
    match back {
        Ok(_) => error.context("the host is again as it was before"),
        Err(other) => error.context(format!("the host is not as it was before: {other:#}")),
    }
}

/// Returns what [`apply`] would do, and does none of it.
pub async fn plan(assignment: &Assignment, paths: &Paths) -> Result<Outcome> {
    let observed = Kernel::look_only(paths.clone(), assignment.peers()).await?;
    bring(assignment, &mut Rehearsal::of(observed)).await
}

/// Returns what [`apply`] would do on a machine of which nothing is known but what the file says.
pub async fn plan_on_paper(assignment: &Assignment) -> Result<Outcome> {
    let mut host = Rehearsal::on_paper(&assignment.fabric, &assignment.host);
    bring(assignment, &mut host).await
}

async fn bring<H: Host>(assignment: &Assignment, host: &mut H) -> Result<Outcome> {
    let (fabric, name) = (&assignment.fabric, &assignment.host);
    let names = RefCell::new(BTreeMap::new());
    let last = RefCell::new(Facts::default());
    let ops = replace(host, |observed: &Observed| {
        let links = observed.facts.links.values();
        names
            .borrow_mut()
            .extend(links.map(|link| (link.ifindex, link.name.clone())));
        last.replace(observed.facts.clone());
        desired(fabric, name, observed)
    })
    .await?;
    Ok(Outcome {
        ops,
        names: names.into_inner(),
        doubts: doubts(fabric, name, &last.into_inner()),
    })
}
