//! Who is told, and what.

use std::vec::Vec;

use super::*;

const GUEST: Mac = Mac([0x52, 0x54, 0, 0, 0, 1]);
const PEER: Mac = Mac([0x52, 0x54, 0, 0, 0, 2]);
const FROM_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const TO_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];

/// What is written over a frame, at which offsets.
type Changes<'a> = &'a [(usize, &'a [u8])];

/// A frame of 1514 bytes with a known payload.
fn frame(ethertype: u16, header: &[u8], changes: Changes) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(PEER.0);
    frame.extend(GUEST.0);
    frame.extend(ethertype.to_be_bytes());
    frame.extend(header);
    frame.extend((frame.len()..1514).map(|n| n as u8));
    for (offset, bytes) in changes {
        frame[*offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    frame
}

/// TCP from 10.0.0.1 to 10.0.0.2 with DF.
fn v4(changes: Changes) -> Vec<u8> {
    let header = [
        0x45, 0xb8, 5, 0xdc, 0x12, 0x34, 0x40, 0, 63, 6, 0xab, 0xcd, 10, 0, 0, 1, 10, 0, 0, 2,
    ];
    frame(0x0800, &header, changes)
}

/// TCP from 2001:db8::1 to 2001:db8::2.
fn v6(changes: Changes) -> Vec<u8> {
    let mut header = Vec::from([0x6b, 0x81, 2, 3, 5, 0xb4, 6, 63]);
    header.extend(FROM_V6);
    header.extend(TO_V6);
    frame(0x86dd, &header, changes)
}

fn told(bytes: &[u8]) -> bool {
    may_tell(bytes, &Ethernet::parse(bytes, 0).unwrap())
}

/// The one's complement sum of bytes in network order, the simple way.
fn sum(bytes: &[u8]) -> u16 {
    bytes.chunks_exact(2).fold(0, |sum: u16, word| {
        let (sum, carry) = sum.overflowing_add(u16::from_be_bytes([word[0], word[1]]));
        sum + u16::from(carry)
    })
}

#[test]
fn rfc1812_who_is_told_over_ipv4() {
    // Protocol and first payload byte.
    let icmp = |kind| v4(&[(23, &[1]), (34, &[kind])]);
    let rows: &[(&str, Vec<u8>, bool)] = &[
        ("TCP", v4(&[]), true),
        ("UDP", v4(&[(23, &[17])]), true),
        ("first fragment", v4(&[(20, &[0x60, 0])]), true),
        ("may be fragmented", v4(&[(20, &[0, 0])]), false),
        ("later fragment", v4(&[(20, &[0x40, 1])]), false),
        ("later fragment, far", v4(&[(20, &[0x50, 0])]), false),
        ("to a group MAC", v4(&[(0, &[1, 0, 0x5e, 0, 0, 1])]), false),
        ("to broadcast", v4(&[(0, &[0xff; 6])]), false),
        (
            "from a group MAC",
            v4(&[(6, &[1, 0, 0x5e, 0, 0, 1])]),
            false,
        ),
        ("from MAC zero", v4(&[(6, &[0; 6])]), false),
        ("to a group", v4(&[(30, &[224, 0, 0, 1])]), false),
        ("to 255.255.255.255", v4(&[(30, &[255; 4])]), false),
        ("from a group", v4(&[(26, &[239, 0, 0, 1])]), false),
        ("from 255.255.255.255", v4(&[(26, &[255; 4])]), false),
        ("from zero", v4(&[(26, &[0; 4])]), false),
        ("from loopback", v4(&[(26, &[127, 0, 0, 1])]), false),
        ("version 5", v4(&[(14, &[0x55])]), false),
        ("IHL 4", v4(&[(14, &[0x44])]), false),
        ("IHL 14", v4(&[(14, &[0x4e])]), true),
        ("IHL 15, more than is quoted", v4(&[(14, &[0x4f])]), false),
        ("ARP", v4(&[(12, &[8, 6])]), false),
        ("tagged", v4(&[(12, &[0x81, 0])]), false),
        (
            "ICMP behind options",
            v4(&[(14, &[0x46]), (23, &[1]), (34, &[8]), (38, &[3])]),
            false,
        ),
        ("ICMP cut off", icmp(8)[..34].to_vec(), false),
        ("header cut off", v4(&[])[..33].to_vec(), false),
    ];
    for (name, frame, expected) in rows {
        assert_eq!(told(frame), *expected, "{name}");
    }
    for kind in 0..=255 {
        let query = matches!(kind, 0 | 8 | 13 | 14 | 15 | 16 | 17 | 18);
        assert_eq!(told(&icmp(kind)), query, "ICMP type {kind}");
    }
}

#[test]
fn rfc4443_who_is_told_over_ipv6() {
    let icmp = |kind| v6(&[(20, &[58]), (54, &[kind])]);
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1];
    let rows: &[(&str, Vec<u8>, bool)] = &[
        ("TCP", v6(&[]), true),
        (
            "to a group MAC",
            v6(&[(0, &[0x33, 0x33, 0, 0, 0, 1])]),
            false,
        ),
        ("to a group", v6(&[(38, &[0xff, 2])]), false),
        ("from a group", v6(&[(22, &[0xff, 2])]), false),
        ("from nobody", v6(&[(22, &[0; 16])]), false),
        ("from an IPv4-mapped address", v6(&[(22, &mapped)]), false),
        ("version 4", v6(&[(14, &[0x4b])]), false),
        (
            "first fragment of an echo",
            v6(&[(20, &[44]), (54, &[58, 0, 0, 1]), (62, &[128])]),
            true,
        ),
        (
            "later fragment",
            v6(&[(20, &[44]), (54, &[58, 0, 0, 9])]),
            true,
        ),
        (
            "error behind a header",
            v6(&[(20, &[60]), (54, &[58, 0]), (62, &[2])]),
            false,
        ),
        (
            "behind too long a header",
            v6(&[(20, &[60]), (54, &[6, 255])]),
            false,
        ),
        ("header cut off", v6(&[])[..53].to_vec(), false),
    ];
    for (name, frame, expected) in rows {
        assert_eq!(told(frame), *expected, "{name}");
    }
    for kind in 0..=255 {
        let query = kind >= 128 && kind != 137;
        assert_eq!(told(&icmp(kind)), query, "ICMPv6 type {kind}");
    }
}

/// Makes the message as the kernel programs do.
fn answer(original: &[u8], source: &[u8], mtu: u32) -> Vec<u8> {
    let mut packet = original.to_vec();
    let ethernet = Ethernet::parse(&packet[..], 0).unwrap();
    let is_v4 = ethernet.ethertype == 0x0800;
    let (quoted, len) = if is_v4 {
        (quote_v4(&mut packet[..]).unwrap(), LEN_V4)
    } else {
        (quote_v6(&mut packet[..]).unwrap(), LEN_V6)
    };
    packet.truncate(len + SPARE);
    packet.drain(14..14 + SPARE);
    assert!(if is_v4 {
        let source = source.try_into().unwrap();
        write_v4(&mut packet[..], &ethernet, quoted, source, mtu as u16)
    } else {
        write_v6(
            &mut packet[..],
            &ethernet,
            quoted,
            source.try_into().unwrap(),
            mtu,
        )
    });
    packet
}

#[test]
fn rfc1191_the_message_over_ipv4() {
    let original = v4(&[]);
    let packet = answer(&original, &[10, 0, 0, 254], 1450);
    assert_eq!(packet.len(), 106);
    let mut expected = Vec::new();
    expected.extend(GUEST.0);
    expected.extend(PEER.0);
    expected.extend([8, 0, 0x45, 0, 0, 92, 0, 0, 0, 0, 64, 1]);
    expected.extend(&packet[24..26]); // checked below
    expected.extend([10, 0, 0, 254, 10, 0, 0, 1, 3, 4]);
    expected.extend(&packet[36..38]); // checked below
    expected.extend([0, 0, 5, 0xaa]);
    expected.extend(&original[14..78]);
    assert_eq!(packet, expected);
    assert_eq!(sum(&packet[14..34]), 0xffff, "header checksum");
    assert_eq!(sum(&packet[34..]), 0xffff, "ICMP checksum");
    assert!(!told(&packet), "no error about an error");
}

#[test]
fn rfc4443_the_message_over_ipv6() {
    let original = v6(&[]);
    let packet = answer(&original, &TO_V6, 0x1_2345);
    assert_eq!(packet.len(), 150);
    let mut expected = Vec::new();
    expected.extend(GUEST.0);
    expected.extend(PEER.0);
    expected.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 96, 58, 64]);
    expected.extend(TO_V6);
    expected.extend(FROM_V6);
    expected.extend([2, 0]);
    expected.extend(&packet[56..58]); // checked below
    expected.extend([0, 1, 0x23, 0x45]);
    expected.extend(&original[14..102]);
    assert_eq!(packet, expected);
    // Source, destination and message, with the length and the protocol of the pseudo-header.
    let pseudo = [&packet[22..], &[0, 96, 0, 58]].concat();
    assert_eq!(sum(&pseudo), 0xffff, "ICMPv6 checksum");
    assert!(!told(&packet), "no error about an error");
}

#[test]
fn checksums_are_right_whatever_is_quoted() {
    for byte in 0..=255 {
        let body = [byte; 1480];
        let packet = answer(&v4(&[(34, &body)]), &[255, 255, 255, byte], 0xffff);
        assert_eq!(sum(&packet[34..]), 0xffff, "{byte}");
        assert_eq!(sum(&packet[14..34]), 0xffff, "{byte}");
        let packet = answer(&v6(&[(54, &body[..1460])]), &[byte; 16], u32::MAX);
        let pseudo = [&packet[22..], &[0, 96, 0, 58]].concat();
        assert_eq!(sum(&pseudo), 0xffff, "{byte}");
    }
}

#[test]
fn a_packet_without_room_is_refused() {
    let original = v6(&[]);
    let ethernet = Ethernet::parse(&original[..], 0).unwrap();
    for len in [0, 13, 21, 77, LEN_V4 + SPARE - 1] {
        assert_eq!(
            quote_v4(&mut original[..len].to_vec()[..]),
            None,
            "{len} bytes"
        );
    }
    for len in [0, 13, 21, 101, NEEDED - 1] {
        assert_eq!(
            quote_v6(&mut original[..len].to_vec()[..]),
            None,
            "{len} bytes"
        );
    }
    assert!(quote_v6(&mut original[..NEEDED].to_vec()[..]).is_some());
    for len in [0, 13, 53, 61] {
        let mut packet = original[..len].to_vec();
        assert!(
            !write_v4(&mut packet[..], &ethernet, 1, [1; 4], 1450),
            "{len} bytes"
        );
        assert!(
            !write_v6(&mut packet[..], &ethernet, 1, [1; 16], 1450),
            "{len} bytes"
        );
        assert_eq!(packet, original[..len], "{len} bytes");
    }
}
