//! Raw frames on a link, in and out.

use std::io::IoSliceMut;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, recvmsg, send,
    setsockopt, socket, sockopt,
};

use crate::netns::Netns;

const LARGEST_FRAME: usize = 70_000;
const BUFFER: usize = 8 << 20;
/// `PACKET_IGNORE_OUTGOING` of `linux/if_packet.h`.
const IGNORE_OUTGOING: libc::c_int = 23;
/// Where a VLAN tag stands in a frame: after the addresses.
const TAG: usize = 12;

/// An `AF_PACKET` socket bound to one link: it sends frames out of it and sees those that come in.
/// The kernel keeps the first VLAN tag beside the frame; here it is back in its place.
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
            match self.take(&mut buffer) {
                Ok((length, tag)) => {
                    buffer.truncate(length);
                    if let Some(tag) = tag {
                        buffer.splice(TAG..TAG, tag);
                    }
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

    /// Reads a frame if there is one: its length, and the tag that is not in it.
    fn take(&self, buffer: &mut [u8]) -> Result<(usize, Option<[u8; 4]>), Errno> {
        let mut space = nix::cmsg_space!(libc::tpacket_auxdata);
        let mut slices = [IoSliceMut::new(buffer)];
        let fd = self.fd.as_raw_fd();
        let message = recvmsg::<()>(fd, &mut slices, Some(&mut space), MsgFlags::MSG_DONTWAIT)?;
        let tag = message.cmsgs()?.find_map(|extra| match extra {
            ControlMessageOwned::Unknown(extra)
                if (extra.cmsg_header.cmsg_level, extra.cmsg_header.cmsg_type)
                    == (libc::SOL_PACKET, libc::PACKET_AUXDATA) =>
            {
                tag_of(&extra.data_bytes)
            }
            _ => None,
        });
        Ok((message.bytes, tag))
    }
}

/// Reads a `struct tpacket_auxdata` of `linux/if_packet.h`.
fn tag_of(auxdata: &[u8]) -> Option<[u8; 4]> {
    const TCI: usize = std::mem::offset_of!(libc::tpacket_auxdata, tp_vlan_tci);
    let status = u32::from_ne_bytes(auxdata.get(..4)?.try_into().ok()?);
    let number = |at: usize| {
        Some(u16::from_ne_bytes(
            auxdata.get(at..at + 2)?.try_into().ok()?,
        ))
    };
    let (tci, ethertype) = (number(TCI)?, number(TCI + 2)?);
    if status & libc::TP_STATUS_VLAN_VALID == 0 {
        return None;
    }
    let ([a, b], [c, d]) = (ethertype.to_be_bytes(), tci.to_be_bytes());
    Some([a, b, c, d])
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
    switch_on(&fd, IGNORE_OUTGOING).context("PACKET_IGNORE_OUTGOING")?;
    switch_on(&fd, libc::PACKET_AUXDATA).context("PACKET_AUXDATA")?;
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

/// Sets an option of packet sockets to 1.
fn switch_on(fd: &OwnedFd, option: libc::c_int) -> Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: `on` is a live `c_int` and its true size is passed with it.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_PACKET,
            option,
            (&raw const on).cast(),
            libc::socklen_t::try_from(size_of_val(&on))?,
        )
    };
    Errno::result(result)?;
    Ok(())
}
