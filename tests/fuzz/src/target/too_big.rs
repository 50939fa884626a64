//! Telling a sender that its packet is too big.

use etherparse::{Icmpv4Slice, Icmpv6Slice, IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice};
use vxnet_common::{
    frame::Ethernet,
    too_big::{LEN_V4, LEN_V6, NEEDED, SPARE, may_tell, quote_v4, quote_v6, write_v4, write_v6},
};

use super::draw::Draw;

const ETHERNET: usize = 14;

pub(super) fn target(data: &[u8]) {
    let mut draw = Draw::new(data);
    let source: [u8; 16] = draw.array();
    let mtu = draw.u32();
    let spare = draw.flag();
    let mut packet = draw.rest().to_vec();
    let Some(frame) = Ethernet::parse(&packet[..], 0) else {
        return;
    };
    let told = may_tell(&packet[..], &frame);
    if told {
        addressed(&packet, &frame);
    }
    // Real ones are longer than what a link takes.
    if spare {
        packet.resize(packet.len().max(NEEDED), 0xee);
    }
    if !told || !matches!(frame.ethertype, 0x0800 | 0x86dd) {
        return;
    }
    let Some(message) = message(&packet, &frame, source, mtu) else {
        assert!(packet.len() < NEEDED, "{} bytes are enough", packet.len());
        return;
    };
    let header = Ethernet::parse(&message[..], 0).expect("a header");
    assert_eq!((header.dst, header.src), (frame.src, frame.dst));
    assert_eq!(header.ethertype, frame.ethertype);
    if frame.ethertype == 0x0800 {
        fragmentation_needed(&message, &packet, source, mtu as u16);
    } else {
        packet_too_big(&message, &packet, source, mtu);
    }
    assert!(
        !may_tell(&message[..], &header),
        "nobody is told about an error"
    );
}

/// Checks that only a station is told, and only one that has an address.
fn addressed(packet: &[u8], frame: &Ethernet) {
    assert!(!frame.dst.is_group() && !frame.src.is_group() && !frame.src.is_zero());
    if frame.ethertype == 0x0800 {
        let ip = Ipv4HeaderSlice::from_slice(&packet[ETHERNET..]);
        // etherparse also refuses what is cut behind the fixed part.
        if let Ok(ip) = ip {
            assert!(ip.dont_fragment() && ip.fragments_offset().value() == 0);
            assert!(!ip.source_addr().is_unspecified() && !ip.source_addr().is_broadcast());
            assert!(!ip.source_addr().is_multicast() && !ip.source_addr().is_loopback());
            assert!(!ip.destination_addr().is_multicast());
        }
    } else {
        let ip = Ipv6HeaderSlice::from_slice(&packet[ETHERNET..]).expect("an IPv6 header");
        assert!(!ip.source_addr().is_unspecified() && !ip.source_addr().is_multicast());
        assert!(!ip.destination_addr().is_multicast());
        assert_eq!(ip.source_addr().to_ipv4_mapped(), None);
    }
}

/// Makes the message as the program does: quote, cut, remove what is too much, write.
fn message(packet: &[u8], frame: &Ethernet, source: [u8; 16], mtu: u32) -> Option<Vec<u8>> {
    let mut message = packet.to_vec();
    let is_v4 = frame.ethertype == 0x0800;
    let quoted = if is_v4 {
        quote_v4(&mut message[..])?
    } else {
        quote_v6(&mut message[..])?
    };
    let len = if is_v4 { LEN_V4 } else { LEN_V6 };
    message.truncate(len + SPARE);
    message.drain(ETHERNET..ETHERNET + SPARE);
    assert_eq!(message.len(), len);
    let mut message = message.into_boxed_slice();
    let written = if is_v4 {
        let [a, b, c, d, ..] = source;
        write_v4(&mut message[..], frame, quoted, [a, b, c, d], mtu as u16)
    } else {
        write_v6(&mut message[..], frame, quoted, source, mtu)
    };
    assert!(written);
    Some(message.into())
}

fn fragmentation_needed(message: &[u8], packet: &[u8], source: [u8; 16], mtu: u16) {
    let ip = Ipv4HeaderSlice::from_slice(&message[ETHERNET..]).expect("an IPv4 header");
    let header = ip.to_header();
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    assert_eq!(usize::from(ip.total_len()), message.len() - ETHERNET);
    assert_eq!(ip.protocol(), IpNumber::ICMP);
    assert_eq!(ip.source(), source[..4]);
    assert_eq!(ip.destination(), packet[26..30]);
    let bytes = &message[34..];
    let icmp = Icmpv4Slice::from_slice(bytes).expect("an ICMP header");
    assert_eq!(super::internet_sum(bytes), 0xffff);
    assert_eq!((icmp.type_u8(), icmp.code_u8()), (3, 4));
    let [high, low] = mtu.to_be_bytes();
    assert_eq!(icmp.bytes5to8(), [0, 0, high, low]);
    assert_eq!(icmp.payload(), &packet[ETHERNET..][..icmp.payload().len()]);
    let ihl = usize::from(packet[ETHERNET] & 0xf) * 4;
    assert!(icmp.payload().len() >= ihl + 8, "RFC 792");
}

fn packet_too_big(message: &[u8], packet: &[u8], source: [u8; 16], mtu: u32) {
    let ip = Ipv6HeaderSlice::from_slice(&message[ETHERNET..]).expect("an IPv6 header");
    assert_eq!(usize::from(ip.payload_length()), message.len() - 54);
    assert_eq!(ip.next_header(), IpNumber::IPV6_ICMP);
    assert_eq!(ip.source(), source);
    assert_eq!(ip.destination(), packet[22..38]);
    let icmp = Icmpv6Slice::from_slice(&message[54..]).expect("an ICMPv6 header");
    assert!(icmp.is_checksum_valid(ip.source(), ip.destination()));
    assert_eq!((icmp.type_u8(), icmp.code_u8()), (2, 0));
    assert_eq!(icmp.bytes5to8(), mtu.to_be_bytes());
    assert_eq!(icmp.payload(), &packet[ETHERNET..][..icmp.payload().len()]);
}
