//! Letting a frame into a world, and gathering what it brought about.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use vxnet_common::addr::VtepAddr;
use vxnet_common::map::{LAYOUT, port::flag};
use vxnet_common::meta::Stripped;

use crate::counters::{Counter, Counts, VTEPS, growth};
use crate::fabric::{Family, PORT_A, PORT_B, PORT_C, PORT_RED, UPLINK};
use crate::green;
use crate::outcome::{Fdb, Outcome, Receiver};
use crate::rows;
use crate::test_run::{self, TcRun};
use crate::world::{World, settle};

/// `TC_ACT_UNSPEC`: what comes next on the link gets the frame.
const TC_ON: i32 = -1;
const TC_DROP: i32 = 2;
const TC_REDIRECT: i32 = 7;
const XDP_PASS: u32 = 2;
const XDP_REDIRECT: u32 = 4;

/// How long a frame may take through a veth.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks; leaves the processor to the kernel's threads, which move the frames.
const PAUSE: Duration = Duration::from_millis(1);

/// The ways that a packet of the underlay can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// XDP leaves everything alone.
    Tc,
    /// So does it here, and the kernel takes VXLAN off TCP for taps.
    Detour,
    /// XDP strips what it can deliver and passes it up.
    Strip,
    /// XDP delivers by itself what does not gain from GRO.
    Redirect,
}

impl Path {
    pub(crate) const ALL: [Self; 4] = [Self::Tc, Self::Detour, Self::Strip, Self::Redirect];
}

/// Which way a packet really took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    LeftAlone,
    Detoured,
    Stripped,
    Redirected,
}

/// Lets a frame in that the station behind a local port sent.
pub(crate) fn from_port(world: &mut World, slot: u32, frame: &[u8]) -> Result<Outcome> {
    let ifindex = world.ifindex(slot);
    from_link(world, ifindex, frame)
}

/// Lets a frame in on any link that the ports' program runs on.
pub(crate) fn from_link(world: &mut World, ifindex: u32, frame: &[u8]) -> Result<Outcome> {
    let before = prepare(world)?;
    let run = test_run::tc(world.classifier("vx_port")?, ifindex, frame)?;
    collect(world, &before, frame, Some(run))
}

/// Lets a frame in for real that the station behind a guest's port sent.
pub(crate) fn from_station(world: &mut World, slot: u32, frame: &[u8]) -> Result<Outcome> {
    let link = world.attach_port(slot)?;
    let got = from_attached(world, slot, frame);
    world.detach_port(link)?;
    got
}

/// As [`from_station`], where the program is attached already.
pub(crate) fn from_attached(world: &mut World, slot: u32, frame: &[u8]) -> Result<Outcome> {
    let before = prepare(world)?;
    world.receivers()[&Receiver::Port(slot)].send(frame)?;
    collect(world, &before, frame, None)
}

/// Lets a packet in that came over the underlay, by one of the paths.
pub(crate) fn from_underlay(world: &mut World, path: Path, frame: &[u8]) -> Result<Outcome> {
    Ok(from_underlay_by(world, path, frame)?.1)
}

/// As [`from_underlay`], and tells which way the packet took.
pub(crate) fn from_underlay_by(
    world: &mut World,
    path: Path,
    frame: &[u8],
) -> Result<(Way, Outcome)> {
    let (uplink, guest) = match path {
        Path::Tc => (0, 0),
        Path::Detour => (0, flag::XDP_TARGET),
        Path::Strip => (flag::STRIP, 0),
        Path::Redirect => (flag::STRIP | flag::WIRE_CSUM, flag::XDP_TARGET),
    };
    rows::set_flags(world, UPLINK, uplink)?;
    for slot in [PORT_A, PORT_B, PORT_C, PORT_RED] {
        rows::set_flags(world, slot, guest)?;
    }
    for slot in green::PORTS {
        rows::set_flags(world, slot, green::flags(slot) | guest)?;
    }
    rows::set_detour(world, path == Path::Detour)?;
    let ifindex = world.ifindex(UPLINK);
    let before = prepare(world)?;
    let run = test_run::xdp(world.xdp()?, ifindex, frame)?;
    match run.action {
        XDP_PASS if run.meta.is_empty() => {
            ensure!(run.frame == frame, "XDP changed what it left alone");
            let run = test_run::tc(world.classifier("vx_uplink")?, ifindex, frame)?;
            let counts = growth(&before.counts, &world.counts()?);
            let is_on_detour = transmissions(&counts).next().is_none();
            let may_have_tag = counts.keys().any(
                |counter| matches!(counter, Counter::PortTx(slot) if green::PORTS.contains(slot)),
            );
            if run.action == TC_REDIRECT && (is_on_detour || may_have_tag) {
                // On the detour, where TEST_RUN cannot follow, or with a tag that it does not
                // show: once more, for real.
                discard(world)?;
                let before = prepare(world)?;
                world.underlay().send(frame)?;
                let way = if is_on_detour {
                    Way::Detoured
                } else {
                    Way::LeftAlone
                };
                return Ok((way, collect(world, &before, frame, None)?));
            }
            Ok((Way::LeftAlone, collect(world, &before, frame, Some(run))?))
        }
        XDP_PASS => {
            check_note(world, frame, &run.meta)?;
            // TEST_RUN cannot hand the note to TC. The frame goes the whole way for real instead.
            let before = prepare(world)?;
            world.underlay().send(frame)?;
            Ok((Way::Stripped, collect(world, &before, frame, None)?))
        }
        XDP_REDIRECT => {
            let run = TcRun {
                action: TC_REDIRECT,
                frame: run.frame,
            };
            Ok((Way::Redirected, collect(world, &before, frame, Some(run))?))
        }
        other => bail!("XDP action {other}"),
    }
}

/// Forgets the copies that a test run has sent.
fn discard(world: &World) -> Result<()> {
    settle();
    for socket in world.receivers().values() {
        socket.discard_backlog()?;
    }
    world.underlay().discard_backlog()
}

/// Checks what XDP tells TC about a stripped frame.
fn check_note(world: &World, frame: &[u8], note: &[u8]) -> Result<()> {
    let words: Vec<u32> = note
        .chunks_exact(4)
        .map(|word| u32::from_ne_bytes(word.try_into().expect("four bytes")))
        .collect();
    let [magic, layout, segment, vtep] = words[..] else {
        bail!("XDP left {} bytes of metadata", note.len());
    };
    ensure!((magic, layout) == (Stripped::MAGIC, LAYOUT), "{words:x?}");
    let udp = match world.family {
        Family::V4 => 14 + usize::from(frame[14] & 0x0f) * 4,
        Family::V6 => 14 + 40,
    };
    let [_, a, b, c] = <[u8; 4]>::try_from(&frame[udp + 11..udp + 15])?;
    let vni = u32::from_be_bytes([0, a, b, c]);
    ensure!(
        world.vnis.get(&vni, 0)? == segment,
        "the note names segment {segment}"
    );
    let row = world.vteps.get(&vtep, 0)?;
    let source = match world.family {
        Family::V4 => VtepAddr::v4(frame[26..30].try_into()?),
        Family::V6 => VtepAddr::v6(frame[22..38].try_into()?),
    };
    ensure!(row.address == source, "the note names VTEP {vtep}");
    Ok(())
}

/// What there was before a frame.
struct Before {
    counts: Counts,
    fdb: Fdb,
}

fn prepare(world: &mut World) -> Result<Before> {
    rows::reset_fdb(world)?;
    Ok(Before {
        counts: world.counts()?,
        fdb: world.fdb()?,
    })
}

/// Gathers the copies that were really sent, and tells from the counters who the verdict's own
/// frame is for.
fn collect(world: &World, before: &Before, sent: &[u8], run: Option<TcRun>) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    if run.is_none() {
        await_delivery(world, before)?;
    }
    let counts = growth(&before.counts, &world.counts()?);
    let copies: u64 = transmissions(&counts).map(|(_, count)| count).sum();
    let own = run.as_ref().is_some_and(|run| run.action == TC_REDIRECT);
    gather(world, &mut outcome, copies - u64::from(own && copies > 0))?;
    match run {
        Some(TcRun {
            action: TC_ON,
            frame,
        }) => {
            ensure!(frame == sent, "the host gets another frame than came");
            outcome.passed = true;
        }
        Some(TcRun {
            action: TC_REDIRECT,
            frame,
        }) => {
            let waiting: Vec<Receiver> = transmissions(&counts)
                .filter(|(receiver, count)| {
                    let sent = outcome.delivered.get(receiver).map_or(0, Vec::len);
                    *count > sent as u64
                })
                .map(|(receiver, _)| receiver)
                .collect();
            let [receiver] = waiting[..] else {
                bail!("redirected, but on whose account? {waiting:?} of {counts:?}");
            };
            outcome.deliver(world.family, receiver, frame);
        }
        Some(TcRun {
            action: TC_DROP, ..
        })
        | None => {}
        Some(TcRun { action, .. }) => bail!("TC action {action}"),
    }
    outcome.counts = counts;
    outcome.learned = world.learned(&before.fdb)?;
    Ok(outcome)
}

/// Who was sent how many frames, by the counters.
fn transmissions(counts: &Counts) -> impl Iterator<Item = (Receiver, u64)> {
    counts.iter().filter_map(|(counter, count)| match counter {
        Counter::PortTx(slot) => Some((Receiver::Port(*slot), *count)),
        Counter::VtepTx(slot) => Some((Receiver::Vtep(*slot), *count)),
        _ => None,
    })
}

/// Waits until a packet that took the real way has been counted somewhere.
fn await_delivery(world: &World, before: &Before) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let counts = growth(&before.counts, &world.counts()?);
        let ended = |counter: &Counter| {
            matches!(
                counter,
                Counter::PortTx(_) | Counter::VtepTx(_) | Counter::Drop(..)
            )
        };
        if counts.keys().any(ended) {
            // A flood counts one by one.
            settle();
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "no program has seen the packet: {counts:?}"
        );
        thread::sleep(PAUSE);
    }
}

/// Reads `expected` frames from all links, and then what else is there.
fn gather(world: &World, outcome: &mut Outcome, expected: u64) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut found = 0;
    loop {
        for (receiver, socket) in world.receivers() {
            for frame in socket.collect(Duration::ZERO, |_| true)? {
                found += 1;
                outcome.deliver(world.family, *receiver, frame);
            }
        }
        for frame in world.underlay().collect(Duration::ZERO, |_| true)? {
            found += 1;
            outcome.deliver(world.family, addressee(world, &frame), frame);
        }
        if found >= expected || Instant::now() > deadline {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
}

/// The peer that a packet on the underlay is addressed to; slot 0 is nobody.
fn addressee(world: &World, frame: &[u8]) -> Receiver {
    let destination = match world.family {
        Family::V4 => frame
            .get(30..34)
            .and_then(|bytes| bytes.try_into().ok())
            .map(VtepAddr::v4),
        Family::V6 => frame
            .get(38..54)
            .and_then(|bytes| bytes.try_into().ok())
            .map(VtepAddr::v6),
    };
    // A group has a row in `VTEPS`, but is nobody that packets come from.
    let slot = destination.and_then(|address| {
        let is_its = |slot: &u32| {
            let row = world.vteps.get(slot, 0);
            row.is_ok_and(|row| row.address == address)
        };
        (1..VTEPS).find(is_its)
    });
    Receiver::Vtep(slot.unwrap_or(0))
}
