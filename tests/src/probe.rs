//! Numbered UDP packets: what was lost, doubled or overtaken, and when.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::UdpGsoSegment;
use nix::unistd::Pid;

use crate::netns::Netns;

const PORT: u16 = 9901;
/// How long the receiver listens on after the last packet was sent.
const TAIL: Duration = Duration::from_millis(500);
const PAYLOAD: usize = 64;
/// Packets of a super-packet of [`Sending::Mixed`], and single ones after it.
const BATCH: u64 = 8;

/// How the packets are handed to the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    Single,
    /// Some in super-packets (UDP GSO), some by themselves, by turns.
    Mixed,
}

/// A running sender and its receiver.
#[derive(Debug)]
pub struct Probe {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    started: Instant,
    sender: JoinHandle<()>,
    receiver: JoinHandle<Result<Seen>>,
}

/// The outcome of a [`Probe`].
#[derive(Debug, Clone, Default)]
pub struct ProbeResult {
    pub sent: u64,
    pub received: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub reordered: u64,
    /// The numbers of the first lost packets, to see when it happened.
    pub first_lost: Vec<u64>,
    /// The longest time between two arrivals.
    pub longest_gap: Duration,
    pub duration: Duration,
}

#[derive(Debug, Default)]
struct Seen {
    copies: Vec<u8>,
    reordered: u64,
    longest_gap: Duration,
}

impl Probe {
    /// Starts to send `rate` packets a second from `from` to `address` in `to`.
    pub fn start(from: &Netns, to: &Netns, address: impl Into<IpAddr>, rate: u32) -> Result<Self> {
        Self::start_with(from, to, address, rate, Sending::Single)
    }

    /// As [`Self::start`], with a choice of how they are sent.
    pub fn start_with(
        from: &Netns,
        to: &Netns,
        address: impl Into<IpAddr>,
        rate: u32,
        sending: Sending,
    ) -> Result<Self> {
        let target = SocketAddr::new(address.into(), PORT);
        let any: SocketAddr = match target {
            SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
            SocketAddr::V6(_) => ([0u16; 8], 0).into(),
        };
        let inbound = to.enter(|| UdpSocket::bind(target))?.context("receiver")?;
        let outbound = from.enter(|| UdpSocket::bind(any))?.context("sender")?;
        inbound.set_read_timeout(Some(Duration::from_millis(100)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let sent = Arc::new(AtomicU64::new(0));
        let sender = std::thread::spawn({
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            move || {
                stay_on_one_cpu();
                send(&outbound, target, rate, sending, &stop, &sent);
            }
        });
        let receiver = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || receive(&inbound, &stop)
        });
        Ok(Self {
            stop,
            sent,
            started: Instant::now(),
            sender,
            receiver,
        })
    }

    /// The number of packets sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Stops sending, waits for the last arrivals and counts.
    pub fn finish(self) -> Result<ProbeResult> {
        let duration = self.started.elapsed();
        self.stop.store(true, Ordering::Relaxed);
        self.sender
            .join()
            .map_err(|_| anyhow!("the sender panicked"))?;
        let seen = self
            .receiver
            .join()
            .map_err(|_| anyhow!("the receiver panicked"))??;
        let sent = self.sent.load(Ordering::Relaxed);
        let copies = |number: u64| {
            usize::try_from(number)
                .ok()
                .and_then(|n| seen.copies.get(n))
                .copied()
                .unwrap_or(0)
        };
        let lost: Vec<u64> = (0..sent).filter(|&number| copies(number) == 0).collect();
        let doubled = seen
            .copies
            .iter()
            .map(|&copies| u64::from(copies.saturating_sub(1)))
            .sum();
        Ok(ProbeResult {
            sent,
            received: sent - lost.len() as u64,
            lost: lost.len() as u64,
            duplicated: doubled,
            reordered: seen.reordered,
            first_lost: lost.into_iter().take(10).collect(),
            longest_gap: seen.longest_gap,
            duration,
        })
    }
}

impl std::fmt::Display for ProbeResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            sent,
            lost,
            duplicated,
            reordered,
            longest_gap,
            duration,
            ..
        } = self;
        write!(
            f,
            "{sent} sent in {:.1} s, {lost} lost, {duplicated} duplicated, {reordered} reordered, \
             longest gap {} ms",
            duration.as_secs_f64(),
            longest_gap.as_millis()
        )?;
        if !self.first_lost.is_empty() {
            write!(f, ", first lost {:?}", self.first_lost)?;
        }
        Ok(())
    }
}

/// Keeps the sender where it is: a veth queues packets by CPU, and those of a thread that moves
/// overtake each other before they reach any switch.
fn stay_on_one_cpu() {
    let mut cpus = CpuSet::new();
    // If this fails, the order may look worse than it is, never better.
    if cpus.set(0).is_ok() {
        sched_setaffinity(Pid::from_raw(0), &cpus).ok();
    }
}

fn send(
    socket: &UdpSocket,
    to: SocketAddr,
    rate: u32,
    sending: Sending,
    stop: &AtomicBool,
    sent: &AtomicU64,
) {
    let started = Instant::now();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        // Pacing by the clock: a late packet is followed at once by those that are due.
        let due = Duration::from_nanos(number * 1_000_000_000 / u64::from(rate));
        if let Some(early) = due.checked_sub(started.elapsed()) {
            sleep(early);
        }
        let is_whole = sending == Sending::Mixed && number % (2 * BATCH) == 0;
        let count = if is_whole { BATCH } else { 1 };
        let payload: Vec<u8> = (number..number + count).flat_map(payload).collect();
        // What the guest itself could not send is counted as sent, and so as lost.
        if sending == Sending::Mixed {
            let segment = if is_whole { PAYLOAD as i32 } else { 0 };
            setsockopt(socket, UdpGsoSegment, &segment).ok();
        }
        socket.send_to(&payload, to).ok();
        number += count;
        sent.store(number, Ordering::Relaxed);
    }
}

/// The packet of that number.
fn payload(number: u64) -> [u8; PAYLOAD] {
    let mut payload = [0; PAYLOAD];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    payload
}

fn receive(socket: &UdpSocket, stop: &AtomicBool) -> Result<Seen> {
    let mut seen = Seen::default();
    let mut buffer = [0; PAYLOAD * 2];
    let mut highest = 0;
    let mut last_arrival: Option<Instant> = None;
    let mut quiet_since: Option<Instant> = None;
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) if length >= 8 => {
                quiet_since = None;
                let number = u64::from_be_bytes(buffer[..8].try_into()?);
                let index = usize::try_from(number)?;
                if index >= seen.copies.len() {
                    seen.copies.resize(index + 1, 0);
                }
                seen.copies[index] = seen.copies[index].saturating_add(1);
                seen.reordered += u64::from(number < highest && seen.copies[index] == 1);
                highest = highest.max(number);
                let now = Instant::now();
                if let Some(last) = last_arrival.replace(now) {
                    seen.longest_gap = seen.longest_gap.max(now - last);
                }
            }
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                if !stop.load(Ordering::Relaxed) {
                    continue;
                }
                if quiet_since.get_or_insert_with(Instant::now).elapsed() >= TAIL {
                    return Ok(seen);
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
}
