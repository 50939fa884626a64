//! Explicit congestion notification through the tunnel (RFC 6040, normal mode).

use network_types::ip::{Ipv4Hdr, Ipv6Hdr};

use crate::{
    frame::{PacketMut, ethertype, traffic_class},
    reason::Reason,
};

/// The two ECN bits of a TOS or traffic class byte.
pub const MASK: u8 = 0b11;
/// The sender does not understand ECN.
pub const NOT_ECT: u8 = 0b00;
/// ECN capable, code point 1.
pub const ECT_1: u8 = 0b01;
/// ECN capable, code point 0.
pub const ECT_0: u8 = 0b10;
/// Congestion was experienced.
pub const CE: u8 = 0b11;

/// Returns the ECN bits of the decapsulated packet, or `None` if it must be dropped (RFC 6040
/// figure 4). Encapsulation copies the inner bits (section 4.1), so it needs no function.
#[inline(always)]
pub const fn merge(inner: u8, outer: u8) -> Option<u8> {
    match (inner & MASK, outer & MASK) {
        // The sender would not understand the mark, and only a loss can tell it.
        (NOT_ECT, CE) => None,
        (NOT_ECT, _) => Some(NOT_ECT),
        (_, CE) => Some(CE),
        (ECT_0, ECT_1) => Some(ECT_1),
        (inner, _) => Some(inner),
    }
}

/// Merges the outer header's ECN bits into the IP header at `offset`, or tells that the packet
/// must be dropped. Other packets than IP have no such bits and stay as they are.
#[inline(always)]
pub fn decapsulate(
    packet: &mut (impl PacketMut + ?Sized),
    ethertype: u16,
    offset: usize,
    outer: u8,
) -> Result<(), Reason> {
    let Some(inner) = traffic_class(packet, ethertype, offset) else {
        return Ok(());
    };
    let Some(merged) = merge(inner, outer) else {
        return Err(Reason::Ecn);
    };
    if merged == inner & MASK {
        return Ok(());
    }
    let merged = inner & !MASK | merged;
    let written = if ethertype == ethertype::IPV4 {
        let Some(mut ip) = packet.read::<Ipv4Hdr>(offset) else {
            return Ok(());
        };
        ip.check = replace(ip.check, inner, merged);
        ip.tos = merged;
        packet.write(offset, &ip)
    } else {
        let Some(mut ip) = packet.read::<Ipv6Hdr>(offset) else {
            return Ok(());
        };
        ip.vcf[1] = ip.vcf[1] & 0x0f | merged << 4;
        packet.write(offset, &ip)
    };
    if written {
        Ok(())
    } else {
        Err(Reason::DecapFailed)
    }
}

/// Returns an IPv4 header checksum after a change of the TOS byte (RFC 1624, equation 3).
#[inline(always)]
fn replace(check: [u8; 2], old: u8, new: u8) -> [u8; 2] {
    let sum = u32::from(!u16::from_be_bytes(check)) + u32::from(!u16::from(old)) + u32::from(new);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    (!(sum as u16)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ipv4_checksum_follows_the_mark() {
        // 10.0.0.1 > 10.0.0.2, TOS 0x02 (ECT(0)), checksum as the kernel computes it.
        let mut packet = [
            0x45u8, 0x02, 0, 28, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        let check = |packet: &[u8]| {
            let sum: u32 = packet
                .chunks(2)
                .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])))
                .sum();
            !((sum & 0xffff) + (sum >> 16)) as u16
        };
        let before = check(&packet);
        packet[10..12].copy_from_slice(&before.to_be_bytes());
        assert_eq!(check(&packet), 0);
        decapsulate(&mut packet[..], ethertype::IPV4, 0, CE).unwrap();
        assert_eq!(packet[1], 0x03);
        assert_eq!(check(&packet), 0, "the header verifies after the change");
    }

    #[test]
    fn the_mark_changes_no_dscp_and_a_cut_header_nothing() {
        let mut packet = [0u8; 24];
        packet[4..6].copy_from_slice(&[0x45, 0xba]);
        decapsulate(&mut packet[..], ethertype::IPV4, 4, CE).unwrap();
        assert_eq!(packet[5], 0xbb);
        let mut short = [0x45u8, 0x02, 0, 0];
        assert_eq!(
            decapsulate(&mut short[..], ethertype::IPV4, 0, CE),
            Ok(()),
            "nothing to mark"
        );
        assert_eq!(short, [0x45, 0x02, 0, 0]);
    }

    #[test]
    fn the_ipv6_traffic_class_keeps_its_neighbours() {
        let mut packet = [0u8; 40];
        packet[..4].copy_from_slice(&[0x6b, 0xaf, 0x12, 0x34]); // class 0xba, flow label 0xf1234
        decapsulate(&mut packet[..], ethertype::IPV6, 0, CE).unwrap();
        assert_eq!(&packet[..4], &[0x6b, 0xbf, 0x12, 0x34]);
        packet[1] = 0x8f; // class 0xb8: Not-ECT
        assert_eq!(
            decapsulate(&mut packet[..], ethertype::IPV6, 0, CE),
            Err(Reason::Ecn)
        );
        assert_eq!(
            decapsulate(&mut packet[..], 0x0806, 0, CE),
            Ok(()),
            "ARP has no ECN"
        );
    }

    #[test]
    fn ecn_02_decap_follows_rfc_6040_figure_4() {
        let rows = [
            // (inner, [outer Not-ECT, ECT(0), ECT(1), CE])
            (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
            (ECT_0, [Some(ECT_0), Some(ECT_0), Some(ECT_1), Some(CE)]),
            (ECT_1, [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)]),
            (CE, [Some(CE), Some(CE), Some(CE), Some(CE)]),
        ];
        for (inner, outcome) in rows {
            for (outer, expected) in [NOT_ECT, ECT_0, ECT_1, CE].into_iter().zip(outcome) {
                assert_eq!(
                    merge(inner, outer),
                    expected,
                    "inner {inner:02b} outer {outer:02b}"
                );
                assert_eq!(
                    merge(inner | 0xb8, outer | 0x44),
                    expected,
                    "DSCP does not matter"
                );
            }
        }
    }
}
