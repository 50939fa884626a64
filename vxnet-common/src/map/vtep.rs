//! `VTEPS`: the peers, with the prebuilt outer header and the way to them.

use super::map_type;
use crate::{addr::VtepAddr, outer::Header};

/// Where packets to a peer leave: a copy of what the kernel's route and neighbour tables say.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextHop {
    /// Egress link; 0 while there is no route.
    pub ifindex: u32,
    /// MTU of the path, outer header included.
    pub mtu: u32,
    /// Destination and source address of the outer Ethernet header; the destination is all zero
    /// while the neighbour is not resolved.
    pub dst: [u8; 6],
    pub src: [u8; 6],
}

map_type!(NextHop, 20);

/// A row of `VTEPS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vtep {
    /// Underlay address; none marks a free slot.
    pub address: VtepAddr,
    /// When the next hop must be looked up again (`CLOCK_MONOTONIC_COARSE`, nanoseconds).
    pub deadline: u64,
    /// Which of the two next hops is in use. The kernel writes the other one, then flips this, so
    /// that no packet leaves with half an address.
    pub active: u32,
    pub next_hop: [NextHop; 2],
    /// Sum of the IPv4 header's constant fields; see [`crate::outer::Template`].
    pub checksum: u32,
    /// IP, UDP and VXLAN header with everything that is equal in all packets to the peer.
    pub header: Header,
    /// Name of the host in the fabric.
    pub name: [u8; 32],
}

map_type!(Vtep, 160);

impl Vtep {
    /// [`Vtep::deadline`] of a multicast group: its next hop is written once, by the daemon.
    pub const NEVER: u64 = u64::MAX;

    /// A free slot.
    pub const FREE: Self = Self {
        address: VtepAddr::NONE,
        deadline: 0,
        active: 0,
        next_hop: [NextHop {
            ifindex: 0,
            mtu: 0,
            dst: [0; 6],
            src: [0; 6],
        }; 2],
        checksum: 0,
        header: Header::EMPTY,
        name: [0; 32],
    };

    /// Returns the next hop in use.
    pub const fn next_hop(&self) -> &NextHop {
        &self.next_hop[(self.active & 1) as usize]
    }
}
