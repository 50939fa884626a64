//! Complete headers against bytes written by hand from RFC 791, 768, 8200 and 7348.

use std::{vec, vec::Vec};

use super::*;

const OWN_V6: VtepAddr = VtepAddr::v6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x17]);
const PEER_V6: VtepAddr = VtepAddr::v6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x34]);

const V4: usize = header_len(4);
const V6: usize = header_len(6);

const FIELDS: Fields = Fields {
    inner_len: 60,
    traffic_class: 0xb9,
    source_port: 0xc123,
    vni: 0x12_3456,
};

fn template_v4() -> Template {
    Template::new(
        4,
        VtepAddr::v4([192, 0, 2, 17]),
        VtepAddr::v4([192, 0, 2, 34]),
        4789,
    )
}

fn template_v6() -> Template {
    Template::new(6, OWN_V6, PEER_V6, 4789)
}

fn completed<const N: usize>(template: &Template, fields: &Fields) -> [u8; N] {
    let mut header = *template.header.0.first_chunk().unwrap();
    complete(&mut header, template.checksum, fields);
    header
}

fn v4(fields: &Fields) -> [u8; V4] {
    completed(&template_v4(), fields)
}

fn v6(fields: &Fields) -> [u8; V6] {
    completed(&template_v6(), fields)
}

/// The sum that a receiver makes over an IPv4 header: 0 if the checksum is right (RFC 1071). One
/// word at a time, unlike the code under test.
fn verify(header: &[u8]) -> u16 {
    let mut sum = 0u16;
    for word in header.chunks(2) {
        let (next, carry) = sum.overflowing_add(u16::from_be_bytes([word[0], word[1]]));
        sum = next + u16::from(carry);
    }
    !sum
}

#[test]
fn r7348_02_04_11_16_the_ipv4_header_byte_by_byte() {
    #[rustfmt::skip]
    let expected = [
        // Version 4 and 5 words; DSCP and ECN of the inner packet; 20 + 8 + 8 + 60 bytes.
        0x45, 0xb9, 0x00, 0x60,
        // Id 0 and "don't fragment" (RFC 6864 lets an atomic datagram have any id).
        0x00, 0x00, 0x40, 0x00,
        // TTL 64, UDP, checksum.
        64, 17, 0xb5, 0xa0,
        192, 0, 2, 17,
        192, 0, 2, 34,
        // Source port, port 4789, 8 + 8 + 60 bytes, no checksum.
        0xc1, 0x23, 0x12, 0xb5, 0x00, 0x4c, 0x00, 0x00,
        // I flag alone, reserved, VNI, reserved.
        0x08, 0, 0, 0, 0x12, 0x34, 0x56, 0,
    ];
    assert_eq!(v4(&FIELDS), expected);
    assert_eq!(verify(&expected[..20]), 0);
}

#[test]
fn r7348_02_04_11_the_ipv6_header_byte_by_byte() {
    #[rustfmt::skip]
    let expected = [
        // Version 6, traffic class 0xb9, flow label 0; 8 + 8 + 60 bytes, UDP, hop limit 64.
        0x6b, 0x90, 0x00, 0x00, 0x00, 0x4c, 17, 64,
        0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x17,
        0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x34,
        // Source port, port 4789, 8 + 8 + 60 bytes; no checksum (RFC 6935).
        0xc1, 0x23, 0x12, 0xb5, 0x00, 0x4c, 0x00, 0x00,
        0x08, 0, 0, 0, 0x12, 0x34, 0x56, 0,
    ];
    assert_eq!(v6(&FIELDS), expected);
}

#[test]
fn r7348_08_the_port_is_the_templates() {
    let template = Template::new(6, OWN_V6, PEER_V6, 8472);
    let header: [u8; V6] = completed(&template, &FIELDS);
    assert_eq!(header[42..44], 8472u16.to_be_bytes());
    let template = Template::new(
        4,
        VtepAddr::v4([10, 0, 0, 1]),
        VtepAddr::v4([10, 0, 0, 2]),
        8472,
    );
    let header: [u8; V4] = completed(&template, &FIELDS);
    assert_eq!(header[22..24], 8472u16.to_be_bytes());
}

#[test]
fn ecn_01_dscp_and_ecn_are_inherited() {
    for traffic_class in 0..=255 {
        let fields = Fields {
            traffic_class,
            ..FIELDS
        };
        let header = v4(&fields);
        assert_eq!(header[1], traffic_class);
        assert_eq!(verify(&header[..20]), 0, "class {traffic_class:#x}");
        let header = v6(&fields);
        assert_eq!(header[0] >> 4, 6);
        assert_eq!(header[0] << 4 | header[1] >> 4, traffic_class);
        assert_eq!(header[1] & 0x0f, 0, "the flow label stays 0");
    }
}

#[test]
fn the_header_is_written_for_a_vni_of_all_ones_and_nothing_else() {
    let fields = Fields {
        vni: 0xff_ffff,
        ..FIELDS
    };
    assert_eq!(v4(&fields)[28..], [8, 0, 0, 0, 0xff, 0xff, 0xff, 0]);
    assert_eq!(v6(&fields)[48..], [8, 0, 0, 0, 0xff, 0xff, 0xff, 0]);
}

#[test]
fn every_length_has_a_right_checksum_and_super_packets_are_cut() {
    for inner_len in (0..=66_000).chain([0x1_ffff, 0x7fff_ffff, u32::MAX]) {
        let fields = Fields {
            inner_len,
            traffic_class: inner_len as u8,
            ..FIELDS
        };
        let header = v4(&fields);
        assert_eq!(verify(&header[..20]), 0, "{inner_len} bytes");
        let lengths = (u64::from(inner_len) + 36, u64::from(inner_len) + 16);
        assert_eq!(header[2..4], (lengths.0 as u16).to_be_bytes());
        assert_eq!(header[24..26], (lengths.1 as u16).to_be_bytes());
        let header = v6(&fields);
        assert_eq!(header[4..6], (lengths.1 as u16).to_be_bytes());
        assert_eq!(header[44..46], (lengths.1 as u16).to_be_bytes());
    }
}

#[test]
fn the_checksum_is_right_for_extreme_addresses() {
    let ends = [[0u8; 4], [255; 4], [255, 255, 0, 0], [1, 2, 3, 4]];
    for local in ends {
        for remote in ends {
            let template = Template::new(4, VtepAddr::v4(local), VtepAddr::v4(remote), 4789);
            for (inner_len, traffic_class) in [(0, 0), (65_499, 255), (1500, 3)] {
                let fields = Fields {
                    inner_len,
                    traffic_class,
                    ..FIELDS
                };
                let header: [u8; V4] = completed(&template, &fields);
                assert_eq!(verify(&header[..20]), 0, "{local:?} {remote:?}");
            }
        }
    }
}

#[test]
fn r7348_18_the_overhead_is_50_and_70_bytes() {
    assert_eq!((overhead(4), overhead(6)), (50, 70));
    assert_eq!((header_len(4), header_len(6)), (36, 56));
}

/// Returns how many of the ports fall into each of 16 buckets.
fn buckets(ports: &[u16], bucket: impl Fn(u16) -> u16) -> [usize; 16] {
    let mut count = [0; 16];
    for port in ports {
        count[usize::from(bucket(*port))] += 1;
    }
    count
}

#[test]
fn r7348_10_a_thousand_flows_spread_over_the_recommended_ports() {
    // splitmix64, the upper half: as good a hash as the kernel's siphash for this purpose.
    let mixed = |index: u64| {
        let mut x = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ x >> 31) >> 32) as u32
    };
    let kinds: [(&str, Vec<u32>); 3] = [
        ("mixed", (1..=1000).map(mixed).collect()),
        ("low bits", (0..1000).collect()),
        ("high bits", (0..1000).map(|hash| hash << 16).collect()),
    ];
    for (kind, hashes) in kinds {
        let ports: Vec<u16> = hashes.iter().map(|hash| source_port(*hash)).collect();
        assert!(ports.iter().all(|port| *port >= 49_152), "{kind}");
        let low = buckets(&ports, |port| port % 16);
        assert!(low.iter().all(|count| *count <= 125), "{kind}: {low:?}");
        if kind == "mixed" {
            let range = buckets(&ports, |port| (port - 49_152) / 1024);
            assert!(range.iter().all(|count| *count <= 125), "{kind}: {range:?}");
        }
    }
}

#[test]
fn r7348_10_both_ends_of_the_range_are_used() {
    let ports = vec![source_port(0), source_port(0x3fff), source_port(u32::MAX)];
    assert_eq!(ports, [49_152, 65_535, 49_152]);
}
