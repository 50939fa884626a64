//! The steps of a trace over tables that are filled by hand. That the verdicts are the programs' is
//! shown by `tests/datapath/trace.rs`.

use vxnet_common::{
    addr::{Mac, VtepAddr},
    map::{
        LAYOUT,
        fdb::{FdbEntry, origin, place},
        holder::{HeldKey, Holder},
        local::Local,
        name,
        neighbour::{Neighbour, NeighbourKey},
        port::{Port, PortVlans, flag, kind},
        segment::{FloodKey, Segment, flag as segment_flag, list},
        vlan::VlanKey,
        vtep::{NextHop, Vtep},
    },
};

use super::*;

mod size;

const NOW: u64 = 1_000_000_000_000;
const A: Mac = Mac([2, 0, 0, 0, 0, 1]);
const B: Mac = Mac([2, 0, 0, 0, 0, 2]);
const FAR: Mac = Mac([2, 0, 0, 0, 0, 3]);
const NEW: Mac = Mac([2, 0, 0, 0, 0, 9]);

/// Slots of ports.
const ACCESS: u32 = 1;
const TRUNK: u32 = 2;
const HOST: u32 = 3;
const UPLINK: u32 = 4;
const BLOCKED: u32 = 5;
/// Slots of peers.
const NEAR: u32 = 1;
const LOST: u32 = 2;
/// The slot of VLAN 10, on the overlay.
const TEN: u32 = 1;

/// A network with VLAN 10: `vnet1` is an access port, `vnet2` a trunk, `vnet3` has no portgroup.
fn rows() -> Snapshot {
    let port = |ifindex, kind, segment, flags, link| Port {
        ifindex,
        kind,
        segment,
        flags,
        network: HOST,
        pvid: if segment == TEN { 10 } else { 0 },
        name: name(link),
        ..Port::FREE
    };
    let aware = flag::VLAN_AWARE;
    let mut vlans = PortVlans::NONE;
    vlans.insert(10);
    let mut segment = Segment {
        vni: 300,
        vid: 10,
        network: HOST,
        ageing: 10_000_000_000,
        flood_ports: 2,
        flood_vteps: 2,
        name: name("blue"),
        ..Segment::FREE
    };
    segment.vteps[0] = 1 << NEAR | 1 << LOST;
    let vtep = |last, ifindex| {
        let hop = NextHop {
            ifindex,
            mtu: 1500,
            dst: [2, 0, 0, 0, 0xaa, last],
            src: [2; 6],
        };
        Vtep {
            address: VtepAddr::v4([192, 0, 2, last]),
            deadline: u64::MAX,
            next_hop: [hop; 2],
            ..Vtep::FREE
        }
    };
    let member = |list, index, slot| {
        let key = FloodKey {
            segment: TEN,
            list,
            index,
        };
        (key, slot)
    };
    let row = |mac, at, slot| (FdbKey::new(TEN, mac), FdbEntry::learned(at, slot, NOW));
    Snapshot {
        local: Some(Local {
            layout: LAYOUT,
            resolver: 0,
            underlay: VtepAddr::v4([192, 0, 2, 17]),
            port: 4789,
            family: 4,
            pad: 0,
            detour: 0,
            name: name("hv1"),
        }),
        ports: [
            (ACCESS, port(11, kind::GUEST, TEN, aware, "vnet1")),
            (
                TRUNK,
                port(12, kind::GUEST, 0, aware | flag::TAGGED, "vnet2"),
            ),
            (HOST, port(13, kind::HOST, 0, aware, "br0")),
            (UPLINK, port(14, kind::UPLINK, 0, 0, "eth0")),
            (BLOCKED, port(15, kind::GUEST, 0, aware, "vnet3")),
        ]
        .into(),
        port_vlans: [(TRUNK, vlans)].into(),
        segments: [(TEN, segment)].into(),
        vnis: [(300, TEN)].into(),
        vlans: [(
            VlanKey {
                network: HOST,
                vid: 10,
            },
            TEN,
        )]
        .into(),
        flood: [
            member(list::PORTS, 0, ACCESS),
            member(list::PORTS, 1, TRUNK),
            member(list::VTEPS, 0, NEAR),
            member(list::VTEPS, 1, LOST),
        ]
        .into(),
        vteps: [(NEAR, vtep(1, 14)), (LOST, vtep(2, 0))].into(),
        fdb: vec![
            row(A, place::PORT, ACCESS),
            row(B, place::PORT, TRUNK),
            row(FAR, place::VTEP, NEAR),
        ],
        ..Snapshot::default()
    }
}

fn frame(src: Mac, dst: Mac, rest: &[u8]) -> Vec<u8> {
    let mut frame = [&dst.0[..], &src.0, rest].concat();
    frame.resize(frame.len().max(60), 0);
    frame
}

const PLAIN: [u8; 2] = [0x88, 0xcc];

fn text<'a>(trace: &'a Trace, step: &str) -> &'a str {
    let found = trace.steps.iter().find(|known| known.step == step);
    &found
        .unwrap_or_else(|| panic!("no step {step}: {trace:?}"))
        .text
}

fn reason(trace: &Trace) -> Reason {
    match trace.verdict {
        Verdict::Dropped { reason } => reason,
        _ => panic!("not dropped: {trace:?}"),
    }
}

fn receivers(trace: &Trace) -> Vec<(ReceiverKind, u32, Option<u16>, Option<u8>)> {
    match &trace.verdict {
        Verdict::Delivered { receivers } => receivers
            .iter()
            .map(|to| (to.kind, to.slot, to.vlan, to.pcp))
            .collect(),
        _ => panic!("not delivered: {trace:?}"),
    }
}

#[test]
fn a_known_frame_is_followed_step_by_step() {
    let trace = port(&rows(), ACCESS, &frame(A, B, &PLAIN), NOW);
    let steps: Vec<&str> = trace.steps.iter().map(|step| step.step).collect();
    assert_eq!(steps, ["port", "tag", "segment", "learn", "decide"]);
    assert_eq!(
        text(&trace, "port"),
        "vnet1 (slot 1, guest, access VLAN 10)"
    );
    assert_eq!(text(&trace, "segment"), "blue VLAN 10 VNI 300 (slot 1)");
    assert_eq!(
        text(&trace, "learn"),
        format!("{A} is known to be at vnet1")
    );
    assert_eq!(text(&trace, "decide"), format!("{B} is at vnet2"));
    assert_eq!(
        receivers(&trace),
        [(ReceiverKind::Port, TRUNK, Some(10), Some(0))]
    );
    let lookups: Vec<&str> = trace.steps[3]
        .lookups
        .iter()
        .map(|found| found.map)
        .collect();
    assert_eq!(lookups, ["FDB"]);
}

#[test]
fn a_receiver_whose_link_is_down_is_told_and_stays_the_receiver() {
    let mut rows = rows();
    rows.down.insert(TRUNK);
    for dst in [B, Mac::BROADCAST] {
        let trace = port(&rows, ACCESS, &frame(A, dst, &PLAIN), NOW);
        assert_eq!(
            text(&trace, "down"),
            "the link of vnet2 is down: the kernel drops what it is given"
        );
        let is_trunk = |(kind, slot, ..): &(ReceiverKind, u32, _, _)| {
            (*kind, *slot) == (ReceiverKind::Port, TRUNK)
        };
        assert!(receivers(&trace).iter().any(is_trunk), "{dst}");
    }
}

#[test]
fn q_07_priority_is_kept_and_wrong_tags_are_told() {
    let rows = rows();
    let tagged = frame(B, A, &[0x81, 0, 0xa0, 10, 0x88, 0xcc]);
    let trace = port(&rows, TRUNK, &tagged, NOW);
    assert_eq!(text(&trace, "port"), "vnet2 (slot 2, guest, trunk VLAN 10)");
    assert_eq!(text(&trace, "tag"), "VLAN 10, priority 5");
    assert_eq!(
        receivers(&trace),
        [(ReceiverKind::Port, ACCESS, None, None)]
    );
    let other = frame(B, A, &[0x81, 0, 0, 11, 0x88, 0xcc]);
    assert_eq!(reason(&port(&rows, TRUNK, &other, NOW)), Reason::VlanDenied);
    assert_eq!(
        reason(&port(&rows, TRUNK, &frame(B, A, &PLAIN), NOW)),
        Reason::NoVlan
    );
    let blocked = port(&rows, BLOCKED, &frame(NEW, A, &PLAIN), NOW);
    assert_eq!(
        text(&blocked, "port"),
        "vnet3 (slot 5, guest, blocked: no VLAN)"
    );
    assert_eq!(reason(&blocked), Reason::NoVlan);
}

#[test]
fn a_flood_names_each_receiver_and_each_loss() {
    let trace = port(&rows(), ACCESS, &frame(NEW, Mac::BROADCAST, &PLAIN), NOW);
    assert_eq!(
        text(&trace, "learn"),
        format!("{NEW} would be learned at vnet1")
    );
    let expected = [
        (ReceiverKind::Port, TRUNK, Some(10), Some(0)),
        (ReceiverKind::Vtep, NEAR, None, None),
    ];
    assert_eq!(receivers(&trace), expected);
    let lost: Vec<(u32, Reason)> = trace
        .lost
        .iter()
        .map(|lost| (lost.receiver.slot, lost.reason))
        .collect();
    assert_eq!(lost, [(LOST, Reason::NoRoute)]);
}

#[test]
fn what_the_frame_teaches_counts_for_its_own_destination() {
    // A station that has just moved here is not looked for where it was.
    let trace = port(&rows(), ACCESS, &frame(B, B, &PLAIN), NOW);
    assert!(
        text(&trace, "learn").contains("would move from vnet2"),
        "{trace:?}"
    );
    assert_eq!(reason(&trace), Reason::SamePort);
}

#[test]
fn a_full_port_tells_what_it_would_forget() {
    let mut rows = rows();
    let port_row = rows.ports.get_mut(&ACCESS).expect("a row");
    port_row.fdb_limit = 1;
    let held = HeldKey {
        ring: ACCESS,
        place: 0,
    };
    rows.held.insert(held, FdbKey::new(TEN, A));
    let of_a = rows
        .fdb
        .iter_mut()
        .find(|(key, _)| *key == FdbKey::new(TEN, A));
    of_a.expect("a row").1.held = 0;
    let unknown = frame(NEW, A, &PLAIN);
    let trace = port(&rows, ACCESS, &unknown, NOW);
    assert!(text(&trace, "learn").ends_with(&format!("in the place of {A}, its oldest")));
    assert_eq!(trace.notices, [Reason::FdbLimit]);
    assert!(text(&trace, "decide").contains("not known where it is"));
    rows.ports.get_mut(&ACCESS).expect("a row").flags |= flag::KEEP_ROWS;
    let trace = port(&rows, ACCESS, &unknown, NOW);
    assert!(text(&trace, "learn").contains("would not be learned"));
    assert_eq!(reason(&trace), Reason::SamePort);
    // Who is known elsewhere is followed all the same.
    rows.fdb.push((
        FdbKey::new(TEN, NEW),
        FdbEntry::learned(place::PORT, TRUNK, NOW),
    ));
    rows.fdb.sort_unstable_by_key(|(key, _)| *key);
    let trace = port(&rows, ACCESS, &unknown, NOW);
    assert!(
        text(&trace, "learn").ends_with("to vnet1, beyond the 1 that it may have"),
        "{trace:?}"
    );
    assert_eq!(trace.notices, [Reason::FdbLimit]);
}

#[test]
fn limits_are_told_and_not_counted() {
    let mut rows = rows();
    rows.ports.get_mut(&ACCESS).expect("a row").bum_limit = 100;
    let before = rows.holders.clone();
    for _ in 0..100 {
        let trace = port(&rows, ACCESS, &frame(A, Mac::BROADCAST, &PLAIN), NOW);
        assert_eq!(
            text(&trace, "limit"),
            "100 flooded frames a second, not reached"
        );
    }
    assert_eq!(rows.holders, before);
    let shut = Holder {
        shut_until: NOW + 1,
        ..Holder::default()
    };
    rows.holders.insert(ACCESS, shut);
    assert_eq!(
        reason(&port(&rows, ACCESS, &frame(A, B, &PLAIN), NOW)),
        Reason::Looped
    );
    assert_eq!(
        reason(&port(&rows, TRUNK, &frame(A, B, &PLAIN), NOW)),
        Reason::NoVlan
    );
}

#[test]
fn arp_01_a_known_address_is_answered() {
    let mut rows = rows();
    rows.segments.get_mut(&TEN).expect("a row").flags = segment_flag::SUPPRESS;
    let key = NeighbourKey::new(TEN, VtepAddr::v4([10, 0, 0, 2]));
    let known = Neighbour {
        mac: B.0,
        flags: 0,
        last_seen: NOW,
    };
    rows.neighbours.insert(key, known);
    let ask = [
        &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1][..],
        &A.0,
        &[10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2],
    ]
    .concat();
    let trace = port(&rows, ACCESS, &frame(A, Mac::BROADCAST, &ask), NOW);
    let answer = Verdict::Answered {
        address: "10.0.0.2".into(),
        mac: B.to_string(),
    };
    assert_eq!(trace.verdict, answer);
    assert_eq!(trace.notices, [Reason::Answered]);
    rows.neighbours.clear();
    let trace = port(&rows, ACCESS, &frame(A, Mac::BROADCAST, &ask), NOW);
    assert!(text(&trace, "neighbour").ends_with("is not known for certain"));
    assert_eq!(receivers(&trace).len(), 2);
}

#[test]
fn a_receiver_that_is_shut_gets_nothing() {
    let mut rows = rows();
    let shut = Holder {
        shut_until: NOW + 1,
        ..Holder::default()
    };
    rows.holders.insert(TRUNK, shut);
    let trace = port(&rows, ACCESS, &frame(A, B, &PLAIN), NOW);
    assert_eq!(reason(&trace), Reason::Looped);
    let flood = port(&rows, ACCESS, &frame(A, Mac::BROADCAST, &PLAIN), NOW);
    assert!(receivers(&flood).iter().all(|at| at.1 != TRUNK));
}

#[test]
fn a_packet_of_the_underlay_is_admitted_and_delivered() {
    let rows = rows();
    let packet = |last: u8, vni: u8, inner: &[u8]| {
        let mut packet = vec![2; 12];
        packet.extend([8, 0, 0x45, 0]);
        let total = (inner.len() + 36) as u16;
        packet.extend(total.to_be_bytes());
        packet.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 192, 0, 2, last, 192, 0, 2, 17]);
        packet.extend([0xc0, 0, 0x12, 0xb5]);
        packet.extend((total - 20).to_be_bytes());
        packet.extend([0, 0, 8, 0, 0, 0, 0, 1, vni, 0]);
        packet.extend(inner);
        packet
    };
    // VNI 300 is 0x12c.
    let trace = uplink(&rows, UPLINK, &packet(1, 0x2c, &frame(FAR, A, &PLAIN)), NOW);
    assert_eq!(text(&trace, "outer"), "VXLAN from 192.0.2.1, VNI 300");
    assert_eq!(
        text(&trace, "admit"),
        "192.0.2.1 sends into blue VLAN 10 VNI 300"
    );
    assert_eq!(
        receivers(&trace),
        [(ReceiverKind::Port, ACCESS, None, None)]
    );
    for (last, vni, src, expected) in [
        (9, 0x2c, FAR, Reason::UnknownVtep),
        (1, 0x2d, FAR, Reason::UnknownVni),
        (1, 0x2c, B, Reason::LocalMac),
    ] {
        let trace = uplink(
            &rows,
            UPLINK,
            &packet(last, vni, &frame(src, A, &PLAIN)),
            NOW,
        );
        assert_eq!(reason(&trace), expected);
    }
    let trace = uplink(&rows, UPLINK, &frame(FAR, A, &PLAIN), NOW);
    assert_eq!(trace.verdict, Verdict::Passed);
}

#[test]
fn manual_rows_are_told_from_learned_ones() {
    let mut rows = rows();
    rows.fdb[1].1 = FdbEntry::fixed(place::PORT, TRUNK, origin::MANUAL);
    let trace = port(&rows, ACCESS, &frame(B, A, &PLAIN), NOW);
    assert_eq!(
        text(&trace, "learn"),
        format!("{B} belongs to vnet2, manual")
    );
    assert_eq!(reason(&trace), Reason::LocalMac);
}

#[test]
fn ids_are_listed_in_ranges() {
    assert_eq!(ranges([0u16; 0]), "");
    assert_eq!(ranges([1u16]), "1");
    assert_eq!(ranges([1u16, 2, 10, 11, 12, 4094]), "1,2,10-12,4094");
}
