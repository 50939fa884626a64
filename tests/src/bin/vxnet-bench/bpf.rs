//! The few `bpf` system calls of the benchmark: it must not go through the code it measures.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use anyhow::{Context as _, Result};

const PROG_LOAD: libc::c_long = 5;
const PROG_TEST_RUN: libc::c_long = 10;
const PROG_GET_FD_BY_ID: libc::c_long = 13;
const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const LINK_CREATE: libc::c_long = 28;
const ENABLE_STATS: libc::c_long = 32;

const AT_XDP: u32 = 37;
const AT_TCX_INGRESS: u32 = 46;
/// In the driver, not in the stack.
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;
const TEST_XDP_LIVE_FRAMES: u32 = 1 << 1;

/// The part of `union bpf_attr` that `BPF_PROG_LOAD` reads up to the program's name.
#[repr(C)]
#[derive(Default)]
struct Load {
    program_type: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// The part of `union bpf_attr` that `BPF_PROG_TEST_RUN` reads.
#[repr(C)]
#[derive(Default)]
struct TestRun {
    program: u32,
    result: u32,
    data_in_size: u32,
    data_out_size: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    context_in_size: u32,
    context_out_size: u32,
    context_in: u64,
    context_out: u64,
    flags: u32,
    cpu: u32,
    batch: u32,
    pad: u32,
}

/// The part of `union bpf_attr` that `BPF_PROG_GET_FD_BY_ID` reads.
#[repr(C)]
#[derive(Default)]
struct GetFd {
    id: u32,
    next: u32,
    flags: u32,
}

/// The part of `union bpf_attr` that `BPF_OBJ_GET_INFO_BY_FD` reads.
#[repr(C)]
#[derive(Default)]
struct GetInfo {
    fd: u32,
    size: u32,
    info: u64,
}

/// The part of `union bpf_attr` that `BPF_ENABLE_STATS` reads; type 0 is run time.
#[repr(C)]
#[derive(Default)]
struct EnableStats {
    kind: u32,
}

/// The part of `union bpf_attr` that `BPF_LINK_CREATE` reads.
#[repr(C)]
#[derive(Default)]
struct LinkCreate {
    program: u32,
    ifindex: u32,
    attach_type: u32,
    flags: u32,
    relative: u32,
    pad: u32,
    revision: u64,
}

/// `struct __sk_buff`: its size, and where its `ifindex` is.
const SK_BUFF: usize = 192;
const SK_BUFF_IFINDEX: usize = 40;

/// Where a program runs; the values are those of `enum bpf_prog_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Hook {
    Tc = 3,
    Xdp = 6,
}

/// A loaded program.
#[derive(Debug)]
pub(crate) struct Program(OwnedFd);

impl Program {
    pub(crate) fn load(hook: Hook, name: &str, instructions: &[u64]) -> Result<Self> {
        let mut attributes = Load {
            program_type: hook as u32,
            count: u32::try_from(instructions.len())?,
            instructions: instructions.as_ptr() as u64,
            license: c"Dual MIT/GPL".as_ptr() as u64,
            ..Load::default()
        };
        for (to, from) in attributes.name.iter_mut().take(15).zip(name.bytes()) {
            *to = from;
        }
        let fd = call(PROG_LOAD, &mut attributes)
            .with_context(|| format!("the kernel does not load {name}"))?;
        // SAFETY: the kernel has just given us this descriptor, nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Opens the program that `bpftool prog` shows with that number.
    pub(crate) fn with_id(id: u32) -> Result<Self> {
        let mut attributes = GetFd {
            id,
            ..GetFd::default()
        };
        let fd = call(PROG_GET_FD_BY_ID, &mut attributes).context("BPF_PROG_GET_FD_BY_ID")?;
        // SAFETY: the kernel has just given us this descriptor, nobody else owns it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Lets `count` copies of `frame` come in at link `ifindex` of the calling thread's namespace,
    /// in batches of `batch`; the program decides on each what becomes of it.
    pub(crate) fn inject(&self, ifindex: u32, frame: &[u8], count: u32, batch: u32) -> Result<()> {
        let length = u32::try_from(frame.len())?;
        let context = xdp_md(length, ifindex);
        let mut attributes = TestRun {
            program: self.0.as_raw_fd().cast_unsigned(),
            data_in_size: length,
            data_in: frame.as_ptr() as u64,
            repeat: count,
            context_in_size: u32::try_from(size_of_val(&context))?,
            context_in: context.as_ptr() as u64,
            flags: TEST_XDP_LIVE_FRAMES,
            batch,
            ..TestRun::default()
        };
        call(PROG_TEST_RUN, &mut attributes)
            .map(drop)
            .context("BPF_PROG_TEST_RUN with live frames")
    }

    /// Runs the TC program for what comes in at link `ifindex` of the calling thread's namespace,
    /// until the result is dropped.
    pub(crate) fn attach_tcx(&self, ifindex: u32) -> Result<OwnedFd> {
        self.attach(ifindex, AT_TCX_INGRESS, 0)
            .context("BPF_LINK_CREATE at TCX, which needs Linux 6.6")
    }

    /// The same for an XDP program.
    pub(crate) fn attach_xdp(&self, ifindex: u32) -> Result<OwnedFd> {
        self.attach(ifindex, AT_XDP, XDP_FLAGS_DRV_MODE)
            .context("BPF_LINK_CREATE at XDP")
    }

    fn attach(&self, ifindex: u32, attach_type: u32, flags: u32) -> Result<OwnedFd> {
        let mut attributes = LinkCreate {
            program: self.0.as_raw_fd().cast_unsigned(),
            ifindex,
            attach_type,
            flags,
            ..LinkCreate::default()
        };
        let fd = call(LINK_CREATE, &mut attributes)?;
        // SAFETY: the kernel has just given us this descriptor, nobody else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }

    /// Runs the program once on a copy of `frame`, as if it had come in at link `ifindex` of the
    /// calling thread's namespace; nothing leaves.
    pub(crate) fn run(&self, hook: Hook, ifindex: u32, frame: &[u8]) -> Result<()> {
        let length = u32::try_from(frame.len())?;
        let mut context = [0; SK_BUFF];
        let size = match hook {
            Hook::Tc => {
                context[SK_BUFF_IFINDEX..][..4].copy_from_slice(&ifindex.to_ne_bytes());
                SK_BUFF
            }
            Hook::Xdp => {
                let words = xdp_md(length, ifindex).map(u32::to_ne_bytes);
                let bytes = words.as_flattened();
                context[..bytes.len()].copy_from_slice(bytes);
                bytes.len()
            }
        };
        let mut attributes = TestRun {
            program: self.0.as_raw_fd().cast_unsigned(),
            data_in_size: length,
            data_in: frame.as_ptr() as u64,
            repeat: 1,
            context_in_size: u32::try_from(size)?,
            context_in: context.as_ptr() as u64,
            ..TestRun::default()
        };
        call(PROG_TEST_RUN, &mut attributes)
            .map(drop)
            .with_context(|| format!("BPF_PROG_TEST_RUN at {hook:?}"))
    }

    /// The number that `bpftool prog` shows.
    pub(crate) fn id(&self) -> Result<u32> {
        // struct bpf_prog_info starts with type and id.
        let mut info = [0_u32; 2];
        let mut attributes = GetInfo {
            fd: self.0.as_raw_fd().cast_unsigned(),
            size: u32::try_from(size_of_val(&info))?,
            info: info.as_mut_ptr() as u64,
        };
        call(OBJ_GET_INFO_BY_FD, &mut attributes).context("BPF_OBJ_GET_INFO_BY_FD")?;
        Ok(info[1])
    }
}

/// `struct xdp_md`: data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex.
fn xdp_md(length: u32, ifindex: u32) -> [u32; 6] {
    [0, length, 0, ifindex, 0, 0]
}

/// Makes the kernel count time and runs of every program until the result is dropped.
pub(crate) fn enable_stats() -> Result<OwnedFd> {
    let fd = call(ENABLE_STATS, &mut EnableStats::default()).context("BPF_ENABLE_STATS")?;
    // SAFETY: the kernel has just given us this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn call<T>(command: libc::c_long, attributes: &mut T) -> io::Result<i32> {
    let size = size_of::<T>();
    // SAFETY: `attributes` is the start of a `union bpf_attr` of that size, and the buffers it
    // points to outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attributes, size) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result as i32)
}
