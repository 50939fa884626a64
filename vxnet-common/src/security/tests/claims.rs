//! Which addresses a guest may claim, in ARP and neighbour discovery.

use std::vec::Vec;

use super::scene::*;
use crate::{addr::Mac, map::port::flag};

#[test]
fn attack15_arp_spoofing() {
    let (mac, ip) = (flag::CHECK_MAC, flag::CHECK_IP);
    let changed = |offset: usize, byte| {
        let mut frame = arp(VICTIM, VICTIM_V4);
        frame[offset] = byte;
        frame
    };
    table(&[
        ("own", mac | ip, arp(OWN, OWN_V4), PASS),
        ("own second address", mac | ip, arp(SECOND, OWN_V4), PASS),
        ("probe", mac | ip, arp(OWN, [0; 4]), PASS),
        ("another's IP", mac | ip, arp(OWN, VICTIM_V4), IP),
        (
            "another's IP, only MACs checked",
            mac,
            arp(OWN, VICTIM_V4),
            PASS,
        ),
        ("arp_05 another's SHA", mac, arp(VICTIM, OWN_V4), MAC),
        (
            "another's SHA, only IPs checked",
            ip,
            arp(VICTIM, OWN_V4),
            PASS,
        ),
        ("arp_06 SHA zero", mac, arp(Mac([0; 6]), OWN_V4), MAC),
        ("htype 6, which Linux takes", ip, changed(15, 6), IP),
        ("arp_04 hlen 8", ip, changed(18, 8), IP),
        ("arp_04 plen 16", mac, changed(19, 16), MAC),
        ("cut off", ip, arp(OWN, OWN_V4)[..41].to_vec(), IP),
        (
            "cut off, MACs checked",
            mac,
            arp(OWN, OWN_V4)[..41].to_vec(),
            MAC,
        ),
        ("another protocol", mac | ip, changed(16, 0x86), PASS),
        ("by default", DEFAULT, arp(VICTIM, VICTIM_V4), PASS),
    ]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn attack15_neighbour_discovery_spoofing() {
    let (mac, ip) = (flag::CHECK_MAC, flag::CHECK_IP);
    let own = |kind| link_layer(kind, OWN);
    let forged = |kind| link_layer(kind, VICTIM);
    let from = |source, kind, target, options: &[u8]| v6(source, 58, &nd(kind, target, options));
    // An option that is skipped: a nonce.
    let nonces =
        |count: usize, last: Vec<u8>| [[14u8, 1, 0, 0, 0, 0, 0, 0].repeat(count), last].concat();
    let router = |options: &[u8]| {
        let mut message = Vec::from([134, 0, 0, 0]);
        message.resize(16, 0);
        message.extend(options);
        v6(LINK_LOCAL, 58, &message)
    };
    let behind = v6_behind(
        OWN_V6,
        VICTIM_V6,
        &[destination(58)],
        60,
        &nd(136, VICTIM_V6, &own(2)),
    );
    let mut trailing = from(OWN_V6, 136, OWN_V6, &[]);
    trailing.extend(forged(2));
    table(&[
        ("own", mac | ip, from(OWN_V6, 136, OWN_V6, &own(2)), PASS),
        (
            "own link-local",
            mac | ip,
            from(OWN_V6, 136, LINK_LOCAL, &own(2)),
            PASS,
        ),
        ("for another", ip, from(OWN_V6, 136, VICTIM_V6, &own(2)), IP),
        (
            "for another's link-local",
            ip,
            from(OWN_V6, 136, OTHER_LINK_LOCAL, &own(2)),
            IP,
        ),
        (
            "for own IPv4, mapped",
            ip,
            from(OWN_V6, 136, MAPPED, &own(2)),
            IP,
        ),
        ("for another, behind a header", ip, behind, IP),
        ("target cut off", ip, v6(OWN_V6, 58, &[136; 23]), IP),
        (
            "for another, only MACs checked",
            mac,
            from(OWN_V6, 136, VICTIM_V6, &own(2)),
            PASS,
        ),
        (
            "asks for another",
            mac | ip,
            from(OWN_V6, 135, VICTIM_V6, &own(1)),
            PASS,
        ),
        (
            "whether it may be itself",
            ip,
            from(NOBODY, 135, OWN_V6, &[]),
            PASS,
        ),
        (
            "whether it may be another",
            ip,
            from(NOBODY, 135, VICTIM_V6, &[]),
            IP,
        ),
        (
            "advertisement's option",
            mac,
            from(OWN_V6, 136, OWN_V6, &forged(2)),
            MAC,
        ),
        (
            "solicitation's option",
            mac,
            from(OWN_V6, 135, VICTIM_V6, &forged(1)),
            MAC,
        ),
        (
            "router solicitation's",
            mac,
            v6(
                OWN_V6,
                58,
                &[&[133, 0, 0, 0, 0, 0, 0, 0], &forged(1)[..]].concat(),
            ),
            MAC,
        ),
        ("router's", mac, router(&forged(1)), MAC),
        ("router's own", mac, router(&own(1)), PASS),
        ("router's, many", mac, router(&nonces(12, own(1))), PASS),
        (
            "behind another option",
            mac,
            from(OWN_V6, 135, VICTIM_V6, &nonces(1, forged(1))),
            MAC,
        ),
        (
            "eighth option",
            mac,
            from(OWN_V6, 135, VICTIM_V6, &nonces(7, own(1))),
            PASS,
        ),
        (
            "forged eighth option",
            mac,
            from(OWN_V6, 135, VICTIM_V6, &nonces(7, forged(1))),
            MAC,
        ),
        (
            "behind eight options",
            mac,
            from(OWN_V6, 135, VICTIM_V6, &nonces(8, own(1))),
            MAC,
        ),
        (
            "arp_07 CVE-2023-5366 option of length 0",
            mac,
            from(OWN_V6, 135, VICTIM_V6, &[14, 0, 0, 0, 0, 0, 0, 0]),
            MAC,
        ),
        (
            "option cut off",
            mac,
            {
                let frame = from(OWN_V6, 135, VICTIM_V6, &own(1));
                frame[..frame.len() - 1].to_vec()
            },
            MAC,
        ),
        ("forged behind the packet's end", mac, trailing, PASS),
        (
            "echo",
            mac | ip,
            from(OWN_V6, 128, VICTIM_V6, &forged(1)),
            PASS,
        ),
        (
            "by default",
            DEFAULT,
            from(OWN_V6, 136, VICTIM_V6, &forged(2)),
            PASS,
        ),
    ]);
}
