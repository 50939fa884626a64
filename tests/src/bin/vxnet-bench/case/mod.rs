//! The loads, one a file, and what they have in common: a window of time in which is counted.

pub(crate) mod bulk_tcp;
pub(crate) mod bulk_udp;
pub(crate) mod cost;
mod datagrams;
pub(crate) mod inject;
pub(crate) mod round_trip;
mod steered;
pub(crate) mod udp;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::bed::Bed;
use crate::case::inject::Frames;
use crate::machine::{Usage, Watch};
use crate::station::Kind;

/// How long is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Not counted: caches, congestion windows and rings fill.
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    /// Frames injected at the first host's mute tap.
    Frames(Frames),
    /// Broadcasts, injected in the same way, replicated to the bed's replicas.
    Broadcast,
    /// Datagrams of 18 bytes from socket to socket.
    SmallUdp,
    /// One byte there and back, again and again.
    RoundTrips,
    /// Connect, one byte there and back, close.
    Connections,
    BulkTcp,
    /// The same through veths whose frames one CPU takes in: see [`steered`].
    SteeredTcp,
    BulkUdp,
    /// Single frames; measured is the time in the programs.
    ProgramCost,
    /// Frames as above; measured is the time in the programs.
    ProgramCostLive,
}

/// A figure, and what else was seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figure {
    pub(crate) value: f64,
    pub(crate) usage: Usage,
    /// Further figures by name.
    pub(crate) extras: Vec<(&'static str, f64)>,
}

impl Figure {
    pub(crate) fn extra(&self, name: &str) -> Option<f64> {
        let mut found = self.extras.iter().filter(|(other, _)| *other == name);
        found.next().map(|(_, value)| *value)
    }
}

/// Measures `load` once between stations of that kind.
pub(crate) fn measure(load: Load, ports: Kind, bed: &Bed, pace: Pace) -> Result<Figure> {
    bed.resume()?;
    // Whatever fails, the bed must not go on beside the next one.
    let figure = bed.warm().and_then(|()| match load {
        Load::Frames(frames) => inject::frames(bed, ports, frames, pace),
        Load::Broadcast => inject::broadcasts(bed, pace),
        Load::SmallUdp => udp::small(bed, ports, pace),
        Load::RoundTrips => round_trip::ping_pong(bed, ports, pace),
        Load::Connections => round_trip::connections(bed, ports, pace),
        Load::BulkTcp => bulk_tcp::run(bed, ports, pace),
        Load::SteeredTcp => bulk_tcp::steered(bed, ports, pace),
        Load::BulkUdp => bulk_udp::run(bed, ports, pace),
        Load::ProgramCost => cost::alone(bed, ports, pace),
        Load::ProgramCostLive => cost::live(bed, ports, pace),
    });
    bed.pause()?;
    figure
}

/// What the threads of a load share with the clock.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    stop: AtomicBool,
    counted: AtomicU64,
    sent: AtomicU64,
    inversions: AtomicU64,
}

/// What a meter showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    /// Counted a second.
    pub(crate) rate: f64,
    pub(crate) usage: Usage,
}

impl Meter {
    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn count(&self, more: u64) {
        self.counted.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn count_sent(&self, more: u64) {
        self.sent.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn count_inversions(&self, more: u64) {
        self.inversions.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn inversions(&self) -> u64 {
        self.inversions.load(Ordering::Relaxed)
    }

    /// The share of what was sent that was not counted, over the whole run.
    pub(crate) fn lost(&self) -> f64 {
        let (sent, counted) = (
            self.sent.load(Ordering::Relaxed),
            self.counted.load(Ordering::Relaxed),
        );
        1.0 - counted as f64 / sent.max(1) as f64
    }

    /// Lets the load run for as long as `pace` says, then ends it.
    pub(crate) fn watch(&self, pace: Pace, mut at_start: impl FnMut()) -> Result<Reading> {
        thread::sleep(pace.warm_up);
        at_start();
        let watch = Watch::start();
        let (before, start) = (self.counted.load(Ordering::Relaxed), Instant::now());
        thread::sleep(pace.window);
        let (after, seconds) = (
            self.counted.load(Ordering::Relaxed),
            start.elapsed().as_secs_f64(),
        );
        let usage = watch.and_then(|watch| watch.stop());
        self.stop.store(true, Ordering::Relaxed);
        Ok(Reading {
            rate: (after - before) as f64 / seconds,
            usage: usage?,
        })
    }
}
