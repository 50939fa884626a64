//! Bulk UDP with segmentation offload, as QUIC sends it: the sender hands over super-packets, the
//! receiver takes them with UDP GRO.

use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::thread;

use anyhow::{Context as _, Result, anyhow, bail};
use nix::errno::Errno;
use vxnet_tests::transfer::pattern;

use crate::bed::Bed;
use crate::case::datagrams::Datagrams;
use crate::case::udp::{is_passing, sockets};
use crate::case::{Figure, Meter, Pace};
use crate::machine;
use crate::station::Kind;
use crate::wire::GUEST_MTU;

/// Of `linux/udp.h`.
const UDP_SEGMENT: libc::c_int = 103;
const UDP_GRO: libc::c_int = 104;

/// A datagram that fills a frame: MTU less IPv4 and UDP header.
const SEGMENT: usize = GUEST_MTU as usize - 28;
const SEGMENTS: usize = 44;
const BATCH: usize = 32;
const LARGEST: usize = 65_536;
/// One in so many received buffers is compared with what was sent.
const COMPARED: usize = 64;

/// Counts bits of payload at the receiving socket.
pub(crate) fn run(bed: &Bed, ports: Kind, pace: Pace) -> Result<Figure> {
    let (from, to) = (bed.station(ports, 1)?, bed.station(ports, 2)?);
    let (sender, receiver) = sockets(from, to)?;
    option(&sender, UDP_SEGMENT, SEGMENT as libc::c_int)?;
    option(&receiver, UDP_GRO, 1)?;
    // Every segment has the same content, so that whatever arrives can be compared.
    let content = pattern(SEGMENT, 7);
    let meter = Meter::default();
    let mut before = None;
    let reading = thread::scope(|scope| {
        let receiving = scope.spawn(|| receive(&receiver, &content, &meter));
        let sending = scope.spawn(|| send(&sender, &content, &meter));
        let reading = meter.watch(pace, || before = to.cable().map(|it| it.to_guest.read()));
        for thread in [sending, receiving] {
            thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        }
        reading
    })?;
    let mut extras = vec![("lost_percent", meter.lost() * 100.0)];
    if let (Some(cable), Some(before)) = (to.cable(), before) {
        let carried = cable.to_guest.read().since(before);
        extras.push(("gso_percent", carried.gso_percent()));
    }
    Ok(Figure {
        value: reading.rate * 8.0 / 1e9,
        usage: reading.usage,
        extras,
    })
}

fn send(socket: &UdpSocket, content: &[u8], meter: &Meter) -> Result<()> {
    machine::pin(machine::SENDER)?;
    let payload = content.repeat(SEGMENTS);
    while !meter.is_over() {
        match socket.send(&payload) {
            Ok(sent) => meter.count_sent(sent as u64),
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error).context("send with UDP_SEGMENT"),
        }
    }
    Ok(())
}

fn receive(socket: &UdpSocket, content: &[u8], meter: &Meter) -> Result<()> {
    machine::pin(machine::RECEIVER)?;
    let mut datagrams = Datagrams::new(BATCH, LARGEST);
    let mut seen = 0;
    loop {
        let lengths = match datagrams.receive(socket) {
            Ok(lengths) => lengths,
            Err(error) if is_passing(&error) => {
                if meter.is_over() {
                    return Ok(());
                }
                continue;
            }
            Err(error) => return Err(error).context("recvmmsg"),
        };
        meter.count(lengths.iter().map(|length| *length as u64).sum());
        for (buffer, length) in datagrams.buffers().iter().zip(lengths) {
            seen += 1;
            let intact = || {
                let mut segments = buffer[..length].chunks(SEGMENT);
                segments.all(|segment| segment == content)
            };
            if seen % COMPARED == 0 && !intact() {
                bail!("a datagram of {length} bytes is not what was sent");
            }
        }
    }
}

fn option(socket: &UdpSocket, name: libc::c_int, value: libc::c_int) -> Result<()> {
    // SAFETY: `value` is a live `c_int` and its true size is passed with it.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            name,
            (&raw const value).cast(),
            libc::socklen_t::try_from(size_of_val(&value))?,
        )
    };
    Errno::result(result)
        .map(drop)
        .with_context(|| format!("UDP option {name}"))
}
