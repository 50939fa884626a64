//! Ports that are checked: what a hostile guest sends is dropped, each for its own reason.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vxnet_common::{map::port::flag, reason::Reason};
use vxnet_tests::frame::{BROADCAST, Endpoint, arp_reply, arp_request, ethernet, tcp, udp};

use crate::case::{Case, check, on_port, on_station};
use crate::fabric::{
    A, B, Family, GATEWAY_MAC, HOST, ONE, PORT_A, PORT_B, STRANGER, datagram, datagram6, plain, v4,
    v6,
};
use crate::green::{AT_ACCESS, AT_TRUNK, TRUNK, tag};
use crate::messages::{
    ADVERTISEMENT, ALL_NODES, ALL_NODES_MAC, OVERRIDE, REDIRECT, ROUTER_ADVERTISEMENT,
    ROUTER_SOLICITATION, SOLICITATION, advertisement, arp, dhcp, discover, extended, fragment4,
    fragment6, icmp6, ip4, ip6, link_local, probe6, solicitation, target,
};
use crate::outcome::Receiver::Port;
use crate::security::{ALL, DEFAULT, guard};

const EVERYONE: ([u8; 6], Ipv6Addr) = (ALL_NODES_MAC, ALL_NODES);

fn drops(reason: Reason, frames: Vec<(&str, Vec<u8>)>) -> Vec<Case> {
    frames
        .into_iter()
        .map(|(name, frame)| Case::dropped(name, frame, reason))
        .collect()
}

/// Runs cases on the port of A, which has some of the checks and A's addresses.
fn check_guarded(flags: u32, cases: impl Fn(Family) -> Vec<Case> + Sync) {
    check(|world| {
        guard(world, PORT_A, flags, A)?;
        Ok(on_port(world, PORT_A, &cases(world.family)))
    });
}

/// With its MAC changed, but not its IP address.
fn in_the_name_of(mac: [u8; 6], mut frame: Vec<u8>) -> Vec<u8> {
    frame[6..12].copy_from_slice(&mac);
    frame
}

#[test]
fn p32_spoofed_mac_addresses() {
    for flags in [flag::CHECK_MAC, ALL] {
        check_guarded(flags, |_| {
            drops(
                Reason::SpoofedMac,
                vec![
                    (
                        "p32_another_guests",
                        in_the_name_of(B, datagram(A, GATEWAY_MAC)),
                    ),
                    ("p32_nobodys", in_the_name_of(STRANGER, datagram(A, B))),
                    ("p32_ipv6", in_the_name_of(STRANGER, datagram6(A, B))),
                    ("p32_other_ethertype", plain(STRANGER, B, 60)),
                    ("p32_broadcast", plain(STRANGER, BROADCAST, 60)),
                    ("attack15_the_gateways", plain(GATEWAY_MAC, B, 60)),
                    ("q_09_group", plain(BROADCAST, B, 60)),
                    (
                        "attack15_arp_hardware_address",
                        arp((A, BROADCAST), 1, (STRANGER, ip4(A)), ([0; 6], ip4(B))),
                    ),
                    (
                        "attack15_na_link_layer_address",
                        icmp6(
                            (A, ip6(A)),
                            EVERYONE,
                            ADVERTISEMENT,
                            [OVERRIDE, 0, 0, 0],
                            &target(ip6(A), 2, STRANGER),
                        ),
                    ),
                    (
                        "attack15_ns_link_layer_address",
                        icmp6(
                            (A, ip6(A)),
                            EVERYONE,
                            SOLICITATION,
                            [0; 4],
                            &target(ip6(B), 1, STRANGER),
                        ),
                    ),
                    ("attack17_chaddr", discover(A, STRANGER)),
                ],
            )
        });
    }
}

#[test]
fn p32_spoofed_ip_addresses() {
    check_guarded(ALL, |_| {
        let (gateway, other) = (ip4(GATEWAY_MAC), v4(B).ip);
        let from = |ip: IpAddr| Endpoint::new(A, ip);
        let own = |mut frame: Vec<u8>, change: fn(&mut [u8])| {
            change(&mut frame[14..]);
            frame
        };
        drops(
            Reason::SpoofedIp,
            vec![
                ("p32_ipv4", udp(from(other), v4(B), (1, 2), b"x")),
                ("p32_tcp", tcp(from(other), v4(B), (1, 2), 3, b"x")),
                ("p32_ipv6", udp(from(v6(B).ip), v6(B), (1, 2), b"x")),
                (
                    "p32_another_link_local",
                    udp(from(link_local(B).into()), v6(B), (1, 2), b"x"),
                ),
                (
                    "p32_nobody_but_dhcp",
                    udp(from(Ipv4Addr::UNSPECIFIED.into()), v4(B), (1, 2), b"x"),
                ),
                (
                    "p32_nobody_ipv6",
                    udp(from(Ipv6Addr::UNSPECIFIED.into()), v6(B), (1, 2), b"x"),
                ),
                (
                    "p32_nobody_ipv6_echo",
                    icmp6((A, Ipv6Addr::UNSPECIFIED), EVERYONE, 128, [0; 4], b"x"),
                ),
                (
                    "p32_fragment",
                    fragment4(&udp(from(other), v4(B), (1, 2), b"x"), 64, false),
                ),
                (
                    "p32_fragment_ipv6",
                    fragment6(&udp(from(v6(B).ip), v6(B), (1, 2), b"x"), 64, false),
                ),
                (
                    "attack15_arp_spoof_of_the_gateway",
                    arp_request(A, gateway, ip4(B)),
                ),
                (
                    "attack15_arp_reply_for_the_gateway",
                    arp_reply((A, gateway), (B, ip4(B))),
                ),
                (
                    "attack15_gratuitous_arp_for_another",
                    arp((A, BROADCAST), 1, (A, ip4(B)), ([0; 6], ip4(B))),
                ),
                (
                    "attack15_na_override_for_another",
                    icmp6(
                        (A, ip6(A)),
                        EVERYONE,
                        ADVERTISEMENT,
                        [OVERRIDE, 0, 0, 0],
                        &target(ip6(B), 2, A),
                    ),
                ),
                (
                    "attack15_na_from_another",
                    advertisement((A, ip6(B)), EVERYONE, OVERRIDE),
                ),
                ("attack15_ns_from_another", solicitation(A, ip6(B), ip6(A))),
                ("attack15_duplicate_detection_denied", probe6(A, ip6(B))),
                ("attack12_ihl_4", own(datagram(A, B), |ip| ip[0] = 0x44)),
                ("attack12_version_5", own(datagram(A, B), |ip| ip[0] = 0x55)),
                (
                    "attack12_version_5_ipv6",
                    own(datagram6(A, B), |ip| ip[0] = 0x50),
                ),
                (
                    "attack14_ipv6_cut_off",
                    fragment6(&datagram6(A, B), 0, true)[..56].to_vec(),
                ),
                (
                    "attack14_arp_cut_off",
                    arp_request(A, ip4(A), ip4(B))[..40].to_vec(),
                ),
            ],
        )
    });
}

/// The bad packet changes nothing for the next, be it good or bad.
#[test]
fn attack13_no_way_around_for_later_packets() {
    check_guarded(ALL, |_| {
        let mut odd = datagram(A, B);
        odd[23] = 0;
        // Shorter than its own header (CVE-2016-10377).
        let mut short = tcp(v4(A), v4(B), (1, 2), 3, b"x");
        short[16..18].copy_from_slice(&[0, 8]);
        let mpls = [&[0, 0, 0x10, 64].repeat(63)[..], &[0, 0, 0x11, 64]].concat();
        let mpls = ethernet(A, B, 0x8847, &mpls);
        let spoof = || udp(Endpoint::new(A, v4(B).ip), v4(B), (1, 2), b"x");
        let good = datagram(A, B);
        vec![
            Case::delivered("attack13_protocol_0", odd.clone(), [(Port(PORT_B), odd)]),
            Case::dropped("attack13_then_spoofed", spoof(), Reason::SpoofedIp),
            Case::delivered(
                "attack13_total_length_8",
                short.clone(),
                [(Port(PORT_B), short)],
            ),
            Case::dropped("attack13_then_spoofed_too", spoof(), Reason::SpoofedIp),
            Case::delivered("attack13_64_labels", mpls.clone(), [(Port(PORT_B), mpls)]),
            Case::dropped("attack13_then_spoofed_again", spoof(), Reason::SpoofedIp),
            Case::delivered("attack13_then_good", good.clone(), [(Port(PORT_B), good)]),
        ]
    });
}

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

#[test]
fn vu855201_ip_in_llc_and_snap() {
    check_guarded(ALL, |_| {
        let snap = |ethertype: u16| {
            let [a, b] = ethertype.to_be_bytes();
            let body = [&[0xaa, 0xaa, 3, 0, 0, 0, a, b][..], &datagram(A, B)[14..]].concat();
            ethernet(A, B, u16::try_from(body.len()).expect("short"), &body)
        };
        let mut cases = drops(
            Reason::SpoofedIp,
            vec![
                ("vu855201_ipv4", snap(0x0800)),
                ("vu855201_ipv6", snap(0x86dd)),
                ("vu855201_arp", snap(0x0806)),
                ("vu855201_vlan", snap(0x8100)),
            ],
        );
        let other = snap(0x809b);
        cases.push(Case::delivered(
            "snap_appletalk",
            other.clone(),
            [(Port(PORT_B), other)],
        ));
        cases
    });
}

/// Tags are no way around the checks.
#[test]
fn p32_checks_look_behind_the_tag() {
    check(|world| {
        guard(world, TRUNK, ALL, AT_TRUNK)?;
        let spoofed = udp(
            Endpoint::new(AT_TRUNK, v4(B).ip),
            v4(AT_ACCESS),
            (1, 2),
            b"x",
        );
        let ra = (AT_TRUNK, link_local(AT_TRUNK));
        let ra = icmp6(ra, EVERYONE, ROUTER_ADVERTISEMENT, [0; 4], &[0; 8]);
        let cases = [
            Case::dropped(
                "p32_mac",
                tag(10, 0, &datagram(STRANGER, AT_ACCESS)),
                Reason::SpoofedMac,
            ),
            Case::dropped("p32_ip", tag(10, 3, &spoofed), Reason::SpoofedIp),
            Case::dropped("attack16_ra", tag(12, 0, &ra), Reason::RogueRa),
        ];
        Ok(on_station(world, TRUNK, &cases))
    });
}

/// What is not asked for is not checked.
#[test]
fn each_check_stands_alone() {
    check(|world| {
        let mut failures = Vec::new();
        let spoofed_ip = udp(Endpoint::new(A, v4(STRANGER).ip), v4(B), (1, 2), b"x");
        let spoofed_mac = in_the_name_of(STRANGER, datagram(A, B));
        let rs = icmp6(
            (A, link_local(A)),
            (B, ip6(B)),
            ROUTER_SOLICITATION,
            [0; 4],
            &[],
        );
        guard(world, PORT_A, 0, A)?;
        for (flags, frame, learned) in [
            (flag::CHECK_MAC, &spoofed_ip, None),
            (flag::CHECK_IP, &spoofed_mac, Some(STRANGER)),
            (flag::NO_RA, &spoofed_mac, Some(STRANGER)),
            (flag::NO_DHCP_SERVER, &spoofed_ip, None),
            (flag::NO_VXLAN, &rs, None),
        ] {
            crate::rows::set_flags(world, PORT_A, flags)?;
            let name = format!("flags {flags:#x}");
            let mut case = Case::delivered(name, frame.clone(), [(Port(PORT_B), frame.clone())]);
            if let Some(mac) = learned {
                case = case.learns(mac);
            }
            failures.extend(on_port(world, PORT_A, &[case]));
        }
        Ok(failures)
    });
}
