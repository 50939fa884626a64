//! Small UDP: numbered datagrams of 18 bytes, frames of 60, as fast as one socket sends them.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use nix::sys::socket::{setsockopt, sockopt};

use crate::bed::Bed;
use crate::case::datagrams::Datagrams;
use crate::case::{Figure, Meter, Pace};
use crate::machine;
use crate::station::{Kind, Station};

/// Ethernet, IPv4 and UDP headers make a frame of 60 bytes of it.
const PAYLOAD: usize = 18;
const BATCH: usize = 64;
const PORT: u16 = 9000;
const BUFFER: usize = 32 << 20;
const TICK: Duration = Duration::from_millis(100);

/// Counts datagrams at the receiving socket.
pub(crate) fn small(bed: &Bed, ports: Kind, pace: Pace) -> Result<Figure> {
    let (from, to) = (bed.station(ports, 1)?, bed.station(ports, 2)?);
    let (sender, receiver) = sockets(from, to)?;
    let meter = Meter::default();
    let reading = thread::scope(|scope| {
        let receiving = scope.spawn(|| receive(&receiver, &meter));
        let sending = scope.spawn(|| send(&sender, &meter));
        let reading = meter.watch(pace, || {});
        for thread in [sending, receiving] {
            thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        }
        reading
    })?;
    Ok(Figure {
        value: reading.rate / 1e3,
        usage: reading.usage,
        extras: vec![
            ("lost_percent", meter.lost() * 100.0),
            ("inversions", meter.inversions() as f64),
        ],
    })
}

/// A connected socket in the one's namespace, and the one that it sends to in the other's.
pub(crate) fn sockets(from: &Station, to: &Station) -> Result<(UdpSocket, UdpSocket)> {
    let target = (to.address.v4, PORT);
    let receiver = to
        .netns
        .enter(|| UdpSocket::bind(target))?
        .context("the receiver's socket")?;
    setsockopt(&receiver, sockopt::RcvBufForce, &BUFFER)?;
    receiver.set_read_timeout(Some(TICK))?;
    let sender = from
        .netns
        .enter(|| -> std::io::Result<UdpSocket> {
            let socket = UdpSocket::bind((from.address.v4, 0))?;
            socket.connect(target)?;
            Ok(socket)
        })?
        .context("the sender's socket")?;
    setsockopt(&sender, sockopt::SndBufForce, &BUFFER)?;
    Ok((sender, receiver))
}

fn send(socket: &UdpSocket, meter: &Meter) -> Result<()> {
    machine::pin(machine::SENDER)?;
    let mut datagrams = Datagrams::new(BATCH, PAYLOAD);
    let mut number = 0_u64;
    while !meter.is_over() {
        let first = number;
        for buffer in datagrams.buffers() {
            buffer[..8].copy_from_slice(&number.to_le_bytes());
            number += 1;
        }
        match datagrams.send(socket) {
            // What was not taken gets its number again.
            Ok(sent) => {
                number = first + sent as u64;
                meter.count_sent(sent as u64);
            }
            Err(error) if is_passing(&error) => number = first,
            Err(error) => return Err(error).context("sendmmsg"),
        }
    }
    Ok(())
}

fn receive(socket: &UdpSocket, meter: &Meter) -> Result<()> {
    machine::pin(machine::RECEIVER)?;
    let mut datagrams = Datagrams::new(BATCH, PAYLOAD);
    let mut next = 0_u64;
    loop {
        match datagrams.receive(socket) {
            Ok(lengths) => {
                let mut inversions = 0;
                for buffer in datagrams.buffers().iter().take(lengths.len()) {
                    let mut number = [0; 8];
                    number.copy_from_slice(&buffer[..8]);
                    let number = u64::from_le_bytes(number);
                    inversions += u64::from(number < next);
                    next = next.max(number + 1);
                }
                meter.count(lengths.len() as u64);
                if inversions > 0 {
                    meter.count_inversions(inversions);
                }
            }
            Err(error) if is_passing(&error) => {
                if meter.is_over() {
                    return Ok(());
                }
            }
            Err(error) => return Err(error).with_context(|| format!("fd {}", socket.as_raw_fd())),
        }
    }
}

/// Tells a full queue or a time-out from an error.
pub(crate) fn is_passing(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    ) || error.raw_os_error() == Some(libc::ENOBUFS)
        || error.raw_os_error() == Some(libc::ECONNREFUSED)
}
