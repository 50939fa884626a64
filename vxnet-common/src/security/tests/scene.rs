//! A port with what it may use, and frames that it sends.

use std::{collections::BTreeSet, vec::Vec};

use super::super::*;
use crate::map::{
    fdb::FdbEntry,
    neighbour::{Neighbour, NeighbourKey},
    segment::Segment,
};

pub(super) const SLOT: u32 = 4;
pub(super) const SEGMENT: u32 = 9;
pub(super) const OWN: Mac = Mac([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
/// Allowed too, and fixed at another port.
pub(super) const SECOND: Mac = Mac([0x52, 0x54, 0, 0, 0, 2]);
pub(super) const VICTIM: Mac = Mac([0x52, 0x54, 0, 0, 0, 0xff]);
pub(super) const OWN_V4: [u8; 4] = [10, 0, 0, 1];
pub(super) const VICTIM_V4: [u8; 4] = [10, 0, 0, 254];
pub(super) const UNDERLAY: [u8; 4] = [192, 0, 2, 1];
pub(super) const PEER: [u8; 4] = [192, 0, 2, 2];
pub(super) const OWN_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
pub(super) const VICTIM_V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff];
pub(super) const PEER_V6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
/// What RFC 4291 appendix A makes of `OWN`.
pub(super) const LINK_LOCAL: [u8; 16] = [
    0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x50, 0x54, 0, 0xff, 0xfe, 0x12, 0x34, 0x56,
];
pub(super) const OTHER_LINK_LOCAL: [u8; 16] =
    [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
pub(super) const NOBODY: [u8; 16] = [0; 16];
pub(super) const GROUP_V6: [u8; 16] = [0xff, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10];
pub(super) const MAPPED: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1];

pub(super) struct Scene {
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
pub(super) const PASS: Verdict = Ok(());
pub(super) const LOCKED: Verdict = Err(Reason::Locked);
pub(super) const MAC: Verdict = Err(Reason::SpoofedMac);
pub(super) const IP: Verdict = Err(Reason::SpoofedIp);
pub(super) const DHCP: Verdict = Err(Reason::RogueDhcp);
pub(super) const RA: Verdict = Err(Reason::RogueRa);
pub(super) const VXLAN: Verdict = Err(Reason::GuestVxlan);

/// What every guest gets, also one that libvirt does not describe.
pub(super) const DEFAULT: u32 = flag::NO_DHCP_SERVER | flag::NO_RA | flag::NO_VXLAN;

pub(super) fn judge_in(segment: u32, flags: u32, frame: &[u8]) -> Verdict {
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
        detour: 0,
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

pub(super) fn judge(flags: u32, frame: &[u8]) -> Verdict {
    judge_in(SEGMENT, flags, frame)
}

/// Judges each frame, with exactly these flags and with all others, which must let it pass.
pub(super) fn table(rows: &[(&str, u32, Vec<u8>, Verdict)]) {
    for (name, flags, frame, expected) in rows {
        assert_eq!(judge(*flags, frame), *expected, "{name}");
        assert_eq!(judge(0, frame), PASS, "{name}, unchecked");
    }
}

pub(super) fn ethernet(src: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = Vec::from([0xff; 6]);
    frame.extend(src.0);
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

pub(super) fn arp(sha: Mac, spa: [u8; 4]) -> Vec<u8> {
    let mut payload = Vec::from([0, 1, 8, 0, 6, 4, 0, 2]);
    payload.extend(sha.0);
    payload.extend(spa);
    payload.extend([0; 10]);
    ethernet(OWN, ethertype::ARP, &payload)
}

/// An IPv4 packet with `words` words of options.
pub(super) fn v4_with(
    from: [u8; 4],
    to: [u8; 4],
    protocol: u8,
    frags: u16,
    words: u8,
    l4: &[u8],
) -> Vec<u8> {
    let length = 20 + 4 * u16::from(words) + u16::try_from(l4.len()).expect("short");
    let [high, low] = length.to_be_bytes();
    let mut payload = Vec::from([0x45 + words, 0, high, low, 0, 0]);
    payload.extend(frags.to_be_bytes());
    payload.extend([64, protocol, 0, 0]);
    payload.extend(from);
    payload.extend(to);
    // Options that look like a UDP header to port 1.
    payload.extend([0, 1].repeat(usize::from(words) * 2));
    payload.extend(l4);
    ethernet(OWN, ethertype::IPV4, &payload)
}

pub(super) fn v4(from: [u8; 4], to: [u8; 4], protocol: u8, l4: &[u8]) -> Vec<u8> {
    v4_with(from, to, protocol, 0, 0, l4)
}

pub(super) fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let mut header = Vec::new();
    for field in [from, to, 8 + payload.len() as u16, 0] {
        header.extend(field.to_be_bytes());
    }
    header.extend(payload);
    header
}

/// A DHCP message with a hardware address of that type and length.
pub(super) fn bootp(operation: u8, kind: u8, len: u8, mac: Mac) -> Vec<u8> {
    let mut message = Vec::from([operation, kind, len, 0]);
    message.resize(28, 0);
    message.extend(mac.0);
    message.resize(240, 0);
    message
}

/// An IPv6 packet behind these extension headers.
pub(super) fn v6_behind(
    from: [u8; 16],
    to: [u8; 16],
    chain: &[[u8; 8]],
    next: u8,
    l4: &[u8],
) -> Vec<u8> {
    let mut payload = Vec::from([0x60, 0, 0, 0]);
    payload.extend((chain.len() as u16 * 8 + l4.len() as u16).to_be_bytes());
    payload.extend([next, 255]);
    payload.extend(from);
    payload.extend(to);
    payload.extend(chain.concat());
    payload.extend(l4);
    ethernet(OWN, ethertype::IPV6, &payload)
}

pub(super) fn v6(from: [u8; 16], protocol: u8, l4: &[u8]) -> Vec<u8> {
    v6_behind(from, VICTIM_V6, &[], protocol, l4)
}

pub(super) fn nd(kind: u8, target: [u8; 16], options: &[u8]) -> Vec<u8> {
    let mut message = Vec::from([kind, 0, 0, 0, 0, 0, 0, 0]);
    message.extend(target);
    message.extend(options);
    message
}

pub(super) fn link_layer(kind: u8, mac: Mac) -> Vec<u8> {
    let mut option = Vec::from([kind, 1]);
    option.extend(mac.0);
    option
}

/// Extension headers, each with what comes next.
pub(super) const fn destination(next: u8) -> [u8; 8] {
    [next, 0, 1, 4, 0, 0, 0, 0]
}

pub(super) const fn fragment(next: u8, field: u16) -> [u8; 8] {
    let [high, low] = field.to_be_bytes();
    [next, 0, high, low, 0, 0, 0, 1]
}
