//! The guided tour: builds a lab of three hypervisors, shows what vxnet does in it step by step,
//! and checks every step.

mod compare;
mod overlay;
mod report;
mod restart;
mod speed;
mod start;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::vxnet::find_binary;

use crate::report::Report;

/// Shows vxnet at work in a lab of network namespaces, and checks what it shows
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// The binary to show [default: the one built beside this program]
    #[arg(long, value_name = "PATH")]
    vxnet: Option<PathBuf>,
    /// Leave the lab up until Ctrl-C and print how to enter it
    #[arg(long)]
    keep: bool,
    /// Shorten the long measurements
    #[arg(long)]
    quick: bool,
    /// Use the kernel's bridge and VXLAN device on every hypervisor: checks the lab itself
    #[arg(long)]
    all_kernel: bool,
}

/// The networks' ageing time, in seconds; short enough to be lived through.
const AGEING_S: u32 = 10;

fn main() -> ExitCode {
    let options = Options::parse();
    let mut report = Report::new();
    match tour(&options, &mut report) {
        Ok(()) => report.finish(),
        Err(error) => {
            report.check("the tour reaches its end", Err(error));
            report.finish()
        }
    }
}

fn tour(options: &Options, report: &mut Report) -> Result<()> {
    let kind = if options.all_kernel {
        Kind::Kernel
    } else {
        Kind::Vxnet
    };
    let binary = match kind {
        Kind::Vxnet => Some(options.vxnet.clone().map_or_else(find_binary, Ok)?),
        _ => None,
    };
    let lab = LabBuilder::new("lab")
        .binary(binary.as_deref())
        .hypervisors(&[kind, kind, Kind::Kernel])
        .network(Network::new("blue", 10).ageing(AGEING_S).gateways(&[1, 2]))
        .network(Network::new("red", 20).ageing(AGEING_S));
    let mut lab = guests(lab).prepare().context("cannot make the lab")?;
    let before = start::run(&mut lab, kind, report)?;
    overlay::run(&mut lab, kind, report)?;
    speed::run(&lab, options.quick, report);
    compare::run(&lab, kind, options.quick, report)?;
    wire::run(&lab, kind, report)?;
    restart::run(&mut lab, kind, options.quick, report)?;
    if options.keep {
        keep(lab, report)
    }
    if kind == Kind::Vxnet {
        start::teardown(&mut lab, &before, report)?;
    }
    Ok(())
}

/// Virtual machines (taps) and containers (veths) on every hypervisor, in both networks; the
/// guests of the two networks have the same addresses.
fn guests(lab: LabBuilder) -> LabBuilder {
    lab.guest("blue", 1, Port::Tap)
        .guest("blue", 1, Port::Veth)
        .guest("blue", 2, Port::Tap)
        .guest("blue", 2, Port::Veth)
        .guest("blue", 3, Port::Tap)
        .guest("red", 1, Port::Veth)
        .guest("red", 2, Port::Tap)
        .guest("red", 3, Port::Veth)
}

/// The taps of a kept lab need their cables: stay until the user has seen enough.
fn keep(mut lab: Lab, report: &mut Report) -> ! {
    report.section("The lab stays up");
    report.note(&format!("files: {}", lab.scope.directory().display()));
    let spaces = lab
        .hypervisors
        .iter()
        .map(|hypervisor| hypervisor.netns.clone());
    let guests = lab.guests.iter().map(|guest| guest.netns.clone());
    for netns in spaces.chain([lab.router.clone()]).chain(guests) {
        report.note(&format!("nsenter --net={}", netns.path().display()));
    }
    for hypervisor in &mut lab.hypervisors {
        let name = hypervisor.name.clone();
        if let Ok(vxnet) = hypervisor.vxnet() {
            let variables: Vec<String> = vxnet
                .environment()
                .iter()
                .map(|(name, value)| format!("{name}={}", value.display()))
                .collect();
            report.note(&format!("in {name}: export {}", variables.join(" ")));
        }
    }
    report.note("Ctrl-C (or SIGTERM) removes the lab");
    report.finish();
    loop {
        std::thread::park();
    }
}
