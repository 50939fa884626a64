//! Taps, and the cable that makes two of them one virtual NIC.
//!
//! A guest behind a tap is what vxnet is for, and taps behave unlike veths (offloads are carried
//! in the `virtio_net_hdr`, GSO must survive decapsulation). QEMU without vhost copies frames with
//! their headers between a tap and the guest; so does a [`Cable`], and the guest is a namespace with
//! a tap of its own.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use anyhow::{Context as _, Result, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::EventFd;

use crate::netns::Netns;

/// `struct virtio_net_hdr_mrg_rxbuf`, as QEMU uses it with virtio 1.0.
pub const HEADER: usize = 12;
const GSO_TYPE: usize = 1;
/// The bit for ECN beside the GSO type.
const GSO_ECN: u8 = 0x80;
const LARGEST_FRAME: usize = 70_000;

const OFFLOAD_CSUM_TSO: u32 = 0x01 | 0x02 | 0x04;
const OFFLOAD_USO: u32 = 0x20 | 0x40;

nix::ioctl_write_ptr_bad!(
    tun_set_iff,
    nix::request_code_write!(b'T', 202, size_of::<libc::c_int>()),
    libc::ifreq
);
nix::ioctl_write_int_bad!(
    tun_set_offload,
    nix::request_code_write!(b'T', 208, size_of::<libc::c_uint>())
);
nix::ioctl_write_ptr!(tun_set_vnet_hdr_size, b'T', 216, libc::c_int);

/// Creates the tap `name` in `netns`, with the offloads that a modern guest negotiates.
pub fn open(netns: &Netns, name: &str) -> Result<File> {
    netns
        .enter(|| open_here(name))
        .flatten()
        .with_context(|| format!("tap {name} in {netns}"))
}

fn open_here(name: &str) -> Result<File> {
    ensure!(name.len() < libc::IFNAMSIZ, "name too long");
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    // SAFETY: all-zero bytes are a valid `ifreq`: it holds integers and arrays of them.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags)?;
    let fd = file.as_raw_fd();
    // SAFETY: the descriptor is open and `request` outlives the call.
    unsafe { tun_set_iff(fd, &raw const request) }.context("TUNSETIFF")?;
    // SAFETY: the descriptor is open and the integer outlives the call.
    unsafe { tun_set_vnet_hdr_size(fd, &libc::c_int::try_from(HEADER)?) }
        .context("TUNSETVNETHDRSZ")?;
    // SAFETY: the descriptor is open; the argument is passed by value.
    let offload = |flags: u32| unsafe { tun_set_offload(fd, flags.cast_signed()) };
    // Kernels before 6.2 know no UDP segmentation on taps.
    offload(OFFLOAD_CSUM_TSO | OFFLOAD_USO)
        .or_else(|_| offload(OFFLOAD_CSUM_TSO))
        .context("TUNSETOFFLOAD")?;
    Ok(file)
}

/// What crossed a cable in one direction, without the virtio headers.
#[derive(Debug, Default)]
pub struct Flow {
    frames: AtomicU64,
    bytes: AtomicU64,
    gso_bytes: AtomicU64,
    refused: AtomicU64,
}

/// A reading of a [`Flow`].
#[derive(Debug, Default, Clone, Copy)]
pub struct FlowCount {
    pub frames: u64,
    pub bytes: u64,
    /// Bytes in frames that carried a GSO type: super-packets.
    pub gso_bytes: u64,
    /// Frames that the other tap did not take (its link was down).
    pub refused: u64,
}

impl Flow {
    pub fn read(&self) -> FlowCount {
        FlowCount {
            frames: self.frames.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            gso_bytes: self.gso_bytes.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }
}

impl FlowCount {
    /// Returns what was counted after `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            frames: self.frames - earlier.frames,
            bytes: self.bytes - earlier.bytes,
            gso_bytes: self.gso_bytes - earlier.gso_bytes,
            refused: self.refused - earlier.refused,
        }
    }

    /// The share of the bytes that came in super-packets, in percent.
    pub fn gso_percent(self) -> f64 {
        percent(self.gso_bytes, self.bytes)
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a figure to read")]
    let ratio = part as f64 / whole.max(1) as f64;
    ratio * 100.0
}

/// Two reader loops that carry frames between a hypervisor's tap and the guest's.
#[derive(Debug)]
pub struct Cable {
    pub to_guest: Arc<Flow>,
    pub from_guest: Arc<Flow>,
    stop: Arc<EventFd>,
    threads: Vec<JoinHandle<()>>,
}

impl Cable {
    pub fn join(port: File, guest: File) -> Result<Self> {
        let (port, guest) = (Arc::new(port), Arc::new(guest));
        let (to_guest, from_guest) = (Arc::new(Flow::default()), Arc::new(Flow::default()));
        let stop = Arc::new(EventFd::new()?);
        let mut threads = Vec::new();
        for (from, to, flow) in [
            (Arc::clone(&port), Arc::clone(&guest), Arc::clone(&to_guest)),
            (guest, port, Arc::clone(&from_guest)),
        ] {
            let stop = Arc::clone(&stop);
            let name = "cable".to_owned();
            threads.push(std::thread::Builder::new().name(name).spawn(move || {
                carry(&from, &to, &flow, &stop);
            })?);
        }
        Ok(Self {
            to_guest,
            from_guest,
            stop,
            threads,
        })
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.stop.write(1).ok();
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

fn carry(from: &File, to: &File, flow: &Flow, stop: &EventFd) {
    let mut buffer = vec![0; LARGEST_FRAME];
    loop {
        match (&*from).read(&mut buffer) {
            Ok(length) if length > HEADER => pass_on(to, &buffer[..length], flow),
            Ok(_) => return,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                let mut fds = [
                    PollFd::new(from.as_fd(), PollFlags::POLLIN),
                    PollFd::new(stop.as_fd(), PollFlags::POLLIN),
                ];
                let interrupted = poll(&mut fds, PollTimeout::NONE).is_err();
                if !interrupted && fds[1].any() == Some(true) {
                    return;
                }
            }
            // The link is down (EIO) or gone (EBADFD): nothing more to carry until it is back.
            Err(_) => {
                let mut fds = [PollFd::new(stop.as_fd(), PollFlags::POLLIN)];
                if poll(&mut fds, PollTimeout::from(20u8)) != Ok(0) {
                    return;
                }
            }
        }
    }
}

fn pass_on(to: &File, frame: &[u8], flow: &Flow) {
    if (&*to).write(frame).is_err() {
        flow.refused.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let bytes = (frame.len() - HEADER) as u64;
    flow.frames.fetch_add(1, Ordering::Relaxed);
    flow.bytes.fetch_add(bytes, Ordering::Relaxed);
    if frame[GSO_TYPE] & !GSO_ECN != 0 {
        flow.gso_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}
