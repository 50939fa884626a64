//! Switch-only packet rates: frames enter at a port of the first host as if a guest had sent them,
//! and are thrown away where they leave the second, so that no socket is measured.
//!
//! One CPU does all the work of both hosts. `BPF_PROG_TEST_RUN` with live frames makes the frames;
//! counted is what reached the sink, in the link counters of the kernel.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use nix::net::if_::if_nametoindex;
use vxnet_tests::counters::link_counter;
use vxnet_tests::netns::Netns;

use crate::bed::Bed;
use crate::bpf::Program;
use crate::case::{Figure, Pace};
use crate::frame;
use crate::machine::{self, Usage, Watch};
use crate::program;
use crate::station::{Kind, Station};
use crate::wire::{UPLINK, router_link};

/// How many frames a call injects.
const CHUNK: u32 = 16_384;
/// The same where networks are compared, which take turns.
const CHUNK_OF_NETWORKS: u32 = 2048;
/// The kernel's own default.
const BATCH: u32 = 64;
/// More than the queue of a tap holds: what waits there is not counted.
const FILL: u32 = 2048;
/// Eight replicas of so many broadcasts fit into the queues of a veth.
const SMALL_BATCH: u32 = 16;

/// What is injected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frames {
    pub(crate) bytes: usize,
    /// How many of the bed's fillers are sent to, at random; none is the station itself.
    pub(crate) targets: Option<u32>,
    /// Whether the bed's networks are compared with another number of them.
    pub(crate) by_network: bool,
}

impl Frames {
    /// Frames of that many bytes to a station.
    pub(crate) const fn of(bytes: usize) -> Self {
        Self {
            bytes,
            targets: None,
            by_network: false,
        }
    }
}

/// Counts millions of frames a second that cross both hosts.
pub(crate) fn frames(bed: &Bed, ports: Kind, frames: Frames, pace: Pace) -> Result<Figure> {
    let Frames {
        bytes,
        targets,
        by_network,
    } = frames;
    let mut lanes = Vec::new();
    for pair in &bed.mutes {
        let [from, mute] = &pair[..] else {
            bail!("a network has no pair of mute taps");
        };
        lanes.push((from, mute));
    }
    if ports == Kind::Veth {
        lanes.truncate(1);
        for lane in &mut lanes {
            lane.1 = bed.station(Kind::Veth, 2)?;
        }
    }
    let (from, to) = *lanes.first().context("no stations")?;
    let destination = match targets {
        // The program writes the rest of the address.
        Some(_) => frame::filler(0),
        None => bed.next_mac(to)?,
    };
    // Stations have the same addresses in every network.
    let frame = frame::udp(
        (from.address.mac, destination),
        (from.address.v4, to.address.v4),
        bytes,
    );
    let sinks = lanes.iter().map(|(_, to)| Sink::open(bed, to));
    let sinks: Vec<Sink<'_>> = sinks.collect::<Result<_>>()?;
    let run = Run {
        program: program::refresh(&frame, targets)?,
        frame,
        host: &from.host_netns,
        links: indexes(lanes.iter().map(|(from, _)| *from))?,
        chunk: if by_network { CHUNK_OF_NETWORKS } else { CHUNK },
        batch: BATCH,
    };
    let arrived = || sinks.iter().map(Sink::count).sum::<Result<u64>>();
    let figure = run.measure(bed, &arrived, pace)?;
    for (_, to) in &lanes {
        to.drain();
    }
    ensure!(figure.value > 0.0, "of the injected frames none arrived");
    Ok(figure)
}

/// Counts millions of broadcasts a second that all replicas get; the replicas are thrown away
/// where they reach the router.
pub(crate) fn broadcasts(bed: &Bed, pace: Pace) -> Result<Figure> {
    let from = bed.station(Kind::Mute, 1)?;
    let underlay = bed.underlay.as_ref();
    let router = underlay.and_then(|underlay| underlay.router.as_ref());
    let router = router.context("no router to throw replicas away")?;
    let link = router_link(1);
    let frame = frame::udp(
        (from.address.mac, [0xff; 6]),
        (from.address.v4, [255; 4].into()),
        60,
    );
    let _drop = drop_all(router, &link)?;
    let run = Run {
        program: program::refresh(&frame, None)?,
        frame,
        host: &from.host_netns,
        links: indexes([from])?,
        chunk: CHUNK,
        batch: SMALL_BATCH,
    };
    let arrived = || link_counter(router, &link, "rx", "packets");
    let mut figure = run.measure(bed, &arrived, pace)?;
    let replicas = bed.spec.replicas.max(1) as f64;
    figure.value /= replicas;
    for (_, percent) in &mut figure.extras {
        *percent /= replicas;
    }
    Ok(figure)
}

/// The injection itself.
struct Run<'a> {
    program: Program,
    frame: Vec<u8>,
    host: &'a Netns,
    /// Where frames go in, in turns.
    links: Vec<u32>,
    chunk: u32,
    batch: u32,
}

impl Run<'_> {
    fn measure(
        &self,
        bed: &Bed,
        arrived: &(impl Fn() -> Result<u64> + Sync),
        pace: Pace,
    ) -> Result<Figure> {
        let _parked = park(bed, &self.program)?;
        let inject = || {
            machine::pin(machine::SENDER)?;
            for link in &self.links {
                self.program.inject(*link, &self.frame, FILL, self.batch)?;
            }
            self.repeat(pace.warm_up)?;
            let watch = Watch::start()?;
            let before = arrived()?;
            let (sent, seconds) = self.repeat(pace.window)?;
            let got = arrived()? - before;
            Ok((sent, got, seconds, watch.stop()?))
        };
        // The kernel looks the link up in the namespace of the caller.
        let outcome: Result<(u64, u64, f64, Usage)> = self.host.enter(inject)?;
        let (sent, got, seconds, usage) = outcome?;
        Ok(Figure {
            value: got as f64 / seconds / 1e6,
            usage,
            extras: vec![("arrived_percent", got as f64 / sent.max(1) as f64 * 100.0)],
        })
    }

    /// Injects until the time is over; returns how many frames, and the seconds that it took.
    fn repeat(&self, time: Duration) -> Result<(u64, f64)> {
        let start = Instant::now();
        let mut sent = 0;
        while start.elapsed() < time {
            for link in &self.links {
                self.program
                    .inject(*link, &self.frame, self.chunk, self.batch)?;
                sent += u64::from(self.chunk);
            }
        }
        Ok((sent, start.elapsed().as_secs_f64()))
    }
}

/// Attaches the program to a link where nothing ever comes in: a call with a program that is
/// attached nowhere costs 24 ms more, for the kernel rewrites its XDP dispatcher twice.
fn park(bed: &Bed, program: &Program) -> Result<OwnedFd> {
    let netns = bed.scratch()?;
    netns.enter(|| program.attach_xdp(index_here("park0")?))?
}

/// Where frames end.
struct Sink<'a> {
    station: &'a Station,
    uplink: &'a Netns,
    _drop: Option<OwnedFd>,
}

impl<'a> Sink<'a> {
    /// Behind a veth a TC program drops everything; a mute tap's queue is full.
    fn open(bed: &'a Bed, station: &'a Station) -> Result<Self> {
        let drop = match station.kind {
            Kind::Veth => Some(drop_all(&station.netns, "eth0")?),
            Kind::Tap | Kind::Mute => None,
        };
        let underlay = bed.underlay.as_ref().context("no hosts")?;
        Ok(Self {
            station,
            uplink: underlay.hosts.last().context("no hosts")?,
            _drop: drop,
        })
    }

    fn count(&self) -> Result<u64> {
        if self.station.kind == Kind::Veth {
            return link_counter(&self.station.netns, "eth0", "rx", "packets");
        }
        // A tap does not count every frame of XDP that it drops, but the uplink counts all that
        // XDP redirected to it.
        let (port, netns) = (&self.station.port, &self.station.host_netns);
        let of_tap = link_counter(netns, port, "tx", "packets")?
            + link_counter(netns, port, "tx", "dropped")?;
        Ok(of_tap.max(redirected(self.uplink)?))
    }
}

/// How many frames XDP has redirected on the uplink.
fn redirected(host: &Netns) -> Result<u64> {
    let text = host.line(&format!("ethtool -S {UPLINK}")).run()?;
    let counts = text.lines().filter_map(|line| {
        let (name, value) = line.trim().split_once(": ")?;
        let value: u64 = value.parse().ok()?;
        name.ends_with("_xdp_redirect").then_some(value)
    });
    Ok(counts.sum::<u64>())
}

fn drop_all(netns: &Netns, link: &str) -> Result<OwnedFd> {
    let program = program::sink()?;
    netns.enter(|| program.attach_tcx(index_here(link)?))?
}

fn indexes<'a>(stations: impl IntoIterator<Item = &'a Station>) -> Result<Vec<u32>> {
    let index = |station: &Station| station.host_netns.enter(|| index_here(&station.port))?;
    stations.into_iter().map(index).collect()
}

fn index_here(link: &str) -> Result<u32> {
    if_nametoindex(link).with_context(|| format!("no link {link}"))
}
