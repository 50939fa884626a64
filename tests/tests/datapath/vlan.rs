//! VLANs at the ports and on the overlay: which segment a frame belongs to, and how it leaves.

use vxnet_common::{map::port::PortVlans, reason::Reason};
use vxnet_tests::frame::{BROADCAST, ethernet};

use crate::case::{Case, check, check_port, check_station, check_uplink, on_station};
use crate::fabric::{A, B, HOST, ONE, PORT_A, PORT_B, STRANGER, datagram, datagram6, plain};
use crate::green::{
    ACCESS_10, ACCESS_12, AT_ACCESS, AT_ONE_GREEN, AT_TAGGED, AT_TRUNK, AT_UNTAGGED, BLOCKED,
    GREEN_10, GREEN_12, HOST_GREEN, PHYSICAL, PORTS, TAGGED, TRUNK, TWICE, UNTAGGED, VNI_GREEN,
    leaves_tagged, tag,
};
use crate::outcome::Receiver::{self, Port, Vtep};
use crate::rows;

/// Copies for all ports in a VLAN but one, with a tag or without.
pub(crate) fn local_copies(
    vid: u16,
    priority: u16,
    except: u32,
    frame: &[u8],
) -> Vec<(Receiver, Vec<u8>)> {
    let copy = |slot| {
        Some(if leaves_tagged(slot, vid)? {
            (Port(slot), tag(vid, priority, frame))
        } else {
            (Port(slot), frame.to_vec())
        })
    };
    PORTS
        .filter(|slot| *slot != except)
        .filter_map(copy)
        .collect()
}

#[test]
fn q_01_a_priority_tag_is_of_the_ports_own_vlan() {
    check_station(ACCESS_10, |family| {
        let to = |name, dst, slot, vid: u16| {
            let frame = datagram(AT_ACCESS, dst);
            let out = tag(vid, 5, &frame);
            Case::delivered(name, tag(0, 5, &frame), [(Port(slot), out)])
        };
        let inner = datagram(AT_ACCESS, AT_ONE_GREEN);
        let packet = family.leaves_in(VNI_GREEN, ONE, &inner);
        vec![
            to("q_01_to_a_trunk", AT_TRUNK, TRUNK, 10),
            to("q_01_to_a_native_tagged_port", AT_TAGGED, TAGGED, 10),
            to("q_01_to_another_native_port", AT_UNTAGGED, UNTAGGED, 10),
            Case::delivered("q_01_to_a_peer", tag(0, 5, &inner), [(Vtep(ONE), packet)]),
        ]
    });
    check_station(TAGGED, |_| {
        let frame = datagram(AT_TAGGED, AT_ACCESS);
        vec![Case::delivered(
            "q_01_to_an_access_port",
            tag(0, 5, &frame),
            [(Port(ACCESS_10), frame)],
        )]
    });
    // In a network without VLANs too: 802.1Q 6.9.1 makes no difference.
    check_station(PORT_A, |_| {
        let frame = datagram(A, B);
        vec![Case::delivered(
            "q_01_without_vlans",
            tag(0, 7, &frame),
            [(Port(PORT_B), frame)],
        )]
    });
}

#[test]
fn q_03_vid_4095_is_on_no_wire() {
    for slot in [TRUNK, ACCESS_10, PHYSICAL, BLOCKED] {
        check_station(slot, |_| {
            vec![
                Case::dropped(
                    "q_03_unicast",
                    tag(4095, 0, &datagram(STRANGER, AT_ACCESS)),
                    Reason::BadVid,
                ),
                Case::dropped(
                    "q_03_broadcast",
                    tag(4095, 7, &datagram(STRANGER, BROADCAST)),
                    Reason::BadVid,
                ),
            ]
        });
    }
}

#[test]
fn q_05_ingress_filtering_comes_before_learning() {
    check(|world| {
        let mut failures = Vec::new();
        for vid in [1, 9, 11, 13, 20, 1001, 4094] {
            let frame = tag(vid, 0, &datagram(STRANGER, AT_ACCESS));
            let case = Case::dropped(format!("q_05_vid_{vid}"), frame, Reason::VlanDenied);
            failures.extend(on_station(world, TRUNK, &[case]));
        }
        // A VLAN that the port carries and the network has no longer.
        let mut set = world.port_vlans.get(&TRUNK, 0)?;
        set.insert(20);
        world.port_vlans.set(TRUNK, set, 0)?;
        let frame = tag(20, 0, &datagram(STRANGER, AT_ACCESS));
        let case = Case::dropped("q_05_vlan_of_no_segment", frame, Reason::VlanDenied);
        failures.extend(on_station(world, TRUNK, &[case]));
        Ok(failures)
    });
}

#[test]
fn q_06_an_access_port_takes_no_tags() {
    check_station(ACCESS_10, |_| {
        [1, 10, 11, 12, 4094]
            .map(|vid| {
                let frame = tag(vid, 0, &datagram(AT_ACCESS, AT_TRUNK));
                Case::dropped(format!("q_06_vid_{vid}"), frame, Reason::VlanDenied)
            })
            .into()
    });
}

#[test]
fn ports_without_a_vlan_are_closed() {
    check_station(BLOCKED, |_| {
        let frame = datagram(STRANGER, AT_ACCESS);
        vec![
            Case::dropped("no_vlan", frame.clone(), Reason::NoVlan),
            Case::dropped("no_vlan_priority_tag", tag(0, 3, &frame), Reason::NoVlan),
            Case::dropped("vlan_denied", tag(10, 0, &frame), Reason::VlanDenied),
        ]
    });
    for slot in [TRUNK, PHYSICAL] {
        check_station(slot, |_| {
            let frame = datagram(STRANGER, AT_ACCESS);
            vec![
                Case::dropped("no_vlan_trunk", frame.clone(), Reason::NoVlan),
                Case::dropped("no_vlan_trunk_vid_0", tag(0, 3, &frame), Reason::NoVlan),
            ]
        });
    }
    check_port(HOST_GREEN, |_| {
        let frame = datagram(STRANGER, BROADCAST);
        vec![Case::dropped("no_vlan_host", frame, Reason::NoVlan)]
    });
}

#[test]
fn q_07_tags_by_port_and_priority_kept() {
    // The drop eligible indicator is one of the four bits above the VLAN id.
    const ELIGIBLE: u16 = 0x1000;
    check_station(PHYSICAL, |_| {
        let mut cases = Vec::new();
        for priority in [0, 1, 7] {
            let frame = datagram(STRANGER, AT_TRUNK);
            let tagged = tag(0xa | ELIGIBLE, priority, &frame);
            let case = Case::delivered(
                format!("q_07_tag_kept_{priority}"),
                tagged.clone(),
                [(Port(TRUNK), tagged)],
            );
            cases.push(case.learns_in(GREEN_10, STRANGER));
            let frame = datagram(STRANGER, AT_ACCESS);
            let case = Case::delivered(
                format!("q_07_tag_removed_{priority}"),
                tag(10, priority, &frame),
                [(Port(ACCESS_10), frame)],
            );
            cases.push(case.learns_in(GREEN_10, STRANGER));
        }
        cases
    });
    check_station(UNTAGGED, |_| {
        let frame = datagram(AT_UNTAGGED, AT_TAGGED);
        let tagged = tag(10, 2, &frame);
        vec![Case::delivered(
            "q_07_native_tagged",
            tagged.clone(),
            [(Port(TAGGED), tagged)],
        )]
    });
}

#[test]
fn q_08_learning_is_per_vlan() {
    check_station(PHYSICAL, |_| {
        let frame = datagram(AT_TRUNK, TWICE);
        let to = |name, vid, slot, segment| {
            let case = Case::delivered(name, tag(vid, 0, &frame), [(Port(slot), frame.clone())]);
            case.learns_in(segment, AT_TRUNK)
        };
        vec![
            to("q_08_vlan_10", 10, ACCESS_10, GREEN_10),
            to("q_08_vlan_12", 12, ACCESS_12, GREEN_12),
        ]
    });
    // It moves in one of its VLANs only.
    check_station(TRUNK, |_| {
        let frame = datagram(TWICE, BROADCAST);
        let copies = local_copies(12, 0, TRUNK, &frame);
        let case = Case::delivered("q_08_moves_in_vlan_12", tag(12, 0, &frame), copies);
        vec![case.learns_in(GREEN_12, TWICE)]
    });
}

#[test]
fn q_11_q_12_one_copy_each_and_none_back() {
    check_station(ACCESS_10, |family| {
        let frames = [
            ("p06_multicast", datagram(AT_ACCESS, [1, 0, 0x5e, 0, 0, 9])),
            ("q_12_broadcast", datagram(AT_ACCESS, BROADCAST)),
            ("q_12_unknown", datagram6(AT_ACCESS, STRANGER)),
        ];
        let mut cases: Vec<Case> = frames
            .into_iter()
            .map(|(name, frame)| {
                let mut copies = local_copies(10, 0, ACCESS_10, &frame);
                copies.push((Vtep(ONE), family.leaves_in(VNI_GREEN, ONE, &frame)));
                Case::delivered(name, frame, copies)
            })
            .collect();
        let frame = datagram(AT_ACCESS, AT_ACCESS);
        cases.push(Case::dropped("q_11_to_itself", frame, Reason::SamePort));
        cases
    });
    check_station(TRUNK, |_| {
        let frame = datagram(AT_TRUNK, AT_TRUNK);
        let same = Case::dropped("q_11_tagged", tag(10, 0, &frame), Reason::SamePort);
        // In another VLAN nobody knows the address.
        let frame = datagram(STRANGER, AT_TRUNK);
        let unknown = Case::delivered(
            "q_11_in_another_vlan",
            tag(12, 6, &frame),
            local_copies(12, 6, TRUNK, &frame),
        );
        vec![same, unknown.learns_in(GREEN_12, STRANGER)]
    });
}

#[test]
fn q_13_q_14_other_tags_and_stacks() {
    let stack = |tags: &[(u16, u16)]| {
        let mut bytes = Vec::new();
        for (ethertype, tci) in tags {
            bytes.extend(ethertype.to_be_bytes());
            bytes.extend(tci.to_be_bytes());
        }
        let frame = plain(AT_TRUNK, AT_ACCESS, 60);
        [&frame[..12], &bytes, &frame[12..]].concat()
    };
    for slot in [TRUNK, ACCESS_10, PHYSICAL] {
        check_station(slot, |_| {
            [
                ("q_13_service_tag", &[(0x88a8, 10)][..]),
                ("q_13_service_tag_first", &[(0x88a8, 10), (0x8100, 10)]),
                ("q_14_two_tags", &[(0x8100, 10), (0x8100, 12)]),
                ("q_14_service_tag_inside", &[(0x8100, 10), (0x88a8, 12)]),
                ("q_14_behind_a_priority", &[(0x8100, 0), (0x8100, 12)]),
                (
                    "q_14_three_tags",
                    &[(0x8100, 10), (0x8100, 12), (0x8100, 12)],
                ),
            ]
            .map(|(name, tags)| Case::dropped(name, stack(tags), Reason::Tagged))
            .into()
        });
        check_port(slot, |_| {
            let cut = |length: usize| {
                let payload = &[0, 10, 0x08, 0x00][..length];
                ethernet(AT_TRUNK, AT_ACCESS, 0x8100, payload)
            };
            vec![
                Case::dropped("attack10_14_bytes_tagged", cut(0), Reason::Tagged),
                Case::dropped("attack10_16_bytes_tagged", cut(2), Reason::Tagged),
                Case::dropped("attack10_17_bytes_tagged", cut(3), Reason::Tagged),
            ]
        });
    }
}

#[test]
fn q_15_a_full_frame_and_its_tag() {
    check_station(PHYSICAL, |_| {
        // 1522 bytes with the frame check sequence.
        let frame = plain(AT_TAGGED, AT_TRUNK, 1514);
        let tagged = tag(10, 0, &frame);
        assert_eq!(tagged.len() + 4, 1522);
        let case = Case::delivered("q_15_full", tagged.clone(), [(Port(TRUNK), tagged)]);
        vec![case.learns_in(GREEN_10, AT_TAGGED)]
    });
}

#[test]
fn r7348_20_21_no_tag_leaves_for_the_overlay() {
    check_station(TRUNK, |family| {
        let known = datagram(AT_TRUNK, AT_ONE_GREEN);
        let packet = family.leaves_in(VNI_GREEN, ONE, &known);
        let unknown = datagram(AT_TRUNK, STRANGER);
        let mut copies = local_copies(10, 3, TRUNK, &unknown);
        copies.push((Vtep(ONE), family.leaves_in(VNI_GREEN, ONE, &unknown)));
        let local = Case::delivered(
            "vlan_without_a_vni_stays_here",
            tag(12, 0, &unknown),
            local_copies(12, 0, TRUNK, &unknown),
        );
        let elsewhere = Case::delivered(
            "known_in_another_vlan_only",
            tag(12, 0, &known),
            local_copies(12, 0, TRUNK, &known),
        );
        vec![
            Case::delivered("r7348_21_known", tag(10, 3, &known), [(Vtep(ONE), packet)]),
            Case::delivered("r7348_21_unknown", tag(10, 3, &unknown), copies),
            local.learns_in(GREEN_12, AT_TRUNK),
            elsewhere.learns_in(GREEN_12, AT_TRUNK),
        ]
    });
}

#[test]
fn r7348_19_frames_of_the_overlay_get_the_tag_of_the_port() {
    check_uplink(ONE, |family| {
        let arrives = |inner: &[u8]| family.sent_by(ONE, VNI_GREEN).wrap(inner);
        let to = |name, dst, slot: u32| {
            let inner = datagram(AT_ONE_GREEN, dst);
            let out = match leaves_tagged(slot, 10) {
                Some(true) => tag(10, 0, &inner),
                _ => inner.clone(),
            };
            Case::delivered(name, arrives(&inner), [(Port(slot), out)])
        };
        let everyone = datagram(AT_ONE_GREEN, BROADCAST);
        vec![
            to("to_an_access_port", AT_ACCESS, ACCESS_10),
            to("to_a_trunk", AT_TRUNK, TRUNK),
            to("to_a_native_tagged_port", AT_TAGGED, TAGGED),
            to("to_a_port_of_another_native_vlan", AT_UNTAGGED, UNTAGGED),
            Case::delivered(
                "q_12_broadcast",
                arrives(&everyone),
                local_copies(10, 0, 0, &everyone),
            ),
            Case::dropped(
                "r7348_19_tag_inside",
                arrives(&tag(10, 0, &datagram(AT_ONE_GREEN, AT_TRUNK))),
                Reason::Tagged,
            ),
            Case::dropped(
                "r7348_19_priority_tag_inside",
                arrives(&tag(0, 5, &datagram(AT_ONE_GREEN, AT_ACCESS))),
                Reason::Tagged,
            ),
        ]
    });
}

/// As a port becomes an access port while its row of `PORT_VLANS` is still a trunk's.
#[test]
fn q_06_an_access_port_takes_no_tags_of_a_row_left_over() {
    check(|world| {
        let mut set = world.port_vlans.get(&ACCESS_10, 0)?;
        set.insert(10);
        set.insert(12);
        world.port_vlans.set(ACCESS_10, set, 0)?;
        let cases = [10, 12].map(|vid| {
            let frame = tag(vid, 0, &datagram(STRANGER, AT_TRUNK));
            Case::dropped(format!("q_06_vid_{vid}"), frame, Reason::VlanDenied)
        });
        Ok(on_station(world, ACCESS_10, &cases))
    });
}

/// As a VLAN is taken off a trunk that goes on with others, while rows still name it.
#[test]
fn q_07_a_trunk_gets_nothing_of_a_vlan_that_it_lost() {
    check(|world| {
        let mut set = PortVlans::NONE;
        set.insert(12);
        world.port_vlans.set(TRUNK, set, 0)?;
        let frame = datagram(AT_ACCESS, AT_TRUNK);
        let gone = [Case::dropped("q_07_unicast", frame, Reason::PortGone)];
        let mut failures = on_station(world, ACCESS_10, &gone);
        let frame = datagram(AT_ACCESS, BROADCAST);
        let mut copies = local_copies(10, 0, ACCESS_10, &frame);
        copies.retain(|(receiver, _)| *receiver != Port(TRUNK));
        let packet = world.family.leaves_in(VNI_GREEN, ONE, &frame);
        copies.push((Vtep(ONE), packet));
        let flood = [Case::delivered("q_07_flood", frame, copies)];
        failures.extend(on_station(world, ACCESS_10, &flood));
        Ok(failures)
    });
}

/// As a slot is taken over by a trunk of another network, which has VLANs of the same numbers.
#[test]
fn p08_a_slot_of_another_network_gets_nothing_of_the_vlan() {
    check(|world| {
        rows::change_port(world, TRUNK, |port| port.network = HOST)?;
        let frame = datagram(AT_ACCESS, AT_TRUNK);
        let gone = [Case::dropped("p08_unicast", frame, Reason::PortGone)];
        let mut failures = on_station(world, ACCESS_10, &gone);
        let frame = datagram(AT_ACCESS, BROADCAST);
        let mut copies = local_copies(10, 0, ACCESS_10, &frame);
        copies.retain(|(receiver, _)| *receiver != Port(TRUNK));
        let packet = world.family.leaves_in(VNI_GREEN, ONE, &frame);
        copies.push((Vtep(ONE), packet));
        let flood = [Case::delivered("p08_flood", frame, copies)];
        failures.extend(on_station(world, ACCESS_10, &flood));
        Ok(failures)
    });
}

/// As a port of the network is taken out of a VLAN while rows still name it.
#[test]
fn a_port_that_left_the_vlan_gets_nothing_of_it() {
    check(|world| {
        rows::change_port(world, TRUNK, |port| {
            port.flags &= !vxnet_common::map::port::flag::TAGGED;
        })?;
        let frame = datagram(AT_ACCESS, AT_TRUNK);
        let gone = [Case::dropped("unicast", frame, Reason::PortGone)];
        let mut failures = on_station(world, ACCESS_10, &gone);
        let frame = datagram(AT_ACCESS, BROADCAST);
        let mut copies = local_copies(10, 0, ACCESS_10, &frame);
        copies.retain(|(receiver, _)| *receiver != Port(TRUNK));
        let packet = world.family.leaves_in(VNI_GREEN, ONE, &frame);
        copies.push((Vtep(ONE), packet));
        let flood = [Case::delivered("flood", frame, copies)];
        failures.extend(on_station(world, ACCESS_10, &flood));
        Ok(failures)
    });
}
