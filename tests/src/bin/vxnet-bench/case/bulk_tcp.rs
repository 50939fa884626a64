//! Bulk TCP: one flow, and the order in which its segments came.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd as _;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use nix::errno::Errno;
use vxnet_tests::counters::Counters;

use crate::bed::Bed;
use crate::case::round_trip::connect;
use crate::case::steered::Steered;
use crate::case::{Figure, Meter, Pace};
use crate::machine;
use crate::station::Kind;

/// What iperf3 writes and reads at a time.
const BLOCK: usize = 128 << 10;
const PATIENCE: Duration = Duration::from_secs(5);

/// As [`run`], while one CPU takes in what a veth sends.
pub(crate) fn steered(bed: &Bed, ports: Kind, pace: Pace) -> Result<Figure> {
    let _steered = Steered::new(bed.station(ports, 1)?, bed.station(ports, 2)?)?;
    run(bed, ports, pace)
}

/// Counts bits of payload at the receiving socket.
pub(crate) fn run(bed: &Bed, ports: Kind, pace: Pace) -> Result<Figure> {
    let (from, to) = (bed.station(ports, 1)?, bed.station(ports, 2)?);
    let (mut sender, mut receiver) = connect(from, to)?;
    let before = Counters::read(&to.netns)?;
    let learned_before = Counters::read(&from.netns)?;
    let meter = Meter::default();
    let mut carried = None;
    let reading = thread::scope(|scope| {
        let receiving = scope.spawn(|| receive(&mut receiver, &meter));
        let sending = scope.spawn(|| send(&mut sender, &meter));
        let reading = meter.watch(pace, || carried = to.cable().map(|it| it.to_guest.read()));
        let again = sending
            .join()
            .map_err(|_| anyhow!("the sender panicked"))??;
        receiving
            .join()
            .map_err(|_| anyhow!("the receiver panicked"))??;
        reading.map(|reading| (reading, again))
    });
    let (reading, again) = reading?;
    let after = Counters::read(&to.netns)?;
    let learned_after = Counters::read(&from.netns)?;
    let learned = |name| learned_after.since(&learned_before, name) as f64;
    let since = |name| after.since(&before, name) as f64;
    let mut extras = vec![
        // What GRO has merged, or never was cut, counts as one here, and in the next.
        ("received", since("Tcp.InSegs")),
        ("out_of_order", since("TcpExt.TCPOFOQueue")),
        ("segments", learned("Tcp.OutSegs")),
        ("sack_reorder", learned("TcpExt.TCPSACKReorder")),
        ("retransmits", f64::from(again)),
    ];
    if let (Some(cable), Some(before)) = (to.cable(), carried) {
        let carried = cable.to_guest.read().since(before);
        extras.push(("gso_percent", carried.gso_percent()));
    }
    Ok(Figure {
        value: reading.rate * 8.0 / 1e9,
        usage: reading.usage,
        extras,
    })
}

fn send(stream: &mut TcpStream, meter: &Meter) -> Result<u32> {
    machine::pin(machine::SENDER)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let block = vec![0x5a; BLOCK];
    while !meter.is_over() {
        stream.write_all(&block).context("the sender")?;
    }
    let again = retransmits(stream)?;
    stream.shutdown(Shutdown::Write)?;
    Ok(again)
}

fn receive(stream: &mut TcpStream, meter: &Meter) -> Result<()> {
    machine::pin(machine::RECEIVER)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut block = vec![0; BLOCK];
    loop {
        match stream.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(length) => meter.count(length as u64),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).context("the receiver"),
        }
    }
}

fn retransmits(stream: &TcpStream) -> Result<u32> {
    // SAFETY: all-zero bytes are a valid `tcp_info`: it holds only integers.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut size = libc::socklen_t::try_from(size_of_val(&info))?;
    // SAFETY: `info` is a live `tcp_info` and its true size is passed with it.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut size,
        )
    };
    Errno::result(result).context("TCP_INFO")?;
    Ok(info.tcpi_total_retrans)
}
