//! Every mode of a port × every kind of tag.

use super::*;
use crate::{
    addr::VtepAddr,
    map::{
        allowed::AllowedKey,
        fdb::{FdbEntry, FdbKey},
        neighbour::{Neighbour, NeighbourKey},
    },
};

/// One VLAN-aware network: VLANs 10 and 20 are the segments 1 and 2. VLAN 30 is none.
struct Scene;

const NETWORK: u32 = 9;
const PORT: u32 = 3;

impl Tables for Scene {
    fn fdb(&self, _: &FdbKey) -> Option<&FdbEntry> {
        None
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

    fn vtep(&self, _: VtepAddr) -> Option<u32> {
        None
    }

    fn vlan(&self, network: u32, vid: u16) -> Option<u32> {
        match (network, vid) {
            (NETWORK, 10) => Some(1),
            (NETWORK, 20) => Some(2),
            _ => None,
        }
    }

    fn carries(&self, port: u32, vid: u16) -> bool {
        port == PORT && matches!(vid, 10 | 20 | 30)
    }

    fn allows(&self, _: &AllowedKey) -> bool {
        false
    }

    fn neighbour(&self, _: &NeighbourKey) -> Option<&Neighbour> {
        None
    }
}

fn port(flags: u32, pvid: u16) -> Port {
    Port {
        kind: kind::GUEST,
        segment: u32::from(pvid) / 10,
        network: NETWORK,
        flags,
        pvid,
        ..Port::FREE
    }
}

const ACCESS: u32 = flag::VLAN_AWARE;
const TRUNK: u32 = flag::VLAN_AWARE | flag::TAGGED;

type Answer = Result<u32, Reason>;

#[test]
fn q_01_q_03_q_05_q_06_q_13_p07_every_mode_and_every_tag() {
    const NONE: Answer = Err(Reason::NoVlan);
    const DENIED: Answer = Err(Reason::VlanDenied);
    const BAD: Answer = Err(Reason::BadVid);
    const OTHER: Answer = Err(Reason::Tagged);
    let modes = [
        port(ACCESS, 10),
        port(TRUNK, 0),
        port(TRUNK, 10),
        port(TRUNK | flag::NATIVE_TAGGED, 10),
        port(ACCESS, 0),
        port(0, 10),
    ];
    let table: [(&str, Tag, [Answer; 6]); 9] = [
        // access 10, trunk, native-untagged 10, native-tagged 10, no portgroup, plain network
        (
            "untagged",
            Tag::None,
            [Ok(1), NONE, Ok(1), Ok(1), NONE, Ok(1)],
        ),
        (
            "q_01 priority tag",
            Tag::Customer(0xe000),
            [Ok(1), NONE, Ok(1), Ok(1), NONE, Ok(1)],
        ),
        (
            "q_06 own VLAN",
            Tag::Customer(10),
            [DENIED, Ok(1), Ok(1), Ok(1), DENIED, OTHER],
        ),
        (
            "other VLAN",
            Tag::Customer(0x2014),
            [DENIED, Ok(2), Ok(2), Ok(2), DENIED, OTHER],
        ),
        (
            "q_05 VLAN not carried",
            Tag::Customer(40),
            [DENIED, DENIED, DENIED, DENIED, DENIED, OTHER],
        ),
        (
            "carried, but no segment",
            Tag::Customer(30),
            [DENIED, DENIED, DENIED, DENIED, DENIED, OTHER],
        ),
        ("q_03 4095", Tag::Customer(4095), [BAD; 6]),
        ("q_03 4095, priority", Tag::Customer(0xffff), [BAD; 6]),
        ("q_13 q_14 another kind", Tag::Other, [OTHER; 6]),
    ];
    for (name, tag, answers) in table {
        for (mode, expected) in modes.iter().zip(answers) {
            let answer = ingress(&Scene, PORT, mode, tag);
            assert_eq!(
                answer, expected,
                "{name} on {:#x}/{}",
                mode.flags, mode.pvid
            );
        }
    }
}

#[test]
fn q_07_a_frame_leaves_as_the_port_wants_it() {
    let of = |vid: u16| Segment {
        vid,
        network: NETWORK,
        ..Segment::FREE
    };
    let rows = [
        // port, [out of VLAN 10, out of VLAN 20]
        (port(ACCESS, 10), [Some(false), None]),
        (port(TRUNK, 0), [Some(true), Some(true)]),
        (port(TRUNK, 10), [Some(false), Some(true)]),
        (
            port(TRUNK | flag::NATIVE_TAGGED, 10),
            [Some(true), Some(true)],
        ),
        (port(ACCESS, 0), [None, None]),
    ];
    for (mode, expected) in rows {
        for (vid, expected) in [10, 20].into_iter().zip(expected) {
            let slot = u32::from(vid) / 10;
            let left = egress(&Scene, PORT, &mode, slot, &of(vid));
            assert_eq!(
                left, expected,
                "VLAN {vid} by {:#x}/{}",
                mode.flags, mode.pvid
            );
        }
    }
    let trunk = port(TRUNK, 0);
    assert_eq!(
        egress(&Scene, PORT, &trunk, 4, &of(40)),
        None,
        "not carried"
    );
    assert_eq!(
        egress(&Scene, PORT + 1, &trunk, 1, &of(10)),
        None,
        "another port's row"
    );
    let elsewhere = Segment {
        network: NETWORK + 1,
        ..of(10)
    };
    assert_eq!(
        egress(&Scene, PORT, &trunk, 1, &elsewhere),
        None,
        "another network's VLAN"
    );
}

#[test]
fn only_ports_that_take_part_belong_to_a_segment() {
    let rows = [
        (kind::GUEST, 1, Ok(1)),
        (kind::HOST, 1, Ok(1)),
        (kind::TRUNK, 1, Ok(1)),
        (kind::GUEST, NO_SLOT, Err(Reason::UnknownPort)),
        (kind::UPLINK, 1, Err(Reason::UnknownPort)),
        (kind::NONE, 1, Err(Reason::UnknownPort)),
        (99, 1, Err(Reason::UnknownPort)),
    ];
    for (kind, segment, expected) in rows {
        let port = Port {
            kind,
            segment,
            ..Port::FREE
        };
        assert_eq!(
            ingress(&Scene, PORT, &port, Tag::None),
            expected,
            "kind {kind}"
        );
        let leaves = egress(&Scene, PORT, &port, segment, &Segment::FREE);
        assert_eq!(leaves.is_some(), expected.is_ok(), "kind {kind}");
    }
}

#[test]
fn q_07_the_priority_is_kept() {
    assert_eq!(Tag::Customer(0xb00a).priority(), 0xb000);
    assert_eq!(Tag::None.priority(), 0);
}
