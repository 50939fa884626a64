//! `vxnet daemon`.

use std::process::ExitCode;

use anyhow::Result;

use super::assigned::Assigned;
use crate::{daemon, host::Paths};

/// Arguments of `vxnet daemon`; the file is read again on SIGHUP.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    assigned: Assigned,
    /// Log every dropped packet (slow; for debugging the data path); VXNET_LOG sets what else is
    /// logged: error, warn, info or debug
    #[arg(long)]
    log_packets: bool,
}

pub(super) async fn run(args: &Args, paths: &Paths) -> Result<ExitCode> {
    let default = if args.log_packets { "debug" } else { "info" };
    let level = std::env::var("VXNET_LOG").unwrap_or_else(|_| default.to_owned());
    env_logger::Builder::new()
        .parse_filters(&level)
        // The loader tells about every relocation.
        .filter_module("aya", log::LevelFilter::Warn)
        .filter_module("aya_obj", log::LevelFilter::Warn)
        .format_target(false)
        .init();
    let Assigned { config, host } = &args.assigned;
    daemon::run(config, host.as_deref(), paths, args.log_packets).await?;
    Ok(ExitCode::SUCCESS)
}
