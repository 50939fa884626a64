//! The fabric that all cases share: who is where, and the rows of the tables that say so.
//!
//! ```text
//! segment BLUE, VNI 100: guests A, B and C on ports 1, 2 and 3, the host on br0,
//!                        peers ONE and TWO (flooded to), NARROW, LOST and SILENT
//! segment RED, VNI 4196:  a guest on port 5, the host on br1, peer ONE
//! segment LONELY, VNI 30: a guest on port 7 and nobody else
//! ```
//! The network with VLANs, GREEN, is in [`crate::green`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vxnet_common::map::cache;
use vxnet_tests::frame::{Endpoint, Outer};

pub(crate) const BLUE: u32 = 1;
pub(crate) const RED: u32 = 2;
pub(crate) const LONELY: u32 = 3;

pub(crate) const VNI_BLUE: u32 = 100;
/// In the same place of `VNI_CACHE` as the VNI of BLUE.
pub(crate) const VNI_RED: u32 = VNI_BLUE + cache::VNIS;
pub(crate) const VNI_LONELY: u32 = 30;

/// Slots of `PORTS`.
pub(crate) const PORT_A: u32 = 1;
pub(crate) const PORT_B: u32 = 2;
pub(crate) const PORT_C: u32 = 3;
pub(crate) const HOST: u32 = 4;
pub(crate) const PORT_RED: u32 = 5;
pub(crate) const HOST_RED: u32 = 6;
pub(crate) const PORT_LONELY: u32 = 7;
pub(crate) const UPLINK: u32 = 8;
/// No link stands there.
pub(crate) const FREE_PORT: u32 = LINKS.len() as u32 + 1;

/// Links by slot of `PORTS`, from 1; the other end of a veth is its name with a `p` behind.
pub(crate) const LINKS: [&str; 19] = [
    "g1", "g2", "g3", "br0", "r1", "br1", "l1", "ul", "br2", "v1", "v2", "v3", "v4", "v5", "v6",
    "v7", "v8", "v100", "v0",
];

/// Slots of `VTEPS`.
pub(crate) const ONE: u32 = 1;
pub(crate) const TWO: u32 = 2;
/// Behind a path with an MTU of [`NARROW_MTU`].
pub(crate) const NARROW: u32 = 3;
/// Without a route.
pub(crate) const LOST: u32 = 4;
/// With a route, but its next hop does not answer.
pub(crate) const SILENT: u32 = 5;

pub(crate) const PATH_MTU: u32 = 1500;
pub(crate) const NARROW_MTU: u32 = 1000;

/// How long learned rows live.
pub(crate) const AGEING: u64 = 10_000_000_000;

pub(crate) const UPLINK_MAC: [u8; 6] = [2, 0, 0, 0, 0xaa, 1];
pub(crate) const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 0xbb, 1];
pub(crate) const GATEWAY_RED_MAC: [u8; 6] = [2, 0, 0, 0, 0xbb, 2];

/// Stations of BLUE that are in the FDB from the start. C is not.
pub(crate) const A: [u8; 6] = [2, 0, 0, 0, 0, 0x0a];
pub(crate) const B: [u8; 6] = [2, 0, 0, 0, 0, 0x0b];
pub(crate) const C: [u8; 6] = [2, 0, 0, 0, 0, 0x0c];
/// Behind [`ONE`], [`TWO`], [`NARROW`], [`LOST`] and [`SILENT`].
pub(crate) const AT_ONE: [u8; 6] = [2, 0, 0, 0, 1, 1];
pub(crate) const AT_TWO: [u8; 6] = [2, 0, 0, 0, 1, 2];
pub(crate) const AT_NARROW: [u8; 6] = [2, 0, 0, 0, 1, 3];
pub(crate) const AT_LOST: [u8; 6] = [2, 0, 0, 0, 1, 4];
pub(crate) const AT_SILENT: [u8; 6] = [2, 0, 0, 0, 1, 5];
/// Known in BLUE, at a slot that belongs to RED by now; and at one that is free.
pub(crate) const MOVED_OUT: [u8; 6] = [2, 0, 0, 0, 2, 1];
pub(crate) const UNPLUGGED: [u8; 6] = [2, 0, 0, 0, 2, 2];
/// Known in BLUE once, longer ago than [`AGEING`].
pub(crate) const EXPIRED: [u8; 6] = [2, 0, 0, 0, 2, 3];
/// The guest of RED.
pub(crate) const D: [u8; 6] = [2, 0, 0, 0, 3, 1];
/// The guest of LONELY.
pub(crate) const E: [u8; 6] = [2, 0, 0, 0, 4, 1];
/// In no table.
pub(crate) const STRANGER: [u8; 6] = [2, 0, 0, 0, 9, 9];

/// The family of the underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub(crate) fn number(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }

    /// Bytes of all outer headers, Ethernet included.
    pub(crate) fn outer_len(self) -> usize {
        match self {
            Self::V4 => 14 + 20 + 8 + 8,
            Self::V6 => 14 + 40 + 8 + 8,
        }
    }

    /// Offset of the UDP header.
    pub(crate) fn udp(self) -> usize {
        self.outer_len() - 16
    }

    fn address(self, last: u8) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::new(192, 0, 2, last).into(),
            Self::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()).into(),
        }
    }

    /// This host's VTEP.
    pub(crate) fn local(self) -> Endpoint {
        Endpoint::new(UPLINK_MAC, self.address(17))
    }

    /// The peer in a slot of `VTEPS`, at its next hop's MAC. Slots above the last are strangers.
    pub(crate) fn peer(self, slot: u32) -> Endpoint {
        let last = u8::try_from(33 + slot).expect("few peers");
        Endpoint::new([2, 0, 0, 0, 0xaa, last], self.address(last))
    }

    /// The outer header of a packet from a peer to this host.
    pub(crate) fn sent_by(self, slot: u32, vni: u32) -> Outer {
        Outer::new(self.peer(slot), self.local(), vni)
    }

    /// A packet from a peer with an inner frame in it.
    pub(crate) fn arrives(self, slot: u32, inner: &[u8]) -> Vec<u8> {
        self.sent_by(slot, VNI_BLUE).wrap(inner)
    }

    /// The packet that a peer shall get with a frame of another segment than BLUE.
    pub(crate) fn leaves_in(self, vni: u32, slot: u32, inner: &[u8]) -> Vec<u8> {
        Outer::new(self.local(), self.peer(slot), vni).wrap(inner)
    }

    /// The packet that a peer shall get.
    pub(crate) fn leaves(self, slot: u32, inner: &[u8]) -> Vec<u8> {
        self.leaves_marked(slot, 0, inner)
    }

    /// As [`Family::leaves`], with DSCP and ECN in the outer header.
    pub(crate) fn leaves_marked(self, slot: u32, traffic_class: u8, inner: &[u8]) -> Vec<u8> {
        let outer = Outer {
            traffic_class,
            ..Outer::new(self.local(), self.peer(slot), VNI_BLUE)
        };
        outer.wrap(inner)
    }
}

/// A station with an IPv4 address made from its MAC.
pub(crate) fn v4(mac: [u8; 6]) -> Endpoint {
    Endpoint::new(mac, Ipv4Addr::new(10, mac[3], mac[4], mac[5]))
}

/// A station with an IPv6 address made from its MAC.
pub(crate) fn v6(mac: [u8; 6]) -> Endpoint {
    let last = u16::from_be_bytes([mac[4], mac[5]]);
    Endpoint::new(
        mac,
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, mac[3].into(), last),
    )
}

/// A UDP datagram between two stations.
pub(crate) fn datagram(from: [u8; 6], to: [u8; 6]) -> Vec<u8> {
    vxnet_tests::frame::udp(v4(from), v4(to), (5000, 6000), b"a datagram of a guest")
}

/// A UDP datagram over IPv6 between two stations.
pub(crate) fn datagram6(from: [u8; 6], to: [u8; 6]) -> Vec<u8> {
    vxnet_tests::frame::udp(v6(from), v6(to), (5000, 6000), b"a datagram of a guest")
}

/// A frame of a given length, Ethernet header included, that is no IP.
pub(crate) fn plain(from: [u8; 6], to: [u8; 6], length: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..length - 14).map(|byte| byte as u8).collect();
    vxnet_tests::frame::ethernet(from, to, vxnet_tests::frame::ETHERTYPE_TEST, &payload)
}
