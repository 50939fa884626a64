//! Listens to the data path and looks for loops, on a thread of its own: a loop must be cut within
//! a second, also while the daemon is busy with a thousand ports.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tokio::time::{MissedTickBehavior, interval, sleep};
use vxnet_common::{
    addr::Mac,
    event::{Event, kind},
    map::fdb::{FdbKey, origin, place},
};

use super::{
    complaints::Complaints,
    flaps::Flaps,
    loops::{self, Loops, Shut, Step},
    places::Places,
    probes::{Probes, Socket, TICK},
};
use crate::host::{
    Paths,
    events::Ring,
    holders::Holders,
    maps::{Maps, clock},
};

/// How often the maps are read again without anybody saying so.
const PATROL: Duration = Duration::from_secs(5);

/// How long to wait where the maps cannot be opened.
const RETRY: Duration = Duration::from_secs(1);

/// For how long frames of a loop that was cut may be on their way, in nanoseconds.
const IN_FLIGHT: u64 = 300_000_000;

/// The running thread; it ends with this.
pub(super) struct Watch {
    signs: Arc<Signs>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread is told.
#[derive(Default)]
struct Signs {
    look_again: AtomicBool,
    end: AtomicBool,
}

impl Watch {
    /// Starts the thread, in the network namespace of the calling one.
    pub(super) fn start(paths: &Paths) -> Result<Self> {
        // Of a daemon that was killed.
        loops::forget(paths)?;
        let signs = Arc::new(Signs::default());
        let (paths, told) = (paths.clone(), Arc::clone(&signs));
        let body = move || {
            if let Err(error) = run(&paths, &told) {
                log::error!("nobody looks for loops and moving addresses: {error:#}");
            }
        };
        let thread = thread::Builder::new()
            .name("vxnet-watch".into())
            .spawn(body)
            .context("cannot start a thread")?;
        Ok(Self {
            signs,
            thread: Some(thread),
        })
    }

    /// Says that ports or segments have changed.
    pub(super) fn look_again(&self) {
        self.signs.look_again.store(true, Ordering::Relaxed);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.signs.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(paths: &Paths, signs: &Signs) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(watch(paths, signs));
    if let Err(error) = loops::forget(paths) {
        log::warn!("{error:#}");
    }
    Ok(())
}

/// Watches until told to end. Whatever fails is told and tried again: a file system that is full
/// for a while must not leave the host without anybody who looks for loops.
async fn watch(paths: &Paths, signs: &Signs) {
    let mut complaints = Complaints::default();
    while !signs.end.load(Ordering::Relaxed) {
        let opened = Ring::open(paths).and_then(|ring| Ok((ring, Guard::open(paths)?)));
        match complaints.take("look for loops and moving addresses", opened) {
            Some((ring, guard)) => return guard.keep_watch(ring, signs).await,
            None => sleep(RETRY).await,
        }
    }
}

/// What the thread works with.
struct Guard<'a> {
    paths: &'a Paths,
    places: Places,
    loops: Loops,
    /// The note of the loops is not what it should be.
    is_note_old: bool,
    probes: Probes,
    flaps: Flaps,
    socket: Socket,
    holders: Holders,
    /// Networks whose addresses are to be forgotten once more, with the time, and the ends of the
    /// loop.
    doubtful: BTreeMap<String, (u64, BTreeSet<u32>)>,
    complaints: Complaints,
}

impl<'a> Guard<'a> {
    fn open(paths: &'a Paths) -> Result<Self> {
        Ok(Self {
            paths,
            places: Places::read(paths)?,
            loops: Loops::default(),
            is_note_old: false,
            probes: Probes::default(),
            flaps: Flaps::default(),
            socket: Socket::open()?,
            holders: Holders::open(paths)?,
            doubtful: BTreeMap::new(),
            complaints: Complaints::default(),
        })
    }

    async fn keep_watch(mut self, mut ring: Ring, signs: &Signs) {
        let mut looked = Instant::now();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !signs.end.load(Ordering::Relaxed) {
            tokio::select! {
                events = ring.read() => {
                    match self.complaints.take("read the events of the data path", events) {
                        Some(events) => events.iter().for_each(|event| self.take(event)),
                        // No faster than time passes otherwise.
                        None => sleep(TICK).await,
                    }
                }
                _ = tick.tick() => {
                    if signs.look_again.swap(false, Ordering::Relaxed) || looked.elapsed() > PATROL {
                        self.look();
                        looked = Instant::now();
                    }
                    self.pass();
                }
            }
        }
    }

    /// Reads the maps again.
    fn look(&mut self) {
        match Places::read(self.paths) {
            Ok(places) => self.places = places,
            // The daemon makes them again.
            Err(error) => log::debug!("the watch keeps its former view: {error:#}"),
        }
        let ports = &self.places.ports;
        let is_port = |slot, name: &str| {
            let place = ports.get(&slot);
            place.is_some_and(|place| place.name == name)
        };
        if self.loops.keep(is_port) || self.is_note_old {
            self.note();
        }
    }

    /// Takes in an event.
    fn take(&mut self, event: &Event) {
        let Some(now) = self.complaints.take("read the clock", clock()) else {
            return;
        };
        match event.kind {
            kind::FLAPPING => self.tell_of_flapping(event, now),
            kind::PROBE => {
                if let Some(probe) = self.probes.returned(&self.places, event)
                    && let Some(step) = self.loops.returned(now, probe)
                {
                    self.carry_out(now, &step);
                }
            }
            other => log::debug!("an event of unknown kind {other}"),
        }
    }

    /// Lets time pass: opens ports, and sends the probes that are due.
    fn pass(&mut self) {
        let Some(now) = self.complaints.take("read the clock", clock()) else {
            return;
        };
        for step in self.loops.pass(now) {
            self.carry_out(now, &step);
        }
        let due = self.doubtful.extract_if(.., |_, (due, _)| *due <= now);
        for (network, (_, ends)) in due.collect::<Vec<_>>() {
            self.forget(&network, &ends);
        }
        for frame in self.probes.due(&self.places, &self.loops) {
            self.socket.send(&frame);
        }
    }

    fn carry_out(&mut self, now: u64, step: &Step) {
        match step {
            Step::Shut {
                slot,
                until,
                is_new,
            } => {
                let written = self.holders.shut(*slot, *until);
                let is_shut = self.complaints.take("shut a port of a loop", written);
                if is_shut.is_none() {
                    // That which was shut before stays so until its time is over.
                    if *is_new {
                        self.loops.not_shut(*slot);
                    }
                } else if *is_new && let Some(shut) = self.loops.shut().get(slot).cloned() {
                    self.note();
                    tell_of_loop(&shut);
                    let network = shut.network;
                    let is_here = shut.other.host == self.places.host;
                    let other = self.places.slot_of(&shut.other.port);
                    let ends = [Some(*slot), other.filter(|_| is_here)];
                    self.forget_twice(now, network, ends.into_iter().flatten().collect());
                }
            }
            Step::Cut { network, slot } => {
                self.forget_twice(now, network.clone(), BTreeSet::from([*slot]));
            }
            // The data path opens it by itself.
            Step::Opened(shut) => {
                self.note();
                log::info!(
                    "port {} of network {} is open again: no probe has come back lately",
                    shut.port,
                    shut.network
                );
            }
        }
    }

    /// Writes the loops of now down.
    fn note(&mut self) {
        let noted = loops::note(self.paths, &self.loops);
        self.is_note_old = self.complaints.take("note the loops", noted).is_none();
    }

    /// Forgets the addresses of a network that a loop may have put in the wrong place: those that
    /// have moved, as the table may have ceased to follow, and those behind its ends, which the
    /// overlay cannot take back from a local port. Once now, and once more when no frame can be on
    /// its way any longer.
    fn forget_twice(&mut self, now: u64, network: String, ends: BTreeSet<u32>) {
        self.forget(&network, &ends);
        self.doubtful.insert(network, (now + IN_FLIGHT, ends));
    }

    fn forget(&mut self, network: &str, ends: &BTreeSet<u32>) {
        let of_network = |segment| {
            let found = self.places.segments.get(&segment);
            found.is_some_and(|segment| segment.network == network)
        };
        let removed = Maps::open(self.paths).and_then(|mut maps| {
            maps.remove_fdb(|key, row| {
                let is_behind = row.place == place::PORT && ends.contains(&row.slot);
                let is_doubtful = row.moves != 0 || is_behind;
                row.origin == origin::LEARNED && is_doubtful && of_network(key.segment)
            })
        });
        let what = "forget the addresses of a loop";
        if let Some(count) = self.complaints.take(what, removed) {
            log::debug!("{count} addresses of network {network} are forgotten after a loop");
        }
    }

    fn tell_of_flapping(&mut self, event: &Event, now: u64) {
        let mac = Mac(event.mac);
        if !self.flaps.is_news(FdbKey::new(event.segment, mac), now) {
            return;
        }
        let network = match self.places.segments.get(&event.segment) {
            Some(segment) if segment.vid != 0 => {
                format!("{} (VLAN {})", segment.network, segment.vid)
            }
            Some(segment) => segment.network.clone(),
            None => "?".into(),
        };
        log::warn!(
            "{mac} of network {network} keeps moving between {} and {}: it is no longer followed",
            self.places.holder(event.other),
            self.places.holder(event.holder)
        );
    }
}

fn tell_of_loop(shut: &Shut) {
    let Shut {
        network,
        port,
        other,
        ..
    } = shut;
    if shut.is_own {
        log::warn!("port {port} of network {network} is shut: what it sends comes back to it");
    } else {
        log::warn!(
            "port {port} of network {network} is shut: a loop leads back to port {} of host {}",
            other.port,
            other.host
        );
    }
}
