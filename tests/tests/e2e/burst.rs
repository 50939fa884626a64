//! Bursts of one raw frame, and who saw how many of them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use vxnet_tests::frame::{ETHERTYPE_TEST, ethernet};
use vxnet_tests::guest::Guest;
use vxnet_tests::lab::Lab;
use vxnet_tests::packet_socket::PacketSocket;

/// How long a frame that was not delivered is waited for.
const QUIET: Duration = Duration::from_millis(300);
/// How long one that is to be delivered is waited for, on a busy machine.
const SOON: Duration = Duration::from_secs(10);

/// The number of frames in a burst, as in the kernel's tests.
pub(crate) const BURST: usize = 10;

/// A guest that sends raw frames and sees raw frames.
pub(crate) struct Station {
    pub(crate) name: String,
    pub(crate) mac: [u8; 6],
    socket: PacketSocket,
}

impl Station {
    pub(crate) fn new(guest: &Guest) -> Result<Self> {
        let socket = PacketSocket::open(&guest.netns, "eth0")?;
        Ok(Self {
            name: guest.name.clone(),
            mac: guest.mac,
            socket,
        })
    }

    /// The stations of all guests, in the order in which they were plugged in.
    pub(crate) fn all(lab: &Lab) -> Result<Vec<Self>> {
        lab.guests.iter().map(Self::new).collect()
    }

    pub(crate) fn send(&self, frame: &[u8]) -> Result<()> {
        self.socket.send(frame)
    }

    /// Waits until `expected` frames equal to `frame` have arrived; returns how many have by the
    /// deadline, and forgets all others on the way.
    fn wait_for(&self, frame: &[u8], expected: usize) -> Result<usize> {
        let deadline = Instant::now() + SOON;
        for number in 0..expected {
            let left = deadline.saturating_duration_since(Instant::now());
            if self.socket.receive(left, |got| got == frame)?.is_none() {
                return Ok(number);
            }
        }
        Ok(expected)
    }

    /// How many of the frames that have arrived are equal to `frame`; forgets them all.
    pub(crate) fn seen(&self, frame: &[u8]) -> Result<usize> {
        Ok(self
            .socket
            .collect(Duration::ZERO, |got| got == frame)?
            .len())
    }
}

/// A frame that no stack answers, of the size of a short packet.
pub(crate) fn test_frame(source: [u8; 6], destination: [u8; 6]) -> Vec<u8> {
    ethernet(source, destination, ETHERTYPE_TEST, &[0x5a; 50])
}

/// Sends `frame` ten times through `from`; returns how often each of `stations` saw it.
pub(crate) fn burst(from: &Station, frame: &[u8], stations: &[Station]) -> Result<Vec<usize>> {
    for _ in 0..BURST {
        from.send(frame)?;
    }
    count(frame, stations)
}

/// Returns how often each of `stations` has seen `frame`.
pub(crate) fn count(frame: &[u8], stations: &[Station]) -> Result<Vec<usize>> {
    // That nothing more arrives can only be waited for.
    std::thread::sleep(QUIET);
    stations.iter().map(|station| station.seen(frame)).collect()
}

/// Checks that each of `stations` sees `frame` as often as expected, and not once more.
#[track_caller]
pub(crate) fn expect_seen(
    what: &str,
    frame: &[u8],
    stations: &[Station],
    expected: &[usize],
) -> Result<()> {
    ensure!(expected.len() == stations.len(), "{what}: one number each");
    let mut seen = Vec::new();
    for (station, &expected) in stations.iter().zip(expected) {
        seen.push(station.wait_for(frame, expected)?);
    }
    for (seen, more) in seen.iter_mut().zip(count(frame, stations)?) {
        *seen += more;
    }
    let names: Vec<_> = stations
        .iter()
        .map(|station| station.name.as_str())
        .collect();
    ensure!(
        seen == expected,
        "{what}: {names:?} saw {seen:?} frames, expected {expected:?}"
    );
    Ok(())
}

/// Sends `frame` ten times and checks how often each station saw it.
#[track_caller]
pub(crate) fn expect_burst(
    what: &str,
    from: &Station,
    frame: &[u8],
    stations: &[Station],
    expected: &[usize],
) -> Result<()> {
    for _ in 0..BURST {
        from.send(frame)?;
    }
    expect_seen(what, frame, stations, expected)
}
