//! Services that a guest may not offer, and what it may not say of itself in DHCP.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vxnet_common::{map::port::flag, reason::Reason};
use vxnet_tests::frame::{BROADCAST, Endpoint, tcp, udp};

use crate::case::Case;
use crate::fabric::{A, B, Family, GATEWAY_MAC, HOST, ONE, PORT_B, STRANGER, v4, v6};
use crate::messages::{
    ALL_NODES, ALL_NODES_MAC, REDIRECT, ROUTER_ADVERTISEMENT, dhcp, discover, extended, fragment4,
    fragment6, icmp6, ip6, link_local,
};
use crate::outcome::Receiver::Port;
use crate::security::{ALL, DEFAULT};
use crate::security_drops::{check_guarded, drops};

const EVERYONE: ([u8; 6], Ipv6Addr) = (ALL_NODES_MAC, ALL_NODES);

#[test]
fn attack16_rogue_dhcp_servers() {
    for flags in [flag::NO_DHCP_SERVER, DEFAULT, ALL] {
        check_guarded(flags, |_| {
            let all = Endpoint::new(BROADCAST, Ipv4Addr::BROADCAST);
            let offer = dhcp(2, B);
            drops(
                Reason::RogueDhcp,
                vec![
                    ("attack16_offer", udp(v4(A), all, (67, 68), &offer)),
                    (
                        "attack16_offer_of_another_port",
                        udp(v4(A), all, (1067, 68), &offer),
                    ),
                    (
                        "attack16_dhcpv6_of_another_port",
                        udp(v6(A), v6(B), (1547, 546), b"reply"),
                    ),
                    (
                        "attack16_offer_unicast",
                        udp(v4(A), v4(B), (67, 68), &offer),
                    ),
                    (
                        "attack16_odd_client_port",
                        udp(v4(A), v4(B), (67, 1068), &offer),
                    ),
                    (
                        "attack16_first_fragment",
                        fragment4(&udp(v4(A), all, (67, 68), &offer), 0, true),
                    ),
                    (
                        "attack16_dhcpv6",
                        udp(v6(A), v6(B), (547, 546), b"advertise"),
                    ),
                    (
                        "attack16_dhcpv6_behind_headers",
                        extended(&udp(v6(A), v6(B), (547, 546), b"advertise"), &[(60, 1)]),
                    ),
                ],
            )
        });
    }
}

/// RFC 7113: the guard looks behind extension headers, and what it cannot see does not pass.
#[test]
fn attack16_rogue_router_advertisements() {
    for flags in [flag::NO_RA, DEFAULT] {
        check_guarded(flags, |_| {
            let own = (A, link_local(A));
            let body = [0; 8];
            let ra = icmp6(own, EVERYONE, ROUTER_ADVERTISEMENT, [64, 0, 7, 8], &body);
            let redirect = icmp6(own, (B, ip6(B)), REDIRECT, [0; 4], &[0; 32]);
            let many: Vec<(u8, u8)> = std::iter::once((0, 1)).chain([(60, 1); 8]).collect();
            drops(
                Reason::RogueRa,
                vec![
                    ("attack16_ra", ra.clone()),
                    (
                        "attack16_ra_unicast",
                        icmp6(own, (B, ip6(B)), 134, [64, 0, 7, 8], &body),
                    ),
                    ("attack16_redirect", redirect),
                    ("rfc7113_hop_by_hop", extended(&ra, &[(0, 1)])),
                    ("rfc7113_destination_options", extended(&ra, &[(60, 2)])),
                    (
                        "rfc7113_several",
                        extended(&ra, &[(0, 1), (43, 1), (60, 1)]),
                    ),
                    ("rfc7113_first_fragment", fragment6(&ra, 0, true)),
                    ("rfc7113_atomic_fragment", fragment6(&ra, 0, false)),
                    ("rfc7113_nine_headers", extended(&ra, &many)),
                    ("rfc7113_beyond_reach", extended(&ra, &[(60, 31)])),
                    (
                        "rfc7113_first_fragment_without_the_message",
                        fragment6(&extended(&ra, &[(60, 2)]), 0, true)[..72].to_vec(),
                    ),
                ],
            )
        });
    }
    // A router's port may.
    check_guarded(flag::NO_DHCP_SERVER | flag::NO_VXLAN, |_| {
        let to_b = icmp6((A, link_local(A)), (B, ip6(B)), 134, [64, 0, 7, 8], &[0; 8]);
        vec![Case::delivered(
            "attack16_router",
            to_b.clone(),
            [(Port(PORT_B), to_b)],
        )]
    });
}

#[test]
fn attack17_clients_that_lie_in_dhcp() {
    check_guarded(flag::CHECK_MAC, |_| {
        let all = Endpoint::new(BROADCAST, Ipv4Addr::BROADCAST);
        let nobody = Endpoint::new(A, Ipv4Addr::UNSPECIFIED);
        let changed = |at: usize, value: u8| {
            let mut body = dhcp(1, A);
            body[at] = value;
            udp(nobody, all, (68, 67), &body)
        };
        drops(
            Reason::SpoofedMac,
            vec![
                ("attack17_another_chaddr", discover(A, B)),
                ("attack17_hardware_type", changed(1, 6)),
                ("attack17_longer_address", changed(2, 16)),
                (
                    "attack17_odd_port",
                    udp(nobody, all, (1068, 67), &dhcp(1, B)),
                ),
                (
                    "attack17_cut_off",
                    udp(nobody, all, (68, 67), &dhcp(1, A)[..30]),
                ),
            ],
        )
    });
}

#[test]
fn attack5_vxlan_into_the_underlay() {
    check_guarded(DEFAULT, |family| {
        let from = |mac: [u8; 6]| match family {
            Family::V4 => v4(mac),
            Family::V6 => v6(mac),
        };
        let vtep = |ip: IpAddr| Endpoint::new(GATEWAY_MAC, ip);
        let own = vtep(family.local().ip);
        let peer = vtep(family.peer(ONE).ip);
        // Of the underlay: what networks flood to, no peer's address.
        let group = vtep(match family {
            Family::V4 => Ipv4Addr::new(239, 0, 0, 10).into(),
            Family::V6 => Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 10).into(),
        });
        let vxlan = |to: Endpoint| udp(from(A), to, (50_000, 4789), &[8; 60]);
        let fragment = |frame: &[u8], offset, more| match family {
            Family::V4 => fragment4(frame, offset, more),
            Family::V6 => fragment6(frame, offset, more),
        };
        let mut cases = drops(
            Reason::GuestVxlan,
            vec![
                ("attack5_to_this_host", vxlan(own)),
                ("attack5_to_a_peer", vxlan(peer)),
                ("attack5_first_fragment", fragment(&vxlan(peer), 0, true)),
                ("attack5_to_a_group", vxlan(group)),
            ],
        );
        if family == Family::V6 {
            let hidden = extended(&vxlan(peer), &[(60, 1)]);
            cases.extend(drops(
                Reason::GuestVxlan,
                vec![("attack5_behind_headers", hidden)],
            ));
        }
        let passes = [
            ("attack5_later_fragment", fragment(&vxlan(peer), 64, false)),
            (
                "attack5_another_port",
                udp(from(A), peer, (50_000, 4790), b"x"),
            ),
            ("attack5_from_4789", udp(from(A), peer, (4789, 53), b"x")),
            ("attack5_tcp", tcp(from(A), peer, (50_000, 4789), 1, b"x")),
            ("attack6_to_no_vtep", vxlan(vtep(from(STRANGER).ip))),
        ];
        cases.extend(
            passes.map(|(name, frame)| Case::delivered(name, frame.clone(), [(Port(HOST), frame)])),
        );
        cases
    });
}
