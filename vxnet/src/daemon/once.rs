//! Bringing a host to what its fabric says, once, and trying out what that would take.

use std::{cell::RefCell, collections::BTreeMap};

use anyhow::Result;

use super::{Assignment, Lock, warnings::Warnings};
use crate::{
    desired::{desired, doubts},
    host::{Kernel, Paths, floor},
    plan::Op,
    reconcile::{Host, Rehearsal, converge},
    state::{Facts, Observed},
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

/// Applies a fabric.
pub async fn apply(assignment: &Assignment, paths: &Paths) -> Result<Outcome> {
    floor::check()?;
    let _lock = Lock::take(paths)?;
    assignment.judge(paths).await?;
    let mut kernel = Kernel::open(paths.clone(), assignment.peers(), false)?;
    let outcome = bring(assignment, &mut kernel).await?;
    Warnings::new(paths).doubts(outcome.doubts.clone())?;
    Ok(outcome)
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
    let Assignment { fabric, host: name } = assignment;
    let names = RefCell::new(BTreeMap::new());
    let last = RefCell::new(Facts::default());
    let ops = converge(host, |observed: &Observed| {
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
