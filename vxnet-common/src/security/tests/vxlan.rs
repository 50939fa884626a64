//! VXLAN that a guest sends itself.

use super::scene::*;
use crate::map::port::flag;

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn attack5_vxlan_into_the_underlay() {
    let flags = flag::NO_VXLAN;
    let vxlan = udp(50000, 4789, &[8, 0, 0, 0, 0, 0, 1, 0]);
    let others = flag::SECURITY & !flags & !flag::LOCKED;
    let to = |to, chain: &[[u8; 8]], first, l4: &[u8]| v6_behind(OWN_V6, to, chain, first, l4);
    let swapped = udp(4789, 50000, &[]);
    table(&[
        (
            "to this host",
            flags,
            v4(OWN_V4, UNDERLAY, 17, &vxlan),
            VXLAN,
        ),
        ("to a peer", flags, v4(OWN_V4, PEER, 17, &vxlan), VXLAN),
        (
            "behind options",
            flags,
            v4_with(OWN_V4, PEER, 17, 0, 10, &vxlan),
            VXLAN,
        ),
        (
            "first fragment",
            flags,
            v4_with(OWN_V4, PEER, 17, 0x2000, 0, &vxlan),
            VXLAN,
        ),
        (
            "later fragment",
            flags,
            v4_with(OWN_V4, PEER, 17, 0x2001, 0, &vxlan),
            PASS,
        ),
        (
            "attack6 to another guest",
            flags,
            v4(OWN_V4, VICTIM_V4, 17, &vxlan),
            PASS,
        ),
        (
            "from that port",
            flags,
            v4(OWN_V4, PEER, 17, &swapped),
            PASS,
        ),
        (
            "to port 46354, as badly swapped",
            flags,
            v4(OWN_V4, PEER, 17, &udp(1, 46354, &[])),
            PASS,
        ),
        ("TCP", flags, v4(OWN_V4, PEER, 6, &vxlan), PASS),
        (
            "attack14 cut off",
            flags,
            v4(OWN_V4, PEER, 17, &vxlan[..7]),
            VXLAN,
        ),
        (
            "attack14 cut off, to another guest",
            flags,
            v4(OWN_V4, VICTIM_V4, 17, &vxlan[..7]),
            PASS,
        ),
        ("allowed", others, v4(OWN_V4, PEER, 17, &vxlan), PASS),
        (
            "to a group of the underlay",
            flags,
            v4(OWN_V4, [239, 0, 0, 10], 17, &vxlan),
            VXLAN,
        ),
        (
            "another port of a group",
            flags,
            v4(OWN_V4, [239, 0, 0, 10], 17, &swapped),
            PASS,
        ),
        (
            "IPv6 to a group",
            flags,
            to(GROUP_V6, &[], 17, &vxlan),
            VXLAN,
        ),
        ("IPv6 to a peer", flags, to(PEER_V6, &[], 17, &vxlan), VXLAN),
        (
            "IPv6 behind a header",
            flags,
            to(PEER_V6, &[destination(17)], 0, &vxlan),
            VXLAN,
        ),
        (
            "IPv6 first fragment",
            flags,
            to(PEER_V6, &[fragment(17, 1)], 44, &vxlan),
            VXLAN,
        ),
        (
            "IPv6 later fragment",
            flags,
            to(PEER_V6, &[fragment(17, 9)], 44, &vxlan),
            PASS,
        ),
        (
            "IPv6 behind nine",
            flags,
            to(PEER_V6, &[destination(60); 9], 60, &vxlan),
            VXLAN,
        ),
        (
            "IPv6 to another guest",
            flags,
            to(VICTIM_V6, &[], 17, &vxlan),
            PASS,
        ),
        ("IPv6 to nobody", flags, to(NOBODY, &[], 17, &vxlan), PASS),
    ]);
}
