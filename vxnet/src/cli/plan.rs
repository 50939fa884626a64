//! `vxnet plan`.

use std::{fmt::Write as _, process::ExitCode};

use anyhow::Result;
use serde::Serialize;

use super::{
    assigned::Assigned,
    change::{Change, changes},
    output::{self, Format},
};
use crate::{daemon, host::Paths};

/// Arguments of `vxnet plan`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    assigned: Assigned,
    /// Do not look at this machine: show what a host would get that has nothing but its links to the
    /// underlay; needs no privilege
    #[arg(long)]
    offline: bool,
    #[command(flatten)]
    format: Format,
}

#[derive(Serialize)]
struct Plan<'a> {
    host: &'a str,
    changes: &'a [Change],
    warnings: &'a [String],
}

pub(super) async fn run(args: &Args, paths: &Paths) -> Result<ExitCode> {
    let assignment = args.assigned.load()?;
    let outcome = if args.offline {
        daemon::plan_on_paper(&assignment).await?
    } else {
        daemon::plan(&assignment, paths).await?
    };
    let changes = changes(&outcome.ops, &outcome.names);
    if args.format.json {
        return output::json(&Plan {
            host: &assignment.host,
            changes: &changes,
            warnings: &outcome.doubts,
        });
    }
    let mut text = String::new();
    for change in &changes {
        writeln!(text, "{change}")?;
    }
    match changes.len() {
        0 => writeln!(text, "host {}: nothing to change", assignment.host)?,
        count => writeln!(text, "host {}: {count} changes to make", assignment.host)?,
    }
    for doubt in &outcome.doubts {
        writeln!(text, "warning: {doubt}")?;
    }
    output::text(&text)
}
