//! Frames for everyone: who gets a copy, and that every copy is whole.

use vxnet_common::{map::segment::Segment, reason::Reason};
use vxnet_tests::frame::{BROADCAST, arp_request};

use crate::case::{Case, check, check_port, on_port};
use crate::fabric::{
    A, BLUE, C, D, E, EXPIRED, FREE_PORT, Family, GATEWAY_MAC, HOST, HOST_RED, LOST, NARROW, ONE,
    PORT_A, PORT_B, PORT_C, PORT_LONELY, PORT_RED, SILENT, STRANGER, TWO, VNI_RED, datagram,
    datagram6, plain,
};
use crate::outcome::Receiver::{self, Port, Vtep};
use crate::rows::set_flood;

/// One copy for each of these ports, and one for each of the peers.
pub(crate) fn copies(
    family: Family,
    ports: &[u32],
    peers: &[u32],
    frame: &[u8],
) -> Vec<(Receiver, Vec<u8>)> {
    let ports = ports.iter().map(|slot| (Port(*slot), frame.to_vec()));
    let peers = peers
        .iter()
        .map(|slot| (Vtep(*slot), family.leaves(*slot, frame)));
    ports.chain(peers).collect()
}

#[test]
fn r7348_23_one_copy_for_everyone_but_the_sender() {
    check_port(PORT_A, |family| {
        let frames = [
            ("p12_broadcast", datagram(A, BROADCAST)),
            (
                "p12_arp_request",
                arp_request(A, [10, 0, 0, 1].into(), [10, 0, 0, 2].into()),
            ),
            ("p12_multicast", datagram(A, [1, 0, 0x5e, 0, 0, 0xfb])),
            ("p12_multicast_ipv6", datagram6(A, [0x33, 0x33, 0, 0, 0, 1])),
            ("p12_unknown_unicast", datagram(A, C)),
            ("p12_unknown_unicast_14_bytes", plain(A, C, 14)),
            ("p01_expired", datagram(A, EXPIRED)),
            (
                "q10_reserved_but_forwarded",
                plain(A, [1, 0x80, 0xc2, 0, 0, 0x10], 60),
            ),
        ];
        frames
            .into_iter()
            .map(|(name, frame)| {
                let copies = copies(family, &[PORT_B, PORT_C, HOST], &[ONE, TWO], &frame);
                Case::delivered(name, frame, copies)
            })
            .collect()
    });
}

#[test]
fn the_host_floods_too() {
    check_port(HOST, |family| {
        let arp = arp_request(GATEWAY_MAC, [10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let copies = copies(family, &[PORT_A, PORT_B, PORT_C], &[ONE, TWO], &arp);
        vec![Case::delivered("from_the_host", arp, copies)]
    });
}

#[test]
fn r7348_06_floods_stay_in_their_network() {
    check(|world| {
        let family = world.family;
        let frame = datagram(D, BROADCAST);
        let to_one = vxnet_tests::frame::Outer::new(family.local(), family.peer(ONE), VNI_RED);
        let packet = to_one.wrap(&frame);
        let red = Case::delivered(
            "p15_red",
            frame.clone(),
            [(Port(HOST_RED), frame), (Vtep(ONE), packet)],
        );
        let mut failures = on_port(world, PORT_RED, &[red]);
        // A slot of another network, a free one and an empty place in the list.
        set_flood(world, BLUE, &[PORT_A, PORT_RED, FREE_PORT, PORT_B], &[ONE])?;
        let frame = datagram(A, BROADCAST);
        let case = Case::delivered(
            "r7348_06_slot_of_another_network",
            frame.clone(),
            copies(family, &[PORT_B, HOST], &[ONE], &frame),
        );
        failures.extend(on_port(world, PORT_A, &[case]));
        Ok(failures)
    });
}

#[test]
fn floods_with_nobody_to_hear() {
    check_port(PORT_LONELY, |_| {
        vec![
            Case::dropped(
                "lonely_broadcast",
                datagram(E, BROADCAST),
                Reason::NoDestination,
            ),
            Case::dropped(
                "lonely_unknown",
                datagram(E, STRANGER),
                Reason::NoDestination,
            ),
        ]
    });
}

#[test]
fn p12_peers_that_fail_do_not_keep_others_from_their_copy() {
    check(|world| {
        let family = world.family;
        let mut failures = Vec::new();
        for (name, peers, frame, reason) in [
            (
                "lost_first",
                [LOST, ONE, TWO],
                plain(A, BROADCAST, 60),
                Reason::NoRoute,
            ),
            (
                "lost_between",
                [ONE, LOST, TWO],
                plain(A, BROADCAST, 60),
                Reason::NoRoute,
            ),
            (
                "lost_last",
                [ONE, TWO, LOST],
                plain(A, BROADCAST, 60),
                Reason::NoRoute,
            ),
            (
                "too_big_first",
                [NARROW, ONE, TWO],
                plain(A, BROADCAST, 1200),
                Reason::TooBig,
            ),
            (
                "too_big_last",
                [ONE, TWO, NARROW],
                plain(A, BROADCAST, 1200),
                Reason::TooBig,
            ),
            (
                "silent_first",
                [SILENT, ONE, TWO],
                plain(A, BROADCAST, 60),
                Reason::NoNeighbour,
            ),
            (
                "silent_between",
                [ONE, SILENT, TWO],
                plain(A, BROADCAST, 60),
                Reason::NoNeighbour,
            ),
        ] {
            set_flood(world, BLUE, &[PORT_A, PORT_B], &peers)?;
            let copies = copies(family, &[PORT_B, HOST], &[ONE, TWO], &frame);
            let case = Case::delivered(name, frame, copies).counts(reason);
            failures.extend(on_port(world, PORT_A, &[case]));
        }
        for (name, peer, reason) in [
            ("only_a_lost_peer", LOST, Reason::NoRoute),
            ("only_a_silent_peer", SILENT, Reason::NoNeighbour),
        ] {
            set_flood(world, BLUE, &[PORT_A, PORT_B], &[peer])?;
            let frame = plain(A, BROADCAST, 60);
            let copies = copies(family, &[PORT_B, HOST], &[], &frame);
            let case = Case::delivered(name, frame, copies).counts(reason);
            failures.extend(on_port(world, PORT_A, &[case]));
        }
        Ok(failures)
    });
}

#[test]
fn a_network_without_peers_floods_locally() {
    check(|world| {
        set_flood(world, BLUE, &[PORT_A, PORT_B, PORT_C], &[])?;
        let frame = datagram(A, BROADCAST);
        let copies = copies(world.family, &[PORT_B, PORT_C, HOST], &[], &frame);
        let mut failures = on_port(
            world,
            PORT_A,
            &[Case::delivered("no_peers", frame.clone(), copies)],
        );
        // Without a bridge either, the last port gets the frame itself.
        let row = world.segments.get(&BLUE, 0)?;
        world.segments.set(
            BLUE,
            Segment {
                bridge: 0,
                host_port: 0,
                ..row
            },
            0,
        )?;
        let copies = self::copies(world.family, &[PORT_B, PORT_C], &[], &frame);
        failures.extend(on_port(
            world,
            PORT_A,
            &[Case::delivered("no_bridge", frame, copies)],
        ));
        Ok(failures)
    });
}
