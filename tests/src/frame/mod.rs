//! Frames: built for tests, and described so that a difference can be read.
//!
//! Everything is plain bytes: a test that needs a wrong field writes it at its offset.

mod build;
mod describe;
mod vxlan;

pub use build::{Endpoint, arp_reply, arp_request, echo_request, ethernet, tagged, tcp, udp};
pub use describe::{assert_same, describe, hexdump};
pub use vxlan::{Outer, VXLAN_PORT, Vxlan, inner_of};

/// The broadcast address.
pub const BROADCAST: [u8; 6] = [0xff; 6];

pub const ETHERTYPE_IPV4: u16 = 0x0800;
pub const ETHERTYPE_ARP: u16 = 0x0806;
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// A C-tag of IEEE 802.1Q.
pub const ETHERTYPE_VLAN: u16 = 0x8100;
/// "Local experimental ethertype 1" of IEEE 802: nothing in the stack answers it.
pub const ETHERTYPE_TEST: u16 = 0x88b5;

/// The destination MAC, if the frame is long enough to have one.
pub fn destination(frame: &[u8]) -> Option<[u8; 6]> {
    frame.get(..6)?.try_into().ok()
}

/// The source MAC.
pub fn source(frame: &[u8]) -> Option<[u8; 6]> {
    frame.get(6..12)?.try_into().ok()
}

/// The ethertype.
pub fn ethertype(frame: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(frame.get(12..14)?.try_into().ok()?))
}

/// The control information of the frame's VLAN tag, if it has one.
pub fn tci(frame: &[u8]) -> Option<u16> {
    let tci = frame.get(14..16)?.try_into().ok()?;
    (ethertype(frame)? == ETHERTYPE_VLAN).then(|| u16::from_be_bytes(tci))
}
