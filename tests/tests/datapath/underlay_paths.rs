//! Which of the receive paths a packet takes: the fast ones are taken, and only where they may be.

use anyhow::{Result, ensure};
use vxnet_common::{
    addr::Mac,
    map::{
        NO_SLOT,
        fdb::{FdbEntry, FdbKey, place},
        port::flag,
    },
    reason::Reason,
};
use vxnet_tests::frame::{BROADCAST, Outer, tcp};

use crate::case::check;
use crate::counters::{Counter, growth};
use crate::fabric::{
    A, AT_ONE, B, BLUE, C, Family, GATEWAY_MAC, ONE, PORT_A, PORT_B, TWO, UPLINK, UPLINK_MAC,
    VNI_BLUE, datagram, datagram6, v4, v6,
};
use crate::outcome::Receiver;
use crate::receive::{Path, Way, from_underlay_by};
use crate::rows;
use crate::test_run;
use crate::world::{self, World};

const SECOND: u64 = 1_000_000_000;

fn way(world: &mut World, path: Path, inner: &[u8]) -> Result<Way> {
    let packet = world.family.arrives(ONE, inner);
    Ok(from_underlay_by(world, path, &packet)?.0)
}

#[test]
fn the_fast_ways_are_taken() {
    check(|world| {
        let segment = tcp(v4(AT_ONE), v4(A), (1, 2), 3, b"segment");
        let segment6 = tcp(v6(AT_ONE), v6(A), (1, 2), 3, b"segment");
        let (datagram4, datagram6) = (datagram(AT_ONE, A), datagram6(AT_ONE, A));
        let gateway = datagram(AT_ONE, GATEWAY_MAC);
        let routed = tcp(v4(AT_ONE), v4(GATEWAY_MAC), (1, 2), 3, b"segment");
        let mut failures = Vec::new();
        for (name, frame, detour, strip, redirect) in [
            (
                "udp",
                &datagram4,
                Way::LeftAlone,
                Way::Stripped,
                Way::Redirected,
            ),
            (
                "udp over IPv6",
                &datagram6,
                Way::LeftAlone,
                Way::Stripped,
                Way::Redirected,
            ),
            // Segments gain from GRO, which XDP would keep them from. The guests are taps here.
            ("tcp", &segment, Way::Detoured, Way::Stripped, Way::Stripped),
            (
                "tcp over IPv6",
                &segment6,
                Way::Detoured,
                Way::Stripped,
                Way::Stripped,
            ),
            (
                "to the host",
                &gateway,
                Way::LeftAlone,
                Way::Stripped,
                Way::Stripped,
            ),
            // The host may send it on by a NIC that cuts for tunnels.
            (
                "tcp to the host",
                &routed,
                Way::Detoured,
                Way::Stripped,
                Way::Stripped,
            ),
            (
                "unknown",
                &datagram(AT_ONE, C),
                Way::LeftAlone,
                Way::Stripped,
                Way::Stripped,
            ),
            (
                "broadcast",
                &datagram(AT_ONE, BROADCAST),
                Way::LeftAlone,
                Way::LeftAlone,
                Way::LeftAlone,
            ),
        ] {
            for (path, expected) in [
                (Path::Tc, Way::LeftAlone),
                (Path::Detour, detour),
                (Path::Strip, strip),
                (Path::Redirect, redirect),
            ] {
                let got = way(world, path, frame)?;
                if got != expected {
                    failures.push(format!(
                        "{name} ({path:?}): expected {expected:?}, got {got:?}"
                    ));
                }
            }
        }
        Ok(failures)
    });
}

/// UDP's super-packets, and all other packets of a flow that has some: they would overtake each other.
#[test]
fn q_12_a_flow_of_udp_that_comes_whole_takes_the_detour_with_all_its_packets() {
    check(|world| {
        let inner = datagram(AT_ONE, A);
        let from = |world: &World, peer, source_port| {
            Outer {
                source_port,
                ..world.family.sent_by(peer, VNI_BLUE)
            }
            .wrap(&inner)
        };
        let (whole, other) = (50_000, 50_001);
        let rows = [(ONE, whole), (ONE, other), (TWO, whole)];
        for (peer, source_port) in rows {
            world.set_whole(peer, source_port, 0)?;
        }
        let mut failures = Vec::new();
        let mut expect = |world: &mut World, what, (peer, source_port), expected| {
            let packet = from(world, peer, source_port);
            let (way, outcome) = from_underlay_by(world, Path::Detour, &packet)?;
            let delivered = outcome.delivered.get(&Receiver::Port(PORT_A));
            if way != expected || delivered != Some(&vec![inner.clone()]) {
                failures.push(format!("{what}: {way:?} {outcome:?}"));
            }
            anyhow::Ok(())
        };
        expect(world, "before", (ONE, whole), Way::LeftAlone)?;
        rows::set_detour(world, true)?;
        let packet = from(world, ONE, whole);
        let program = world.classifier("vx_uplink")?;
        test_run::tc_gso(program, world.ifindex(UPLINK), &packet, 8)?;
        expect(world, "of the flow", (ONE, whole), Way::Detoured)?;
        expect(world, "of another flow", (ONE, other), Way::LeftAlone)?;
        expect(world, "of another peer", (TWO, whole), Way::LeftAlone)?;
        let now = world::now()?;
        world.set_whole(ONE, whole, now - 9 * SECOND)?;
        expect(world, "after 9 s", (ONE, whole), Way::Detoured)?;
        // Had it been forgotten now, its next packet might overtake this one.
        ensure!(world.whole(ONE, whole)? >= now, "a packet did not count");
        world.set_whole(ONE, whole, now - 11 * SECOND)?;
        expect(world, "after 11 s", (ONE, whole), Way::LeftAlone)?;
        ensure!(world.whole(ONE, whole)? < now, "a small packet began it");
        world.set_whole(ONE, whole, 0)?;
        Ok(failures)
    });
}

/// Nothing but UDP and TCP does: suppression listens to ARP.
#[test]
fn p19_arp_takes_no_detour_beside_a_flow_that_comes_whole() {
    check(|world| {
        let mut arp = datagram(AT_ONE, A);
        arp[12..14].copy_from_slice(&[0x08, 0x06]);
        let packet = world.family.sent_by(ONE, VNI_BLUE);
        world.set_whole(ONE, packet.source_port, world::now()?)?;
        let (way, outcome) = from_underlay_by(world, Path::Detour, &packet.wrap(&arp))?;
        world.set_whole(ONE, packet.source_port, 0)?;
        ensure!(way == Way::LeftAlone, "{way:?} {outcome:?}");
        Ok(Vec::new())
    });
}

/// TCP takes the detour to all but veths, whether it comes whole or not: a split by that would let
/// segments overtake each other.
#[test]
fn attack10_tcp_takes_the_detour_to_all_but_veths() {
    check(|world| {
        let frame = world
            .family
            .arrives(ONE, &tcp(v4(AT_ONE), v4(A), (1, 2), 3, b"segment"));
        let mut failures = Vec::new();
        for (gso_size, guest, detoured) in [
            (7, flag::TAKES_MARKED, false),
            (7, flag::XDP_TARGET, true),
            (7, 0, true),
            (0, flag::TAKES_MARKED, false),
            (0, flag::XDP_TARGET, true),
            (0, 0, true),
        ] {
            let before = world.counts()?;
            rows::reset_fdb(world)?;
            rows::set_detour(world, true)?;
            rows::set_flags(world, UPLINK, 0)?;
            rows::set_flags(world, PORT_A, guest)?;
            let (program, ifindex) = (world.classifier("vx_uplink")?, world.ifindex(UPLINK));
            let run = test_run::tc_gso(program, ifindex, &frame, gso_size)?;
            let counts = growth(&before, &world.counts()?);
            let delivered = counts.contains_key(&Counter::PortTx(PORT_A));
            // The kernel strips no super-packet whose kind TEST_RUN cannot tell.
            let deliverable = gso_size == 0 && !detoured;
            let is_sent = run.action == 7;
            if is_sent != (detoured || deliverable) || delivered != deliverable {
                failures.push(format!("GSO {gso_size}, port {guest}: {counts:?}"));
            }
        }
        Ok(failures)
    });
}

/// The kernel takes VXLAN off more strictly than RFC 7348 asks for: what it would object to is put
/// right before.
#[test]
fn r7348_05_r7348_15_reserved_bits_and_checksums_do_not_matter_on_the_detour() {
    check(|world| {
        let inner = tcp(v4(AT_ONE), v4(A), (1, 2), 3, b"segment");
        let clean = world.family.arrives(ONE, &inner);
        let vxlan = clean.len() - inner.len() - 8;
        let mut failures = Vec::new();
        for (what, at) in [
            ("a reserved flag", vxlan),
            ("reserved bits", vxlan + 2),
            ("the last byte", vxlan + 7),
            ("a wrong UDP checksum", vxlan - 2),
        ] {
            let mut packet = clean.clone();
            packet[at] |= 0x40;
            let (way, outcome) = from_underlay_by(world, Path::Detour, &packet)?;
            let delivered = outcome.delivered.get(&Receiver::Port(PORT_A));
            if way != Way::Detoured || delivered != Some(&vec![inner.clone()]) {
                failures.push(format!("{what}: {way:?} {outcome:?}"));
            }
        }
        Ok(failures)
    });
}

/// A tag around the whole packet: it is of another network of the host's, on the same wire.
#[test]
fn tagged_packets_of_the_underlay_enter_no_network() {
    check(|world| {
        let inner = datagram(AT_ONE, A);
        let packet = world.family.arrives(ONE, &inner);
        let mut tagged = packet[..12].to_vec();
        tagged.extend([0x81, 0x00, 0x00, 0x64]);
        tagged.extend(&packet[12..]);
        let mut failures = Vec::new();
        for path in Path::ALL {
            // Sets the way up, and leaves everything as it was.
            from_underlay_by(world, path, &packet)?;
            let before = world.counts()?;
            world.underlay().send(&tagged)?;
            let (_, outcome) = from_underlay_by(world, path, &packet)?;
            let delivered = outcome.delivered.get(&Receiver::Port(PORT_A)).map(Vec::len);
            let counts = growth(&before, &world.counts()?);
            let sent = counts.get(&Counter::PortTx(PORT_A));
            // TEST_RUN counts as well as what then goes the real way.
            let most = if path == Path::Tc { 1 } else { 2 };
            if delivered != Some(1) || sent > Some(&most) {
                failures.push(format!("{path:?}: {delivered:?} {counts:?}"));
            }
        }
        Ok(failures)
    });
}

#[test]
fn what_the_resolver_cannot_send_is_dropped_for_a_reason() {
    check(|world| {
        let before = world.counts()?;
        // Its own detour brings nothing but encapsulated frames there.
        let frame = tcp(v4(AT_ONE), v4(A), (1, 2), 3, b"from elsewhere");
        let link = world.ifindex(PORT_A);
        let run = test_run::tc(world.classifier("vx_resolve")?, link, &frame)?;
        let counts = growth(&before, &world.counts()?);
        let expected = [
            (Counter::PortRx(NO_SLOT), 1),
            (Counter::PortRxBytes(NO_SLOT), frame.len() as u64),
            (Counter::Drop(NO_SLOT, Reason::BadOuter), 1),
        ];
        ensure!(run.action == 2 && counts == expected.into(), "{counts:?}");
        Ok(Vec::new())
    });
}

#[test]
fn only_what_took_the_detour_comes_out_of_it() {
    check(|world| {
        let before = world.counts()?;
        let link = world.detour()?;
        let frame = tcp(v4(AT_ONE), v4(A), (1, 2), 3, b"from elsewhere");
        let run = test_run::tc(world.classifier("vx_detour")?, link, &frame)?;
        let counts = growth(&before, &world.counts()?);
        let expected = [
            (Counter::PortRx(NO_SLOT), 1),
            (Counter::PortRxBytes(NO_SLOT), frame.len() as u64),
            (Counter::Drop(NO_SLOT, Reason::StaleStrip), 1),
        ];
        ensure!(run.action == 2 && counts == expected.into(), "{counts:?}");
        Ok(Vec::new())
    });
}

/// The kernel's stack may not like them: nobody's IP packets with options are sent there.
#[test]
fn packets_with_ip_options_take_no_detour() {
    check(|world| {
        if world.family == Family::V6 {
            return Ok(Vec::new());
        }
        let inner = tcp(v4(AT_ONE), v4(A), (1, 2), 3, b"segment");
        let mut packet = world.family.arrives(ONE, &inner);
        packet[14] = 0x46;
        let total = u16::from_be_bytes([packet[16], packet[17]]) + 4;
        packet[16..18].copy_from_slice(&total.to_be_bytes());
        packet.splice(34..34, [1, 1, 1, 0]);
        let (way, outcome) = from_underlay_by(world, Path::Detour, &packet)?;
        let delivered = outcome.delivered.get(&Receiver::Port(PORT_A));
        ensure!(
            way == Way::LeftAlone && delivered == Some(&vec![inner]),
            "{way:?} {outcome:?}"
        );
        Ok(Vec::new())
    });
}

#[test]
fn xdp_redirects_only_where_both_ends_can() {
    check(|world| {
        let packet = world.family.arrives(ONE, &datagram(AT_ONE, B));
        let ifindex = world.ifindex(UPLINK);
        let mut failures = Vec::new();
        for (uplink, guest, redirects) in [
            (flag::STRIP | flag::WIRE_CSUM, flag::XDP_TARGET, true),
            (flag::STRIP | flag::WIRE_CSUM, 0, false),
            (flag::STRIP, flag::XDP_TARGET, false),
            (flag::WIRE_CSUM, flag::XDP_TARGET, false),
        ] {
            rows::reset_fdb(world)?;
            rows::set_flags(world, UPLINK, uplink)?;
            rows::set_flags(world, PORT_B, guest)?;
            let run = test_run::xdp(world.xdp()?, ifindex, &packet)?;
            ensure!(matches!(run.action, 2 | 4), "XDP action {}", run.action);
            if (run.action == 4) != redirects {
                failures.push(format!(
                    "uplink {uplink} port {guest}: action {}",
                    run.action
                ));
            }
            let stripped = !redirects && uplink & flag::STRIP != 0;
            if run.meta.is_empty() == stripped {
                failures.push(format!("uplink {uplink} port {guest}: note {:?}", run.meta));
            }
        }
        Ok(failures)
    });
}

/// Stripped, it would be taken for underlay traffic where TC is missing.
#[test]
fn xdp_leaves_frames_to_the_uplinks_own_address_alone() {
    check(|world| {
        let inner = datagram(AT_ONE, UPLINK_MAC);
        let packet = world.family.arrives(ONE, &inner);
        let ifindex = world.ifindex(UPLINK);
        let key = FdbKey::new(BLUE, Mac(UPLINK_MAC));
        let mut failures = Vec::new();
        for (uplink, guest) in [
            (flag::STRIP, 0),
            (flag::STRIP | flag::WIRE_CSUM, flag::XDP_TARGET),
        ] {
            rows::reset_fdb(world)?;
            rows::set_flags(world, UPLINK, uplink)?;
            rows::set_flags(world, PORT_B, guest)?;
            // A guest has that address, so that it is no flood, which XDP leaves alone anyway.
            let row = FdbEntry::learned(place::PORT, PORT_B, world::now()?);
            world.fdb.insert(key, row, 0)?;
            let before = world.counts()?;
            let run = test_run::xdp(world.xdp()?, ifindex, &packet)?;
            let untouched = run.meta.is_empty() && run.frame == packet;
            if run.action != 2 || !untouched || world.counts()? != before {
                failures.push(format!("uplink {uplink} port {guest}: XDP {run:?}"));
            }
            let run = test_run::tc(world.classifier("vx_uplink")?, ifindex, &packet)?;
            let counts = growth(&before, &world.counts()?);
            let delivered = counts.get(&Counter::PortTx(PORT_B)) == Some(&1);
            if run.action != 7 || run.frame != inner || !delivered {
                failures.push(format!(
                    "uplink {uplink} port {guest}: TC {run:?}, {counts:?}"
                ));
            }
        }
        Ok(failures)
    });
}
