//! VXLAN packets from the underlay, each over every receive path: the verdict is the same.

use vxnet_common::reason::Reason;
use vxnet_tests::frame::{
    BROADCAST, Outer, Vxlan, arp_reply, arp_request, echo_request, ethernet, tcp, udp,
};

use crate::case::{Case, check, check_uplink, on_uplink};
use crate::fabric::{
    A, AT_NARROW, AT_ONE, AT_TWO, B, C, D, E, EXPIRED, Family, GATEWAY_MAC, HOST, HOST_RED,
    MOVED_OUT, ONE, PORT_A, PORT_B, PORT_C, PORT_RED, RED, STRANGER, TWO, UNPLUGGED, UPLINK_MAC,
    VNI_BLUE, VNI_LONELY, VNI_RED, datagram, datagram6, plain, v4,
};
use crate::outcome::Receiver::Port;
use crate::rows;

/// A faultless packet of peer ONE, with its header changed.
fn outer(family: Family, change: impl FnOnce(&mut Outer)) -> Outer {
    let mut outer = family.from_peer(ONE, VNI_BLUE);
    change(&mut outer);
    outer
}

#[test]
fn r7348_known_unicast_is_delivered_as_it_was_sent() {
    check_uplink(ONE, |family| {
        let arp = arp_reply((AT_ONE, [10, 0, 0, 1].into()), (A, [10, 0, 0, 2].into()));
        let frames = [
            ("p18_udp", datagram(AT_ONE, A)),
            ("p18_udp_ipv6", datagram6(AT_ONE, A)),
            ("p18_tcp", tcp(v4(AT_ONE), v4(A), (1, 2), 3, b"segment")),
            ("p18_echo", echo_request(v4(AT_ONE), v4(A), 1, 2, &[7; 56])),
            // 42 bytes, less than what the kernel keeps of a shrunk IPv6 packet.
            ("p18_arp_reply", arp),
            ("attack10_14_bytes", ethernet(AT_ONE, A, 0x88b5, &[])),
            ("attack10_15_bytes", ethernet(AT_ONE, A, 0x88b5, &[1])),
            ("attack10_53_bytes", plain(AT_ONE, A, 53)),
            ("attack10_54_bytes", plain(AT_ONE, A, 54)),
            ("attack10_55_bytes", plain(AT_ONE, A, 55)),
            ("q15_full_size", plain(AT_ONE, A, 1514)),
            ("attack13_ip_cut_off", datagram(AT_ONE, A)[..20].to_vec()),
            ("attack12_ip_version_5", {
                let mut frame = datagram(AT_ONE, A);
                frame[14] = 0x55;
                frame
            }),
        ];
        let mut cases: Vec<Case> = frames
            .into_iter()
            .map(|(name, inner)| {
                Case::delivered(name, family.arrives(ONE, &inner), [(Port(PORT_A), inner)])
            })
            .collect();
        for (name, inner) in [
            ("to_the_gateway", datagram(AT_ONE, GATEWAY_MAC)),
            (
                "to_the_gateway_tcp",
                tcp(v4(AT_ONE), v4(GATEWAY_MAC), (1, 2), 3, b"segment"),
            ),
        ] {
            let packet = family.arrives(ONE, &inner);
            cases.push(Case::delivered(name, packet, [(Port(HOST), inner)]));
        }
        cases
    });
}

#[test]
fn r7348_what_a_receiver_must_accept() {
    check_uplink(ONE, |family| {
        let inner = datagram(AT_ONE, A);
        let wrap = |change: &dyn Fn(&mut Outer)| outer(family, change).wrap(&inner);
        let vxlan = |change: &dyn Fn(&mut Vxlan)| wrap(&|outer| change(&mut outer.vxlan));
        let wrong_checksum = {
            let mut packet = wrap(&|outer| outer.checksum = true);
            packet[family.udp() + 6] ^= 0x55;
            packet
        };
        let packets = [
            (
                "r7348_03_other_flags_are_ignored",
                vxlan(&|vxlan| vxlan.flags = 0xff),
            ),
            (
                "r7348_05_reserved_bits_are_ignored",
                vxlan(&|vxlan| {
                    vxlan.reserved = [0xff; 3];
                    vxlan.last = 0xff;
                }),
            ),
            ("r7348_12_checksum_zero", wrap(&|_| ())),
            (
                "r7348_13_checksum_correct",
                wrap(&|outer| outer.checksum = true),
            ),
            ("r7348_15_checksum_not_verified", wrong_checksum),
            (
                "r7348_09_any_source_port",
                wrap(&|outer| outer.source_port = 1),
            ),
            ("any_ttl", wrap(&|outer| outer.ttl = 1)),
            ("any_dscp", wrap(&|outer| outer.traffic_class = 0xb8)),
        ];
        packets
            .into_iter()
            .map(|(name, packet)| Case::delivered(name, packet, [(Port(PORT_A), inner.clone())]))
            .collect()
    });
}

#[test]
fn r7348_08_the_port_is_configurable() {
    check(|world| {
        let family = world.family;
        let inner = datagram(AT_ONE, A);
        let at = |port| outer(family, |outer| outer.destination_port = port).wrap(&inner);
        let delivered = [(Port(PORT_A), inner.clone())];
        let mut failures = on_uplink(
            world,
            ONE,
            &[
                Case::delivered("r7348_07_port_4789", at(4789), delivered.clone()),
                Case::passed("r7348_08_port_8472_is_none_of_ours", at(8472)),
            ],
        )?;
        rows::configure(world, 8472)?;
        failures.extend(on_uplink(
            world,
            ONE,
            &[
                Case::delivered("r7348_08_port_8472", at(8472), delivered),
                Case::passed("r7348_07_port_4789_is_none_of_ours", at(4789)),
            ],
        )?);
        Ok(failures)
    });
}

#[test]
fn attack_only_known_peers_and_shared_networks() {
    check_uplink(ONE, |family| {
        let inner = datagram(AT_ONE, A);
        let in_vni = |vni| family.from_peer(ONE, vni).wrap(&inner);
        let from = |slot, vni| family.from_peer(slot, vni).wrap(&inner);
        let spoof = |src| family.arrives(ONE, &plain(src, B, 60));
        let tagged = |ethertype| {
            let inner = ethernet(AT_ONE, A, ethertype, &[0, 10, 8, 0, 0, 0, 0, 0]);
            family.arrives(ONE, &inner)
        };
        let elsewhere = outer(family, |outer| outer.to.ip = family.peer(TWO).ip).wrap(&inner);
        let unflagged = outer(family, |outer| outer.vxlan.flags = 0).wrap(&inner);
        let all_but = outer(family, |outer| outer.vxlan.flags = 0xf7).wrap(&inner);
        vec![
            Case::dropped("r7348_01_i_flag_missing", unflagged, Reason::BadVxlan),
            Case::dropped("r7348_01_all_flags_but_i", all_but, Reason::BadVxlan),
            Case::dropped(
                "attack1_unknown_vtep",
                from(90, VNI_BLUE),
                Reason::UnknownVtep,
            ),
            Case::dropped(
                "attack1_unknown_vtep_and_vni",
                from(90, 77),
                Reason::UnknownVtep,
            ),
            Case::dropped("p16_unknown_vni", in_vni(77), Reason::UnknownVni),
            Case::dropped("r7348_vni_0", in_vni(0), Reason::UnknownVni),
            Case::dropped("r7348_vni_largest", in_vni(0xff_ffff), Reason::UnknownVni),
            Case::dropped(
                "attack2_vni_not_shared",
                from(TWO, VNI_RED),
                Reason::VniNotShared,
            ),
            Case::passed("attack3_other_local_address", elsewhere).counts(Reason::NotOurs),
            Case::dropped("attack4_mac_of_a_local_guest", spoof(A), Reason::LocalMac),
            Case::dropped(
                "attack4_mac_of_the_gateway",
                spoof(GATEWAY_MAC),
                Reason::LocalMac,
            ),
            Case::dropped("q09_group_source", spoof(BROADCAST), Reason::BadSource),
            Case::dropped("q09_zero_source", spoof([0; 6]), Reason::BadSource),
            Case::dropped("r7348_19_tagged", tagged(0x8100), Reason::Tagged),
            Case::dropped("r7348_19_service_tagged", tagged(0x88a8), Reason::Tagged),
        ]
    });
}

#[test]
fn r7348_destinations_of_received_frames() {
    check_uplink(ONE, |family| {
        let to = |dst| family.arrives(ONE, &datagram(AT_ONE, dst));
        let stp = [1, 0x80, 0xc2, 0, 0, 0];
        vec![
            Case::dropped(
                "evpn_01_behind_another_peer",
                to(AT_TWO),
                Reason::SplitHorizon,
            ),
            Case::dropped(
                "evpn_01_behind_the_sender",
                to(AT_ONE),
                Reason::SplitHorizon,
            ),
            Case::dropped("evpn_01_narrow", to(AT_NARROW), Reason::SplitHorizon),
            Case::dropped("q10_link_local", to(stp), Reason::LinkLocal),
            Case::dropped(
                "r7348_06_slot_of_another_network",
                to(MOVED_OUT),
                Reason::PortGone,
            ),
            Case::dropped("unplugged", to(UNPLUGGED), Reason::PortGone),
        ]
    });
}

#[test]
fn evpn_01_floods_reach_local_members_only() {
    check_uplink(ONE, |family| {
        let members = |inner: &[u8]| -> Vec<_> {
            [PORT_A, PORT_B, PORT_C, HOST]
                .map(|slot| (Port(slot), inner.to_vec()))
                .into()
        };
        let frames = [
            (
                "p22_arp_request",
                arp_request(AT_ONE, [10, 0, 0, 1].into(), [10, 0, 0, 2].into()),
            ),
            ("broadcast", datagram(AT_ONE, BROADCAST)),
            (
                "multicast_ipv6",
                datagram6(AT_ONE, [0x33, 0x33, 0, 0, 0, 1]),
            ),
            (
                "q10_reserved_but_forwarded",
                plain(AT_ONE, [1, 0x80, 0xc2, 0, 0, 0x10], 60),
            ),
            ("unknown_unicast", datagram(AT_ONE, C)),
            ("expired", datagram(AT_ONE, EXPIRED)),
            // Looks like underlay traffic if anything goes wrong.
            ("the_uplinks_own_mac", datagram(AT_ONE, UPLINK_MAC)),
        ];
        frames
            .into_iter()
            .map(|(name, inner)| {
                Case::delivered(name, family.arrives(ONE, &inner), members(&inner))
            })
            .collect()
    });
}

#[test]
fn r7348_22_sources_are_learned() {
    check_uplink(ONE, |family| {
        let case = |name, src| {
            let inner = datagram(src, A);
            Case::delivered(name, family.arrives(ONE, &inner), [(Port(PORT_A), inner)])
        };
        let broadcast = arp_request(STRANGER, [10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let all = [PORT_A, PORT_B, PORT_C, HOST].map(|slot| (Port(slot), broadcast.clone()));
        vec![
            case("r7348_22_new", STRANGER).learns(STRANGER),
            case("r7348_22_known", AT_ONE),
            case("evpn_03_moved_between_peers", AT_TWO).learns(AT_TWO),
            case("expired_local_row_is_taken", EXPIRED).learns(EXPIRED),
            Case::delivered(
                "r7348_22_from_a_flood",
                family.arrives(ONE, &broadcast),
                all,
            )
            .learns(STRANGER),
        ]
    });
}

#[test]
fn r7348_06_networks_are_apart() {
    check_uplink(ONE, |family| {
        let red = |inner: &[u8]| family.from_peer(ONE, VNI_RED).wrap(inner);
        let known = datagram(STRANGER, D);
        // A is in BLUE: nobody of BLUE may get this.
        let other = datagram(STRANGER, A);
        let members = [PORT_RED, HOST_RED].map(|slot| (Port(slot), other.clone()));
        let lonely = datagram(STRANGER, E);
        let lonely_packet = family.from_peer(ONE, VNI_LONELY).wrap(&lonely);
        vec![
            Case::delivered("r7348_06_known", red(&known), [(Port(PORT_RED), known)])
                .learns_in(RED, STRANGER),
            Case::delivered("r7348_06_known_elsewhere", red(&other), members)
                .learns_in(RED, STRANGER),
            Case::delivered(
                "r7348_06_lonely",
                lonely_packet,
                [(Port(crate::fabric::PORT_LONELY), lonely)],
            )
            .learns_in(crate::fabric::LONELY, STRANGER),
        ]
    });
}

#[test]
fn other_traffic_of_the_host_passes_unchanged() {
    check_uplink(ONE, |family| {
        let (peer, local) = (family.peer(ONE), family.local());
        let arp = arp_request(peer.mac, [192, 0, 2, 34].into(), [192, 0, 2, 17].into());
        let mut fragment = udp(v4(A), v4(B), (1, 4789), b"later fragment");
        fragment[21] = 1;
        vec![
            Case::passed("host_tcp", tcp(peer, local, (1, 22), 1, b"ssh")),
            Case::passed(
                "host_tcp_to_4789",
                tcp(peer, local, (1, 4789), 1, b"no UDP"),
            ),
            Case::passed(
                "host_udp",
                udp(peer, local, (4789, 53), b"from 4789, not to it"),
            ),
            Case::passed("host_echo", echo_request(peer, local, 1, 2, b"ping")),
            Case::passed("host_arp", arp),
            Case::passed("host_other_ethertype", plain(peer.mac, local.mac, 60)),
            Case::passed("host_later_fragment", fragment),
        ]
    });
}

#[test]
fn an_underlay_of_the_other_family_is_not_ours() {
    check_uplink(ONE, |family| {
        let other = match family {
            Family::V4 => Family::V6,
            Family::V6 => Family::V4,
        };
        vec![Case::passed(
            "other_family",
            other.arrives(ONE, &datagram(AT_ONE, A)),
        )]
    });
}
