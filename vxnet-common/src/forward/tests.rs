//! The decision over `BTreeMap` tables: every kind of sender × every class of destination.

mod admission;
mod leaving;

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::{
    addr::VtepAddr,
    map::{fdb::origin, port::flag},
};

#[derive(Default)]
struct Maps {
    fdb: BTreeMap<FdbKey, FdbEntry>,
    ports: BTreeMap<u32, Port>,
    segments: BTreeMap<u32, Segment>,
    vnis: BTreeMap<u32, u32>,
    vteps: BTreeMap<VtepAddr, u32>,
    vlans: BTreeMap<(u32, u16), u32>,
    carried: BTreeSet<(u32, u16)>,
}

impl Tables for Maps {
    fn fdb(&self, key: &FdbKey) -> Option<&FdbEntry> {
        self.fdb.get(key)
    }

    fn port(&self, slot: u32) -> Option<&Port> {
        self.ports.get(&slot)
    }

    fn segment(&self, slot: u32) -> Option<&Segment> {
        self.segments.get(&slot)
    }

    fn vni(&self, vni: u32) -> Option<u32> {
        self.vnis.get(&vni).copied()
    }

    fn vtep(&self, address: VtepAddr) -> Option<u32> {
        self.vteps.get(&address).copied()
    }

    fn vlan(&self, network: u32, vid: u16) -> Option<u32> {
        self.vlans.get(&(network, vid)).copied()
    }

    fn carries(&self, port: u32, vid: u16) -> bool {
        self.carried.contains(&(port, vid))
    }

    fn allows(&self, _: &AllowedKey) -> bool {
        false
    }

    fn neighbour(&self, _: &NeighbourKey) -> Option<&Neighbour> {
        None
    }
}

// Slots of the scene. The segment RED has the host port and guests A and B on this host and the
// peers P and Q elsewhere; BLUE has guest C here and the peer Q.
const RED: u32 = 1;
const BLUE: u32 = 2;
const HOST: u32 = 1;
const A: u32 = 2;
const B: u32 = 3;
const C: u32 = 4;
const UPLINK: u32 = 5;
/// A slot that once was a port's.
const FREED: u32 = 6;
const P: u32 = 1;
const Q: u32 = 70;

const RED_VNI: u32 = 1000;
const BLUE_VNI: u32 = 2000;
const AGEING: u64 = 300;
const NOW: u64 = 10_000;

/// Returns a guest's address.
const fn mac(last: u8) -> Mac {
    Mac([0x52, 0x54, 0, 0, 0, last])
}

const AT_HOST: Mac = mac(1);
const AT_A: Mac = mac(2);
const AT_B: Mac = mac(3);
const AT_P: Mac = mac(4);
const EXPIRED: Mac = mac(5);
const EXPIRED_AT_P: Mac = mac(6);
const AT_FREED: Mac = mac(7);
const AT_MISSING: Mac = mac(8);
const AT_C: Mac = mac(9);
const AT_UPLINK: Mac = mac(10);
const UNKNOWN: Mac = mac(11);
const ONLY_IN_BLUE: Mac = mac(12);
/// At a peer of RED that has left BLUE.
const AT_P_OF_BLUE: Mac = mac(13);

const fn port(kind: u32, segment: u32, ifindex: u32, flags: u32) -> Port {
    Port {
        ifindex,
        kind,
        segment,
        flags,
        ..Port::FREE
    }
}

const fn learned(slot: u32, place: u8) -> FdbEntry {
    FdbEntry::learned(place, slot, NOW)
}

fn segment(vni: u32, vteps: &[u32]) -> Segment {
    let mut segment = Segment {
        vni,
        ageing: AGEING,
        ..Segment::FREE
    };
    for slot in vteps {
        segment.vteps[*slot as usize / 64] |= 1 << (slot % 64);
    }
    segment
}

fn peer(last: u8) -> VtepAddr {
    VtepAddr::v4([192, 0, 2, last])
}

fn scene() -> Maps {
    let static_host = FdbEntry {
        origin: origin::STATIC,
        last_seen: 0,
        ..learned(HOST, place::PORT)
    };
    let old = |entry: FdbEntry| FdbEntry {
        last_seen: NOW - AGEING,
        ..entry
    };
    let rows = [
        (RED, AT_HOST, static_host),
        (RED, AT_A, learned(A, place::PORT)),
        (RED, AT_B, learned(B, place::PORT)),
        (RED, AT_P, learned(P, place::VTEP)),
        (RED, EXPIRED, old(learned(B, place::PORT))),
        (RED, EXPIRED_AT_P, old(learned(P, place::VTEP))),
        (RED, AT_FREED, learned(FREED, place::PORT)),
        (RED, AT_MISSING, learned(999, place::PORT)),
        (RED, AT_C, learned(C, place::PORT)),
        (RED, AT_UPLINK, learned(UPLINK, place::PORT)),
        (BLUE, ONLY_IN_BLUE, learned(C, place::PORT)),
        (BLUE, AT_P_OF_BLUE, learned(P, place::VTEP)),
        // The same address in another segment is another station.
        (BLUE, AT_A, learned(C, place::PORT)),
    ];
    Maps {
        fdb: rows
            .into_iter()
            .map(|(slot, mac, row)| (FdbKey::new(slot, mac), row))
            .collect(),
        ports: BTreeMap::from([
            (HOST, port(port::kind::HOST, RED, 10, 0)),
            (A, port(port::kind::GUEST, RED, 11, flag::XDP_TARGET)),
            (B, port(port::kind::GUEST, RED, 12, 0)),
            (C, port(port::kind::GUEST, BLUE, 13, 0)),
            (UPLINK, port(port::kind::UPLINK, 0, 2, flag::STRIP)),
            (FREED, Port::FREE),
        ]),
        segments: BTreeMap::from([
            (RED, segment(RED_VNI, &[P, Q])),
            (BLUE, segment(BLUE_VNI, &[Q])),
        ]),
        vnis: BTreeMap::from([(RED_VNI, RED), (BLUE_VNI, BLUE)]),
        vteps: BTreeMap::from([(peer(34), P), (peer(50), Q)]),
        ..Maps::default()
    }
}

type Verdict = Result<To, Reason>;

/// To every local port and every peer.
const FLOOD: Verdict = Ok(To::Flood { overlay: true });
/// To every local port, never to a peer.
const LOCAL: Verdict = Ok(To::Flood { overlay: false });
const TO_HOST: Verdict = Ok(To::Host {
    slot: HOST,
    ifindex: 10,
});
const TO_A: Verdict = Ok(To::Port {
    slot: A,
    ifindex: 11,
    flags: flag::XDP_TARGET,
    tagged: false,
});
const TO_B: Verdict = Ok(To::Port {
    slot: B,
    ifindex: 12,
    flags: 0,
    tagged: false,
});
const TO_P: Verdict = Ok(To::Vtep(P));
const SAME: Verdict = Err(Reason::SamePort);
const SPLIT: Verdict = Err(Reason::SplitHorizon);
const GONE: Verdict = Err(Reason::PortGone);
const CONTROL: Verdict = Err(Reason::LinkLocal);

#[test]
fn r7348_06_evpn_01_q_10_q_11_every_sender_and_every_destination() {
    let tables = scene();
    let froms = [
        From::Port(A),
        From::Port(B),
        From::Port(HOST),
        From::Vtep(P),
        From::Vtep(Q),
    ];
    let broadcast = Mac::BROADCAST;
    let multicast = Mac([0x01, 0, 0x5e, 0, 0, 0xfb]);
    let multicast6 = Mac([0x33, 0x33, 0, 0, 0, 1]);
    let bpdu = Mac([0x01, 0x80, 0xc2, 0, 0, 0]);
    let lldp = Mac([0x01, 0x80, 0xc2, 0, 0, 0x0e]);
    let beyond = Mac([0x01, 0x80, 0xc2, 0, 0, 0x10]);
    let table = [
        // (destination, address, [from A, from B, from the host, from peer P, from peer Q])
        ("link-local", bpdu, [CONTROL; 5]),
        ("link-local", lldp, [CONTROL; 5]),
        ("broadcast", broadcast, [FLOOD, FLOOD, FLOOD, LOCAL, LOCAL]),
        ("multicast", multicast, [FLOOD, FLOOD, FLOOD, LOCAL, LOCAL]),
        (
            "IPv6 group",
            multicast6,
            [FLOOD, FLOOD, FLOOD, LOCAL, LOCAL],
        ),
        ("other group", beyond, [FLOOD, FLOOD, FLOOD, LOCAL, LOCAL]),
        ("unknown", UNKNOWN, [FLOOD, FLOOD, FLOOD, LOCAL, LOCAL]),
        ("guest A", AT_A, [SAME, TO_A, TO_A, TO_A, TO_A]),
        ("guest B", AT_B, [TO_B, SAME, TO_B, TO_B, TO_B]),
        ("host", AT_HOST, [TO_HOST, TO_HOST, SAME, TO_HOST, TO_HOST]),
        ("peer P", AT_P, [TO_P, TO_P, TO_P, SPLIT, SPLIT]),
        ("expired", EXPIRED, [FLOOD, FLOOD, FLOOD, LOCAL, LOCAL]),
        (
            "expired P",
            EXPIRED_AT_P,
            [FLOOD, FLOOD, FLOOD, LOCAL, LOCAL],
        ),
        ("freed slot", AT_FREED, [GONE; 5]),
        ("no such slot", AT_MISSING, [GONE; 5]),
        ("port of blue", AT_C, [GONE; 5]),
        ("uplink", AT_UPLINK, [GONE; 5]),
        (
            "only in blue",
            ONLY_IN_BLUE,
            [FLOOD, FLOOD, FLOOD, LOCAL, LOCAL],
        ),
    ];
    for (name, dst, verdicts) in table {
        for (from, expected) in froms.into_iter().zip(verdicts) {
            let verdict = decide(&tables, RED, &tables.segments[&RED], from, 0, dst, NOW);
            assert_eq!(verdict, expected, "{from:?} to {name} ({dst})");
        }
    }
}

#[test]
fn r7348_06_a_host_port_of_another_segment_gets_nothing() {
    let mut tables = scene();
    let segment = tables.segments[&RED];
    let host_of_blue = port(port::kind::HOST, BLUE, 20, 0);
    tables.ports.insert(HOST, host_of_blue);
    let verdict = decide(&tables, RED, &segment, From::Port(A), 0, AT_HOST, NOW);
    assert_eq!(verdict, GONE);
}

#[test]
fn r7348_06_the_same_address_in_two_segments_is_two_stations() {
    let tables = scene();
    let segment = &tables.segments[&BLUE];
    let to_c = Ok(To::Port {
        slot: C,
        ifindex: 13,
        flags: 0,
        tagged: false,
    });
    let verdict = decide(&tables, BLUE, segment, From::Vtep(Q), 0, AT_A, NOW);
    assert_eq!(verdict, to_c);
}

#[test]
fn q_10_attack25_all_sixteen_bridge_addresses_stop_here_and_no_others() {
    let tables = scene();
    for last in 0..=0xff {
        let dst = Mac([0x01, 0x80, 0xc2, 0, 0, last]);
        let verdict = decide(
            &tables,
            RED,
            &tables.segments[&RED],
            From::Port(A),
            0,
            dst,
            NOW,
        );
        let expected = if last < 0x10 { CONTROL } else { FLOOD };
        assert_eq!(verdict, expected, "{dst}");
    }
}

#[test]
fn a_row_is_used_until_the_moment_it_expires() {
    let tables = scene();
    let segment = &tables.segments[&RED];
    let at = |now| decide(&tables, RED, segment, From::Port(A), 0, AT_P, now);
    assert_eq!(at(NOW + AGEING - 1), TO_P);
    assert_eq!(at(NOW + AGEING), FLOOD);
    let host = decide(&tables, RED, segment, From::Port(A), 0, AT_HOST, u64::MAX);
    assert_eq!(host, TO_HOST, "what the daemon wrote does not age");
}

#[test]
fn floods_can_be_switched_off_one_by_one() {
    let tables = scene();
    let multicast = Mac([0x01, 0, 0x5e, 0, 0, 0xfb]);
    let off = Err(Reason::FloodOff);
    for (flags, unknown, broadcast, group) in [
        (0, FLOOD, FLOOD, FLOOD),
        (segment::flag::NO_UNKNOWN, off, FLOOD, FLOOD),
        (segment::flag::NO_BROADCAST, FLOOD, off, FLOOD),
        (segment::flag::NO_MULTICAST, FLOOD, FLOOD, off),
    ] {
        let segment = Segment {
            flags,
            ..tables.segments[&RED]
        };
        let to = |dst| decide(&tables, RED, &segment, From::Port(A), 0, dst, NOW);
        assert_eq!(to(UNKNOWN), unknown);
        assert_eq!(to(Mac::BROADCAST), broadcast);
        assert_eq!(to(multicast), group);
        assert_eq!(to(AT_B), TO_B);
    }
}

#[test]
fn p02_isolated_ports_reach_all_but_each_other() {
    let mut tables = scene();
    let to_b = |tables: &Maps, sender| {
        let segment = tables.segments[&RED];
        decide(tables, RED, &segment, From::Port(A), sender, AT_B, NOW)
    };
    assert_eq!(to_b(&tables, flag::ISOLATED), TO_B);
    tables.ports.get_mut(&B).unwrap().flags = flag::ISOLATED;
    assert_eq!(to_b(&tables, flag::ISOLATED), Err(Reason::Isolated));
    assert!(to_b(&tables, 0).is_ok());
}
