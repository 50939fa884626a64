//! The honest benchmark: vxnet and its peers, in turns, on the same wires, in namespaces.
//!
//! Figures of one peer drift with the machine; what lasts is the ratio of two figures of the same
//! round. `cargo xtask bench` builds everything and starts this program.
#![expect(
    clippy::cast_precision_loss,
    reason = "counters become figures to read"
)]

mod bed;
mod beds;
mod bpf;
mod case;
mod contest;
mod floor;
mod frame;
mod goal;
mod machine;
mod order;
mod peer;
mod plan;
mod program;
mod report;
mod row;
mod shell;
mod station;
mod stats;
mod summary;
mod wire;

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use vxnet_tests::vxnet::find_binary;

use crate::beds::Beds;
use crate::case::Pace;
use crate::contest::{Contest, Schedule};
use crate::machine::Quiet;
use crate::peer::Peer;
use crate::plan::Wanted;
use crate::report::Report;
use crate::summary::Summary;

/// How long a run may wait for others to be done, all in all.
const WAITING: Duration = Duration::from_mins(6);
/// After this, disturbed rounds are no longer repeated.
const PATIENCE: Duration = Duration::from_mins(45);

/// Measures vxnet against other switches, and says which goals it meets
#[derive(Debug, Parser)]
struct Options {
    /// The binary to measure [default: the one built beside this program]
    #[arg(long, value_name = "PATH")]
    vxnet: Option<PathBuf>,
    /// Write all figures to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure only this case
    #[arg(long, value_name = "CASE")]
    only: Option<String>,
    /// Compare with this peer only: direct, bridge, brvx, ovs, ovs-system or ovs-afxdp
    #[arg(long, value_name = "PEER")]
    peer: Option<String>,
    /// Only show that everything works: one short round, not a measurement
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,
    /// How many rounds
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Report::progress(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let cpus = machine::ensure_two_cpus()?;
    let wanted = wanted(options)?;
    let contests = plan::contests(&wanted);
    ensure!(
        !contests.is_empty(),
        "no such case with that peer\nhint: the cases are {}",
        cases().join(", ")
    );
    if let Some(path) = &options.json {
        // Now rather than after everything has been measured, and without losing what is in it.
        let mut file = OpenOptions::new();
        let opened = file.create(true).append(true).open(path);
        opened.with_context(|| path.display().to_string())?;
    }
    let schedule = schedule(options);
    let binary = options.vxnet.clone().map_or_else(find_binary, Ok)?;
    let mut beds = Beds::new(binary);
    let mut summary = Summary::new(cpus);
    let start = Instant::now();
    let mut quiet = Quiet::with_budget(if options.quick {
        Duration::ZERO
    } else {
        WAITING
    });
    summary.set_floors(floor::check(&mut beds, &wanted, schedule.pace)?);
    for (index, contest) in contests.iter().enumerate() {
        Report::progress(&format!(
            "[{:>4} s] {}/{}: {}",
            start.elapsed().as_secs(),
            index + 1,
            contests.len(),
            contest.title()
        ));
        beds.keep(|spec| {
            let mut left = contests[index..].iter().flat_map(Contest::entries);
            left.any(|entry| entry.spec == spec)
        });
        let may_repeat = !schedule.is_quick && start.elapsed() < PATIENCE;
        let all = contest::run(contest, &mut beds, schedule, &mut quiet, may_repeat)
            .with_context(|| contest.title())?;
        summary.add(contest, &all);
    }
    show_peers(&beds);
    summary.print(schedule, &beds);
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&summary.json(schedule, &beds))?;
        std::fs::write(path, text + "\n").with_context(|| path.display().to_string())?;
    }
    ensure!(
        summary.failed.is_empty(),
        "vxnet could not be measured:\n{}",
        summary.failed.join("\n")
    );
    Ok(())
}

fn wanted(options: &Options) -> Result<Wanted> {
    let wanted = Wanted {
        case: options.only.clone(),
        peer: options.peer.clone(),
        is_quick: options.quick,
    };
    ensure!(
        Peer::OTHERS.into_iter().any(|peer| wanted.wants_peer(peer)),
        "no such peer\nhint: the peers are {}, ovs",
        Peer::OTHERS.map(Peer::label).join(", ")
    );
    Ok(wanted)
}

fn schedule(options: &Options) -> Schedule {
    let (warm_up, window) = if options.quick {
        (50, 200)
    } else {
        (400, 1500)
    };
    Schedule {
        pace: Pace {
            warm_up: Duration::from_millis(warm_up),
            window: Duration::from_millis(window),
        },
        rounds: if options.quick {
            1
        } else {
            options.rounds.into()
        },
        is_quick: options.quick,
    }
}

fn cases() -> Vec<&'static str> {
    let mut cases = Vec::new();
    for contest in plan::contests(&Wanted::default()) {
        if !cases.contains(&contest.case) {
            cases.push(contest.case);
        }
    }
    cases
}

/// Prints how each peer was set up.
fn show_peers(beds: &Beds) {
    let peers = Peer::OTHERS
        .into_iter()
        .chain([Peer::Vxnet(peer::Receive::Tc)]);
    for built in peers.filter_map(|peer| beds.first_of(peer)) {
        let peer = built.spec.peer;
        let (label, wire) = (peer.label(), built.spec.wire.label());
        Report::heading(&format!("{label}: {} ({wire} wire)", peer.description()));
        for line in &built.commands {
            Report::line(line);
        }
        Report::line("hv1# ip -d link show");
        Report::line(built.links.trim_end());
    }
}
