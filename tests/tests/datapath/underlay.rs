//! VXLAN packets from the underlay, each over every receive path: the verdict is the same.

use vxnet_common::reason::Reason;
use vxnet_tests::frame::{BROADCAST, arp_reply, arp_request, echo_request, ethernet, tcp, udp};

use crate::case::{Case, check_uplink};
use crate::fabric::{
    A, AT_NARROW, AT_ONE, AT_TWO, B, C, D, E, EXPIRED, Family, GATEWAY_MAC, HOST, HOST_RED,
    MOVED_OUT, ONE, PORT_A, PORT_B, PORT_C, PORT_RED, RED, STRANGER, UNPLUGGED, UPLINK_MAC,
    VNI_LONELY, VNI_RED, datagram, datagram6, plain, v4,
};
use crate::outcome::Receiver::Port;

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
        let red = |inner: &[u8]| family.sent_by(ONE, VNI_RED).wrap(inner);
        let known = datagram(STRANGER, D);
        // A is in BLUE: nobody of BLUE may get this.
        let other = datagram(STRANGER, A);
        let members = [PORT_RED, HOST_RED].map(|slot| (Port(slot), other.clone()));
        let segment = tcp(v4(STRANGER), v4(D), (1, 2), 3, b"segment");
        let lonely = datagram(STRANGER, E);
        let lonely_packet = family.sent_by(ONE, VNI_LONELY).wrap(&lonely);
        vec![
            Case::delivered("r7348_06_known", red(&known), [(Port(PORT_RED), known)])
                .learns_in(RED, STRANGER),
            Case::delivered("r7348_06_tcp", red(&segment), [(Port(PORT_RED), segment)])
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
