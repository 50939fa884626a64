//! VXLAN packets with every field of the outer header within reach.

use std::net::IpAddr;

use etherparse::PacketBuilder;

use super::build::Endpoint;
use super::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, ethertype};

/// The port that IANA gave to VXLAN (RFC 7348 section 5).
pub const VXLAN_PORT: u16 = 4789;
const VALID_VNI: u8 = 0x08;
const ETHERNET: usize = 14;
const UDP: usize = 8;
const VXLAN: usize = 8;

/// The VXLAN header.
///
/// ```text
/// |R|R|R|R|I|R|R|R|            Reserved                           |
/// |                VXLAN Network Identifier (VNI) |   Reserved    |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vxlan {
    pub flags: u8,
    pub reserved: [u8; 3],
    pub vni: u32,
    pub last: u8,
}

/// The headers around an inner frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outer {
    pub from: Endpoint,
    pub to: Endpoint,
    pub source_port: u16,
    pub destination_port: u16,
    pub ttl: u8,
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Computes the outer UDP checksum instead of sending 0.
    pub checksum: bool,
    pub vxlan: Vxlan,
}

impl Vxlan {
    pub fn new(vni: u32) -> Self {
        Self {
            flags: VALID_VNI,
            reserved: [0; 3],
            vni,
            last: 0,
        }
    }

    pub fn bytes(self) -> [u8; VXLAN] {
        let [_, a, b, c] = self.vni.to_be_bytes();
        let [r, s, t] = self.reserved;
        [self.flags, r, s, t, a, b, c, self.last]
    }
}

impl Outer {
    /// The header that a faultless VTEP would send.
    pub fn new(from: Endpoint, to: Endpoint, vni: u32) -> Self {
        Self {
            from,
            to,
            source_port: 50_000,
            destination_port: VXLAN_PORT,
            ttl: 64,
            traffic_class: 0,
            checksum: false,
            vxlan: Vxlan::new(vni),
        }
    }

    /// Puts the headers around `inner`.
    pub fn wrap(&self, inner: &[u8]) -> Vec<u8> {
        let payload = [self.vxlan.bytes().as_slice(), inner].concat();
        let ethernet = PacketBuilder::ethernet2(self.from.mac, self.to.mac);
        let builder = match (self.from.ip, self.to.ip) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                ethernet.ipv4(from.octets(), to.octets(), self.ttl)
            }
            (IpAddr::V6(from), IpAddr::V6(to)) => {
                ethernet.ipv6(from.octets(), to.octets(), self.ttl)
            }
            (from, to) => panic!("{from} and {to} are of different families"),
        };
        let builder = builder.udp(self.source_port, self.destination_port);
        let mut frame = Vec::with_capacity(builder.size(payload.len()));
        builder.write(&mut frame, &payload).expect("a Vec grows");
        self.set_traffic_class(&mut frame);
        if !self.checksum {
            let at = frame.len() - payload.len() - 2;
            frame[at..at + 2].fill(0);
        }
        frame
    }

    fn set_traffic_class(&self, frame: &mut [u8]) {
        if self.from.ip.is_ipv6() {
            frame[ETHERNET] |= self.traffic_class >> 4;
            frame[ETHERNET + 1] |= self.traffic_class << 4;
            return;
        }
        frame[ETHERNET + 1] = self.traffic_class;
        let header = ETHERNET..ETHERNET + 20;
        frame[ETHERNET + 10..ETHERNET + 12].fill(0);
        let sum = ip_checksum(&frame[header]);
        frame[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&sum.to_be_bytes());
    }
}

/// The Internet checksum (RFC 1071).
fn ip_checksum(bytes: &[u8]) -> u16 {
    let words = bytes
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}

/// Returns VNI and inner frame, if `frame` is a VXLAN packet without IP options.
pub fn inner_of(frame: &[u8]) -> Option<(u32, &[u8])> {
    let (ip, protocol) = match ethertype(frame)? {
        ETHERTYPE_IPV4 => (20, 9),
        ETHERTYPE_IPV6 => (40, 6),
        _ => return None,
    };
    let udp = ETHERNET + ip;
    let port = u16::from_be_bytes(frame.get(udp + 2..udp + 4)?.try_into().ok()?);
    if frame.get(ETHERNET + protocol) != Some(&17) || port != VXLAN_PORT {
        return None;
    }
    let header = frame.get(udp + UDP..udp + UDP + VXLAN)?;
    let vni = u32::from_be_bytes([0, header[4], header[5], header[6]]);
    Some((vni, &frame[udp + UDP + VXLAN..]))
}
