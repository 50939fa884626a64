//! Messages that stations send to find each other: ARP, neighbour discovery and DHCP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::PacketBuilder;
use vxnet_tests::frame::{BROADCAST, ETHERTYPE_ARP, Endpoint, ethernet, udp};

use crate::fabric::{v4, v6};

/// ICMPv6 types of neighbour discovery (RFC 4861 section 4).
pub(crate) const ROUTER_SOLICITATION: u8 = 133;
pub(crate) const ROUTER_ADVERTISEMENT: u8 = 134;
pub(crate) const SOLICITATION: u8 = 135;
pub(crate) const ADVERTISEMENT: u8 = 136;
pub(crate) const REDIRECT: u8 = 137;

/// Flags of an advertisement.
pub(crate) const ROUTER: u8 = 0x80;
pub(crate) const SOLICITED: u8 = 0x40;
pub(crate) const OVERRIDE: u8 = 0x20;

/// All nodes (RFC 4291 section 2.7.1), and the group of Ethernet that they are in.
pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
pub(crate) const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// The station's IPv4 address.
pub(crate) fn ip4(mac: [u8; 6]) -> Ipv4Addr {
    match v4(mac).ip {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => unreachable!("asked for IPv4"),
    }
}

/// The station's IPv6 address.
pub(crate) fn ip6(mac: [u8; 6]) -> Ipv6Addr {
    match v6(mac).ip {
        IpAddr::V6(address) => address,
        IpAddr::V4(_) => unreachable!("asked for IPv6"),
    }
}

/// What RFC 4291 appendix A makes of a MAC address.
pub(crate) fn link_local([a, b, c, d, e, f]: [u8; 6]) -> Ipv6Addr {
    let word = |high, low| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(
        0xfe80,
        0,
        0,
        0,
        word(a ^ 2, b),
        word(c, 0xff),
        word(0xfe, d),
        word(e, f),
    )
}

/// The solicited-node group of an address, and its group of Ethernet (RFC 4861, RFC 2464).
pub(crate) fn solicited(address: Ipv6Addr) -> ([u8; 6], Ipv6Addr) {
    let [.., a, b, c] = address.octets();
    let word = |high, low| u16::from_be_bytes([high, low]);
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, word(0xff, a), word(b, c));
    ([0x33, 0x33, 0xff, a, b, c], group)
}

/// An ARP message with every field to choose.
pub(crate) fn arp(
    (source, destination): ([u8; 6], [u8; 6]),
    operation: u16,
    sender: ([u8; 6], Ipv4Addr),
    target: ([u8; 6], Ipv4Addr),
) -> Vec<u8> {
    let mut body = vec![0, 1, 8, 0, 6, 4];
    body.extend(operation.to_be_bytes());
    for (mac, address) in [sender, target] {
        body.extend(mac);
        body.extend(address.octets());
    }
    ethernet(source, destination, ETHERTYPE_ARP, &body)
}

/// An ICMPv6 message with a right checksum; `head` are the four bytes behind it.
pub(crate) fn icmp6(
    from: ([u8; 6], Ipv6Addr),
    to: ([u8; 6], Ipv6Addr),
    kind: u8,
    head: [u8; 4],
    body: &[u8],
) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(from.0, to.0)
        .ipv6(from.1.octets(), to.1.octets(), 255)
        .icmpv6_raw(kind, 0, head);
    let mut frame = Vec::with_capacity(builder.size(body.len()));
    builder.write(&mut frame, body).expect("a Vec grows");
    frame
}

/// A target address and a link-layer address option (1 source, 2 target).
pub(crate) fn target(address: Ipv6Addr, option: u8, mac: [u8; 6]) -> Vec<u8> {
    let [a, b, c, d, e, f] = mac;
    [&address.octets()[..], &[option, 1, a, b, c, d, e, f]].concat()
}

/// A neighbour solicitation to the target's group.
pub(crate) fn solicitation(mac: [u8; 6], source: Ipv6Addr, wanted: Ipv6Addr) -> Vec<u8> {
    let body = target(wanted, 1, mac);
    icmp6(
        (mac, source),
        solicited(wanted),
        SOLICITATION,
        [0; 4],
        &body,
    )
}

/// A solicitation from nobody: is the address free (RFC 4862 section 5.4)?
pub(crate) fn probe6(mac: [u8; 6], wanted: Ipv6Addr) -> Vec<u8> {
    let source = (mac, Ipv6Addr::UNSPECIFIED);
    let to = solicited(wanted);
    icmp6(source, to, SOLICITATION, [0; 4], &wanted.octets())
}

/// An advertisement of an address, to one station or all.
pub(crate) fn advertisement(
    (mac, address): ([u8; 6], Ipv6Addr),
    to: ([u8; 6], Ipv6Addr),
    flags: u8,
) -> Vec<u8> {
    let body = target(address, 2, mac);
    icmp6((mac, address), to, ADVERTISEMENT, [flags, 0, 0, 0], &body)
}

/// Puts extension headers between an IPv6 header and what follows: protocols with their eight-byte
/// units.
pub(crate) fn extended(frame: &[u8], chain: &[(u8, u8)]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    for (protocol, units) in chain.iter().rev() {
        let mut header = vec![0; usize::from(*units) * 8];
        header[0] = frame[20];
        header[1] = units - 1;
        // PadN, or else the zero bytes are so many of Pad1.
        frame.splice(54..54, header);
        frame[20] = *protocol;
    }
    let length = u16::try_from(frame.len() - 54).expect("a short frame");
    frame[18..20].copy_from_slice(&length.to_be_bytes());
    frame
}

/// Makes an IPv6 packet a fragment: bytes of offset, and whether more come.
pub(crate) fn fragment6(frame: &[u8], offset: u16, more: bool) -> Vec<u8> {
    let mut frame = extended(frame, &[(44, 1)]);
    frame[55] = 0;
    frame[56..58].copy_from_slice(&(offset | u16::from(more)).to_be_bytes());
    frame
}

/// Makes an IPv4 packet a fragment; its header checksum is nobody's business here.
pub(crate) fn fragment4(frame: &[u8], offset: u16, more: bool) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let bits = (offset / 8) | (u16::from(more) << 13);
    frame[20..22].copy_from_slice(&bits.to_be_bytes());
    frame
}

/// A DHCP message (RFC 2131 section 2): operation 1 asks, 2 answers.
pub(crate) fn dhcp(operation: u8, hardware: [u8; 6]) -> Vec<u8> {
    let mut body = vec![operation, 1, 6, 0, 1, 2, 3, 4];
    body.resize(28, 0);
    body.extend(hardware);
    body.resize(236, 0);
    // The cookie, and the type of the message: DISCOVER or OFFER.
    body.extend([99, 130, 83, 99, 53, 1, operation, 255]);
    body
}

/// A client's first DHCP message.
pub(crate) fn discover(mac: [u8; 6], hardware: [u8; 6]) -> Vec<u8> {
    let from = Endpoint::new(mac, Ipv4Addr::UNSPECIFIED);
    let to = Endpoint::new(BROADCAST, Ipv4Addr::BROADCAST);
    udp(from, to, (68, 67), &dhcp(1, hardware))
}
