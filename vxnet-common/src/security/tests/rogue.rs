//! Servers and routers that nobody asked for.

use std::vec::Vec;

use super::scene::*;
use crate::map::port::flag;

#[test]
fn attack17_the_hardware_address_in_dhcp() {
    let flags = flag::CHECK_MAC;
    let from = |port, message: &[u8]| v4(OWN_V4, [255; 4], 17, &udp(port, 67, message));
    let short = bootp(1, 1, 6, OWN)[..33].to_vec();
    table(&[
        ("own", flags, from(68, &bootp(1, 1, 6, OWN)), PASS),
        (
            "own second address",
            flags,
            from(68, &bootp(1, 1, 6, SECOND)),
            PASS,
        ),
        ("another's", flags, from(68, &bootp(1, 1, 6, VICTIM)), MAC),
        (
            "from any port",
            flags,
            from(1234, &bootp(1, 1, 6, VICTIM)),
            MAC,
        ),
        ("longer", flags, from(68, &bootp(1, 1, 16, OWN)), MAC),
        ("none", flags, from(68, &bootp(1, 1, 0, OWN)), MAC),
        ("another type", flags, from(68, &bootp(1, 6, 6, OWN)), MAC),
        ("cut off", flags, from(68, &short), MAC),
        ("empty", flags, from(68, &[]), MAC),
        (
            "a reply's is the client's",
            flags,
            from(68, &bootp(2, 1, 6, VICTIM)),
            PASS,
        ),
        (
            "a relay's is the client's",
            flags,
            from(67, &bootp(1, 1, 6, VICTIM)),
            PASS,
        ),
        (
            "by default",
            DEFAULT,
            from(68, &bootp(1, 1, 6, VICTIM)),
            PASS,
        ),
    ]);
}

#[test]
fn attack16_rogue_dhcp() {
    let flags = flag::NO_DHCP_SERVER;
    let offer = udp(67, 68, &bootp(2, 1, 6, VICTIM));
    let others = flag::SECURITY & !flags & !flag::LOCKED;
    let v4_offer = v4(OWN_V4, [255; 4], 17, &offer);
    let v6_reply = v6(LINK_LOCAL, 17, &udp(547, 546, &[]));
    table(&[
        ("offer", flags, v4_offer.clone(), DHCP),
        (
            "behind options",
            flags,
            v4_with(OWN_V4, [255; 4], 17, 0, 10, &offer),
            DHCP,
        ),
        (
            "first fragment",
            flags,
            v4_with(OWN_V4, [255; 4], 17, 0x2000, 0, &offer),
            DHCP,
        ),
        (
            "payload of a later fragment",
            flags,
            v4_with(OWN_V4, PEER, 17, 1, 0, &offer),
            PASS,
        ),
        ("another protocol", flags, v4(OWN_V4, PEER, 6, &offer), PASS),
        (
            "request",
            flags,
            v4(OWN_V4, PEER, 17, &udp(68, 67, &[])),
            PASS,
        ),
        (
            "offer from another port",
            flags,
            v4(
                OWN_V4,
                [255; 4],
                17,
                &udp(1067, 68, &bootp(2, 1, 6, VICTIM)),
            ),
            DHCP,
        ),
        (
            "reply from another port",
            flags,
            v6(LINK_LOCAL, 17, &udp(1547, 546, &[])),
            DHCP,
        ),
        ("allowed", others, v4_offer, PASS),
        ("DHCPv6 reply", flags, v6_reply.clone(), DHCP),
        (
            "DHCPv6 solicit",
            flags,
            v6(LINK_LOCAL, 17, &udp(546, 547, &[])),
            PASS,
        ),
        ("port 67 of IPv6", flags, v6(LINK_LOCAL, 17, &offer), PASS),
        (
            "port 547 of IPv4",
            flags,
            v4(OWN_V4, PEER, 17, &udp(547, 546, &[])),
            PASS,
        ),
        ("allowed DHCPv6", others, v6_reply, PASS),
    ]);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn attack16_rfc7113_rogue_router_advertisements() {
    let flags = flag::NO_RA;
    let message = |kind| nd(kind, NOBODY, &[]);
    let others = flag::SECURITY & !flags & !flag::LOCKED;
    let behind = |chain: &[[u8; 8]], first, kind| {
        v6_behind(LINK_LOCAL, VICTIM_V6, chain, first, &message(kind))
    };
    let global = |chain: &[[u8; 8]], l4: &[u8]| v6_behind(OWN_V6, VICTIM_V6, chain, 60, l4);
    let seven = |last| {
        let mut chain = Vec::from([destination(60); 7]);
        chain.push(destination(last));
        chain
    };
    table(&[
        (
            "advertisement",
            flags,
            v6(LINK_LOCAL, 58, &message(134)),
            RA,
        ),
        ("redirect", flags, v6(LINK_LOCAL, 58, &message(137)), RA),
        (
            "solicitation",
            flags,
            v6(LINK_LOCAL, 58, &message(133)),
            PASS,
        ),
        ("echo", flags, v6(LINK_LOCAL, 58, &message(128)), PASS),
        ("allowed", others, v6(LINK_LOCAL, 58, &message(134)), PASS),
        (
            "behind hop-by-hop",
            flags,
            behind(&[destination(58)], 0, 134),
            RA,
        ),
        (
            "behind routing",
            flags,
            behind(&[destination(58)], 43, 134),
            RA,
        ),
        (
            "behind destination",
            flags,
            behind(&[destination(58)], 60, 134),
            RA,
        ),
        (
            "behind two",
            flags,
            behind(&[destination(60), destination(58)], 0, 137),
            RA,
        ),
        ("behind eight", flags, behind(&seven(58), 60, 134), RA),
        (
            "behind nine",
            flags,
            behind(&[seven(60), Vec::from([destination(58)])].concat(), 60, 134),
            RA,
        ),
        ("TCP behind eight", flags, behind(&seven(6), 60, 134), PASS),
        (
            "TCP behind nine",
            flags,
            behind(&[seven(60), Vec::from([destination(6)])].concat(), 60, 0),
            RA,
        ),
        (
            "TCP behind nine, global",
            flags,
            global(&[destination(60); 9], &[0; 20]),
            PASS,
        ),
        (
            "first fragment",
            flags,
            behind(&[fragment(58, 1)], 44, 134),
            RA,
        ),
        (
            "echo's first fragment",
            flags,
            behind(&[fragment(58, 1)], 44, 128),
            PASS,
        ),
        (
            "later fragment",
            flags,
            behind(&[fragment(58, 8)], 44, 134),
            PASS,
        ),
        (
            "destination, fragment",
            flags,
            behind(&[destination(44), fragment(58, 1)], 60, 134),
            RA,
        ),
        (
            "fragment, destination",
            flags,
            behind(&[fragment(60, 1), destination(58)], 44, 134),
            RA,
        ),
        (
            "hidden in a first fragment",
            flags,
            v6_behind(
                LINK_LOCAL,
                VICTIM_V6,
                &[fragment(60, 1)],
                44,
                &[58, 3, 0, 0, 0, 0],
            ),
            RA,
        ),
        (
            "cut off behind a fragment",
            flags,
            v6_behind(LINK_LOCAL, VICTIM_V6, &[fragment(58, 1)], 44, &[]),
            RA,
        ),
    ]);
}
