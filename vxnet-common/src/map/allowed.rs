//! `ALLOWED`: the addresses that a port may send from.

use super::map_type;
use crate::addr::{Mac, VtepAddr};

/// A key of `ALLOWED`; a row's presence is all it says.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllowedKey {
    /// Slot of the port.
    pub port: u32,
    /// One of [`family`].
    pub family: u32,
    /// A MAC address and zeros, or an IP address in its IPv6 form.
    pub address: [u8; 16],
}

map_type!(AllowedKey, 24);

/// What [`AllowedKey::address`] is.
pub mod family {
    pub const MAC: u32 = 1;
    pub const IP: u32 = 2;
}

impl AllowedKey {
    #[inline(always)]
    pub const fn mac(port: u32, Mac([a, b, c, d, e, f]): Mac) -> Self {
        Self {
            port,
            family: family::MAC,
            address: [a, b, c, d, e, f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        }
    }

    /// IPv4 in its mapped form.
    #[inline(always)]
    pub const fn ip(port: u32, address: VtepAddr) -> Self {
        Self {
            port,
            family: family::IP,
            address: address.octets(),
        }
    }
}
