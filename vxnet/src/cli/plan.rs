//! `vxnet plan`.

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use anyhow::Result;
use serde::Serialize;

use super::{
    change::{Change, changes},
    output::{self, Format},
};
use crate::{
    daemon::{self, Assignment},
    host::Paths,
};

/// Arguments of `vxnet plan`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The fabric file
    #[arg(long, default_value = "/etc/vxnet/fabric.toml", value_name = "FILE")]
    config: PathBuf,
    /// Which host of the fabric this is; by default the one of this machine's name
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
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
    let assignment = Assignment::load(&args.config, args.host.as_deref())?;
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
