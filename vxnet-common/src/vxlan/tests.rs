//! Classification of golden packets, and of everything that can be wrong with them.

use std::vec::Vec;

use super::*;

/// Bytes before the inner frame, by family.
const START_V4: usize = 14 + 20 + 8 + 8;
const START_V6: usize = 14 + 40 + 8 + 8;
/// Bytes of the inner frame.
const INNER: usize = 60;
const VNI: u32 = 0x00_03e8;

const PEER_V6: VtepAddr = VtepAddr::v6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x17]);
const OWN_V6: VtepAddr = VtepAddr::v6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x34]);

#[rustfmt::skip]
const HEADERS_V4: [u8; START_V4] = [
    0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00,
    // Version and IHL, TOS, total length 96, id, DF, TTL, UDP, checksum, 192.0.2.17 > 192.0.2.34.
    0x45, 0xb9, 0x00, 0x60, 0, 0, 0x40, 0, 64, 17, 0xb5, 0xa0, 192, 0, 2, 17, 192, 0, 2, 34,
    // Port 49443 > 4789, length 76, no checksum.
    0xc1, 0x23, 0x12, 0xb5, 0x00, 0x4c, 0, 0,
    0x08, 0, 0, 0, 0x00, 0x03, 0xe8, 0,
];

#[rustfmt::skip]
const HEADERS_V6: [u8; START_V6] = [
    0x02, 0, 0, 0, 0, 2, 0x02, 0, 0, 0, 0, 1, 0x86, 0xdd,
    // Version, class 0xb9, flow label 0x12345; payload length 76, UDP, hop limit 64.
    0x6b, 0x91, 0x23, 0x45, 0x00, 0x4c, 17, 64,
    0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x17,
    0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x34,
    0xc1, 0x23, 0x12, 0xb5, 0x00, 0x4c, 0, 0,
    0x08, 0, 0, 0, 0x00, 0x03, 0xe8, 0,
];

// Where the fields stand, from the start of the packet.
const IP: usize = 14;
const UDP_V4: usize = IP + 20;
const UDP_V6: usize = IP + 40;

fn v4() -> Vec<u8> {
    [&HEADERS_V4[..], &[0xaa; INNER]].concat()
}

fn v6() -> Vec<u8> {
    [&HEADERS_V6[..], &[0xaa; INNER]].concat()
}

fn local(family: u8) -> Local {
    Local {
        layout: 1,
        underlay: if family == 6 {
            OWN_V6
        } else {
            VtepAddr::v4([192, 0, 2, 34])
        },
        port: 4789,
        family,
        pad: 0,
        detour: 0,
        resolver: 0,
        name: [0; 32],
    }
}

/// Classifies a packet on a host with an underlay of that family.
fn on(family: u8, packet: &[u8]) -> Outer {
    classify(packet, &local(family), false)
}

fn expected(family: u8) -> Tunnelled {
    let (source, start) = if family == 6 {
        (PEER_V6, START_V6)
    } else {
        (VtepAddr::v4([192, 0, 2, 17]), START_V4)
    };
    Tunnelled {
        source,
        group: VtepAddr::NONE,
        vni: VNI,
        source_port: 49_443,
        traffic_class: 0xb9,
        start: start as u32,
        end: (start + INNER) as u32,
    }
}

/// The packets, with the offset of their UDP header and of their inner frame.
fn both() -> [(u8, Vec<u8>, usize, usize); 2] {
    [(4, v4(), UDP_V4, START_V4), (6, v6(), UDP_V6, START_V6)]
}

fn set(packet: &mut [u8], offset: usize, bytes: &[u8]) {
    packet[offset..offset + bytes.len()].copy_from_slice(bytes);
}

const BAD_OUTER: Outer = Outer::Bad(Reason::BadOuter);

#[test]
fn r7348_24_a_packet_of_each_family_is_understood() {
    for (family, packet, ..) in both() {
        assert_eq!(on(family, &packet), Outer::Vxlan(expected(family)));
    }
}

#[test]
fn the_other_family_is_the_hosts() {
    assert_eq!(on(6, &v4()), Outer::Foreign);
    assert_eq!(on(4, &v6()), Outer::Foreign);
    // Not even one whose address reads the same: ::ffff:192.0.2.34 on the wire is no VTEP.
    let mut packet = v6();
    set(
        &mut packet,
        IP + 24,
        &VtepAddr::v4([192, 0, 2, 34]).octets(),
    );
    assert_eq!(on(4, &packet), Outer::Foreign);
}

#[test]
fn other_ethertypes_are_the_hosts() {
    for (family, packet, ..) in both() {
        for ethertype in [
            [0x08, 0x06],
            [0x81, 0x00],
            [0x88, 0xa8],
            [0x88, 0x47],
            [0, 0],
        ] {
            let mut packet = packet.clone();
            set(&mut packet, 12, &ethertype);
            assert_eq!(on(family, &packet), Outer::Foreign, "{ethertype:x?}");
        }
    }
}

#[test]
fn r7348_08_the_port_is_the_configured_one() {
    for (family, packet, udp, _) in both() {
        let mut other = packet.clone();
        set(&mut other, udp + 2, &8472u16.to_be_bytes());
        assert_eq!(on(family, &other), Outer::Foreign);
        let local = Local {
            port: 8472,
            ..local(family)
        };
        let tunnelled = Outer::Vxlan(expected(family));
        assert_eq!(classify(&other[..], &local, false), tunnelled);
        assert_eq!(classify(&packet[..], &local, false), Outer::Foreign);
        // Any source port will do (R7348-09).
        let mut other = packet.clone();
        set(&mut other, udp, &[0, 1]);
        let tunnelled = Tunnelled {
            source_port: 1,
            ..expected(family)
        };
        assert_eq!(on(family, &other), Outer::Vxlan(tunnelled));
    }
}

#[test]
fn other_protocols_and_versions_are_the_hosts() {
    for (family, packet, ..) in both() {
        let protocol = if family == 6 { IP + 6 } else { IP + 9 };
        for value in (0..=255).filter(|value| *value != 17) {
            let mut packet = packet.clone();
            packet[protocol] = value;
            assert_eq!(on(family, &packet), Outer::Foreign, "protocol {value}");
        }
        let version = packet[IP] >> 4;
        for value in (0..16).filter(|value| *value != version) {
            let mut packet = packet.clone();
            packet[IP] = value << 4 | packet[IP] & 0x0f;
            assert_eq!(on(family, &packet), Outer::Foreign, "version {value}");
        }
    }
}

#[test]
fn attack3_another_address_of_the_host_is_not_the_vteps() {
    for (family, packet, udp, _) in both() {
        // Each byte of the destination counts.
        let len = if family == 6 { 16 } else { 4 };
        for offset in udp - len..udp {
            let mut packet = packet.clone();
            packet[offset] ^= 1;
            assert_eq!(on(family, &packet), Outer::NotOurs, "byte {offset}");
        }
        // And nothing is judged that is not for us.
        let mut packet = packet.clone();
        packet[udp - 1] ^= 1;
        set(&mut packet, udp + 4, &[0, 0]);
        assert_eq!(on(family, &packet), Outer::NotOurs);
    }
}

#[test]
fn r7348_17_fragments_are_never_taken_for_whole_packets() {
    let mut packet = v4();
    set(&mut packet, IP + 6, &[0x20, 0]);
    let first = on(4, &packet);
    assert_eq!(first, Outer::Bad(Reason::OuterFragment), "first");
    for offset in [[0x20, 1], [0, 1], [0x1f, 0xff], [0x3f, 0xff], [0x10, 0]] {
        set(&mut packet, IP + 6, &offset);
        // What follows is not a UDP header, so nobody but the host can judge.
        assert_eq!(on(4, &packet), Outer::Foreign, "{offset:x?}");
    }
    // "Don't fragment", set or not, and the reserved bit make no fragment.
    for flags in [[0, 0], [0x40, 0], [0x80, 0], [0xc0, 0]] {
        set(&mut packet, IP + 6, &flags);
        assert_eq!(on(4, &packet), Outer::Vxlan(expected(4)), "{flags:x?}");
    }
    let mut packet = v6();
    packet[IP + 6] = 44;
    assert_eq!(on(6, &packet), Outer::Foreign, "fragment extension header");
}

#[test]
fn r7348_01_without_the_i_flag_there_is_no_vni() {
    for (family, packet, udp, _) in both() {
        for flags in 0..=255u8 {
            let mut packet = packet.clone();
            packet[udp + 8] = flags;
            let outer = if flags & 0x08 == 0 {
                Outer::Bad(Reason::BadVxlan)
            } else {
                // R7348-03: the others are ignored.
                Outer::Vxlan(expected(family))
            };
            assert_eq!(on(family, &packet), outer, "flags {flags:#x}");
        }
    }
}

#[test]
fn r7348_05_reserved_bytes_are_ignored() {
    for (family, mut packet, udp, _) in both() {
        set(&mut packet, udp + 9, &[0xff; 3]);
        packet[udp + 15] = 0xff;
        assert_eq!(on(family, &packet), Outer::Vxlan(expected(family)));
    }
}

#[test]
fn r7348_14_r7348_15_a_udp_checksum_is_accepted_unverified() {
    for (family, mut packet, udp, _) in both() {
        set(&mut packet, udp + 6, &[0xde, 0xad]);
        assert_eq!(on(family, &packet), Outer::Vxlan(expected(family)));
    }
}

#[test]
fn the_vni_is_read_whole() {
    for (family, mut packet, udp, _) in both() {
        set(&mut packet, udp + 12, &[0xff, 0x01, 0x80]);
        let Outer::Vxlan(tunnelled) = on(family, &packet) else {
            panic!("not taken");
        };
        assert_eq!(tunnelled.vni, 0xff_0180);
    }
}

#[test]
fn attack12_an_ipv4_header_length_that_lies_moves_no_bound() {
    for ihl in 0..5 {
        let mut packet = v4();
        packet[IP] = 0x40 | ihl;
        assert_eq!(on(4, &packet), Outer::Foreign, "IHL {ihl}");
    }
    // One that would read the destination 192.0.18.181 as port 4789, and on from there.
    let mut packet = v4();
    packet[IP] = 0x44;
    set(&mut packet, IP + 18, &4789u16.to_be_bytes());
    set(&mut packet, IP + 20, &50u16.to_be_bytes());
    packet[IP + 24] = 0x08;
    let local = Local {
        underlay: VtepAddr::v4([192, 0, 0x12, 0xb5]),
        ..local(4)
    };
    assert_eq!(classify(&packet[..], &local, false), Outer::Foreign);
    // Longer than it is: what is read as UDP header is not one.
    for ihl in 6..16 {
        let mut packet = v4();
        packet[IP] = 0x40 | ihl;
        assert_eq!(on(4, &packet), Outer::Foreign, "IHL {ihl}");
    }
}

#[test]
fn ipv4_options_move_the_inner_frame() {
    for words in 1..=10 {
        let mut packet = v4();
        packet[IP] = 0x45 + words;
        let options = usize::from(words) * 4;
        set(&mut packet, IP + 2, &(96 + options as u16).to_be_bytes());
        packet.splice(UDP_V4..UDP_V4, std::iter::repeat_n(1, options));
        let moved = Tunnelled {
            start: (START_V4 + options) as u32,
            end: (START_V4 + options + INNER) as u32,
            ..expected(4)
        };
        assert_eq!(on(4, &packet), Outer::Vxlan(moved), "{options} bytes");
    }
}

#[test]
fn attack11_a_packet_cut_anywhere_is_never_taken() {
    for (family, packet, udp, _) in both() {
        for len in 0..packet.len() {
            let outer = on(family, &packet[..len]);
            // Without a whole UDP header nobody knows what it is.
            let expected = if len < udp + 8 {
                Outer::Foreign
            } else {
                BAD_OUTER
            };
            assert_eq!(outer, expected, "{len} bytes of family {family}");
        }
        for len in 0..packet.len() {
            // A super-packet's bounds are its own, but it has an inner Ethernet header.
            let outer = classify(&packet[..len], &local(family), true);
            let taken = matches!(outer, Outer::Vxlan(packet) if packet.end as usize == len);
            assert_eq!(taken, len >= udp + 16 + 14, "{len} bytes, GSO: {outer:?}");
        }
    }
}

#[test]
fn attack11_padding_is_never_payload() {
    for (family, mut packet, ..) in both() {
        packet.extend([0xee; 40]);
        assert_eq!(on(family, &packet), Outer::Vxlan(expected(family)));
    }
    // Padding within the IP packet, behind what UDP says.
    for (family, mut packet, udp, start) in both() {
        set(&mut packet, udp + 4, &(16 + 50u16).to_be_bytes());
        let shorter = Tunnelled {
            end: (start + 50) as u32,
            ..expected(family)
        };
        assert_eq!(on(family, &packet), Outer::Vxlan(shorter));
    }
}

#[test]
fn attack11_every_udp_and_ip_length_is_bounded_by_the_next() {
    for (family, mut packet, udp, start) in both() {
        let (ip_len, header) = if family == 6 {
            (IP + 4, 0)
        } else {
            (IP + 2, 20)
        };
        let total = (packet.len() - IP) as u16;
        let interesting = (0..200u16).chain([1400, 1500, 0x7fff, 0x8000, 0xfff0, 0xffff]);
        for ip in interesting {
            set(&mut packet, ip_len, &ip.to_be_bytes());
            for len in 0..=u16::MAX {
                // Every length once; the rest of the square is far beyond any bound.
                if len > 200 && len < 0xff00 && ip % 50 != 0 {
                    continue;
                }
                set(&mut packet, udp + 4, &len.to_be_bytes());
                let payload = i64::from(ip) - header;
                let room = i64::from(total) - if family == 6 { 40 } else { 20 };
                let fits = i64::from(len) <= payload && payload <= room;
                let outer = if fits && len >= 16 + 14 {
                    Outer::Vxlan(Tunnelled {
                        end: start as u32 + u32::from(len) - 16,
                        ..expected(family)
                    })
                } else {
                    BAD_OUTER
                };
                assert_eq!(on(family, &packet), outer, "IP {ip}, UDP {len}");
            }
        }
    }
}

#[test]
fn a_super_packets_length_fields_are_not_its_bounds() {
    for (family, mut packet, udp, start) in both() {
        packet.resize(start + 65_000, 0xaa);
        set(&mut packet, udp + 4, &[0, 0]);
        let whole = Tunnelled {
            end: (start + 65_000) as u32,
            ..expected(family)
        };
        let outer = classify(&packet[..], &local(family), true);
        assert_eq!(outer, Outer::Vxlan(whole));
        assert_eq!(on(family, &packet), BAD_OUTER, "unless it is none");
    }
}

#[test]
fn any_two_wrong_header_bytes_neither_panic_nor_move_a_bound_outside() {
    // Values that sit on the edges of the fields.
    const VALUES: [u8; 12] = [0, 1, 4, 8, 17, 0x20, 0x40, 0x45, 0x4f, 0x60, 0x7f, 0xff];
    for (family, golden, _, start) in both() {
        let local = local(family);
        let mut packet = golden.clone();
        let check = |packet: &[u8]| {
            for is_gso in [false, true] {
                let Outer::Vxlan(inner) = classify(packet, &local, is_gso) else {
                    continue;
                };
                let len = packet.len() as u32;
                assert!(inner.start + 14 <= inner.end, "{packet:x?}");
                assert!(inner.end <= len, "{packet:x?}");
                assert!(inner.vni <= 0xff_ffff);
            }
        };
        for first in 12..start {
            for value in 0..=255 {
                packet[first] = value;
                check(&packet);
            }
            for value in VALUES {
                packet[first] = value;
                for second in first + 1..start {
                    for value in VALUES {
                        packet[second] = value;
                        check(&packet);
                    }
                    packet[second] = golden[second];
                }
            }
            packet[first] = golden[first];
        }
    }
}
