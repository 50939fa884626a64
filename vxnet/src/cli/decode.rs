//! A frame in one line, for people: as much as its first bytes tell.

use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use vxnet_common::{addr::Mac, frame::ethertype, vlan};

/// The UDP port of VXLAN.
const VXLAN: u16 = crate::model::VXLAN_PORT;

/// Sums up a frame of which the first bytes are known, with the EtherType and the control information
/// of the tag that stood beside it.
pub(super) fn summary(frame: &[u8], tag: Option<(u16, u16)>) -> String {
    let Some((addresses, rest)) = frame.split_first_chunk::<12>() else {
        return format!("{} bytes", frame.len());
    };
    let [dst, src] = [0, 6].map(|at| {
        let mut mac = [0; 6];
        mac.copy_from_slice(&addresses[at..at + 6]);
        Mac(mac)
    });
    let mut text = format!("{src} > {dst}");
    if let Some((kind, tag)) = tag {
        push_tag(&mut text, tag_name(kind).unwrap_or("VLAN"), tag);
    }
    let mut rest = rest;
    loop {
        let Some((kind, after)) = word(rest) else {
            text.push_str(", cut off");
            return text;
        };
        let Some(name) = tag_name(kind) else {
            payload(&mut text, kind, after);
            return text;
        };
        let Some((tag, after)) = word(after) else {
            text.push_str(", cut off");
            return text;
        };
        push_tag(&mut text, name, tag);
        rest = after;
    }
}

/// Writes bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Returns the word for a tag of that EtherType.
const fn tag_name(kind: u16) -> Option<&'static str> {
    match kind {
        ethertype::VLAN => Some("VLAN"),
        ethertype::SERVICE_VLAN => Some("S-VLAN"),
        _ => None,
    }
}

fn push_tag(text: &mut String, name: &str, tag: u16) {
    let _ = write!(text, ", {name} {}", tag & vlan::VID);
    if tag & vlan::PRIORITY != 0 {
        let _ = write!(text, " priority {}", tag >> 13);
    }
}

fn payload(text: &mut String, kind: u16, bytes: &[u8]) {
    let told = match kind {
        ethertype::ARP => arp(bytes),
        ethertype::IPV4 => ipv4(bytes),
        ethertype::IPV6 => ipv6(bytes),
        _ => None,
    };
    let _ = match (told, kind) {
        (Some(told), _) => write!(text, ", {told}"),
        (None, 0..0x600) => write!(text, ", LLC, length {kind}"),
        (None, _) => write!(text, ", EtherType 0x{kind:04x}"),
    };
}

fn arp(bytes: &[u8]) -> Option<String> {
    let bytes: &[u8; 28] = bytes.first_chunk()?;
    if bytes[..6] != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    let [sender, target] =
        [14, 24].map(|at| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]));
    Some(match (bytes[6], bytes[7]) {
        (0, 1) => format!("ARP who has {target}, tell {sender}"),
        (0, 2) => {
            let mut mac = [0; 6];
            mac.copy_from_slice(&bytes[8..14]);
            format!("ARP {sender} is at {}", Mac(mac))
        }
        (high, low) => format!("ARP operation {}", u16::from_be_bytes([high, low])),
    })
}

fn ipv4(bytes: &[u8]) -> Option<String> {
    let head: &[u8; 20] = bytes.first_chunk()?;
    let address = |at: usize| Ipv4Addr::new(head[at], head[at + 1], head[at + 2], head[at + 3]);
    let length = usize::from(head[0] & 0x0f) * 4;
    if head[0] >> 4 != 4 || length < head.len() {
        return None;
    }
    let fragment = u16::from_be_bytes([head[6], head[7]]) & 0x1fff;
    // Behind the first fragment stands no header.
    let upper = bytes.get(length..).filter(|_| fragment == 0).unwrap_or(&[]);
    let mut text = between(address(12).into(), address(16).into(), head[9], upper);
    if fragment != 0 {
        let _ = write!(text, ", fragment at {}", u32::from(fragment) * 8);
    }
    Some(text)
}

fn ipv6(bytes: &[u8]) -> Option<String> {
    let head: &[u8; 40] = bytes.first_chunk()?;
    let address = |at: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&head[at..at + 16]);
        Ipv6Addr::from(octets)
    };
    if head[0] >> 4 != 6 {
        return None;
    }
    Some(between(
        address(8).into(),
        address(24).into(),
        head[6],
        &bytes[40..],
    ))
}

/// Tells who sends what to whom, above IP.
fn between(from: IpAddr, to: IpAddr, protocol: u8, bytes: &[u8]) -> String {
    let name = match protocol {
        6 => "TCP",
        17 => "UDP",
        132 => "SCTP",
        1 => return icmp(from, to, "ICMP", bytes),
        58 => return icmp(from, to, "ICMPv6", bytes),
        _ => return format!("{from} > {to}, IP protocol {protocol}"),
    };
    let Some((source, rest)) = word(bytes) else {
        return format!("{from} > {to}, {name}");
    };
    let Some((destination, rest)) = word(rest) else {
        return format!("{from} > {to}, {name}");
    };
    let mut text = format!("{from}.{source} > {to}.{destination}, {name}");
    // Length and checksum of UDP, then flags and the VNI.
    if protocol == 17
        && destination == VXLAN
        && let Some([a, b, c]) = rest.get(8..11)
    {
        let _ = write!(text, ", VXLAN VNI {}", u32::from_be_bytes([0, *a, *b, *c]));
    }
    text
}

fn icmp(from: IpAddr, to: IpAddr, name: &str, bytes: &[u8]) -> String {
    let kind = bytes.first().map(|kind| format!(" type {kind}"));
    format!("{from} > {to}, {name}{}", kind.unwrap_or_default())
}

/// Splits a word in network order off.
fn word(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<2>()?;
    Some((u16::from_be_bytes(*head), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    const WHO: &str = "02:00:00:00:00:01 > 02:00:00:00:00:02";

    fn told(rest: &[u8]) -> String {
        let text = summary(&[&HEAD[..], rest].concat(), None);
        let told = text.strip_prefix(WHO).expect("the addresses come first");
        told.trim_start_matches(", ").to_owned()
    }

    fn ip(protocol: u8, upper: &[u8]) -> Vec<u8> {
        let mut packet = vec![8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend(upper);
        packet
    }

    #[test]
    fn the_usual_packets_are_told_apart() {
        let arp = [
            8, 6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0,
            0, 2,
        ];
        assert_eq!(told(&arp), "ARP who has 10.0.0.2, tell 10.0.0.1");
        let mut reply = arp;
        reply[9] = 2;
        assert_eq!(told(&reply), "ARP 10.0.0.1 is at 02:00:00:00:00:01");
        let ports = [0x13, 0x88, 0, 53];
        assert_eq!(told(&ip(17, &ports)), "10.0.0.1.5000 > 10.0.0.2.53, UDP");
        assert_eq!(told(&ip(6, &ports)), "10.0.0.1.5000 > 10.0.0.2.53, TCP");
        assert_eq!(told(&ip(1, &[8, 0])), "10.0.0.1 > 10.0.0.2, ICMP type 8");
        assert_eq!(told(&ip(47, &[])), "10.0.0.1 > 10.0.0.2, IP protocol 47");
        let vxlan = [
            0xc0, 0, 0x12, 0xb5, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0x13, 0x89, 0,
        ];
        let text = "10.0.0.1.49152 > 10.0.0.2.4789, UDP, VXLAN VNI 5001";
        assert_eq!(told(&ip(17, &vxlan)), text);
        let mut later = ip(17, &ports);
        later[9] = 2;
        assert_eq!(told(&later), "10.0.0.1 > 10.0.0.2, UDP, fragment at 16");
        let mut v6 = vec![0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 58, 255];
        v6.extend([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        v6.extend([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        v6.push(134);
        assert_eq!(told(&v6), "fe80::1 > ff02::2, ICMPv6 type 134");
    }

    #[test]
    fn tags_are_told_in_their_order() {
        let rest = [0x88, 0xa8, 0, 10, 0x81, 0, 0xa3, 0xe9, 0x88, 0xcc];
        assert_eq!(
            told(&rest),
            "S-VLAN 10, VLAN 1001 priority 5, EtherType 0x88cc"
        );
        let frame = [&HEAD[..], &[0, 60]].concat();
        assert_eq!(
            summary(&frame, Some((ethertype::VLAN, 7))),
            format!("{WHO}, VLAN 7, LLC, length 60")
        );
    }

    #[test]
    fn whatever_is_cut_off_is_no_accident() {
        let vxlan = [
            0xc0, 0, 0x12, 0xb5, 0, 0, 0, 0, 8, 0, 0, 0, 0, 0x13, 0x89, 0,
        ];
        let mut whole = HEAD.to_vec();
        whole.extend([0x81, 0, 0, 10]);
        whole.extend(ip(17, &vxlan));
        for length in 0..=whole.len() {
            summary(&whole[..length], None);
        }
        assert_eq!(summary(&whole[..5], None), "5 bytes");
        assert_eq!(summary(&whole[..14], None), format!("{WHO}, cut off"));
    }
}
