//! Raw frames on a link, in and out.

use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, setsockopt, socket,
    sockopt,
};

use crate::netns::Netns;

const LARGEST_FRAME: usize = 70_000;
const BUFFER: usize = 8 << 20;
/// `PACKET_IGNORE_OUTGOING` of `linux/if_packet.h`.
const IGNORE_OUTGOING: libc::c_int = 23;

/// An `AF_PACKET` socket bound to one link: it sends frames out of it and sees those that come in.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    link: String,
}

impl PacketSocket {
    pub fn open(netns: &Netns, link: &str) -> Result<Self> {
        let fd = netns
            .enter(|| open_here(link))
            .flatten()
            .with_context(|| format!("packet socket on {link} in {netns}"))?;
        Ok(Self {
            fd,
            link: link.to_owned(),
        })
    }

    pub fn send(&self, frame: &[u8]) -> Result<()> {
        let sent = send(self.fd.as_raw_fd(), frame, MsgFlags::empty());
        sent.map(drop)
            .with_context(|| format!("{} bytes out of {}", frame.len(), self.link))
    }

    /// Returns the first frame that `wanted` accepts, or `None` if there is none in time.
    pub fn receive(
        &self,
        timeout: Duration,
        mut wanted: impl FnMut(&[u8]) -> bool,
    ) -> Result<Option<Vec<u8>>> {
        let deadline = Instant::now() + timeout;
        while let Some(frame) = self.next(deadline)? {
            if wanted(&frame) {
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    /// Returns all the frames that `wanted` accepts and that arrive within `duration`.
    pub fn collect(
        &self,
        duration: Duration,
        mut wanted: impl FnMut(&[u8]) -> bool,
    ) -> Result<Vec<Vec<u8>>> {
        let deadline = Instant::now() + duration;
        let mut frames = Vec::new();
        while let Some(frame) = self.next(deadline)? {
            if wanted(&frame) {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    /// Forgets the frames that have already arrived.
    pub fn discard_backlog(&self) -> Result<()> {
        self.collect(Duration::ZERO, |_| false).map(drop)
    }

    fn next(&self, deadline: Instant) -> Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; LARGEST_FRAME];
        loop {
            match recv(self.fd.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => {
                    buffer.truncate(length);
                    return Ok(Some(buffer));
                }
                Err(Errno::EAGAIN) => {}
                Err(error) => return Err(error).with_context(|| self.link.clone()),
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let left = PollTimeout::try_from(left.min(Duration::from_mins(1)))?;
            match poll(&mut [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)], left) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn open_here(link: &str) -> Result<OwnedFd> {
    let index = if_nametoindex(link).with_context(|| format!("no link {link}"))?;
    // Protocol 0 until it is bound: no frame of another link may slip in before.
    let fd = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    // Bursts of a test are not to be lost in its own receiver.
    setsockopt(&fd, sockopt::RcvBufForce, &BUFFER)
        .or_else(|_| setsockopt(&fd, sockopt::RcvBuf, &BUFFER))?;
    let on: libc::c_int = 1;
    // SAFETY: `on` is a live `c_int` and its true size is passed with it.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            IGNORE_OUTGOING,
            (&raw const on).cast(),
            libc::socklen_t::try_from(size_of_val(&on))?,
        )
    };
    Errno::result(result).context("PACKET_IGNORE_OUTGOING")?;
    // SAFETY: all-zero bytes are a valid `sockaddr_ll`: it holds only integers.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::sa_family_t::try_from(libc::AF_PACKET)?;
    // `SockProtocol::EthAll` is already in network order.
    address.sll_protocol = (SockProtocol::EthAll as u32).try_into()?;
    address.sll_ifindex = index.try_into()?;
    // SAFETY: `address` is a live `sockaddr_ll` and its true size is passed with it.
    let result = unsafe {
        libc::bind(
            fd.as_raw_fd(),
            (&raw const address).cast(),
            libc::socklen_t::try_from(size_of_val(&address))?,
        )
    };
    Errno::result(result).context("bind")?;
    Ok(fd)
}
