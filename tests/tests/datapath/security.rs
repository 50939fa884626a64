//! Ports that are checked: what an honest guest sends gets through, and locks open.

use std::net::{Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use vxnet_common::{
    addr::{Mac, VtepAddr},
    map::{
        allowed::AllowedKey,
        fdb::{FdbEntry, FdbKey, origin, place},
        port::flag,
    },
    reason::Reason,
};
use vxnet_tests::frame::{BROADCAST, Endpoint, arp_reply, arp_request, echo_request, tcp, udp};

use crate::case::{Case, check, on_port, on_station};
use crate::fabric::{
    A, B, BLUE, C, Family, GATEWAY_MAC, HOST, ONE, PORT_A, PORT_B, PORT_C, STRANGER, TWO, datagram,
    datagram6, plain, v4, v6,
};
use crate::flood::copies;
use crate::green::{ACCESS_10, AT_ACCESS, AT_TRUNK, GREEN_10, TRUNK, tag};
use crate::messages::{
    ADVERTISEMENT, ALL_NODES, ALL_NODES_MAC, OVERRIDE, ROUTER_SOLICITATION, SOLICITED,
    advertisement, arp, discover, extended, fragment4, fragment6, icmp6, ip4, ip6, link_local,
    probe6, solicitation, target,
};
use crate::outcome::Receiver::Port;
use crate::rows;
use crate::world::World;

/// What every guest gets.
pub(crate) const DEFAULT: u32 = flag::NO_DHCP_SERVER | flag::NO_RA | flag::NO_VXLAN;
/// What a guest gets whose addresses are known.
pub(crate) const ALL: u32 = DEFAULT | flag::CHECK_MAC | flag::CHECK_IP;

/// Gives a port flags, and the addresses of a station.
pub(crate) fn guard(world: &mut World, port: u32, flags: u32, mac: [u8; 6]) -> Result<()> {
    rows::change_port(world, port, |row| row.flags |= flags)?;
    for key in [
        AllowedKey::mac(port, Mac(mac)),
        AllowedKey::ip(port, VtepAddr::from(v4(mac).ip)),
        AllowedKey::ip(port, VtepAddr::from(v6(mac).ip)),
    ] {
        world.allowed.insert(key, 1, 0)?;
    }
    Ok(())
}

/// Frames of A to B.
fn to_b() -> Vec<(&'static str, Vec<u8>)> {
    let (asks, answers) = (link_local(A), (B, ip6(B)));
    let echo6 = echo_request(v6(A), v6(B), 1, 1, b"ping");
    let one_way = target(ip6(B), 1, A);
    vec![
        ("ping", echo_request(v4(A), v4(B), 1, 1, b"ping")),
        ("ping_ipv6", echo6.clone()),
        ("tcp", tcp(v4(A), v4(B), (1024, 80), 1, b"GET /")),
        ("tcp_ipv6", tcp(v6(A), v6(B), (1024, 80), 1, b"GET /")),
        ("dns", udp(v4(A), v4(B), (5353, 53), b"query")),
        ("arp_reply", arp_reply((A, ip4(A)), (B, ip4(B)))),
        ("arp_unicast", arp((A, B), 1, (A, ip4(A)), (B, ip4(B)))),
        (
            "nd_unicast",
            icmp6((A, asks), answers, 135, [0; 4], &one_way),
        ),
        (
            "nd_answer",
            advertisement((A, ip6(A)), answers, SOLICITED | OVERRIDE),
        ),
        ("p03_first_fragment", fragment4(&datagram(A, B), 0, true)),
        ("p03_later_fragment", fragment4(&datagram(A, B), 64, false)),
        (
            "p03_first_fragment_ipv6",
            fragment6(&datagram6(A, B), 0, true),
        ),
        (
            "p03_later_fragment_ipv6",
            fragment6(&datagram6(A, B), 64, false),
        ),
        (
            "rfc8200_extension_headers",
            extended(&echo6, &[(0, 1), (60, 2)]),
        ),
        // Only what a server sends to clients is a server's.
        (
            "dhcp_relayed",
            udp(v4(A), v4(B), (68, 1068), b"not a server"),
        ),
        // VXLAN between guests is payload.
        ("attack6_vxlan", udp(v4(A), v4(B), (5000, 4789), &[8; 60])),
        (
            "attack6_vxlan_ipv6",
            udp(v6(A), v6(B), (5000, 4789), &[8; 60]),
        ),
        ("other_ethertype", plain(A, B, 60)),
    ]
}

/// Frames of A to all.
fn to_all() -> Vec<(&'static str, Vec<u8>)> {
    let nobody = Ipv4Addr::UNSPECIFIED;
    let everyone = (ALL_NODES_MAC, ALL_NODES);
    let routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
    let routers = ([0x33, 0x33, 0, 0, 0, 2], routers);
    let reports = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);
    let reports = ([0x33, 0x33, 0, 0, 0, 0x16], reports);
    let own = (A, link_local(A));
    vec![
        ("arp_request", arp_request(A, ip4(A), ip4(C))),
        (
            "arp_probe",
            arp((A, BROADCAST), 1, (A, nobody), ([0; 6], ip4(A))),
        ),
        (
            "arp_announcement",
            arp((A, BROADCAST), 1, (A, ip4(A)), ([0; 6], ip4(A))),
        ),
        ("dhcp_discover", discover(A, A)),
        ("nd_solicitation", solicitation(A, ip6(A), ip6(C))),
        (
            "nd_solicitation_link_local",
            solicitation(A, link_local(A), link_local(C)),
        ),
        ("nd_duplicate_detection", probe6(A, ip6(A))),
        (
            "nd_duplicate_detection_link_local",
            probe6(A, link_local(A)),
        ),
        (
            "nd_unsolicited_advertisement",
            icmp6(
                (A, ip6(A)),
                everyone,
                ADVERTISEMENT,
                [OVERRIDE, 0, 0, 0],
                &target(ip6(A), 2, A),
            ),
        ),
        (
            "router_solicitation",
            icmp6(
                own,
                routers,
                ROUTER_SOLICITATION,
                [0; 4],
                &[1, 1, 2, 0, 0, 0, 0, 10],
            ),
        ),
        (
            "router_solicitation_from_nobody",
            icmp6(
                (A, Ipv6Addr::UNSPECIFIED),
                routers,
                ROUTER_SOLICITATION,
                [0; 4],
                &[],
            ),
        ),
        (
            "listener_report_from_nobody",
            extended(
                &icmp6((A, Ipv6Addr::UNSPECIFIED), reports, 143, [0; 4], &[]),
                &[(0, 1)],
            ),
        ),
        (
            "mdns",
            udp(
                v4(A),
                Endpoint::new([1, 0, 0x5e, 0, 0, 0xfb], [224, 0, 0, 251]),
                (5353, 5353),
                b"who",
            ),
        ),
    ]
}

fn honest(family: Family) -> Vec<Case> {
    let unicast = to_b()
        .into_iter()
        .map(|(name, frame)| Case::delivered(name, frame.clone(), [(Port(PORT_B), frame)]));
    let all = to_all().into_iter().map(|(name, frame)| {
        let copies = copies(family, &[PORT_B, PORT_C, HOST], &[ONE, TWO], &frame);
        Case::delivered(name, frame, copies)
    });
    unicast.chain(all).collect()
}

#[test]
fn p32_what_an_honest_guest_sends_passes_all_checks() {
    check(|world| {
        guard(world, PORT_A, ALL, A)?;
        Ok(on_port(world, PORT_A, &honest(world.family)))
    });
}

#[test]
fn what_an_honest_guest_sends_passes_the_defaults() {
    check(|world| {
        rows::set_flags(world, PORT_A, DEFAULT)?;
        let mut failures = on_port(world, PORT_A, &honest(world.family));
        // Nobody has said what its addresses are.
        let frame = datagram(STRANGER, B);
        let case = Case::delivered("any_address", frame.clone(), [(Port(PORT_B), frame)]);
        failures.extend(on_port(world, PORT_A, &[case.learns(STRANGER)]));
        Ok(failures)
    });
}

#[test]
fn p32_a_port_may_have_several_addresses() {
    check(|world| {
        guard(world, PORT_A, ALL, A)?;
        guard(world, PORT_A, ALL, STRANGER)?;
        let frame = datagram(STRANGER, B);
        let case = Case::delivered("second_address", frame.clone(), [(Port(PORT_B), frame)]);
        let mut failures = on_port(world, PORT_A, &[case.learns(STRANGER)]);
        let routed = datagram(A, GATEWAY_MAC);
        let case = Case::delivered("first_address", routed.clone(), [(Port(HOST), routed)]);
        failures.extend(on_port(world, PORT_A, &[case]));
        Ok(failures)
    });
}

/// A row that somebody wrote down.
fn fixed(segment: u32, mac: [u8; 6], port: u32) -> (FdbKey, FdbEntry) {
    let row = FdbEntry::fixed(place::PORT, port, origin::MANUAL);
    (FdbKey::new(segment, Mac(mac)), row)
}

#[test]
fn p09_a_locked_port_waits_for_a_fixed_row() {
    check(|world| {
        let mut failures = Vec::new();
        let frame = datagram(A, B);
        let frame6 = datagram6(A, B);
        let pass = |name: &str, frame: &Vec<u8>| {
            Case::delivered(name, frame.clone(), [(Port(PORT_B), frame.clone())])
        };
        let locked =
            |name: &str, frame: &Vec<u8>| Case::dropped(name, frame.clone(), Reason::Locked);
        rows::set_flags(world, PORT_A, flag::LOCKED)?;
        let cases = [
            locked("p09_learned_only", &frame),
            locked("p09_learned_only_ipv6", &frame6),
            locked("p09_arp", &arp_request(A, ip4(A), ip4(B))),
            locked("p09_unknown", &datagram(STRANGER, B)),
        ];
        failures.extend(on_port(world, PORT_A, &cases));
        world.more_fdb = vec![fixed(BLUE, A, PORT_B)];
        let elsewhere = [locked("p09_fixed_elsewhere", &frame)];
        failures.extend(on_port(world, PORT_A, &elsewhere));
        world.more_fdb = vec![fixed(BLUE, A, PORT_A)];
        let cases = [
            pass("p09_fixed", &frame),
            pass("p09_fixed_ipv6", &frame6),
            locked("p09_another_address", &datagram(STRANGER, B)),
        ];
        failures.extend(on_port(world, PORT_A, &cases));
        world.more_fdb.clear();
        rows::set_flags(world, PORT_A, 0)?;
        failures.extend(on_port(world, PORT_A, &[pass("p09_unlocked", &frame)]));
        Ok(failures)
    });
}

#[test]
fn p09_locks_are_per_vlan() {
    check(|world| {
        rows::change_port(world, TRUNK, |port| port.flags |= flag::LOCKED)?;
        world.more_fdb = vec![fixed(GREEN_10, AT_TRUNK, TRUNK)];
        let frame = datagram(AT_TRUNK, AT_ACCESS);
        let cases = [
            Case::delivered(
                "p09_vlan_10",
                tag(10, 0, &frame),
                [(Port(ACCESS_10), frame.clone())],
            ),
            Case::dropped("p09_vlan_12", tag(12, 0, &frame), Reason::Locked),
        ];
        Ok(on_station(world, TRUNK, &cases))
    });
}
