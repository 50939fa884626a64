//! Many datagrams a system call.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;

/// Buffers for `sendmmsg` and `recvmmsg`.
pub(crate) struct Datagrams {
    buffers: Vec<Vec<u8>>,
}

impl Datagrams {
    pub(crate) fn new(count: usize, length: usize) -> Self {
        Self {
            buffers: vec![vec![0; length]; count],
        }
    }

    pub(crate) fn buffers(&mut self) -> &mut [Vec<u8>] {
        &mut self.buffers
    }

    /// Sends all buffers; returns how many datagrams went.
    pub(crate) fn send(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let mut vectors = self.vectors();
        let mut headers = headers(&mut vectors);
        let count = headers.len() as u32;
        // SAFETY: every header points to one vector, every vector to one live buffer of its length.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, 0) };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// Receives what is there, at least one datagram; returns their lengths.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<Vec<usize>> {
        let mut vectors = self.vectors();
        let mut headers = headers(&mut vectors);
        let (count, none) = (headers.len() as u32, std::ptr::null_mut());
        let flags = libc::MSG_WAITFORONE;
        // SAFETY: every header points to one vector, every vector to one live buffer of its length.
        let got =
            unsafe { libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), count, flags, none) };
        let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
        let lengths = headers
            .iter()
            .take(got)
            .map(|header| header.msg_len as usize);
        Ok(lengths.collect())
    }

    fn vectors(&mut self) -> Vec<libc::iovec> {
        let vector = |buffer: &mut Vec<u8>| libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        self.buffers.iter_mut().map(vector).collect()
    }
}

fn headers(vectors: &mut [libc::iovec]) -> Vec<libc::mmsghdr> {
    let header = |vector: &mut libc::iovec| {
        // SAFETY: all-zero bytes are a valid `mmsghdr`: integers and null pointers.
        let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
        header.msg_hdr.msg_iov = &raw mut *vector;
        header.msg_hdr.msg_iovlen = 1;
        header
    };
    vectors.iter_mut().map(header).collect()
}
