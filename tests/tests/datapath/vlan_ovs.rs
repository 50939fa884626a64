//! P07: "VLAN handling" of Open vSwitch's tests/ofproto-dpif.at, all its cases but those of ports
//! that carry customers' tags (dot1q-tunnel), which vxnet has not.
//!
//! Two of its ports keep a tag of VLAN 0 for a priority's sake (`priority-tags`); vxnet never sends
//! one, as Open vSwitch does not by default. So here a frame without a VLAN leaves without a tag.

use vxnet_common::reason::Reason;
use vxnet_tests::frame::BROADCAST;

use crate::case::{Case, check, on_station};
use crate::fabric::{Family, ONE, STRANGER, plain};
use crate::green::{
    ACCESS_10, ACCESS_12, ACCESS_12_TOO, PHYSICAL, TAGGED, TAGGED_ALL, TRUNK, UNTAGGED,
    UNTAGGED_ALL, VNI_GREEN, segment, tag,
};
use crate::outcome::Receiver::{Port, Vtep};

/// A frame without a tag.
const NONE: u16 = u16::MAX;

/// What comes in, with each of these VIDs and priority 0 or 1, and what goes out: the VLAN, the
/// ports that get it without a tag, and those that get it with one.
type Row = (u32, &'static [u16], u16, &'static [u32], &'static [u32]);

/// By Open vSwitch's numbers of the ports.
const DELIVERED: &[Row] = &[
    (100, &[10], 10, &[2], &[1, 5, 6, 7, 8]),
    (100, &[11], 11, &[], &[5, 7]),
    (100, &[12], 12, &[3, 4, 7, 8], &[1, 5, 6]),
    (1, &[10], 10, &[2], &[5, 6, 7, 8, 100]),
    (1, &[12], 12, &[3, 4, 7, 8], &[5, 6, 100]),
    (2, &[NONE, 0], 10, &[], &[1, 5, 6, 7, 8, 100]),
    (3, &[NONE, 0], 12, &[4, 7, 8], &[1, 5, 6, 100]),
    (4, &[NONE, 0], 12, &[3, 7, 8], &[1, 5, 6, 100]),
    (5, &[NONE, 0, 10], 10, &[2], &[1, 6, 7, 8, 100]),
    (5, &[11], 11, &[], &[7, 100]),
    (5, &[12], 12, &[3, 4, 7, 8], &[1, 6, 100]),
    (6, &[NONE, 0, 10], 10, &[2], &[1, 5, 7, 8, 100]),
    (6, &[12], 12, &[3, 4, 7, 8], &[1, 5, 100]),
    (7, &[NONE, 0, 12], 12, &[3, 4, 8], &[1, 5, 6, 100]),
    (7, &[10], 10, &[2], &[1, 5, 6, 8, 100]),
    (7, &[11], 11, &[], &[5, 100]),
    (8, &[NONE, 0, 12], 12, &[3, 4, 7], &[1, 5, 6, 100]),
    (8, &[10], 10, &[2], &[1, 5, 6, 7, 100]),
];

/// What is dropped.
const DROPPED: &[(u32, &[u16], Reason)] = &[
    (100, &[NONE, 0], Reason::NoVlan),
    (1, &[NONE, 0], Reason::NoVlan),
    (1, &[11], Reason::VlanDenied),
    (2, &[10, 11, 12], Reason::VlanDenied),
    (3, &[10, 11, 12], Reason::VlanDenied),
    (4, &[10, 11, 12], Reason::VlanDenied),
    (6, &[11], Reason::VlanDenied),
    (8, &[11], Reason::VlanDenied),
];

/// Returns the slot of the port with that number.
fn port(number: u32) -> u32 {
    match number {
        1 => TRUNK,
        2 => ACCESS_10,
        3 => ACCESS_12,
        4 => ACCESS_12_TOO,
        5 => TAGGED_ALL,
        6 => TAGGED,
        7 => UNTAGGED_ALL,
        8 => UNTAGGED,
        _ => PHYSICAL,
    }
}

/// The broadcast with that tag, and its priority, which it has only with a tag.
fn frames(vid: u16) -> Vec<(u16, Vec<u8>)> {
    let frame = plain(STRANGER, BROADCAST, 60);
    if vid == NONE {
        return vec![(0, frame)];
    }
    [0, 1]
        .map(|priority| (priority, tag(vid, priority, &frame)))
        .into()
}

fn name(number: u32, vid: u16, priority: u16) -> String {
    if vid == NONE {
        format!("p07 {number} none")
    } else {
        format!("p07 {number} {vid} {priority}")
    }
}

fn delivered(family: Family, row: &Row) -> Vec<Case> {
    let (number, vids, vlan, without, with) = *row;
    let inner = plain(STRANGER, BROADCAST, 60);
    let mut cases = Vec::new();
    for vid in vids {
        for (priority, frame) in frames(*vid) {
            let tagged = tag(vlan, priority, &inner);
            let mut copies: Vec<_> = without
                .iter()
                .map(|number| (Port(port(*number)), inner.clone()))
                .collect();
            copies.extend(
                with.iter()
                    .map(|number| (Port(port(*number)), tagged.clone())),
            );
            // Of VLAN 10 another host is a member.
            if vlan == 10 {
                copies.push((Vtep(ONE), family.leaves_in(VNI_GREEN, ONE, &inner)));
            }
            let case = Case::delivered(name(number, *vid, priority), frame, copies);
            cases.push(case.learns_in(segment(vlan), STRANGER));
        }
    }
    cases
}

#[test]
fn p07_vlan_handling_of_open_vswitch() {
    let count = |vids: &[u16]| -> usize { vids.iter().map(|vid| frames(*vid).len()).sum() };
    let all: usize = DELIVERED.iter().map(|row| count(row.1)).sum::<usize>()
        + DROPPED.iter().map(|row| count(row.1)).sum::<usize>();
    assert_eq!(all, 9 * 9, "nine ports with nine kinds of tag");
    check(|world| {
        let mut failures = Vec::new();
        for row in DELIVERED {
            let cases = delivered(world.family, row);
            failures.extend(on_station(world, port(row.0), &cases));
        }
        for (number, vids, reason) in DROPPED {
            let cases: Vec<Case> = vids
                .iter()
                .flat_map(|vid| {
                    frames(*vid).into_iter().map(|(priority, frame)| {
                        Case::dropped(name(*number, *vid, priority), frame, *reason)
                    })
                })
                .collect();
            failures.extend(on_station(world, port(*number), &cases));
        }
        Ok(failures)
    });
}
