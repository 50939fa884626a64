//! Messages of ARP, neighbour discovery and ICMP, as guests send them and as vxnet makes them.

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::icmpv4::DestUnreachableHeader;
use etherparse::{Icmpv4Type, Icmpv6Type, IpHeaders, IpNumber, Ipv4Header, PacketBuilder};
use vxnet_tests::frame::{destination, source};

const ETHERNET: usize = 14;
const TTL: u8 = 64;
/// Neighbour discovery crosses no router (RFC 4861 section 7.1).
const ND_TTL: u8 = 255;
pub(crate) const ROUTER_ADVERTISEMENT: u8 = 134;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Link-layer address options: 8 bytes each (RFC 4861 section 4.6.1).
const SOURCE_OPTION: [u8; 2] = [1, 1];
const TARGET_OPTION: [u8; 2] = [2, 1];
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

pub(crate) const ALL_NODES: ([u8; 6], Ipv6Addr) = (
    [0x33, 0x33, 0, 0, 0, 1],
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
);

/// A station: its addresses.
pub(crate) type Station = ([u8; 6], Ipv6Addr);

/// An `ICMPv6` message of neighbour discovery.
pub(crate) fn discovery(
    from: Station,
    to: Station,
    kind: u8,
    head: [u8; 4],
    body: &[u8],
) -> Vec<u8> {
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(from.0, to.0)
        .ipv6(from.1.octets(), to.1.octets(), ND_TTL)
        .icmpv6_raw(kind, 0, head)
        .write(&mut frame, body)
        .expect("a Vec grows");
    frame
}

/// Asks everybody who has `target` (RFC 4861 section 4.3).
pub(crate) fn solicitation(from: Station, target: Ipv6Addr) -> Vec<u8> {
    let [.., a, b, c] = target.octets();
    let group = (
        [0x33, 0x33, 0xff, a, b, c],
        Ipv6Addr::new(
            0xff02,
            0,
            0,
            0,
            0,
            1,
            0xff00 | u16::from(a),
            u16::from_be_bytes([b, c]),
        ),
    );
    let body = [&target.octets()[..], &SOURCE_OPTION, &from.0].concat();
    discovery(from, group, SOLICITATION, [0; 4], &body)
}

/// Tells everybody, unasked, who has an address (RFC 4861 section 4.4).
pub(crate) fn announcement(from: Station) -> Vec<u8> {
    let body = [&from.1.octets()[..], &TARGET_OPTION, &from.0].concat();
    discovery(from, ALL_NODES, ADVERTISEMENT, [OVERRIDE, 0, 0, 0], &body)
}

/// The answer to a [`solicitation`].
pub(crate) fn advertisement(from: Station, to: Station) -> Vec<u8> {
    let body = [&from.1.octets()[..], &TARGET_OPTION, &from.0].concat();
    let flags = SOLICITED | OVERRIDE;
    discovery(from, to, ADVERTISEMENT, [flags, 0, 0, 0], &body)
}

/// "Fragmentation needed" about a frame that went to `gateway`, or through it.
pub(crate) fn too_big_v4(frame: &[u8], gateway: Ipv4Addr, mtu: u16) -> Vec<u8> {
    let packet = &frame[ETHERNET..];
    let sender: [u8; 4] = packet[12..16].try_into().expect("four bytes");
    let mut ip = Ipv4Header::new(0, TTL, IpNumber::ICMP, gateway.octets(), sender)
        .expect("nothing is not too long");
    ip.dont_fragment = false;
    let about = DestUnreachableHeader::FragmentationNeeded { next_hop_mtu: mtu };
    let mut message = Vec::new();
    back(frame)
        .ip(IpHeaders::Ipv4(ip, etherparse::Ipv4Extensions::default()))
        .icmpv4(Icmpv4Type::DestinationUnreachable(about))
        .write(&mut message, &packet[..64])
        .expect("a Vec grows");
    message
}

/// "Packet too big" about a frame, as if from its addressee.
pub(crate) fn too_big_v6(frame: &[u8], mtu: u32) -> Vec<u8> {
    let packet = &frame[ETHERNET..];
    let address = |at: usize| packet[at..at + 16].try_into().expect("sixteen bytes");
    let mut message = Vec::new();
    back(frame)
        .ipv6(address(24), address(8), TTL)
        .icmpv6(Icmpv6Type::PacketTooBig { mtu })
        .write(&mut message, &packet[..88])
        .expect("a Vec grows");
    message
}

/// Begins a frame back to where one came from.
fn back(frame: &[u8]) -> etherparse::PacketBuilderStep<etherparse::Ethernet2Header> {
    let (from, to) = (source(frame), destination(frame));
    PacketBuilder::ethernet2(to.expect("a frame"), from.expect("a frame"))
}
