//! Builders of inner frames.

use std::net::{IpAddr, Ipv4Addr};

use etherparse::{PacketBuilder, PacketBuilderStep};

use super::ETHERTYPE_ARP;

const TTL: u8 = 64;

/// A station: its MAC and one of its addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint {
    pub mac: [u8; 6],
    pub ip: IpAddr,
}

impl Endpoint {
    pub fn new(mac: [u8; 6], ip: impl Into<IpAddr>) -> Self {
        Self { mac, ip: ip.into() }
    }
}

/// An Ethernet II frame around `payload`.
pub fn ethernet(source: [u8; 6], destination: [u8; 6], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(14 + payload.len());
    frame.extend(destination);
    frame.extend(source);
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// `frame` with a VLAN tag after its addresses; `tci` is priority, DEI and VLAN id (802.1Q 9.6).
pub fn tagged(frame: &[u8], tci: u16) -> Vec<u8> {
    let (addresses, rest) = frame.split_at(12);
    let mut tagged = addresses.to_vec();
    tagged.extend(super::ETHERTYPE_VLAN.to_be_bytes());
    tagged.extend(tci.to_be_bytes());
    tagged.extend(rest);
    tagged
}

/// A broadcast request for `target` (RFC 826).
pub fn arp_request(sender_mac: [u8; 6], sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    let body = arp(1, (sender_mac, sender), ([0; 6], target));
    ethernet(sender_mac, super::BROADCAST, ETHERTYPE_ARP, &body)
}

/// A unicast reply to `target`.
pub fn arp_reply(
    (sender_mac, sender): ([u8; 6], Ipv4Addr),
    (target_mac, target): ([u8; 6], Ipv4Addr),
) -> Vec<u8> {
    let body = arp(2, (sender_mac, sender), (target_mac, target));
    ethernet(sender_mac, target_mac, ETHERTYPE_ARP, &body)
}

fn arp(operation: u16, sender: ([u8; 6], Ipv4Addr), target: ([u8; 6], Ipv4Addr)) -> Vec<u8> {
    // Ethernet (1), IPv4 (0x0800), address lengths 6 and 4.
    let mut body = vec![0, 1, 8, 0, 6, 4];
    body.extend(operation.to_be_bytes());
    for (mac, address) in [sender, target] {
        body.extend(mac);
        body.extend(address.octets());
    }
    body
}

/// A UDP datagram with correct checksums.
pub fn udp(from: Endpoint, to: Endpoint, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let builder = ip(from, to).udp(ports.0, ports.1);
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).expect("a Vec grows");
    frame
}

/// A TCP segment (ACK set) with correct checksums.
pub fn tcp(from: Endpoint, to: Endpoint, ports: (u16, u16), seq: u32, payload: &[u8]) -> Vec<u8> {
    let builder = ip(from, to).tcp(ports.0, ports.1, seq, 65535).ack(1);
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, payload).expect("a Vec grows");
    frame
}

/// An ICMP or ICMPv6 echo request.
pub fn echo_request(from: Endpoint, to: Endpoint, id: u16, seq: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    match from.ip {
        IpAddr::V4(_) => ip(from, to)
            .icmpv4_echo_request(id, seq)
            .write(&mut frame, payload),
        IpAddr::V6(_) => ip(from, to)
            .icmpv6_echo_request(id, seq)
            .write(&mut frame, payload),
    }
    .expect("a Vec grows");
    frame
}

fn ip(from: Endpoint, to: Endpoint) -> PacketBuilderStep<etherparse::IpHeaders> {
    let ethernet = PacketBuilder::ethernet2(from.mac, to.mac);
    match (from.ip, to.ip) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            ethernet.ipv4(source.octets(), destination.octets(), TTL)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            ethernet.ipv6(source.octets(), destination.octets(), TTL)
        }
        (source, destination) => panic!("{source} and {destination} are of different families"),
    }
}
