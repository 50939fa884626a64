//! Offloads of links, through the ethtool ioctl (`include/uapi/linux/ethtool.h`).

mod feature;

use std::{
    ffi::c_void,
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use anyhow::{Context as _, Result, ensure};

pub(super) use self::feature::{Feature, VLAN_FILTER};

const GET_GRO: u32 = 0x2b;
const SET_GRO: u32 = 0x2c;
/// `SIOCETHTOOL`.
const ETHTOOL: libc::Ioctl = 0x8946;

/// `struct ethtool_value`.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// Returns whether the kernel merges what a link receives.
pub(super) fn gro(link: &str) -> bool {
    call(link, GET_GRO, 0).is_ok_and(|on| on != 0)
}

/// Lets the kernel merge what a link receives, or not.
pub(super) fn set_gro(link: &str, on: bool) -> Result<()> {
    call(link, SET_GRO, on.into()).with_context(|| format!("cannot change GRO of {link}"))?;
    Ok(())
}

fn call(link: &str, command: u32, data: u32) -> Result<u32> {
    let mut value = Value { command, data };
    // SAFETY: these commands read and write nothing but a value.
    unsafe { ioctl(link, (&raw mut value).cast()) }?;
    Ok(value.data)
}

/// Carries out the ethtool command that `command` points to, and returns what the call returned.
///
/// # Safety
///
/// `command` must point to memory that begins with a command and is as long as the kernel reads or
/// writes for it.
unsafe fn ioctl(link: &str, command: *mut c_void) -> Result<u32> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    // SAFETY: the call takes no pointers.
    let socket = unsafe { libc::socket(libc::AF_INET, kind, 0) };
    ensure!(socket >= 0, io::Error::last_os_error());
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // SAFETY: all bytes zero are an `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    ensure!(
        link.len() < request.ifr_name.len(),
        "{link} is no link's name"
    );
    for (to, from) in request.ifr_name.iter_mut().zip(link.bytes()) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_data = command.cast();
    // SAFETY: the request names a link and points to a command, both of which outlive the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), ETHTOOL, &raw mut request) };
    u32::try_from(result).map_err(|_| io::Error::last_os_error().into())
}
