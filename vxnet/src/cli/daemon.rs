//! `vxnet daemon`.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;

use crate::{daemon, host::Paths};

/// Arguments of `vxnet daemon`.
#[derive(clap::Args)]
pub(super) struct Args {
    /// The fabric file; read again on SIGHUP
    #[arg(long, default_value = "/etc/vxnet/fabric.toml", value_name = "FILE")]
    config: PathBuf,
    /// Which host of the fabric this is; by default the one of this machine's name
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Log every dropped packet (slow; for debugging the data path)
    #[arg(long)]
    log_packets: bool,
}

pub(super) async fn run(args: &Args, paths: &Paths) -> Result<ExitCode> {
    let default = if args.log_packets { "debug" } else { "info" };
    env_logger::Builder::from_env(env_logger::Env::new().filter_or("VXNET_LOG", default))
        .format_target(false)
        .init();
    daemon::run(&args.config, args.host.as_deref(), paths, args.log_packets).await?;
    Ok(ExitCode::SUCCESS)
}
