//! `vxnet apply`.

use std::{fmt::Write as _, process::ExitCode};

use anyhow::Result;

use super::{assigned::Assigned, change::changes, output};
use crate::{daemon, host::Paths};

/// Arguments of `vxnet apply`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    assigned: Assigned,
}

pub(super) async fn run(args: &Args, paths: &Paths) -> Result<ExitCode> {
    let assignment = args.assigned.load()?;
    let outcome = daemon::apply(&assignment, paths).await?;
    let done = changes(&outcome.ops, &outcome.names);
    let mut text = String::new();
    for change in &done {
        writeln!(text, "{change}")?;
    }
    match done.len() {
        0 => writeln!(text, "host {}: nothing to change", assignment.host)?,
        count => writeln!(text, "host {}: {count} changes applied", assignment.host)?,
    }
    for doubt in &outcome.doubts {
        let _ = writeln!(text, "warning: {doubt}");
    }
    output::text(&text)
}
