//! Port security: an honest guest is never stopped, a liar always, whatever the frame is.

use std::collections::BTreeSet;

use etherparse::PacketBuilder;
use vxnet_common::{
    addr::{Mac, VtepAddr},
    frame::Ethernet,
    map::{
        allowed::AllowedKey,
        fdb::{FdbEntry, FdbKey, origin, place},
        port::{Port, flag, kind},
    },
    reason::Reason,
    security::check,
};

use super::{draw::Draw, tables::World, vxlan_classify::local};

const SLOT: u32 = 4;
const SEGMENT: u32 = 9;
const MAC: [u8; 6] = [0x52, 0x54, 0, 0x12, 0x34, 0x56];
const V4: [u8; 4] = [10, 0, 0, 1];
const V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const UNDERLAY: [u8; 4] = [192, 0, 2, 1];
const PEER: [u8; 4] = [192, 0, 2, 2];

type Verdict = Result<(), Reason>;

pub(super) fn target(data: &[u8]) {
    let mut draw = Draw::new(data);
    let flags = u32::from(draw.u16()) & flag::SECURITY;
    let fewer = u32::from(draw.u16());
    match draw.below(4) {
        0 | 1 => any(flags, flags & fewer, &draw.rest()),
        2 => honest_v4(flags, &mut draw),
        _ => honest_v6(flags, &mut draw),
    }
}

fn world() -> World {
    let fixed = FdbEntry::fixed(place::PORT, SLOT, origin::MANUAL);
    World {
        fdb: [(FdbKey::new(SEGMENT, Mac(MAC)), fixed)].into(),
        vteps: [(VtepAddr::v4(PEER), 1)].into(),
        allowed: BTreeSet::from([
            AllowedKey::mac(SLOT, Mac(MAC)),
            AllowedKey::ip(SLOT, VtepAddr::v4(V4)),
            AllowedKey::ip(SLOT, VtepAddr::v6(V6)),
        ]),
        ..World::default()
    }
}

fn judged(flags: u32, packet: &[u8]) -> Verdict {
    let port = Port {
        kind: kind::GUEST,
        segment: SEGMENT,
        flags,
        ..Port::FREE
    };
    let local = local(4, VtepAddr::v4(UNDERLAY), 4789);
    let frame = Ethernet::parse(packet, 0).expect("a header");
    check(&world(), SLOT, &port, SEGMENT, &local, packet, &frame)
}

/// Checks a frame of any bytes.
fn any(flags: u32, fewer: u32, packet: &[u8]) {
    let Some(frame) = Ethernet::parse(packet, 0) else {
        return;
    };
    let verdict = judged(flags, packet);
    assert_eq!(verdict, judged(flags, packet));
    assert_eq!(judged(0, packet), Ok(()), "no check, no drop");
    if verdict.is_ok() {
        assert_eq!(judged(fewer, packet), Ok(()), "of fewer checks");
        passed(flags, packet, &frame);
    }
    if frame.src.0 != MAC {
        stranger(flags, verdict);
    }
    if let Err(reason) = verdict {
        let by = match reason {
            Reason::Locked => flag::LOCKED,
            Reason::SpoofedMac => flag::CHECK_MAC,
            Reason::SpoofedIp => flag::CHECK_IP,
            Reason::RogueDhcp => flag::NO_DHCP_SERVER,
            Reason::RogueRa => flag::NO_RA,
            Reason::GuestVxlan => flag::NO_VXLAN,
            other => panic!("{other:?}"),
        };
        assert_ne!(flags & by, 0, "{reason:?} without its check");
    }
}

/// Checks what got through, by offsets in RFC 826, 791 and 8200.
fn passed(flags: u32, packet: &[u8], frame: &Ethernet) {
    let field = |at: usize, len: usize| packet.get(at..at + len);
    if flags & flag::CHECK_MAC != 0 {
        assert_eq!(frame.src.0, MAC);
    }
    match frame.ethertype {
        0x0800 if flags & flag::CHECK_IP != 0 => {
            let source = field(26, 4).expect("a header");
            assert!(source == V4 || source == [0; 4]);
        }
        0x86dd if flags & flag::CHECK_IP != 0 => {
            let source = field(22, 16).expect("a header");
            let is_own = source == V6 || source == [0; 16] || frame.src.0 != MAC;
            assert!(is_own || source == link_local(), "{source:x?}");
        }
        0x0806 if field(16, 2) == Some(&[8, 0]) => {
            if flags & flag::CHECK_MAC != 0 {
                assert_eq!(field(22, 6).expect("a sender"), MAC);
            }
            if flags & flag::CHECK_IP != 0 {
                let sender = field(28, 4).expect("a sender");
                assert!(sender == V4 || sender == [0; 4]);
            }
        }
        _ => {}
    }
}

fn stranger(flags: u32, verdict: Verdict) {
    if flags & flag::LOCKED != 0 {
        assert_eq!(verdict, Err(Reason::Locked));
    } else if flags & flag::CHECK_MAC != 0 {
        assert_eq!(verdict, Err(Reason::SpoofedMac));
    }
}

/// Checks an honest frame, and the same from another address.
fn honest(flags: u32, packet: &[u8]) {
    assert_eq!(judged(flags, packet), Ok(()));
    let mut stolen = packet.to_vec();
    stolen[11] ^= 1;
    stranger(flags, judged(flags, &stolen));
}

fn honest_v4(flags: u32, draw: &mut Draw<'_>) {
    let to = PacketBuilder::ethernet2(MAC, draw.array());
    let destination: [u8; 4] = draw.array();
    let ip = to.ipv4(V4, destination, draw.u8());
    let kind = draw.below(4);
    let (from, port) = (draw.u16(), draw.u16());
    let payload = draw.rest();
    let mut packet = Vec::new();
    let written = match kind {
        0 => ip.udp(from, port).write(&mut packet, &payload),
        1 => ip.tcp(from, port, 1, 1024).write(&mut packet, &payload),
        2 => ip
            .icmpv4_echo_request(from, port)
            .write(&mut packet, &payload),
        _ => {
            packet = arp(destination, from & 1 == 0);
            Ok(())
        }
    };
    written.expect("it is short enough");
    let is_server = kind == 0 && (from == 67 || port == 67);
    let is_vtep = destination == UNDERLAY || destination == PEER;
    if is_server || kind == 0 && port == 4789 && is_vtep {
        return;
    }
    honest(flags, &packet);
    if flags & flag::CHECK_IP != 0 && kind != 3 {
        let mut spoofed = packet;
        spoofed[29] ^= 2;
        assert_eq!(judged(flags, &spoofed), Err(Reason::SpoofedIp));
    }
}

/// Returns an ARP request, or a probe.
fn arp(target: [u8; 4], is_probe: bool) -> Vec<u8> {
    let mut packet = vec![0xff; 6];
    packet.extend(MAC);
    packet.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    packet.extend(MAC);
    packet.extend(if is_probe { [0; 4] } else { V4 });
    packet.extend([0; 6]);
    packet.extend(target);
    packet
}

fn honest_v6(flags: u32, draw: &mut Draw<'_>) {
    let to = PacketBuilder::ethernet2(MAC, draw.array());
    let source = if draw.flag() { V6 } else { link_local() };
    let ip = to.ipv6(source, draw.array(), draw.u8());
    let kind = draw.below(5);
    let (from, port) = (draw.u16(), draw.u16());
    let target: [u8; 16] = draw.array();
    let payload = draw.rest();
    let mut packet = Vec::new();
    let written = match kind {
        0 => ip.udp(from, port).write(&mut packet, &payload),
        1 => ip.tcp(from, port, 1, 1024).write(&mut packet, &payload),
        2 => ip
            .icmpv6_echo_request(from, port)
            .write(&mut packet, &payload),
        3 => {
            let message = [&target[..], &[1, 1], &MAC].concat();
            ip.icmpv6_raw(135, 0, [0; 4]).write(&mut packet, &message)
        }
        _ => {
            let message = [&source[..], &[2, 1], &MAC].concat();
            ip.icmpv6_raw(136, 0, [0x20, 0, 0, 0])
                .write(&mut packet, &message)
        }
    };
    written.expect("it is short enough");
    if kind == 0 && from == 547 {
        return;
    }
    honest(flags, &packet);
    if flags & flag::CHECK_IP != 0 {
        let mut spoofed = packet;
        spoofed[37] ^= 2;
        assert_eq!(judged(flags, &spoofed), Err(Reason::SpoofedIp));
    }
}

/// Returns what RFC 4291 appendix A makes of the guest's MAC address.
fn link_local() -> [u8; 16] {
    let [a, b, c, d, e, f] = MAC;
    [
        0xfe,
        0x80,
        0,
        0,
        0,
        0,
        0,
        0,
        a ^ 2,
        b,
        c,
        0xff,
        0xfe,
        d,
        e,
        f,
    ]
}
