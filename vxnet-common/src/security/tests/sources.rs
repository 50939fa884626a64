//! Whose addresses a guest may use as sources, in Ethernet, IPv4 and IPv6.

use std::vec::Vec;

use super::scene::*;
use crate::{addr::Mac, map::port::flag};

#[test]
fn p32_only_allowed_mac_addresses_send() {
    let flags = flag::CHECK_MAC;
    table(&[
        ("own", flags, ethernet(OWN, 0x1234, &[]), PASS),
        ("second", flags, ethernet(SECOND, 0x1234, &[]), PASS),
        ("another port's", flags, ethernet(VICTIM, 0x1234, &[]), MAC),
        (
            "another port's IP",
            flags,
            ethernet(VICTIM, 0x0800, &[0x45; 40]),
            MAC,
        ),
        (
            "any, unless checked",
            DEFAULT | flag::CHECK_IP,
            ethernet(VICTIM, 0x1234, &[]),
            PASS,
        ),
    ]);
}

#[test]
fn a_locked_port_wants_a_fixed_row() {
    let flags = flag::LOCKED;
    let from = |mac| ethernet(mac, 0x1234, &[]);
    table(&[
        ("fixed here", flags, from(OWN), PASS),
        ("fixed elsewhere", flags, from(SECOND), LOCKED),
        ("learned here", flags, from(VICTIM), LOCKED),
        ("at the VTEP in that slot", flags, from(Mac([2; 6])), LOCKED),
        ("nowhere", flags, from(Mac([4; 6])), LOCKED),
    ]);
    assert_eq!(judge_in(SEGMENT + 1, flags, &from(OWN)), LOCKED);
}

#[test]
fn p32_ipv4_sources() {
    let flags = flag::CHECK_IP;
    let discover = udp(68, 67, &bootp(1, 1, 6, OWN));
    let zero = [0; 4];
    table(&[
        ("own", flags, v4(OWN_V4, PEER, 6, &[0; 20]), PASS),
        ("another's", flags, v4(VICTIM_V4, PEER, 6, &[0; 20]), IP),
        (
            "another's later fragment",
            flags,
            v4_with(VICTIM_V4, PEER, 17, 0x20, 0, &[0; 20]),
            IP,
        ),
        ("broadcast", flags, v4([255; 4], PEER, 6, &[0; 20]), IP),
        (
            "DHCP without an address",
            flags,
            v4(zero, [255; 4], 17, &discover),
            PASS,
        ),
        (
            "behind options",
            flags,
            v4_with(zero, [255; 4], 17, 0, 10, &discover),
            PASS,
        ),
        (
            "zero to another port",
            flags,
            v4(zero, [255; 4], 17, &udp(68, 68, &[])),
            IP,
        ),
        (
            "zero from another port",
            flags,
            v4(zero, [255; 4], 17, &udp(67, 67, &[])),
            IP,
        ),
        ("zero over TCP", flags, v4(zero, [255; 4], 6, &discover), IP),
        (
            "zero, later fragment",
            flags,
            v4_with(zero, [255; 4], 17, 1, 0, &discover),
            IP,
        ),
        (
            "zero, UDP cut off",
            flags,
            v4(zero, [255; 4], 17, &discover[..7]),
            IP,
        ),
        (
            "by default",
            DEFAULT,
            v4(VICTIM_V4, PEER, 6, &[0; 20]),
            PASS,
        ),
    ]);
}

#[test]
fn p32_ipv6_sources() {
    let flags = flag::CHECK_IP;
    table(&[
        ("own", flags, v6(OWN_V6, 6, &[0; 20]), PASS),
        ("link-local", flags, v6(LINK_LOCAL, 6, &[0; 20]), PASS),
        ("nobody", flags, v6(NOBODY, 58, &nd(133, NOBODY, &[])), PASS),
        ("another's", flags, v6(VICTIM_V6, 6, &[0; 20]), IP),
        (
            "another link-local",
            flags,
            v6(OTHER_LINK_LOCAL, 6, &[0; 20]),
            IP,
        ),
        ("own IPv4, mapped", flags, v6(MAPPED, 6, &[0; 20]), IP),
        (
            "own, upper layer hidden",
            flags,
            v6_behind(OWN_V6, PEER_V6, &[destination(60); 9], 60, &[]),
            IP,
        ),
        (
            "own, later fragment",
            flags,
            v6_behind(OWN_V6, PEER_V6, &[fragment(58, 8)], 44, &[]),
            PASS,
        ),
        ("by default", DEFAULT, v6(VICTIM_V6, 6, &[0; 20]), PASS),
    ]);
}

/// As `0.0.0.0`, which only DHCP may come from.
#[test]
fn p32_attack12_what_comes_from_no_ipv6_address() {
    let flags = flag::CHECK_IP;
    let alert = |next| [next, 0, 5, 2, 0, 0, 1, 0];
    let report = |kind: u8| Vec::from([kind, 0, 0, 0, 0, 0, 0, 0]);
    let listens = |chain: &[[u8; 8]], kind| v6_behind(NOBODY, GROUP_V6, chain, 0, &report(kind));
    let probe = nd(135, OWN_V6, &[]);
    table(&[
        ("duplicate detection", flags, v6(NOBODY, 58, &probe), PASS),
        (
            "asks for routers",
            flags,
            v6(NOBODY, 58, &report(133)),
            PASS,
        ),
        ("listens", flags, listens(&[alert(58)], 131), PASS),
        ("listens, MLDv2", flags, listens(&[alert(58)], 143), PASS),
        ("UDP", flags, v6(NOBODY, 17, &udp(5353, 5353, &[])), IP),
        ("DHCPv6", flags, v6(NOBODY, 17, &udp(546, 547, &[])), IP),
        ("TCP", flags, v6(NOBODY, 6, &[0; 20]), IP),
        ("echo", flags, v6(NOBODY, 58, &report(128)), IP),
        ("a claim", flags, v6(NOBODY, 58, &nd(136, OWN_V6, &[])), IP),
        ("a router", flags, v6(NOBODY, 58, &report(134)), IP),
        ("a report as it is", flags, v6(NOBODY, 58, &report(143)), IP),
        ("listens no more", flags, listens(&[alert(58)], 132), IP),
        ("UDP behind it", flags, listens(&[alert(17)], 143), IP),
        (
            "behind two headers",
            flags,
            listens(&[alert(60), destination(58)], 143),
            IP,
        ),
        (
            "behind a long header",
            flags,
            listens(&[[58, 1, 5, 2, 0, 0, 1, 0], [143; 8]], 143),
            IP,
        ),
        (
            "later fragment",
            flags,
            v6_behind(NOBODY, GROUP_V6, &[fragment(58, 8)], 44, &[]),
            IP,
        ),
        ("cut off", flags, v6(NOBODY, 58, &[]), IP),
        (
            "report cut off",
            flags,
            listens(&[alert(58)], 143)[..62].to_vec(),
            IP,
        ),
        ("by default", DEFAULT, v6(NOBODY, 6, &[0; 20]), PASS),
    ]);
}
