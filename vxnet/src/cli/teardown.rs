//! `vxnet teardown`.

use std::process::ExitCode;

use anyhow::{Result, bail};

use super::output;
use crate::{
    daemon::Lock,
    host::{Kernel, Paths, floor},
    reconcile::converge,
    state::State,
};

/// Arguments of `vxnet teardown`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Do it although guests are attached, and cut them off
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(args: &Args, paths: &Paths) -> Result<ExitCode> {
    floor::check()?;
    let lock = Lock::take(paths)?;
    let mut kernel = Kernel::for_teardown(paths.clone(), args.force)?;
    if !args.force {
        let guests = kernel.guests().await?;
        if !guests.is_empty() {
            bail!(
                "guests are attached: {}\nhint: shut them down, or cut them off with --force",
                guests.join(", ")
            );
        }
    }
    let done = converge(&mut kernel, |_| Ok(State::new())).await?;
    drop(kernel);
    drop(lock);
    paths.remove()?;
    output::text(&match done.len() {
        0 => "nothing to remove\n".to_owned(),
        count => format!("{count} things removed\n"),
    })
}
