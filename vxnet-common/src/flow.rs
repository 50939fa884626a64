//! Which flow a frame is part of, as a number: packets of a flow take the same way through a
//! network whose links are bundled, if their outer source port is the same (RFC 7348 section 5).

use crate::frame::{Packet, ethertype, protocol};

/// 2^64 over the golden ratio: multiplied with it, neighbouring numbers land far apart.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// "More fragments" and the offset: one of them is set in every fragment.
const FRAGMENT: u64 = 0x3fff;
/// Version 4, and a header of five words: without options.
const PLAIN: u64 = 0x45;

/// Returns the hash of the addresses, protocol and ports of a frame whose IP header is at `offset`;
/// `None` if that is not TCP or UDP right behind a plain IP header, all of it in the frame.
///
/// A super-packet has the hash of each of its segments. Fragments have none, for only the first has
/// ports.
#[inline(always)]
pub fn hash<P: Packet + ?Sized>(packet: &P, ether_type: u16, offset: usize) -> Option<u32> {
    match ether_type {
        ethertype::IPV4 => {
            let [first, second, third] = packet.read::<[u64; 3]>(offset)?.map(u64::from_be);
            let is_plain = first >> 56 == PLAIN && first & FRAGMENT == 0;
            let (protocol, source) = (second >> 48 & 0xff, second & 0xffff_ffff);
            let flow = spread(third) ^ (protocol << 32 | source);
            (is_plain && has_ports(protocol)).then(|| fold(flow))
        }
        ethertype::IPV6 => {
            let [first, a, b, c, d, ports] = packet.read::<[u64; 6]>(offset)?.map(u64::from_be);
            let protocol = first >> 8 & 0xff;
            let ports = protocol << 32 | ports >> 32;
            let source = spread(a) ^ b;
            let destination = spread(c) ^ d;
            let flow = spread(spread(source) ^ destination) ^ ports;
            has_ports(protocol).then(|| fold(flow))
        }
        _ => None,
    }
}

#[inline(always)]
fn has_ports(protocol: u64) -> bool {
    protocol == u64::from(protocol::TCP) || protocol == u64::from(protocol::UDP)
}

/// Lets every bit have a say in those above it, and the upper half in the lower.
#[inline(always)]
const fn spread(number: u64) -> u64 {
    let product = number.wrapping_mul(SPREAD);
    product ^ product >> 32
}

/// Returns 32 bits of a number in which every bit has a say.
#[inline(always)]
const fn fold(number: u64) -> u32 {
    (spread(number).wrapping_mul(SPREAD) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, vec::Vec};

    use super::*;

    const V4: [u8; 24] = [
        0x45, 0, 0, 46, 0, 1, 0x40, 0, 64, 17, 0xaa, 0xbb, 10, 0, 0, 1, 10, 0, 0, 2, 0x9c, 0x40,
        0x12, 0x34,
    ];

    fn v6() -> [u8; 48] {
        let mut packet = [0; 48];
        packet[0] = 0x60;
        (packet[5], packet[6], packet[7]) = (8, 6, 64);
        (packet[8], packet[23]) = (0xfd, 1);
        (packet[24], packet[39]) = (0xfd, 2);
        packet[40..44].copy_from_slice(&[0x9c, 0x40, 0x12, 0x34]);
        packet
    }

    fn with(packet: &[u8], at: usize, value: u8) -> Vec<u8> {
        let mut packet = packet.to_vec();
        packet[at] = value;
        packet
    }

    fn of4(packet: &[u8]) -> Option<u32> {
        hash(packet, ethertype::IPV4, 0)
    }

    fn of6(packet: &[u8]) -> Option<u32> {
        hash(packet, ethertype::IPV6, 0)
    }

    #[test]
    fn what_differs_between_packets_of_a_flow_does_not_count() {
        // TOS, length, identification, TTL and checksum.
        for at in [1, 2, 3, 4, 5, 8, 10, 11] {
            assert_eq!(of4(&with(&V4, at, 0x77)), of4(&V4), "byte {at}");
        }
        // Traffic class and flow label, length and hop limit. What follows the ports.
        for at in [1, 2, 3, 4, 5, 7, 44, 47] {
            assert_eq!(of6(&with(&v6(), at, 0x77)), of6(&v6()), "byte {at}");
        }
    }

    #[test]
    fn every_bit_of_addresses_ports_and_protocol_counts() {
        for (at, byte) in V4.iter().enumerate().skip(12) {
            for bit in 0..8 {
                let other = of4(&with(&V4, at, byte ^ 1 << bit));
                assert!(other.is_some() && other != of4(&V4), "bit {bit} of {at}");
            }
        }
        assert_ne!(of4(&with(&V4, 9, 6)), of4(&V4));
        let v6 = v6();
        for (at, byte) in v6.iter().enumerate().take(44).skip(8) {
            for bit in 0..8 {
                let other = of6(&with(&v6, at, byte ^ 1 << bit));
                assert!(other.is_some() && other != of6(&v6), "bit {bit} of {at}");
            }
        }
        assert_ne!(of6(&with(&v6, 6, 17)), of6(&v6));
    }

    #[test]
    fn only_what_has_its_ports_where_they_are_looked_for_has_a_hash() {
        assert_eq!(of4(&with(&V4, 0, 0x46)), None, "options");
        assert_eq!(of4(&with(&V4, 0, 0x55)), None, "version 5");
        assert_eq!(of4(&with(&V4, 6, 0x20)), None, "the first fragment");
        assert_eq!(of4(&with(&V4, 7, 1)), None, "another fragment");
        assert_eq!(of4(&with(&V4, 9, 1)), None, "ICMP");
        assert_eq!(of4(&V4[..23]), None, "cut short");
        assert_eq!(of6(&with(&v6(), 6, 44)), None, "a fragment header");
        assert_eq!(of6(&v6()[..47]), None, "cut short");
        assert_eq!(hash(&V4[..], ethertype::ARP, 0), None);
    }

    #[test]
    fn neighbouring_flows_are_spread_over_all_source_ports() {
        // As many as there are source ports, and a quarter of that: by chance, 63 % of the ports
        // have one of the former, and 22 % one of the latter.
        for (flows, least) in [(16_384_u16, 10_158), (4096, 3440)] {
            let ports: BTreeSet<u16> = (0..flows)
                .filter_map(|flow| {
                    let [high, low] = flow.to_be_bytes();
                    of4(&with(&with(&V4, 20, high), 21, low))
                })
                .map(crate::outer::source_port)
                .collect();
            assert!(ports.len() > least, "{flows} flows, {} ports", ports.len());
        }
    }
}
