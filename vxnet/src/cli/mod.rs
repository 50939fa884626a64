//! The command line: nouns and verbs, as iproute2 has them.

mod apply;
mod assigned;
mod change;
mod check;
mod daemon;
mod decode;
mod drop;
mod fdb;
mod neighbour;
mod network;
mod output;
mod plan;
mod port;
mod schema;
mod status;
mod teardown;
mod trace;
mod verify;
mod vtep;
mod words;

use std::{collections::BTreeSet, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, Result};
use clap::{Args, Parser, Subcommand};

use crate::host::{Paths, netlink::Netlink};

/// One virtual network across many Linux hypervisors
#[derive(Parser)]
#[command(name = "vxnet", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    folders: Folders,
    #[command(subcommand)]
    command: Command,
}

#[derive(Args)]
struct Folders {
    /// Folder in a bpffs that holds the pinned maps and links
    #[arg(
        long,
        global = true,
        env = "VXNET_PIN_DIR",
        default_value = "/sys/fs/bpf/vxnet",
        value_name = "DIR"
    )]
    pin_dir: PathBuf,
    /// Folder of the lock and of what teardown restores
    #[arg(
        long,
        global = true,
        env = "VXNET_RUN_DIR",
        default_value = "/run/vxnet",
        value_name = "DIR"
    )]
    run_dir: PathBuf,
}

#[derive(Subcommand)]
enum Command {
    /// Check a fabric file, for all its hosts; needs no privilege
    Check(check::Args),
    /// Print the JSON Schema of the fabric file, for editors
    Schema(schema::Args),
    /// Show what `apply` would change on this host, and change nothing
    Plan(plan::Args),
    /// Set this host up once and return; forwarding goes on without a daemon
    Apply(apply::Args),
    /// Keep this host as the fabric file says, until stopped
    Daemon(daemon::Args),
    /// Remove everything that vxnet made on this host
    Teardown(teardown::Args),
    /// Show this host, its uplinks and networks
    Status(status::Args),
    /// Show networks
    #[command(subcommand)]
    Network(network::Command),
    /// Show ports
    #[command(subcommand)]
    Port(port::Command),
    /// Show and change the forwarding table
    #[command(subcommand)]
    Fdb(fdb::Command),
    /// Show who has which IP address, as far as that is answered in place
    #[command(subcommand)]
    Neighbour(neighbour::Command),
    /// Show the other hosts
    #[command(subcommand)]
    Vtep(vtep::Command),
    /// Show what was dropped, and why
    #[command(subcommand)]
    Drop(drop::Command),
    /// Show which way a frame would take, without sending it
    Trace(trace::Args),
    /// Check that every frame is accounted for
    Verify(verify::Args),
    /// Print a completion script for a shell
    Completion { shell: clap_complete::Shell },
}

/// Runs the command line.
pub fn run(cli: Cli) -> Result<ExitCode> {
    let paths = Paths {
        pins: cli.folders.pin_dir,
        run: cli.folders.run_dir,
    };
    match cli.command {
        Command::Check(args) => check::run(&args),
        Command::Schema(args) => schema::run(&args),
        Command::Plan(args) => block_on(plan::run(&args, &paths)),
        Command::Apply(args) => block_on(apply::run(&args, &paths)),
        Command::Daemon(args) => block_on(daemon::run(&args, &paths)),
        Command::Teardown(args) => block_on(teardown::run(&args, &paths)),
        Command::Status(args) => status::run(&args, &paths),
        Command::Network(command) => network::run(&command, &paths),
        Command::Port(command) => port::run(&command, &paths),
        Command::Fdb(command) => fdb::run(&command, &paths),
        Command::Vtep(command) => vtep::run(&command, &paths),
        Command::Drop(command) => drop::run(&command, &paths),
        Command::Neighbour(command) => neighbour::run(&command, &paths),
        Command::Trace(args) => trace::run(&args, &paths),
        Command::Verify(args) => verify::run(&args, &paths),
        Command::Completion { shell } => {
            let mut command = <Cli as clap::CommandFactory>::command();
            clap_complete::generate(shell, &mut command, "vxnet", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Returns the links that let frames through, by ifindex: what goes to others, the kernel drops
/// after the switch has counted it.
fn running_links() -> Result<BTreeSet<u32>> {
    block_on(async { Netlink::connect()?.running().await })
}

/// Runs a future on this thread: netlink sockets belong to its network namespace.
fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the event loop")?;
    runtime.block_on(future)
}
