//! The outer header that encapsulation writes (RFC 7348 section 5).
//!
//! All that is equal in every packet to a peer is prepared once, in a [`Template`]; a packet needs
//! its lengths, traffic class, source port and VNI, and on IPv4 a header checksum.

use core::mem::offset_of;

use network_types::{
    ip::{Ipv4Hdr, Ipv6Hdr},
    udp::UdpHdr,
    vxlan::VxlanHdr,
};

use crate::{addr::VtepAddr, frame::protocol};

/// Bytes kept for a prepared header: IPv6, UDP and VXLAN.
pub const TEMPLATE_LEN: usize = Ipv6Hdr::LEN + UdpHdr::LEN + VxlanHdr::LEN;
/// Time to live of the outer header.
pub const TTL: u8 = 64;
/// The "don't fragment" flag: a VTEP must not fragment (RFC 7348 section 4.3).
const DONT_FRAGMENT: u16 = 0x4000;

/// Returns the bytes of the IP, UDP and VXLAN header for an underlay of `family` 4 or 6.
#[inline(always)]
pub const fn header_len(family: u8) -> usize {
    let ip = if family == 6 {
        Ipv6Hdr::LEN
    } else {
        Ipv4Hdr::LEN
    };
    ip + UdpHdr::LEN + VxlanHdr::LEN
}

/// Returns by how much the MTU of a network must be below that of the underlay: what stands
/// between the underlay's Ethernet header and the guest's IP header.
pub const fn overhead(family: u8) -> u32 {
    header_len(family) as u32 + 14
}

/// The bytes of a prepared header; IPv4 leaves the end unused. Aligned, so that the data path copies
/// it in words.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header(pub [u8; TEMPLATE_LEN]);

impl Header {
    /// No header.
    pub const EMPTY: Self = Self([0; TEMPLATE_LEN]);
}

/// A prepared header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template {
    pub header: Header,
    /// Sum of the 16-bit words of the IPv4 header with length, TOS and checksum zero; 0 for IPv6.
    pub checksum: u32,
}

impl Template {
    /// Prepares the header from `local` to `remote`, both IPv4 as mapped if `family` is 4.
    pub fn new(family: u8, local: VtepAddr, remote: VtepAddr, port: u16) -> Self {
        let mut header = [0; TEMPLATE_LEN];
        let udp = header_len(family) - UdpHdr::LEN - VxlanHdr::LEN;
        let mut checksum = 0;
        if family == 6 {
            header[offset_of!(Ipv6Hdr, vcf)] = 6 << 4;
            header[offset_of!(Ipv6Hdr, next_hdr)] = protocol::UDP;
            header[offset_of!(Ipv6Hdr, hop_limit)] = TTL;
            put(&mut header, offset_of!(Ipv6Hdr, src_addr), local.octets());
            put(&mut header, offset_of!(Ipv6Hdr, dst_addr), remote.octets());
        } else {
            header[offset_of!(Ipv4Hdr, vihl)] = 0x45;
            put(
                &mut header,
                offset_of!(Ipv4Hdr, frags),
                DONT_FRAGMENT.to_be_bytes(),
            );
            header[offset_of!(Ipv4Hdr, ttl)] = TTL;
            header[offset_of!(Ipv4Hdr, proto)] = protocol::UDP;
            put(&mut header, offset_of!(Ipv4Hdr, src_addr), v4(local));
            put(&mut header, offset_of!(Ipv4Hdr, dst_addr), v4(remote));
            checksum = sum(&header[..Ipv4Hdr::LEN]);
        }
        put(
            &mut header,
            udp + offset_of!(UdpHdr, dst),
            port.to_be_bytes(),
        );
        header[udp + UdpHdr::LEN + offset_of!(VxlanHdr, flags)] =
            network_types::vxlan::VXLAN_I_FLAG_MASK;
        Self {
            header: Header(header),
            checksum,
        }
    }
}

/// What differs from packet to packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// Bytes of the inner frame.
    pub inner_len: u32,
    /// TOS or traffic class of the inner packet: DSCP and ECN are inherited (RFC 6040 section 4.1).
    pub traffic_class: u8,
    /// See [`source_port`].
    pub source_port: u16,
    /// VNI in host order.
    pub vni: u32,
}

/// Completes a copy of a template's header in a packet; `N` is [`header_len`] of the family.
///
/// The lengths of a super-packet do not fit 16 bits; they are written cut, and the kernel writes
/// them anew in every segment. The UDP checksum stays 0 (RFC 7348 section 5, RFC 6935).
#[inline(always)]
pub fn complete<const N: usize>(header: &mut [u8; N], checksum: u32, fields: &Fields) {
    let udp_len = (fields.inner_len as usize + UdpHdr::LEN + VxlanHdr::LEN) as u16;
    let udp = if N == header_len(6) {
        let class = fields.traffic_class;
        header[0] = 6 << 4 | class >> 4;
        header[1] = class << 4;
        put(
            header,
            offset_of!(Ipv6Hdr, payload_len),
            udp_len.to_be_bytes(),
        );
        Ipv6Hdr::LEN
    } else {
        let total = udp_len.wrapping_add(Ipv4Hdr::LEN as u16);
        header[offset_of!(Ipv4Hdr, tos)] = fields.traffic_class;
        put(header, offset_of!(Ipv4Hdr, tot_len), total.to_be_bytes());
        let sum = checksum + u32::from(total) + u32::from(fields.traffic_class);
        put(
            header,
            offset_of!(Ipv4Hdr, check),
            (!fold(sum)).to_be_bytes(),
        );
        Ipv4Hdr::LEN
    };
    put(
        header,
        udp + offset_of!(UdpHdr, src),
        fields.source_port.to_be_bytes(),
    );
    put(header, udp + offset_of!(UdpHdr, len), udp_len.to_be_bytes());
    let [_, a, b, c] = fields.vni.to_be_bytes();
    put(
        header,
        udp + UdpHdr::LEN + offset_of!(VxlanHdr, vni),
        [a, b, c],
    );
}

/// Returns a source port from a flow's hash: in 49152–65535, as RFC 7348 section 5 recommends, so
/// that the underlay spreads flows and keeps each on one path.
#[inline(always)]
pub const fn source_port(hash: u32) -> u16 {
    0xc000 | ((hash ^ hash >> 16) & 0x3fff) as u16
}

#[inline(always)]
fn put<const N: usize, const M: usize>(header: &mut [u8; M], offset: usize, bytes: [u8; N]) {
    let mut index = 0;
    while index < N {
        header[offset + index] = bytes[index];
        index += 1;
    }
}

const fn v4(address: VtepAddr) -> [u8; 4] {
    address.words()[3].to_ne_bytes()
}

fn sum(bytes: &[u8]) -> u32 {
    bytes
        .chunks_exact(2)
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum()
}

/// Folds a sum of 16-bit words into one (RFC 1071). Two rounds are enough for an IPv4 header.
#[inline(always)]
const fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests;
