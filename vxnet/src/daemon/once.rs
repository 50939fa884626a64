//! Bringing a host to what its fabric says, once, and trying out what that would take.

use std::{cell::RefCell, collections::BTreeMap};

use anyhow::{Error, Result};

use super::{
    Assignment, Lock,
    former::{self, Former, Note},
    warnings::Warnings,
};
use crate::{
    desired::{desired, doubts},
    host::{Kernel, Paths, floor, memory::Draft},
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
    let mut kernel = Kernel::open(paths.clone(), assignment.peers(), false)?;
    let former = Former::read(paths, &mut kernel).await?;
    match switch(&mut kernel, assignment, &former, paths).await {
        Ok(outcome) => {
            Warnings::new(paths).doubts(outcome.doubts.clone())?;
            Ok(outcome)
        }
        Err(refusal) => {
            Warnings::new(paths).refused(Some(format!("{:#}", refusal.error)))?;
            drop((kernel, lock));
            Err(refusal.leave(paths))
        }
    }
}

/// Why a fabric was not applied.
pub(super) struct Refusal {
    /// What happened, and what has become of the host.
    pub(super) error: Error,
    /// Nothing of vxnet's is on the host, as before.
    pub(super) left_nothing: bool,
}

/// An error before anything was tried.
impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            error,
            left_nothing: false,
        }
    }
}

impl Refusal {
    /// Removes the folders that were made for nothing, if they were, and returns the error.
    pub(super) fn leave(self, paths: &Paths) -> Error {
        if !self.left_nothing {
            return self.error;
        }
        match paths.remove() {
            Ok(()) => self.error,
            Err(other) => self.error.context(format!("{other:#}")),
        }
    }
}

/// Brings a host to what a fabric says, or back to what it was.
pub(super) async fn switch(
    kernel: &mut Kernel,
    fresh: &Assignment,
    former: &Former,
    paths: &Paths,
) -> Result<Outcome, Refusal> {
    let file = former::file(paths);
    // First: what is not on record is nothing to come back to later.
    let note = Draft::of(&file, &Note::of(fresh)).map_err(|error| Refusal {
        error,
        left_nothing: matches!(former, Former::Nothing),
    })?;
    kernel.set_peers(fresh.peers());
    let brought = bring(fresh, kernel).await;
    match brought.and_then(|outcome| note.commit().map(|()| outcome)) {
        Ok(outcome) => Ok(outcome),
        Err(error) => Err(bring_back(kernel, fresh, former, error).await),
    }
}

/// Brings a host back after an error.
async fn bring_back(
    kernel: &mut Kernel,
    fresh: &Assignment,
    former: &Former,
    error: Error,
) -> Refusal {
    let back = match former {
        Former::Nothing => converge(kernel, |_| Ok(State::new())).await,
        Former::Fabric(former) => {
            kernel.set_peers(former.peers());
            former.converge(kernel).await
        }
        Former::Unknown => {
            // There is no way back, and half a fabric is worse than all of it but what fails.
            let what = match fresh.converge(kernel).await {
                Ok(_) => "all was done at the second try",
                Err(_) => "what could be done was",
            };
            let error = error.context(format!("what the host was is not on record: {what}"));
            return Refusal {
                error,
                left_nothing: false,
            };
        }
    };
    let left_nothing = back.is_ok() && matches!(former, Former::Nothing);
    let error = match back {
        Ok(_) => error.context("the host is again as it was before"),
        Err(other) => error.context(format!("the host is not as it was before: {other:#}")),
    };
    Refusal {
        error,
        left_nothing,
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
