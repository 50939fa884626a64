//! `vxnet apply`.

use std::{fmt::Write as _, path::PathBuf, process::ExitCode};

use anyhow::Result;

use super::{change::changes, output};
use crate::{
    daemon::{self, Assignment},
    host::Paths,
};

/// Arguments of `vxnet apply`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The fabric file
    #[arg(long, default_value = "/etc/vxnet/fabric.toml", value_name = "FILE")]
    config: PathBuf,
    /// Which host of the fabric this is; by default the one of this machine's name
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
}

pub(super) async fn run(args: &Args, paths: &Paths) -> Result<ExitCode> {
    let assignment = Assignment::load(&args.config, args.host.as_deref())?;
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
