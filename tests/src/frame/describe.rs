//! Frames for people.

use std::fmt::Write as _;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use super::vxlan::inner_of;
use crate::network::mac_text;

/// Returns a one-line summary, `… | inner …` for VXLAN.
pub fn describe(frame: &[u8]) -> String {
    let mut text = summary(frame);
    if let Some((vni, inner)) = inner_of(frame) {
        write!(text, " vni {vni} | {}", describe(inner)).expect("a String grows");
    }
    text
}

fn summary(frame: &[u8]) -> String {
    let Some((header, _)) = frame.split_at_checked(14) else {
        return format!("{} bytes, too short for Ethernet", frame.len());
    };
    let mac = |bytes: &[u8]| mac_text(bytes.try_into().expect("six bytes"));
    let mut text = format!(
        "{} bytes {} > {} type {:02x}{:02x}",
        frame.len(),
        mac(&header[6..12]),
        mac(&header[..6]),
        header[12],
        header[13]
    );
    let packet = match SlicedPacket::from_ethernet(frame) {
        Ok(packet) => packet,
        Err(error) => return format!("{text} ({error})"),
    };
    match packet.net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let (from, to) = (header.source_addr(), header.destination_addr());
            let (ttl, flags) = (
                header.ttl(),
                if header.dont_fragment() { " DF" } else { "" },
            );
            let ecn = header.ecn().value();
            write!(text, " {from} > {to} ttl {ttl} ecn {ecn}{flags}").expect("a String grows");
        }
        Some(NetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let (from, to) = (header.source_addr(), header.destination_addr());
            write!(text, " {from} > {to} hop limit {}", header.hop_limit())
                .expect("a String grows");
        }
        Some(NetSlice::Arp(arp)) => {
            write!(text, " ARP operation {}", arp.operation().0).expect("a String grows");
        }
        None => {}
    }
    match packet.transport {
        Some(TransportSlice::Udp(udp)) => {
            let (from, to) = (udp.source_port(), udp.destination_port());
            write!(text, " udp {from} > {to} checksum {:04x}", udp.checksum())
        }
        Some(TransportSlice::Tcp(tcp)) => {
            let (from, to) = (tcp.source_port(), tcp.destination_port());
            write!(text, " tcp {from} > {to} seq {}", tcp.sequence_number())
        }
        Some(TransportSlice::Icmpv4(icmp)) => write!(text, " icmp type {}", icmp.type_u8()),
        Some(TransportSlice::Icmpv6(icmp)) => write!(text, " icmp6 type {}", icmp.type_u8()),
        Some(TransportSlice::Igmp(_)) => write!(text, " igmp"),
        None => Ok(()),
    }
    .expect("a String grows");
    text
}

/// Returns 16 bytes a line, with offsets.
pub fn hexdump(bytes: &[u8]) -> String {
    let mut text = String::new();
    for (number, line) in bytes.chunks(16).enumerate() {
        let hex: Vec<_> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "  {:04x}  {}", number * 16, hex.join(" ")).expect("a String grows");
    }
    text
}

/// Panics, with both frames described and the first difference marked, unless they are equal.
#[track_caller]
pub fn assert_same(what: &str, expected: &[u8], got: &[u8]) {
    if expected == got {
        return;
    }
    let at = expected.iter().zip(got).position(|(a, b)| a != b);
    let at = at.unwrap_or(expected.len().min(got.len()));
    panic!(
        "{what}: frames differ from byte {at} (0x{at:04x}) on\nexpected {}\n{}got      {}\n{}",
        describe(expected),
        hexdump(expected),
        describe(got),
        hexdump(got)
    );
}
