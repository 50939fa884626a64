//! Ports that are checked: what a hostile guest sends is dropped, each for its own reason.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vxnet_common::{map::port::flag, reason::Reason};
use vxnet_tests::frame::{BROADCAST, Endpoint, arp_reply, arp_request, ethernet, tcp, udp};

use crate::case::{Case, check, on_port, on_station};
use crate::fabric::{
    A, B, Family, GATEWAY_MAC, PORT_A, PORT_B, STRANGER, datagram, datagram6, plain, v4, v6,
};
use crate::green::{AT_ACCESS, AT_TRUNK, TRUNK, tag};
use crate::messages::{
    ADVERTISEMENT, ALL_NODES, ALL_NODES_MAC, OVERRIDE, ROUTER_ADVERTISEMENT, ROUTER_SOLICITATION,
    SOLICITATION, advertisement, arp, discover, fragment4, fragment6, icmp6, ip4, ip6, link_local,
    probe6, solicitation, target,
};
use crate::outcome::Receiver::Port;
use crate::security::{ALL, guard};

const EVERYONE: ([u8; 6], Ipv6Addr) = (ALL_NODES_MAC, ALL_NODES);

pub(crate) fn drops(reason: Reason, frames: Vec<(&str, Vec<u8>)>) -> Vec<Case> {
    frames
        .into_iter()
        .map(|(name, frame)| Case::dropped(name, frame, reason))
        .collect()
}

/// Runs cases on the port of A, which has some of the checks and A's addresses.
pub(crate) fn check_guarded(flags: u32, cases: impl Fn(Family) -> Vec<Case> + Sync) {
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
