//! `vxnet teardown`.

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::output;
use crate::{
    daemon::Lock,
    host::{Kernel, Paths, maps::Maps},
    reconcile::converge,
    state::State,
};
use vxnet_common::map::{name_str, port::kind};

/// Arguments of `vxnet teardown`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Do it although guests are attached, and cut them off
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(args: &Args, paths: &Paths) -> Result<ExitCode> {
    let lock = Lock::take(paths)?;
    if !args.force {
        let guests = guests(paths);
        if !guests.is_empty() {
            bail!(
                "guests are attached: {}\nhint: shut them down, or cut them off with --force",
                guests.join(", ")
            );
        }
    }
    let mut kernel = Kernel::for_teardown(paths.clone())?;
    let done = converge(&mut kernel, |_| Ok(State::new())).await?;
    drop(kernel);
    drop(lock);
    paths.remove()?;
    output::text(&match done.len() {
        0 => "nothing to remove\n".to_owned(),
        count => format!("{count} things removed\n"),
    })
}

/// Returns the names of the guests' links.
fn guests(paths: &Paths) -> Vec<String> {
    let ports = Maps::open(paths)
        .and_then(|maps| maps.ports())
        .unwrap_or_default();
    ports
        .iter()
        .filter(|(_, port)| port.kind == kind::GUEST)
        .map(|(_, port)| name_str(&port.name).to_owned())
        .collect()
}
