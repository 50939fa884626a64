//! What a guest with one MAC address and one IP address of each family gets through.

use std::{collections::BTreeSet, vec::Vec};

use super::*;
use crate::map::{
    fdb::FdbEntry,
    neighbour::{Neighbour, NeighbourKey},
    segment::Segment,
};

const SLOT: u32 = 4;
const SEGMENT: u32 = 9;
const OWN: Mac = Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
/// Allowed too, and fixed at another port.
const SECOND: Mac = Mac([0x52, 0x54, 0, 0, 0, 2]);
const VICTIM: Mac = Mac([0x52, 0x54, 0, 0, 0, 0xff]);
const OWN_V4: [u8; 4] = [10, 0, 0, 1];
const VICTIM_V4: [u8; 4] = [10, 0, 0, 254];
const UNDERLAY: [u8; 4] = [192, 0, 2, 1];
const PEER: [u8; 4] = [192, 0, 2, 2];
const OWN_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const VICTIM_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff];
const PEER_V6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
/// What RFC 4291 appendix A makes of `OWN`.
const LINK_LOCAL: [u8; 16] = [
    0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x50, 0x54, 0, 0xff, 0xfe, 0x12, 0x34, 0x56,
];
const OTHER_LINK_LOCAL: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const NOBODY: [u8; 16] = [0; 16];
const GROUP_V6: [u8; 16] = [0xff, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10];
const MAPPED: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1];

struct Scene {
    allowed: BTreeSet<AllowedKey>,
    fixed: [(FdbKey, FdbEntry); 4],
}

impl Scene {
    fn new() -> Self {
        let fixed = FdbEntry::fixed(place::PORT, SLOT, origin::MANUAL);
        let row = |mac, row| (FdbKey::new(SEGMENT, mac), row);
        Self {
            allowed: BTreeSet::from([
                AllowedKey::mac(SLOT, OWN),
                AllowedKey::mac(SLOT, SECOND),
                AllowedKey::ip(SLOT, VtepAddr::v4(OWN_V4)),
                AllowedKey::ip(SLOT, VtepAddr::v6(OWN_V6)),
                AllowedKey::mac(SLOT + 1, VICTIM),
                AllowedKey::ip(SLOT + 1, VtepAddr::v4(VICTIM_V4)),
                AllowedKey::ip(SLOT + 1, VtepAddr::v6(VICTIM_V6)),
            ]),
            fixed: [
                row(OWN, fixed),
                row(
                    SECOND,
                    FdbEntry::fixed(place::PORT, SLOT + 1, origin::MANUAL),
                ),
                row(VICTIM, FdbEntry::learned(place::PORT, SLOT, 0)),
                row(
                    Mac([2; 6]),
                    FdbEntry::fixed(place::VTEP, SLOT, origin::STATIC),
                ),
            ],
        }
    }
}

impl Tables for Scene {
    fn fdb(&self, key: &FdbKey) -> Option<&FdbEntry> {
        let row = self.fixed.iter().find(|(row, _)| row == key)?;
        Some(&row.1)
    }

    fn port(&self, _: u32) -> Option<&Port> {
        None
    }

    fn segment(&self, _: u32) -> Option<&Segment> {
        None
    }

    fn vni(&self, _: u32) -> Option<u32> {
        None
    }

    fn vtep(&self, address: VtepAddr) -> Option<u32> {
        let vteps = [VtepAddr::v4(PEER), VtepAddr::v6(PEER_V6), VtepAddr::NONE];
        vteps.contains(&address).then_some(1)
    }

    fn vlan(&self, _: u32, _: u16) -> Option<u32> {
        None
    }

    fn carries(&self, _: u32, _: u16) -> bool {
        false
    }

    fn allows(&self, key: &AllowedKey) -> bool {
        self.allowed.contains(key)
    }

    fn neighbour(&self, _: &NeighbourKey) -> Option<&Neighbour> {
        None
    }
}

type Verdict = Result<(), Reason>;
const PASS: Verdict = Ok(());
const LOCKED: Verdict = Err(Reason::Locked);
const MAC: Verdict = Err(Reason::SpoofedMac);
const IP: Verdict = Err(Reason::SpoofedIp);
const DHCP: Verdict = Err(Reason::RogueDhcp);
const RA: Verdict = Err(Reason::RogueRa);
const VXLAN: Verdict = Err(Reason::GuestVxlan);

/// What every guest gets, also one that libvirt does not describe.
const DEFAULT: u32 = flag::NO_DHCP_SERVER | flag::NO_RA | flag::NO_VXLAN;

fn judge_in(segment: u32, flags: u32, frame: &[u8]) -> Verdict {
    let port = Port {
        flags,
        ..Port::FREE
    };
    let local = Local {
        layout: 0,
        resolver: 0,
        underlay: VtepAddr::v4(UNDERLAY),
        port: 4789,
        family: 4,
        pad: 0,
        gro: 0,
        name: [0; 32],
    };
    let ethernet = Ethernet::parse(frame, 0).unwrap();
    check(
        &Scene::new(),
        SLOT,
        &port,
        segment,
        &local,
        frame,
        &ethernet,
    )
}

fn judge(flags: u32, frame: &[u8]) -> Verdict {
    judge_in(SEGMENT, flags, frame)
}

/// Judges each frame, with exactly these flags and with all others, which must let it pass.
fn table(rows: &[(&str, u32, Vec<u8>, Verdict)]) {
    for (name, flags, frame, expected) in rows {
        assert_eq!(judge(*flags, frame), *expected, "{name}");
        assert_eq!(judge(0, frame), PASS, "{name}, unchecked");
    }
}

fn ethernet(src: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::from([0xff; 6]);
    frame.extend(src.0);
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

fn arp(sha: Mac, spa: [u8; 4]) -> Vec<u8> {
    let mut payload = Vec::from([0, 1, 8, 0, 6, 4, 0, 2]);
    payload.extend(sha.0);
    payload.extend(spa);
    payload.extend([0; 10]);
    ethernet(OWN, ethertype::ARP, &payload)
}

/// An IPv4 packet with `words` words of options.
fn v4_with(from: [u8; 4], to: [u8; 4], protocol: u8, frags: u16, words: u8, l4: &[u8]) -> Vec<u8> {
    let mut payload = Vec::from([0x45 + words, 0, 0, 0, 0, 0]);
    payload.extend(frags.to_be_bytes());
    payload.extend([64, protocol, 0, 0]);
    payload.extend(from);
    payload.extend(to);
    // Options that look like a UDP header to port 1.
    payload.extend([0, 1].repeat(usize::from(words) * 2));
    payload.extend(l4);
    ethernet(OWN, ethertype::IPV4, &payload)
}

fn v4(from: [u8; 4], to: [u8; 4], protocol: u8, l4: &[u8]) -> Vec<u8> {
    v4_with(from, to, protocol, 0, 0, l4)
}

fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut header = Vec::new();
    for field in [from, to, 8 + payload.len() as u16, 0] {
        header.extend(field.to_be_bytes());
    }
    header.extend(payload);
    header
}

/// A DHCP message with a hardware address of that type and length.
fn bootp(operation: u8, kind: u8, len: u8, mac: Mac) -> Vec<u8> {
    let mut message = Vec::from([operation, kind, len, 0]);
    message.resize(28, 0);
    message.extend(mac.0);
    message.resize(240, 0);
    message
}

/// An IPv6 packet behind these extension headers.
fn v6_behind(from: [u8; 16], to: [u8; 16], chain: &[[u8; 8]], next: u8, l4: &[u8]) -> Vec<u8> {
    let mut payload = Vec::from([0x60, 0, 0, 0]);
    payload.extend((chain.len() as u16 * 8 + l4.len() as u16).to_be_bytes());
    payload.extend([next, 255]);
    payload.extend(from);
    payload.extend(to);
    payload.extend(chain.concat());
    payload.extend(l4);
    ethernet(OWN, ethertype::IPV6, &payload)
}

fn v6(from: [u8; 16], protocol: u8, l4: &[u8]) -> Vec<u8> {
    v6_behind(from, VICTIM_V6, &[], protocol, l4)
}

fn nd(kind: u8, target: [u8; 16], options: &[u8]) -> Vec<u8> {
    let mut message = Vec::from([kind, 0, 0, 0, 0, 0, 0, 0]);
    message.extend(target);
    message.extend(options);
    message
}

fn link_layer(kind: u8, mac: Mac) -> Vec<u8> {
    let mut option = Vec::from([kind, 1]);
    option.extend(mac.0);
    option
}

#[test]
fn p32_only_allowed_mac_addresses_send() {
    let flags = flag::CHECK_MAC;
    table(&[
        ("own", flags, ethernet(OWN, 0x1234, &[]), PASS),
        ("second", flags, ethernet(SECOND, 0x1234, &[]), PASS),
        ("another port's", flags, ethernet(VICTIM, 0x1234, &[]), MAC),
        (
            "another port's IP",
            flags,
            ethernet(VICTIM, 0x0800, &[0x45; 40]),
            MAC,
        ),
        (
            "any, unless checked",
            DEFAULT | flag::CHECK_IP,
            ethernet(VICTIM, 0x1234, &[]),
            PASS,
        ),
    ]);
}

#[test]
fn a_locked_port_wants_a_fixed_row() {
    let flags = flag::LOCKED;
    let from = |mac| ethernet(mac, 0x1234, &[]);
    table(&[
        ("fixed here", flags, from(OWN), PASS),
        ("fixed elsewhere", flags, from(SECOND), LOCKED),
        ("learned here", flags, from(VICTIM), LOCKED),
        ("at the VTEP in that slot", flags, from(Mac([2; 6])), LOCKED),
        ("nowhere", flags, from(Mac([4; 6])), LOCKED),
    ]);
    assert_eq!(judge_in(SEGMENT + 1, flags, &from(OWN)), LOCKED);
}

#[test]
fn attack15_arp_spoofing() {
    let (mac, ip) = (flag::CHECK_MAC, flag::CHECK_IP);
    let changed = |offset: usize, byte| {
        let mut frame = arp(VICTIM, VICTIM_V4);
        frame[offset] = byte;
        frame
    };
    table(&[
        ("own", mac | ip, arp(OWN, OWN_V4), PASS),
        ("own second address", mac | ip, arp(SECOND, OWN_V4), PASS),
        ("probe", mac | ip, arp(OWN, [0; 4]), PASS),
        ("another's IP", mac | ip, arp(OWN, VICTIM_V4), IP),
        (
            "another's IP, only MACs checked",
            mac,
            arp(OWN, VICTIM_V4),
            PASS,
        ),
        ("arp_05 another's SHA", mac, arp(VICTIM, OWN_V4), MAC),
        (
            "another's SHA, only IPs checked",
            ip,
            arp(VICTIM, OWN_V4),
            PASS,
        ),
        ("arp_06 SHA zero", mac, arp(Mac([0; 6]), OWN_V4), MAC),
        ("htype 6, which Linux takes", ip, changed(15, 6), IP),
        ("arp_04 hlen 8", ip, changed(18, 8), IP),
        ("arp_04 plen 16", mac, changed(19, 16), MAC),
        ("cut off", ip, arp(OWN, OWN_V4)[..41].to_vec(), IP),
        (
            "cut off, MACs checked",
            mac,
            arp(OWN, OWN_V4)[..41].to_vec(),
            MAC,
        ),
        ("another protocol", mac | ip, changed(16, 0x86), PASS),
        ("by default", DEFAULT, arp(VICTIM, VICTIM_V4), PASS),
    ]);
}

#[test]
fn p32_ipv4_sources() {
    let flags = flag::CHECK_IP;
    let discover = udp(68, 67, &bootp(1, 1, 6, OWN));
    let zero = [0; 4];
    table(&[
        ("own", flags, v4(OWN_V4, PEER, 6, &[0; 20]), PASS),
        ("another's", flags, v4(VICTIM_V4, PEER, 6, &[0; 20]), IP),
        (
            "another's later fragment",
            flags,
            v4_with(VICTIM_V4, PEER, 17, 0x20, 0, &[0; 20]),
            IP,
        ),
        ("broadcast", flags, v4([255; 4], PEER, 6, &[0; 20]), IP),
        (
            "DHCP without an address",
            flags,
            v4(zero, [255; 4], 17, &discover),
            PASS,
        ),
        (
            "behind options",
            flags,
            v4_with(zero, [255; 4], 17, 0, 10, &discover),
            PASS,
        ),
        (
            "zero to another port",
            flags,
            v4(zero, [255; 4], 17, &udp(68, 68, &[])),
            IP,
        ),
        (
            "zero from another port",
            flags,
            v4(zero, [255; 4], 17, &udp(67, 67, &[])),
            IP,
        ),
        ("zero over TCP", flags, v4(zero, [255; 4], 6, &discover), IP),
        (
            "zero, later fragment",
            flags,
            v4_with(zero, [255; 4], 17, 1, 0, &discover),
            IP,
        ),
        (
            "zero, UDP cut off",
            flags,
            v4(zero, [255; 4], 17, &discover[..7]),
            IP,
        ),
        (
            "by default",
            DEFAULT,
            v4(VICTIM_V4, PEER, 6, &[0; 20]),
            PASS,
        ),
    ]);
}

#[test]
fn attack12_p05_headers_that_cannot_be_read_pass_only_unchecked() {
    let v4 = v4(OWN_V4, PEER, 6, &[0; 20]);
    let v6 = v6(OWN_V6, 6, &[0; 20]);
    for vihl in (0x40..0x45).chain([0x05, 0x55, 0x65]) {
        let mut frame = v4.clone();
        frame[14] = vihl;
        assert_eq!(judge(flag::CHECK_IP, &frame), IP, "vihl {vihl:#x}");
        assert_eq!(
            judge(DEFAULT | flag::CHECK_MAC, &frame),
            PASS,
            "vihl {vihl:#x}"
        );
    }
    let mut frame = v6.clone();
    frame[14] = 0x50;
    assert_eq!(judge(flag::CHECK_IP, &frame), IP);
    assert_eq!(judge(DEFAULT | flag::CHECK_MAC, &frame), PASS);
    for (frame, header) in [(v4, 34), (v6, 54)] {
        for len in 14..header {
            assert_eq!(judge(flag::CHECK_IP, &frame[..len]), IP, "{len} bytes");
            assert_eq!(
                judge(DEFAULT | flag::CHECK_MAC, &frame[..len]),
                PASS,
                "{len} bytes"
            );
        }
        assert_eq!(
            judge(flag::SECURITY & !flag::LOCKED, &frame[..header]),
            PASS
        );
    }
}

#[test]
fn attack17_the_hardware_address_in_dhcp() {
    let flags = flag::CHECK_MAC;
    let from = |port, message: &[u8]| v4(OWN_V4, [255; 4], 17, &udp(port, 67, message));
    let short = bootp(1, 1, 6, OWN)[..33].to_vec();
    table(&[
        ("own", flags, from(68, &bootp(1, 1, 6, OWN)), PASS),
        (
            "own second address",
            flags,
            from(68, &bootp(1, 1, 6, SECOND)),
            PASS,
        ),
        ("another's", flags, from(68, &bootp(1, 1, 6, VICTIM)), MAC),
        (
            "from any port",
            flags,
            from(1234, &bootp(1, 1, 6, VICTIM)),
            MAC,
        ),
        ("longer", flags, from(68, &bootp(1, 1, 16, OWN)), MAC),
        ("none", flags, from(68, &bootp(1, 1, 0, OWN)), MAC),
        ("another type", flags, from(68, &bootp(1, 6, 6, OWN)), MAC),
        ("cut off", flags, from(68, &short), MAC),
        ("empty", flags, from(68, &[]), MAC),
        (
            "a reply's is the client's",
            flags,
            from(68, &bootp(2, 1, 6, VICTIM)),
            PASS,
        ),
        (
            "a relay's is the client's",
            flags,
            from(67, &bootp(1, 1, 6, VICTIM)),
            PASS,
        ),
        (
            "by default",
            DEFAULT,
            from(68, &bootp(1, 1, 6, VICTIM)),
            PASS,
        ),
    ]);
}

#[test]
fn attack16_rogue_dhcp() {
    let flags = flag::NO_DHCP_SERVER;
    let offer = udp(67, 68, &bootp(2, 1, 6, VICTIM));
    let others = flag::SECURITY & !flags & !flag::LOCKED;
    let v4_offer = v4(OWN_V4, [255; 4], 17, &offer);
    let v6_reply = v6(LINK_LOCAL, 17, &udp(547, 546, &[]));
    table(&[
        ("offer", flags, v4_offer.clone(), DHCP),
        (
            "behind options",
            flags,
            v4_with(OWN_V4, [255; 4], 17, 0, 10, &offer),
            DHCP,
        ),
        (
            "first fragment",
            flags,
            v4_with(OWN_V4, [255; 4], 17, 0x2000, 0, &offer),
            DHCP,
        ),
        (
            "payload of a later fragment",
            flags,
            v4_with(OWN_V4, PEER, 17, 1, 0, &offer),
            PASS,
        ),
        ("another protocol", flags, v4(OWN_V4, PEER, 6, &offer), PASS),
        (
            "request",
            flags,
            v4(OWN_V4, PEER, 17, &udp(68, 67, &[])),
            PASS,
        ),
        (
            "offer from another port",
            flags,
            v4(
                OWN_V4,
                [255; 4],
                17,
                &udp(1067, 68, &bootp(2, 1, 6, VICTIM)),
            ),
            DHCP,
        ),
        (
            "reply from another port",
            flags,
            v6(LINK_LOCAL, 17, &udp(1547, 546, &[])),
            DHCP,
        ),
        ("allowed", others, v4_offer, PASS),
        ("DHCPv6 reply", flags, v6_reply.clone(), DHCP),
        (
            "DHCPv6 solicit",
            flags,
            v6(LINK_LOCAL, 17, &udp(546, 547, &[])),
            PASS,
        ),
        ("port 67 of IPv6", flags, v6(LINK_LOCAL, 17, &offer), PASS),
        (
            "port 547 of IPv4",
            flags,
            v4(OWN_V4, PEER, 17, &udp(547, 546, &[])),
            PASS,
        ),
        ("allowed DHCPv6", others, v6_reply, PASS),
    ]);
}

/// Extension headers, each with what comes next.
const fn destination(next: u8) -> [u8; 8] {
    [next, 0, 1, 4, 0, 0, 0, 0]
}

const fn fragment(next: u8, field: u16) -> [u8; 8] {
    let [high, low] = field.to_be_bytes();
    [next, 0, high, low, 0, 0, 0, 1]
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn attack16_rfc7113_rogue_router_advertisements() {
    let flags = flag::NO_RA;
    let message = |kind| nd(kind, NOBODY, &[]);
    let others = flag::SECURITY & !flags & !flag::LOCKED;
    let behind = |chain: &[[u8; 8]], first, kind| {
        v6_behind(LINK_LOCAL, VICTIM_V6, chain, first, &message(kind))
    };
    let global = |chain: &[[u8; 8]], l4: &[u8]| v6_behind(OWN_V6, VICTIM_V6, chain, 60, l4);
    let seven = |last| {
        let mut chain = Vec::from([destination(60); 7]);
        chain.push(destination(last));
        chain
    };
    table(&[
        (
            "advertisement",
            flags,
            v6(LINK_LOCAL, 58, &message(134)),
            RA,
        ),
        ("redirect", flags, v6(LINK_LOCAL, 58, &message(137)), RA),
        (
            "solicitation",
            flags,
            v6(LINK_LOCAL, 58, &message(133)),
            PASS,
        ),
        ("echo", flags, v6(LINK_LOCAL, 58, &message(128)), PASS),
        ("allowed", others, v6(LINK_LOCAL, 58, &message(134)), PASS),
        (
            "behind hop-by-hop",
            flags,
            behind(&[destination(58)], 0, 134),
            RA,
        ),
        (
            "behind routing",
            flags,
            behind(&[destination(58)], 43, 134),
            RA,
        ),
        (
            "behind destination",
            flags,
            behind(&[destination(58)], 60, 134),
            RA,
        ),
        (
            "behind two",
            flags,
            behind(&[destination(60), destination(58)], 0, 137),
            RA,
        ),
        ("behind eight", flags, behind(&seven(58), 60, 134), RA),
        (
            "behind nine",
            flags,
            behind(&[seven(60), Vec::from([destination(58)])].concat(), 60, 134),
            RA,
        ),
        ("TCP behind eight", flags, behind(&seven(6), 60, 134), PASS),
        (
            "TCP behind nine",
            flags,
            behind(&[seven(60), Vec::from([destination(6)])].concat(), 60, 0),
            RA,
        ),
        (
            "TCP behind nine, global",
            flags,
            global(&[destination(60); 9], &[0; 20]),
            PASS,
        ),
        (
            "first fragment",
            flags,
            behind(&[fragment(58, 1)], 44, 134),
            RA,
        ),
        (
            "echo's first fragment",
            flags,
            behind(&[fragment(58, 1)], 44, 128),
            PASS,
        ),
        (
            "later fragment",
            flags,
            behind(&[fragment(58, 8)], 44, 134),
            PASS,
        ),
        (
            "destination, fragment",
            flags,
            behind(&[destination(44), fragment(58, 1)], 60, 134),
            RA,
        ),
        (
            "fragment, destination",
            flags,
            behind(&[fragment(60, 1), destination(58)], 44, 134),
            RA,
        ),
        (
            "hidden in a first fragment",
            flags,
            v6_behind(
                LINK_LOCAL,
                VICTIM_V6,
                &[fragment(60, 1)],
                44,
                &[58, 3, 0, 0, 0, 0],
            ),
            RA,
        ),
        (
            "cut off behind a fragment",
            flags,
            v6_behind(LINK_LOCAL, VICTIM_V6, &[fragment(58, 1)], 44, &[]),
            RA,
        ),
    ]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn attack5_vxlan_into_the_underlay() {
    let flags = flag::NO_VXLAN;
    let vxlan = udp(50000, 4789, &[8, 0, 0, 0, 0, 0, 1, 0]);
    let others = flag::SECURITY & !flags & !flag::LOCKED;
    let to = |to, chain: &[[u8; 8]], first, l4: &[u8]| v6_behind(OWN_V6, to, chain, first, l4);
    let swapped = udp(4789, 50000, &[]);
    table(&[
        (
            "to this host",
            flags,
            v4(OWN_V4, UNDERLAY, 17, &vxlan),
            VXLAN,
        ),
        ("to a peer", flags, v4(OWN_V4, PEER, 17, &vxlan), VXLAN),
        (
            "behind options",
            flags,
            v4_with(OWN_V4, PEER, 17, 0, 10, &vxlan),
            VXLAN,
        ),
        (
            "first fragment",
            flags,
            v4_with(OWN_V4, PEER, 17, 0x2000, 0, &vxlan),
            VXLAN,
        ),
        (
            "later fragment",
            flags,
            v4_with(OWN_V4, PEER, 17, 0x2001, 0, &vxlan),
            PASS,
        ),
        (
            "attack6 to another guest",
            flags,
            v4(OWN_V4, VICTIM_V4, 17, &vxlan),
            PASS,
        ),
        (
            "from that port",
            flags,
            v4(OWN_V4, PEER, 17, &swapped),
            PASS,
        ),
        (
            "to port 46354, as badly swapped",
            flags,
            v4(OWN_V4, PEER, 17, &udp(1, 46354, &[])),
            PASS,
        ),
        ("TCP", flags, v4(OWN_V4, PEER, 6, &vxlan), PASS),
        ("cut off", flags, v4(OWN_V4, PEER, 17, &vxlan[..7]), PASS),
        ("allowed", others, v4(OWN_V4, PEER, 17, &vxlan), PASS),
        (
            "to a group of the underlay",
            flags,
            v4(OWN_V4, [239, 0, 0, 10], 17, &vxlan),
            VXLAN,
        ),
        (
            "another port of a group",
            flags,
            v4(OWN_V4, [239, 0, 0, 10], 17, &swapped),
            PASS,
        ),
        (
            "IPv6 to a group",
            flags,
            to(GROUP_V6, &[], 17, &vxlan),
            VXLAN,
        ),
        ("IPv6 to a peer", flags, to(PEER_V6, &[], 17, &vxlan), VXLAN),
        (
            "IPv6 behind a header",
            flags,
            to(PEER_V6, &[destination(17)], 0, &vxlan),
            VXLAN,
        ),
        (
            "IPv6 first fragment",
            flags,
            to(PEER_V6, &[fragment(17, 1)], 44, &vxlan),
            VXLAN,
        ),
        (
            "IPv6 later fragment",
            flags,
            to(PEER_V6, &[fragment(17, 9)], 44, &vxlan),
            PASS,
        ),
        (
            "IPv6 behind nine",
            flags,
            to(PEER_V6, &[destination(60); 9], 60, &vxlan),
            VXLAN,
        ),
        (
            "IPv6 to another guest",
            flags,
            to(VICTIM_V6, &[], 17, &vxlan),
            PASS,
        ),
        ("IPv6 to nobody", flags, to(NOBODY, &[], 17, &vxlan), PASS),
    ]);
}

#[test]
fn p32_ipv6_sources() {
    let flags = flag::CHECK_IP;
    table(&[
        ("own", flags, v6(OWN_V6, 6, &[0; 20]), PASS),
        ("link-local", flags, v6(LINK_LOCAL, 6, &[0; 20]), PASS),
        ("nobody", flags, v6(NOBODY, 58, &nd(133, NOBODY, &[])), PASS),
        ("another's", flags, v6(VICTIM_V6, 6, &[0; 20]), IP),
        (
            "another link-local",
            flags,
            v6(OTHER_LINK_LOCAL, 6, &[0; 20]),
            IP,
        ),
        ("own IPv4, mapped", flags, v6(MAPPED, 6, &[0; 20]), IP),
        (
            "own, upper layer hidden",
            flags,
            v6_behind(OWN_V6, PEER_V6, &[destination(60); 9], 60, &[]),
            IP,
        ),
        (
            "own, later fragment",
            flags,
            v6_behind(OWN_V6, PEER_V6, &[fragment(58, 8)], 44, &[]),
            PASS,
        ),
        ("by default", DEFAULT, v6(VICTIM_V6, 6, &[0; 20]), PASS),
    ]);
}

/// As `0.0.0.0`, which only DHCP may come from.
#[test]
fn p32_attack12_what_comes_from_no_ipv6_address() {
    let flags = flag::CHECK_IP;
    let alert = |next| [next, 0, 5, 2, 0, 0, 1, 0];
    let report = |kind: u8| Vec::from([kind, 0, 0, 0, 0, 0, 0, 0]);
    let listens = |chain: &[[u8; 8]], kind| v6_behind(NOBODY, GROUP_V6, chain, 0, &report(kind));
    let probe = nd(135, OWN_V6, &[]);
    table(&[
        ("duplicate detection", flags, v6(NOBODY, 58, &probe), PASS),
        (
            "asks for routers",
            flags,
            v6(NOBODY, 58, &report(133)),
            PASS,
        ),
        ("listens", flags, listens(&[alert(58)], 131), PASS),
        ("listens, MLDv2", flags, listens(&[alert(58)], 143), PASS),
        ("UDP", flags, v6(NOBODY, 17, &udp(5353, 5353, &[])), IP),
        ("DHCPv6", flags, v6(NOBODY, 17, &udp(546, 547, &[])), IP),
        ("TCP", flags, v6(NOBODY, 6, &[0; 20]), IP),
        ("echo", flags, v6(NOBODY, 58, &report(128)), IP),
        ("a claim", flags, v6(NOBODY, 58, &nd(136, OWN_V6, &[])), IP),
        ("a router", flags, v6(NOBODY, 58, &report(134)), IP),
        ("a report as it is", flags, v6(NOBODY, 58, &report(143)), IP),
        ("listens no more", flags, listens(&[alert(58)], 132), IP),
        ("UDP behind it", flags, listens(&[alert(17)], 143), IP),
        (
            "behind two headers",
            flags,
            listens(&[alert(60), destination(58)], 143),
            IP,
        ),
        (
            "behind a long header",
            flags,
            listens(&[[58, 1, 5, 2, 0, 0, 1, 0], [143; 8]], 143),
            IP,
        ),
        (
            "later fragment",
            flags,
            v6_behind(NOBODY, GROUP_V6, &[fragment(58, 8)], 44, &[]),
            IP,
        ),
        ("cut off", flags, v6(NOBODY, 58, &[]), IP),
        (
            "report cut off",
            flags,
            listens(&[alert(58)], 143)[..62].to_vec(),
            IP,
        ),
        ("by default", DEFAULT, v6(NOBODY, 6, &[0; 20]), PASS),
    ]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn attack15_neighbour_discovery_spoofing() {
    let (mac, ip) = (flag::CHECK_MAC, flag::CHECK_IP);
    let own = |kind| link_layer(kind, OWN);
    let forged = |kind| link_layer(kind, VICTIM);
    let from = |source, kind, target, options: &[u8]| v6(source, 58, &nd(kind, target, options));
    // An option that is skipped: a nonce.
    let nonces =
        |count: usize, last: Vec<u8>| [[14u8, 1, 0, 0, 0, 0, 0, 0].repeat(count), last].concat();
    let router = |options: &[u8]| {
        let mut message = Vec::from([134, 0, 0, 0]);
        message.resize(16, 0);
        message.extend(options);
        v6(LINK_LOCAL, 58, &message)
    };
    let behind = v6_behind(
        OWN_V6,
        VICTIM_V6,
        &[destination(58)],
        60,
        &nd(136, VICTIM_V6, &own(2)),
    );
    let mut trailing = from(OWN_V6, 136, OWN_V6, &[]);
    trailing.extend(forged(2));
    table(&[
        ("own", mac | ip, from(OWN_V6, 136, OWN_V6, &own(2)), PASS),
        (
            "own link-local",
            mac | ip,
            from(OWN_V6, 136, LINK_LOCAL, &own(2)),
            PASS,
        ),
        ("for another", ip, from(OWN_V6, 136, VICTIM_V6, &own(2)), IP),
        (
            "for another's link-local",
            ip,
            from(OWN_V6, 136, OTHER_LINK_LOCAL, &own(2)),
            IP,
        ),
        (
            "for own IPv4, mapped",
            ip,
            from(OWN_V6, 136, MAPPED, &own(2)),
            IP,
        ),
        ("for another, behind a header", ip, behind, IP),
        ("target cut off", ip, v6(OWN_V6, 58, &[136; 23]), IP),
        (
            "for another, only MACs checked",
            mac,
            from(OWN_V6, 136, VICTIM_V6, &own(2)),
            PASS,
        ),
        (
            "asks for another",
            mac | ip,
            from(OWN_V6, 135, VICTIM_V6, &own(1)),
            PASS,
        ),
        (
            "whether it may be itself",
            ip,
            from(NOBODY, 135, OWN_V6, &[]),
            PASS,
        ),
        (
            "whether it may be another",
            ip,
            from(NOBODY, 135, VICTIM_V6, &[]),
            IP,
        ),
        (
            "advertisement's option",
            mac,
            from(OWN_V6, 136, OWN_V6, &forged(2)),
            MAC,
        ),
        (
            "solicitation's option",
            mac,
            from(OWN_V6, 135, VICTIM_V6, &forged(1)),
            MAC,
        ),
        (
            "router solicitation's",
            mac,
            v6(
                OWN_V6,
                58,
                &[&[133, 0, 0, 0, 0, 0, 0, 0], &forged(1)[..]].concat(),
            ),
            MAC,
        ),
        ("router's", mac, router(&forged(1)), MAC),
        ("router's own", mac, router(&own(1)), PASS),
        ("router's, many", mac, router(&nonces(12, own(1))), PASS),
        (
            "behind another option",
            mac,
            from(OWN_V6, 135, VICTIM_V6, &nonces(1, forged(1))),
            MAC,
        ),
        (
            "eighth option",
            mac,
            from(OWN_V6, 135, VICTIM_V6, &nonces(7, own(1))),
            PASS,
        ),
        (
            "forged eighth option",
            mac,
            from(OWN_V6, 135, VICTIM_V6, &nonces(7, forged(1))),
            MAC,
        ),
        (
            "behind eight options",
            mac,
            from(OWN_V6, 135, VICTIM_V6, &nonces(8, own(1))),
            MAC,
        ),
        (
            "arp_07 CVE-2023-5366 option of length 0",
            mac,
            from(OWN_V6, 135, VICTIM_V6, &[14, 0, 0, 0, 0, 0, 0, 0]),
            MAC,
        ),
        (
            "option cut off",
            mac,
            {
                let frame = from(OWN_V6, 135, VICTIM_V6, &own(1));
                frame[..frame.len() - 1].to_vec()
            },
            MAC,
        ),
        ("forged behind the packet's end", mac, trailing, PASS),
        (
            "echo",
            mac | ip,
            from(OWN_V6, 128, VICTIM_V6, &forged(1)),
            PASS,
        ),
        (
            "by default",
            DEFAULT,
            from(OWN_V6, 136, VICTIM_V6, &forged(2)),
            PASS,
        ),
    ]);
}

#[test]
fn vu855201_ip_in_llc_and_snap() {
    let snap = |ethertype: u16| {
        let [high, low] = ethertype.to_be_bytes();
        ethernet(OWN, 60, &[0xaa, 0xaa, 3, 0, 0, 0, high, low, 0x60])
    };
    let bpdu = ethernet(OWN, 38, &[0x42, 0x42, 3, 0, 0, 0, 0x86, 0xdd]);
    table(&[
        ("IPv6", flag::NO_RA, snap(0x86dd), RA),
        ("IPv4", flag::NO_DHCP_SERVER, snap(0x0800), DHCP),
        ("ARP", flag::CHECK_IP, snap(0x0806), IP),
        ("a tag", flag::CHECK_MAC, snap(0x8100), MAC),
        ("AppleTalk", DEFAULT, snap(0x809b), PASS),
        ("a BPDU", DEFAULT, bpdu, PASS),
        ("cut off", DEFAULT, snap(0x86dd)[..21].to_vec(), PASS),
    ]);
}

#[test]
fn attack13_no_frame_of_any_bytes_panics() {
    // A small generator is enough: the parsers branch on few bytes, which are set on purpose.
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    };
    for round in 0..20_000 {
        let mut frame: Vec<u8> = (0..14 + round % 300).map(|_| next()).collect();
        let ethertype = [0x0800u16, 0x86dd, 0x0806, 0x0040][round % 4];
        frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
        if let Some(version) = frame.get_mut(14) {
            *version = *version & 0x0f | if ethertype == 0x0800 { 0x40 } else { 0x60 };
        }
        if let Some(protocol) = frame.get_mut(if ethertype == 0x0800 { 23 } else { 20 }) {
            *protocol = [17, 58, 0, 43, 44, 60][*protocol as usize % 6];
        }
        for flags in [flag::SECURITY & !flag::LOCKED & !flag::CHECK_MAC, DEFAULT] {
            let _ = judge(flags, &frame);
        }
    }
}
