//! Packets whose headers lie: bounds are the smallest that any of them gives.

use vxnet_common::reason::Reason;

use crate::case::{Case, check_uplink};
use crate::fabric::{A, AT_ONE, C, Family, HOST, ONE, PORT_A, PORT_B, PORT_C, datagram, plain};
use crate::outcome::Receiver::Port;

const IP: usize = 14;

/// A faultless packet with its bytes changed.
fn bent(family: Family, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut packet = family.arrives(ONE, &datagram(AT_ONE, A));
    change(&mut packet);
    packet
}

/// Adds to a 16-bit field.
fn add(packet: &mut [u8], at: usize, difference: i16) {
    let value = u16::from_be_bytes([packet[at], packet[at + 1]]);
    let value = value.wrapping_add_signed(difference);
    packet[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// Offset of the length field of the IP header.
fn ip_length(family: Family) -> usize {
    match family {
        Family::V4 => IP + 2,
        Family::V6 => IP + 4,
    }
}

#[test]
fn attack11_lengths_that_contradict_each_other() {
    check_uplink(ONE, |family| {
        let udp_length = family.udp() + 4;
        let set_udp = |length: u16| {
            bent(family, |packet| {
                packet[udp_length..udp_length + 2].copy_from_slice(&length.to_be_bytes());
            })
        };
        let bad = |name, packet| Case::dropped(name, packet, Reason::BadOuter);
        let mut cases = vec![
            bad("attack11_udp_length_0", set_udp(0)),
            bad("attack11_udp_length_7", set_udp(7)),
            bad("attack11_udp_length_8", set_udp(8)),
            bad("attack11_udp_length_15", set_udp(15)),
            bad("attack11_udp_length_16", set_udp(16)),
            bad("attack11_udp_length_29", set_udp(29)),
            bad("attack11_udp_length_65535", set_udp(0xffff)),
            bad(
                "attack11_udp_longer_than_ip",
                bent(family, |packet| add(packet, udp_length, 1)),
            ),
            bad(
                "attack11_ip_longer_than_frame",
                bent(family, |packet| add(packet, ip_length(family), 1)),
            ),
            bad(
                "attack11_both_longer_than_frame",
                bent(family, |packet| {
                    add(packet, ip_length(family), 4);
                    add(packet, udp_length, 4);
                }),
            ),
            bad(
                "attack11_ip_shorter_than_udp",
                bent(family, |packet| add(packet, ip_length(family), -1)),
            ),
            bad(
                "attack11_frame_cut",
                bent(family, |packet| packet.truncate(packet.len() - 1)),
            ),
            bad(
                "attack11_cut_in_the_vxlan_header",
                bent(family, |packet| packet.truncate(family.udp() + 12)),
            ),
        ];
        // An inner frame is at least an Ethernet header.
        let names = [
            "attack11_inner_0_bytes",
            "attack11_inner_1",
            "attack11_inner_2",
            "attack11_inner_3",
            "attack11_inner_4",
            "attack11_inner_5",
            "attack11_inner_6",
            "attack11_inner_7",
            "attack11_inner_8",
            "attack11_inner_9",
            "attack11_inner_10",
            "attack11_inner_11",
            "attack11_inner_12",
            "attack11_inner_13",
        ];
        for (length, name) in names.into_iter().enumerate() {
            let inner = &datagram(AT_ONE, A)[..length];
            cases.push(bad(name, family.arrives(ONE, inner)));
        }
        cases
    });
}

#[test]
fn attack11_padding_is_cut() {
    check_uplink(ONE, |family| {
        let case = |name, inner: Vec<u8>, padding: usize| {
            let mut packet = family.arrives(ONE, &inner);
            packet.extend(vec![0xee; padding]);
            Case::delivered(name, packet, [(Port(PORT_A), inner)])
        };
        // The UDP datagram ends before the IP packet does.
        let inner = datagram(AT_ONE, A);
        let mut between = family.arrives(ONE, &[inner.as_slice(), &[0xee; 5]].concat());
        add(&mut between, family.udp() + 4, -5);
        let flood = plain(AT_ONE, C, 20);
        let mut padded = family.arrives(ONE, &flood);
        padded.extend([0xee; 9]);
        let members = [PORT_A, PORT_B, PORT_C, HOST].map(|slot| (Port(slot), flood.clone()));
        vec![
            case("attack11_one_byte", inner.clone(), 1),
            case("attack11_many_bytes", inner.clone(), 100),
            case("attack11_short_frame", plain(AT_ONE, A, 14), 46),
            case("attack11_42_bytes", plain(AT_ONE, A, 42), 18),
            Case::delivered(
                "attack11_between_udp_and_ip",
                between,
                [(Port(PORT_A), inner)],
            ),
            Case::delivered("attack11_flooded", padded, members),
        ]
    });
}

#[test]
fn attack12_ip_headers_that_lie() {
    check_uplink(ONE, |family| {
        let version = bent(family, |packet| packet[IP] = 0x50 | packet[IP] & 0x0f);
        let mut cases = vec![Case::passed("attack12_version_5", version)];
        if family == Family::V6 {
            let hop_by_hop = bent(family, |packet| packet[IP + 6] = 0);
            let fragment = bent(family, |packet| packet[IP + 6] = 44);
            let none = bent(family, |packet| packet[IP + 4..IP + 6].fill(0));
            cases.extend([
                Case::passed("attack12_extension_header", hop_by_hop),
                Case::passed("r7348_17_fragment", fragment),
                Case::dropped("attack12_payload_length_0", none, Reason::BadOuter),
            ]);
            return cases;
        }
        let ihl = |words: u8| bent(family, |packet| packet[IP] = 0x40 | words);
        // Where IHL points to, there is no UDP header to our port.
        for (name, words) in [
            ("attack12_ihl_0", 0),
            ("attack12_ihl_4", 4),
            ("attack12_ihl_15", 15),
        ] {
            cases.push(Case::passed(name, ihl(words)));
        }
        let with_options = |count: usize| {
            bent(family, |packet| {
                packet[IP] += (count / 4) as u8;
                add(packet, ip_length(family), count as i16);
                // No-operation options.
                let tail = packet.split_off(IP + 20);
                packet.extend(vec![1; count]);
                packet.extend(tail);
            })
        };
        let fragment = |high: u8, low: u8| {
            bent(family, |packet| {
                packet[IP + 6..IP + 8].copy_from_slice(&[high, low]);
            })
        };
        let inner = datagram(AT_ONE, A);
        let delivered = [(Port(PORT_A), inner)];
        cases.extend([
            Case::delivered("attack12_ihl_6_options", with_options(4), delivered.clone()),
            Case::delivered(
                "attack12_ihl_15_options",
                with_options(40),
                delivered.clone(),
            ),
            Case::delivered("r7348_16_without_df", fragment(0, 0), delivered),
            Case::dropped(
                "r7348_17_first_fragment",
                fragment(0x20, 0),
                Reason::OuterFragment,
            ),
            Case::passed("r7348_17_middle_fragment", fragment(0x20, 8)),
            Case::passed("r7348_17_last_fragment", fragment(0, 8)),
        ]);
        cases
    });
}
