//! vxnet against Open vSwitch: random ports of a VLAN-aware network, random frames, and both must
//! do the same, but for what [`rules`] names.
//!
//! A pair is a configuration of the ports and a frame at one of them; what is compared are the
//! bytes that leave by each port, and what is learned. vxnet's side is the real program on real
//! links; its decision alone, over tables in memory, must agree with it about every pair.
//!
//! The seed is a new one for each run and is shown; `VXNET_SEED` repeats it.

mod counts;
mod decision;
mod layout;
mod open_vswitch;
mod outcome;
mod programs;
mod random;
mod report;
mod rows;
mod rules;
mod sample;

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CpuSet, sched_getcpu, sched_setaffinity};
use nix::unistd::Pid;
use vxnet_tests::scope::Scope;

use crate::decision::Decision;
use crate::layout::Layout;
use crate::open_vswitch::Oracle;
use crate::outcome::{Switch as _, hex};
use crate::programs::Programs;
use crate::random::Random;
use crate::report::{Report, combinations};
use crate::rules::RULES;
use crate::sample::Sample;

const LAYOUTS: u64 = 30;
const FRAMES: u64 = 100;
/// In so many layouts every kind of frame is made for sure.
const COMPLETE: u64 = 3;

/// What the comparison is worth.
const FEWEST_PAIRS: u32 = 2000;
const MOST_RULES: usize = 8;
const LEAST_ALIKE: f64 = 90.0;

#[test]
fn q_01_to_q_15_as_open_vswitch_does() {
    let seed = random::seed().expect("a seed");
    let report = run(seed).unwrap_or_else(|error| panic!("VXNET_SEED={seed}: {error:#}"));
    report.show().expect("somebody listens");
    assert!(
        report.unexplained == 0,
        "VXNET_SEED={seed}: {} differences, among them\n{}",
        report.unexplained,
        report.told.join("\n")
    );
    assert!(report.pairs >= FEWEST_PAIRS);
    assert!(RULES.len() <= MOST_RULES);
    assert_eq!(report.missing(), [], "VXNET_SEED={seed}: never tried");
    assert!(
        report.idle().is_empty(),
        "VXNET_SEED={seed}: no excuse needed: {:?}",
        report.idle()
    );
    assert!(
        report.alike() >= LEAST_ALIKE,
        "VXNET_SEED={seed}: {:.1} %",
        report.alike()
    );
}

fn run(seed: u64) -> Result<Report> {
    let scope = Scope::open("oracle")?;
    let oracle = Oracle::start(&scope)?;
    let netns = programs::links(&scope)?;
    netns.enter(|| {
        stay_on_this_cpu()?;
        let programs = Programs::load(&scope, &netns)?;
        compare(seed, oracle, programs)
    })?
}

/// Keeps the thread where the kernel runs the program for the frames that it sends: so none is half
/// done when the thread looks.
fn stay_on_this_cpu() -> Result<()> {
    let mut here = CpuSet::new();
    here.set(sched_getcpu()?)?;
    Ok(sched_setaffinity(Pid::from_raw(0), &here)?)
}

fn compare(seed: u64, mut oracle: Oracle, mut programs: Programs) -> Result<Report> {
    let mut decision = Decision::default();
    let mut random = Random::new(seed);
    let mut report = Report::new(seed);
    for number in 0..LAYOUTS {
        let layout = Layout::random(&mut random);
        oracle.configure(&layout)?;
        programs.configure(&layout)?;
        decision.configure(&layout)?;
        let mut wanted = combinations().filter(|_| number < COMPLETE);
        for _ in 0..FRAMES {
            let sample = Sample::random(&mut random, &layout, wanted.next());
            let (port, frame) = (sample.port, sample.frame.as_slice());
            let about = || {
                format!(
                    "{:?} at {port}: {} of {layout:?}",
                    sample.tagging,
                    hex(frame)
                )
            };
            let theirs = oracle.receive(port, frame).with_context(about)?;
            let ours = programs.receive(port, frame).with_context(about)?;
            let alone = decision.receive(port, frame).with_context(about)?;
            if ours != alone || ours.reason != alone.reason {
                report.tell("its decision alone", &layout, &sample, &ours, &alone);
            }
            report.add(&layout, &sample, &ours, &theirs);
        }
        ensure!(
            wanted.next().is_none(),
            "{FRAMES} frames are too few for every kind"
        );
    }
    Ok(report)
}
