//! A packet socket that only sends.

use std::{
    io, mem,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use anyhow::{Context as _, Result};

use super::Frame;

/// A packet socket that only sends: on a guest's link, what is sent comes out at the guest.
pub(in crate::daemon) struct Socket {
    socket: OwnedFd,
}

impl Socket {
    /// Opens the socket, in the network namespace of the calling thread.
    pub(in crate::daemon) fn open() -> Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // With no protocol, it is handed no frames.
        // SAFETY: the call takes no pointers.
        let socket = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        if socket < 0 {
            return Err(io::Error::last_os_error()).context("cannot open a packet socket");
        }
        // SAFETY: the descriptor is new and nobody else's.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        Ok(Self { socket })
    }

    /// Sends a frame. One that a link does not take is lost: the next is not far.
    pub(in crate::daemon) fn send(&self, frame: &Frame) {
        // SAFETY: all bytes zero are a `sockaddr_ll`.
        let mut to: libc::sockaddr_ll = unsafe { mem::zeroed() };
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_ifindex = frame.ifindex.cast_signed();
        // SAFETY: frame and address outlive the call and are as long as it is told.
        let sent = unsafe {
            libc::sendto(
                self.socket.as_raw_fd(),
                frame.bytes.as_ptr().cast(),
                frame.bytes.len(),
                0,
                (&raw const to).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        if sent < 0 {
            let error = io::Error::last_os_error();
            log::debug!("no loop probe on link {}: {error}", frame.ifindex);
        }
    }
}
