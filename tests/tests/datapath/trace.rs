//! `vxnet trace` says what the programs do: random frames over random tables, traced first and then
//! run, come to the same verdict, for the same reason, with the same receivers.
//!
//! The seed is printed, and `VXNET_SEED` repeats it.

mod sample;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    hash::{BuildHasher as _, RandomState},
};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Pod,
    maps::{HashMap, MapData},
};
use vxnet::trace::{self, ReceiverKind, Snapshot, Trace, Verdict};
use vxnet_common::map::{MAX_VTEPS, holder, segment::FloodKey};
use vxnet_common::reason::Reason;
use vxnet_tests::frame::hexdump;

use crate::case::check;
use crate::counters::{Counter, Counts, growth};
use crate::fabric::{LINKS, UPLINK};
use crate::fuzz::{Random, is_runnable};
use crate::outcome::Receiver;
use crate::rows;
use crate::test_run;
use crate::world::{self, World};

/// Frames a family of the underlay.
const FRAMES: u32 = 1000;
/// After how many of them the tables change.
const ROUND: u32 = 20;

/// What a frame came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct End {
    passed: bool,
    /// How many copies each got.
    receivers: BTreeMap<Receiver, u64>,
    /// Drops, lost copies and notices.
    counted: BTreeMap<Reason, u64>,
}

/// How often each way to end was seen: a comparison of nothing but drops would prove little.
type Seen = BTreeMap<&'static str, u32>;

#[test]
#[expect(clippy::print_stdout, reason = "a run is repeated by its seed")]
fn trace_comes_to_the_verdict_of_the_programs_on_1000_random_frames() {
    let seed = seed().expect("a seed");
    println!("VXNET_SEED={seed}");
    check(|world| {
        // Other frames for each family.
        let mut random = Random((seed ^ u64::from(world.family.number()) << 32) | 1);
        let mut endings = Seen::new();
        let mut failures = Vec::new();
        for number in 0..FRAMES {
            if number % ROUND == 0 {
                sample::tables(world, &mut random)?;
            }
            rows::reset_fdb(world)?;
            let rows = snapshot(world)?;
            let (slot, frame) = frame(world, &rows, &mut random, number % 2 == 1)?;
            if let Some(failure) = compare(world, &rows, slot, &frame, &mut endings)? {
                let family = world.family;
                failures.push(format!(
                    "VXNET_SEED={seed} {family:?} frame {number}: {failure}"
                ));
            }
        }
        println!("{:?}: {endings:?}", world.family);
        for ending in [
            "delivered",
            "flooded",
            "dropped",
            "passed",
            "answered",
            "told",
            "lost",
        ] {
            ensure!(
                endings.contains_key(ending),
                "no frame was {ending}: {endings:?}"
            );
        }
        // Drops end the ways of frames early.
        ensure!(endings["dropped"] < FRAMES / 2, "{endings:?}");
        ensure!(endings["delivered"] >= FRAMES / 10, "{endings:?}");
        Ok(failures)
    });
}

/// How many frames are drawn for one that is not dropped, and does not go to everyone.
const DRAWS: u32 = 30;

/// Returns a frame that the kernel runs the programs on, and where it comes in: as it comes, or one
/// that goes somewhere as far as `trace` can tell.
fn frame(
    world: &World,
    rows: &Snapshot,
    random: &mut Random,
    goes_somewhere: bool,
) -> Result<(u32, Vec<u8>)> {
    let now = world::now()?;
    let mut draws = 0;
    loop {
        let (slot, frame) = sample::frame(world.family, random);
        if !is_runnable(&frame) {
            continue;
        }
        draws += 1;
        let is_dull = || {
            matches!(
                name(&traced(rows, slot, &frame, now)),
                "dropped" | "flooded"
            )
        };
        if !goes_somewhere || draws == DRAWS || !is_dull() {
            return Ok((slot, frame));
        }
    }
}

fn traced(rows: &Snapshot, slot: u32, frame: &[u8], now: u64) -> Trace {
    if slot == UPLINK {
        trace::uplink(rows, slot, frame, now)
    } else {
        trace::port(rows, slot, frame, now)
    }
}

/// Traces a frame and then runs it; tells how they differ.
fn compare(
    world: &mut World,
    rows: &Snapshot,
    slot: u32,
    frame: &[u8],
    seen: &mut Seen,
) -> Result<Option<String>> {
    let trace = traced(rows, slot, frame, world::now()?);
    let program = if slot == UPLINK {
        "vx_uplink"
    } else {
        "vx_port"
    };
    let before = world.counts()?;
    let run = test_run::tc(world.classifier(program)?, world.ifindex(slot), frame)?;
    let got = ended(&growth(&before, &world.counts()?), run.action == -1);
    let expected = expected(&trace, slot);
    *seen.entry(name(&trace)).or_default() += 1;
    if !trace.lost.is_empty() {
        *seen.entry("lost").or_default() += 1;
    }
    Ok((expected != got).then(|| {
        let mut steps = String::new();
        for step in &trace.steps {
            let _ = writeln!(steps, "    {:<10}{}", step.step, step.text);
        }
        let dump = hexdump(frame);
        format!(
            "port {slot}\n  traced {expected:?}\n  run    {got:?}\n{steps}    {:?}\n{dump}",
            trace.verdict
        )
    }))
}

fn name(trace: &Trace) -> &'static str {
    match &trace.verdict {
        Verdict::Delivered { receivers } if receivers.len() > 1 => "flooded",
        Verdict::Delivered { .. } => "delivered",
        Verdict::Dropped { .. } => "dropped",
        Verdict::Passed => "passed",
        Verdict::Answered { .. } => "answered",
        Verdict::TooBig { .. } => "told",
    }
}

/// Returns what the counters must say if a trace is right.
fn expected(trace: &Trace, slot: u32) -> End {
    let mut end = End::default();
    match &trace.verdict {
        Verdict::Delivered { receivers } => {
            for receiver in receivers {
                let receiver = match receiver.kind {
                    ReceiverKind::Vtep => Receiver::Vtep(receiver.slot),
                    ReceiverKind::Port | ReceiverKind::Host => Receiver::Port(receiver.slot),
                };
                *end.receivers.entry(receiver).or_default() += 1;
            }
        }
        // The reason is that of the copies, which are counted below.
        Verdict::Dropped { .. } if !trace.lost.is_empty() => {}
        Verdict::Dropped { reason } => {
            end.counted.insert(*reason, 1);
        }
        Verdict::Passed => end.passed = true,
        // The sender gets something back.
        Verdict::Answered { .. } | Verdict::TooBig { .. } => {
            end.receivers.insert(Receiver::Port(slot), 1);
        }
    }
    let lost = trace.lost.iter().map(|lost| &lost.reason);
    for reason in lost.chain(&trace.notices) {
        *end.counted.entry(*reason).or_default() += 1;
    }
    end
}

/// Returns what the counters say.
fn ended(counts: &Counts, passed: bool) -> End {
    let mut end = End {
        passed,
        ..End::default()
    };
    for (counter, count) in counts {
        match counter {
            Counter::PortTx(slot) => {
                end.receivers.insert(Receiver::Port(*slot), *count);
            }
            Counter::VtepTx(slot) => {
                end.receivers.insert(Receiver::Vtep(*slot), *count);
            }
            Counter::Drop(_, reason) => *end.counted.entry(*reason).or_default() += count,
            _ => {}
        }
    }
    end
}

/// Reads the tables of a world. There are no routes in it.
fn snapshot(world: &World) -> Result<Snapshot> {
    let mut rows = Snapshot {
        local: Some(world.local.get(&0, 0)?),
        vnis: entries(&world.vnis)?,
        vlans: entries(&world.vlans)?,
        flood: entries::<FloodKey, u32>(&world.flood)?,
        allowed: entries(&world.allowed)?.into_keys().collect(),
        neighbours: entries(&world.neighbours)?,
        reserved: entries(&world.reserved)?,
        fdb: entries(&world.fdb)?.into_iter().collect(),
        held: entries(&world.held)?,
        ..Snapshot::default()
    };
    for slot in 1..=LINKS.len() as u32 {
        rows.ports.insert(slot, world.ports.get(&slot, 0)?);
        rows.port_vlans
            .insert(slot, world.port_vlans.get(&slot, 0)?);
        rows.holders.insert(slot, world.holders.get(&slot, 0)?);
    }
    for slot in 1..16 {
        rows.segments.insert(slot, world.segments.get(&slot, 0)?);
        rows.vteps.insert(slot, world.vteps.get(&slot, 0)?);
        let holder = holder::of_vtep(slot % MAX_VTEPS);
        rows.holders.insert(holder, world.holders.get(&holder, 0)?);
    }
    rows.vteps
        .retain(|_, row| row.address != vxnet_common::addr::VtepAddr::NONE);
    Ok(rows)
}

fn entries<K: Pod + Ord, V: Pod>(map: &HashMap<MapData, K, V>) -> Result<BTreeMap<K, V>> {
    Ok(map.iter().collect::<Result<_, _>>()?)
}

/// Returns the seed that the user wants repeated, or a fresh one.
fn seed() -> Result<u64> {
    match std::env::var("VXNET_SEED") {
        Ok(text) => text.parse().context("VXNET_SEED is no number"),
        // The standard library's hasher takes its keys from the kernel.
        Err(_) => Ok(RandomState::new().hash_one(0) >> 32),
    }
}
