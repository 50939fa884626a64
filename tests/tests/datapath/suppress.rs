//! ARP and neighbour discovery answered in place: who is answered, with which bytes, and who not.

mod claims;

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Result, ensure};
use vxnet_common::{
    addr::{Mac, VtepAddr},
    map::{
        fdb::{FROZEN, FdbEntry, FdbKey, place},
        holder,
        neighbour::{NOBODY, Neighbour, NeighbourKey, flag as neighbour_flag},
        segment::flag,
    },
    reason::Reason,
};
use vxnet_tests::frame::{BROADCAST, arp_reply, arp_request};

use crate::case::{Case, check, on_port, on_station};
use crate::fabric::{
    A, AGEING, AT_ONE, AT_TWO, B, BLUE, C, D, EXPIRED, Family, GATEWAY_MAC, HOST, ONE, PORT_A,
    PORT_B, PORT_C, RED, STRANGER, TWO,
};
use crate::flood::copies;
use crate::green::{
    ACCESS_10, AT_ACCESS, AT_TAGGED, AT_TRUNK, GREEN_10, GREEN_12, TAGGED, TRUNK, TWICE, UNTAGGED,
    tag,
};
use crate::messages::{
    ALL_NODES, ALL_NODES_MAC, OVERRIDE, ROUTER, SOLICITED, advertisement, arp, icmp6, ip4, ip6,
    link_local, probe6, solicitation, target,
};
use crate::outcome::Receiver::{self, Port};
use crate::receive::{Path, from_port, from_underlay};
use crate::rows;
use crate::world::{self, World};

/// Nobody's IPv4 address but that of a user's exception.
const EXEMPT: Ipv4Addr = Ipv4Addr::new(10, 0, 7, 7);

fn suppress(world: &mut World, segment: u32) -> Result<()> {
    rows::change_segment(world, segment, |row| row.flags |= flag::SUPPRESS)
}

/// Writes down who has an address, and that it was said so long ago.
fn know(
    world: &mut World,
    segment: u32,
    address: impl Into<IpAddr>,
    mac: [u8; 6],
    (flags, age): (u16, u64),
) -> Result<()> {
    let key = NeighbourKey::new(segment, VtepAddr::from(address.into()));
    let last_seen = world::now()? - age;
    let row = Neighbour {
        mac,
        flags,
        last_seen,
    };
    Ok(world.neighbours.insert(key, row, 0)?)
}

/// Says whose an address is.
fn reserve(world: &mut World, segment: u32, address: impl Into<IpAddr>, owner: u32) -> Result<()> {
    let key = NeighbourKey::new(segment, VtepAddr::from(address.into()));
    Ok(world.reserved.insert(key, owner, 0)?)
}

/// Who has an address, by what was heard, and the flags.
fn heard(world: &World, segment: u32, address: impl Into<IpAddr>) -> Option<([u8; 6], u16)> {
    let key = NeighbourKey::new(segment, VtepAddr::from(address.into()));
    let row = world.neighbours.get(&key, 0).ok()?;
    Some((row.mac, row.flags))
}

/// BLUE with stations that are known in every way.
fn stations(world: &mut World) -> Result<()> {
    suppress(world, BLUE)?;
    for mac in [B, C, GATEWAY_MAC, AT_ONE, STRANGER, EXPIRED] {
        know(world, BLUE, ip4(mac), mac, (0, 0))?;
        know(world, BLUE, ip6(mac), mac, (0, 0))?;
    }
    know(
        world,
        BLUE,
        ip6(GATEWAY_MAC),
        GATEWAY_MAC,
        (neighbour_flag::ROUTER, 0),
    )?;
    // In another network.
    know(world, RED, ip4(D), D, (0, 0))?;
    know(world, RED, ip6(D), D, (0, 0))?;
    know(world, BLUE, EXEMPT, B, (0, 0))?;
    reserve(world, BLUE, EXEMPT, NOBODY)?;
    reserve(world, BLUE, ip4(GATEWAY_MAC), HOST)?;
    reserve(world, BLUE, ip4(AT_ONE), holder::of_vtep(ONE))?;
    // Behind the port of A too.
    let row = FdbEntry::learned(place::PORT, PORT_A, world::now()?);
    world.more_fdb = vec![(FdbKey::new(BLUE, Mac(STRANGER)), row)];
    Ok(())
}

fn answered(name: &str, frame: Vec<u8>, answer: Vec<u8>, slot: u32) -> Case {
    Case::delivered(name, frame, [(Port(slot), answer)]).counts(Reason::Answered)
}

fn everyone(family: Family, frame: &[u8]) -> Vec<(Receiver, Vec<u8>)> {
    copies(family, &[PORT_B, PORT_C, HOST], &[ONE, TWO], frame)
}

#[test]
fn arp_01_requests_for_known_stations_are_answered() {
    check(|world| {
        stations(world)?;
        let asks = |mac| arp_request(A, ip4(A), ip4(mac));
        let says = |mac| arp_reply((mac, ip4(mac)), (A, ip4(A)));
        let cases = [
            answered("arp_01_another_port", asks(B), says(B), PORT_A),
            answered("arp_01_a_peers", asks(AT_ONE), says(AT_ONE), PORT_A),
            answered(
                "arp_01_the_gateway",
                asks(GATEWAY_MAC),
                says(GATEWAY_MAC),
                PORT_A,
            ),
        ];
        let mut failures = on_port(world, PORT_A, &cases);
        let frame = arp_request(GATEWAY_MAC, ip4(GATEWAY_MAC), ip4(B));
        let answer = arp_reply((B, ip4(B)), (GATEWAY_MAC, ip4(GATEWAY_MAC)));
        let host = [answered("arp_01_to_the_host", frame, answer, HOST)];
        failures.extend(on_port(world, HOST, &host));
        Ok(failures)
    });
}

#[test]
fn arp_01_solicitations_for_known_stations_are_answered() {
    check(|world| {
        stations(world)?;
        know(world, BLUE, link_local(B), B, (0, 0))?;
        let flags = SOLICITED | OVERRIDE;
        let says = |mac, flags| advertisement((mac, ip6(mac)), (A, ip6(A)), flags);
        let local = advertisement((B, link_local(B)), (A, link_local(A)), flags);
        let asks = |mac| solicitation(A, ip6(A), ip6(mac));
        let cases = [
            answered("arp_01_nd", asks(B), says(B, flags), PORT_A),
            answered(
                "arp_01_nd_a_peers",
                asks(AT_ONE),
                says(AT_ONE, flags),
                PORT_A,
            ),
            // Or else the asker would forget its default route (RFC 4861 section 7.2.5).
            answered(
                "arp_01_nd_a_router",
                asks(GATEWAY_MAC),
                says(GATEWAY_MAC, flags | ROUTER),
                PORT_A,
            ),
            answered(
                "arp_01_nd_link_local",
                solicitation(A, link_local(A), link_local(B)),
                local,
                PORT_A,
            ),
        ];
        Ok(on_port(world, PORT_A, &cases))
    });
}

#[test]
fn arp_01_arp_02_who_is_not_answered() {
    check(|world| {
        stations(world)?;
        know(world, BLUE, ip4(AT_ONE), AT_ONE, (0, AGEING))?;
        let family = world.family;
        let asks = |mac| arp_request(A, ip4(A), ip4(mac));
        let nobody = Ipv4Addr::UNSPECIFIED;
        let to_all =
            |body: ([u8; 6], Ipv4Addr), wanted| arp((A, BROADCAST), 1, body, ([0; 6], wanted));
        let frames = [
            (
                "arp_01_never_heard_of",
                arp_request(A, ip4(A), Ipv4Addr::new(10, 0, 9, 1)),
            ),
            ("arp_01_said_too_long_ago", asks(AT_ONE)),
            ("arp_01_place_unknown", asks(C)),
            ("arp_01_place_expired", asks(EXPIRED)),
            ("arp_01_behind_the_same_port", asks(STRANGER)),
            ("arp_01_exempt", arp_request(A, ip4(A), EXEMPT)),
            ("arp_01_known_in_another_network", asks(D)),
            (
                "arp_01_nd_known_in_another_network",
                solicitation(A, ip6(A), ip6(D)),
            ),
            ("arp_02_probe", to_all((A, nobody), ip4(B))),
            ("arp_02_gratuitous", to_all((A, ip4(A)), ip4(A))),
            ("arp_02_gratuitous_for_another", to_all((A, ip4(B)), ip4(B))),
            ("arp_02_nd_probe", probe6(A, ip6(B))),
            ("arp_01_nd_place_unknown", solicitation(A, ip6(A), ip6(C))),
            (
                "arp_01_nd_behind_the_same_port",
                solicitation(A, ip6(A), ip6(STRANGER)),
            ),
        ];
        let cases = frames.map(|(name, frame)| {
            let copies = everyone(family, &frame);
            Case::delivered(name, frame, copies)
        });
        let mut failures = Vec::new();
        for case in cases {
            failures.extend(on_port(world, PORT_A, &[case]));
            // What the frames themselves claim is not to decide the next.
            stations(world)?;
            know(world, BLUE, ip4(AT_ONE), AT_ONE, (0, AGEING))?;
        }
        let unicast = arp((A, B), 1, (A, ip4(A)), ([0; 6], ip4(B)));
        let nd = icmp6((A, ip6(A)), (B, ip6(B)), 135, [0; 4], &target(ip6(B), 1, A));
        let reply = arp_reply((A, ip4(A)), (B, ip4(B)));
        let cases = [
            ("arp_03_unicast", unicast),
            ("arp_03_nd_unicast", nd),
            ("arp_03_reply", reply),
        ]
        .map(|(name, frame)| Case::delivered(name, frame.clone(), [(Port(PORT_B), frame)]));
        failures.extend(on_port(world, PORT_A, &cases));
        Ok(failures)
    });
}

/// The FDB has the sender elsewhere and follows it no longer: answered, it would take its own
/// announcement for somebody else's claim (RFC 5227 section 2.4).
#[test]
fn arp_02_announcements_of_flapping_addresses_are_not_answered() {
    check(|world| {
        stations(world)?;
        let now = world::now()?;
        let row = FdbEntry {
            moves: FROZEN,
            moved: now,
            ..FdbEntry::learned(place::PORT, PORT_C, now)
        };
        world.more_fdb = vec![(FdbKey::new(BLUE, Mac(A)), row)];
        let frame = arp((A, BROADCAST), 1, (A, ip4(A)), ([0; 6], ip4(A)));
        let copies = everyone(world.family, &frame);
        let case = Case::delivered("arp_02_gratuitous", frame, copies);
        Ok(on_port(world, PORT_A, &[case.counts(Reason::MacFlap)]))
    });
}

#[test]
fn without_suppression_nobody_is_answered() {
    check(|world| {
        stations(world)?;
        rows::change_segment(world, BLUE, |row| row.flags = 0)?;
        let frame = arp_request(A, ip4(A), ip4(B));
        let copies = everyone(world.family, &frame);
        let failures = on_port(world, PORT_A, &[Case::delivered("off", frame, copies)]);
        ensure!(heard(world, BLUE, ip4(A)).is_none(), "heard all the same");
        Ok(failures)
    });
}

/// The answer leaves as every frame of the VLAN leaves by that port.
#[test]
fn q_07_answers_have_the_tag_of_the_port() {
    check(|world| {
        suppress(world, GREEN_10)?;
        suppress(world, GREEN_12)?;
        for (segment, mac) in [
            (GREEN_10, AT_ACCESS),
            (GREEN_10, AT_TRUNK),
            (GREEN_12, TWICE),
        ] {
            know(world, segment, ip4(mac), mac, (0, 0))?;
        }
        let asks = |mac, wanted| arp_request(mac, ip4(mac), ip4(wanted));
        let says = |mac, asker| arp_reply((mac, ip4(mac)), (asker, ip4(asker)));
        let mut failures = Vec::new();
        for (name, slot, frame, answer) in [
            (
                "q_07_trunk",
                TRUNK,
                tag(10, 4, &asks(AT_TRUNK, AT_ACCESS)),
                tag(10, 4, &says(AT_ACCESS, AT_TRUNK)),
            ),
            (
                "q_01_priority_tag_on_an_access_port",
                ACCESS_10,
                tag(0, 5, &asks(AT_ACCESS, AT_TRUNK)),
                says(AT_TRUNK, AT_ACCESS),
            ),
            (
                "q_07_native_tagged",
                TAGGED,
                asks(AT_TAGGED, AT_ACCESS),
                tag(10, 0, &says(AT_ACCESS, AT_TAGGED)),
            ),
            (
                "q_07_native_untagged",
                UNTAGGED,
                tag(12, 3, &asks(STRANGER, TWICE)),
                says(TWICE, STRANGER),
            ),
        ] {
            let mut case = answered(name, frame, answer, slot);
            if slot == UNTAGGED {
                case = case.learns_in(GREEN_12, STRANGER);
            }
            failures.extend(on_station(world, slot, &[case]));
        }
        Ok(failures)
    });
}
