//! `vxnet apply`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;

use super::output;
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
    let done = daemon::apply(&assignment, paths).await?;
    let mut text: String = done.iter().map(|op| format!("{op}\n")).collect();
    text.push_str(&match done.len() {
        0 => format!("host {}: nothing to change\n", assignment.host),
        count => format!("host {}: {count} changes applied\n", assignment.host),
    });
    output::text(&text)
}
