//! Frames that do not fit the link of a port: told like those that do not fit the overlay.

use vxnet_common::reason::Reason;
use vxnet_tests::frame::{BROADCAST, tcp, udp};

use crate::case::{Case, check, on_port, on_station, on_uplink};
use crate::counters::{Counter, growth};
use crate::fabric::{
    A, AT_ONE, B, HOST, ONE, PORT_A, PORT_B, PORT_C, STRANGER, TWO, plain, v4, v6,
};
use crate::green::{ACCESS_10, AT_ACCESS, AT_TRUNK, TRUNK, tag};
use crate::messages::{ip4, ip6};
use crate::outcome::Receiver::{Port, Vtep};
use crate::rows;
use crate::test_run;
use crate::too_big::{needed, told, too_big};

const MTU: u16 = 900;

/// A packet of so many bytes.
fn sized(from: [u8; 6], to: [u8; 6], ip_len: usize) -> Vec<u8> {
    udp(v4(from), v4(to), (1, 2), &vec![7; ip_len - 28])
}

fn sized6(from: [u8; 6], to: [u8; 6], ip_len: usize) -> Vec<u8> {
    udp(v6(from), v6(to), (1, 2), &vec![7; ip_len - 48])
}

#[test]
fn rfc1191_rfc8201_a_neighbour_is_told_the_mtu_of_a_port() {
    check(|world| {
        rows::change_port(world, PORT_B, |row| row.mtu = u32::from(MTU))?;
        let most = usize::from(MTU);
        let (large, large6) = (sized(A, B, most + 1), sized6(A, B, most + 1));
        let message = needed(&large, ip4(B), MTU);
        let message6 = too_big(&large6, ip6(B).octets(), MTU);
        let (fits, fits6) = (sized(A, B, most), sized6(A, B, most));
        let may_be_cut = {
            let mut frame = large.clone();
            frame[20] = 0;
            frame
        };
        let cases = [
            told("p23_one_more", large, message, PORT_A),
            told("p23_one_more_ipv6", large6, message6, PORT_A),
            Case::delivered("p23_fits", fits.clone(), [(Port(PORT_B), fits)]),
            Case::delivered("p23_fits_ipv6", fits6.clone(), [(Port(PORT_B), fits6)]),
            Case::dropped("no_ip", plain(A, B, 15 + most), Reason::TooBig),
            Case::dropped("may_be_cut", may_be_cut, Reason::TooBig),
        ];
        let mut failures = on_port(world, PORT_A, &cases);
        // The port itself may send what it does not take.
        let large = sized(B, A, most + 1);
        let case = Case::delivered("not_from_it", large.clone(), [(Port(PORT_A), large)]);
        failures.extend(on_port(world, PORT_B, &[case]));
        Ok(failures)
    });
}

#[test]
fn p23_a_flood_passes_a_narrow_port_by() {
    check(|world| {
        rows::change_port(world, PORT_B, |row| row.mtu = u32::from(MTU))?;
        let family = world.family;
        let mut cases = Vec::new();
        for (name, to) in [("broadcast", BROADCAST), ("unknown", STRANGER)] {
            for (extra, is_lost) in [(0, false), (1, true)] {
                let frame = sized(A, to, usize::from(MTU) + extra);
                let mut copies: Vec<_> = [PORT_B, PORT_C, HOST]
                    .into_iter()
                    .filter(|port| !(is_lost && *port == PORT_B))
                    .map(|port| (Port(port), frame.clone()))
                    .collect();
                copies.extend([ONE, TWO].map(|peer| (Vtep(peer), family.leaves(peer, &frame))));
                let case = Case::delivered(format!("p23_{name}_{extra}"), frame, copies);
                cases.push(if is_lost {
                    case.counts(Reason::TooBig)
                } else {
                    case
                });
            }
        }
        Ok(on_port(world, PORT_A, &cases))
    });
}

#[test]
fn p23_a_peers_guest_is_not_told_but_the_loss_is_counted() {
    check(|world| {
        rows::change_port(world, PORT_B, |row| row.mtu = u32::from(MTU))?;
        let family = world.family;
        let arrives = |inner: &[u8]| family.arrives(ONE, inner);
        let most = usize::from(MTU);
        let (fits, large) = (sized(AT_ONE, B, most), sized(AT_ONE, B, most + 1));
        let segment = tcp(v4(AT_ONE), v4(B), (1, 2), 3, &vec![7; most - 39]);
        let broadcast = sized(AT_ONE, BROADCAST, most + 1);
        let copies = [PORT_A, PORT_C, HOST].map(|port| (Port(port), broadcast.clone()));
        let cases = [
            Case::delivered("p23_fits", arrives(&fits), [(Port(PORT_B), fits)]),
            Case::dropped("p23_one_more", arrives(&large), Reason::TooBig),
            Case::dropped("p23_one_more_tcp", arrives(&segment), Reason::TooBig),
            Case::delivered("p23_broadcast", arrives(&broadcast), copies).counts(Reason::TooBig),
        ];
        Ok(on_uplink(world, ONE, &cases))
    });
}

/// The tag comes on top of the MTU (802.1Q).
#[test]
fn q_15_the_tag_of_a_narrow_trunk_is_not_counted() {
    check(|world| {
        rows::change_port(world, TRUNK, |row| row.mtu = u32::from(MTU))?;
        let most = usize::from(MTU);
        let fits = sized(AT_ACCESS, AT_TRUNK, most);
        let large = sized(AT_ACCESS, AT_TRUNK, most + 1);
        let message = needed(&large, ip4(AT_TRUNK), MTU);
        let cases = [
            Case::delivered(
                "q_15_fits",
                fits.clone(),
                [(Port(TRUNK), tag(10, 0, &fits))],
            ),
            told("q_15_one_more", large, message, ACCESS_10),
        ];
        Ok(on_station(world, ACCESS_10, &cases))
    });
}

#[test]
fn super_packets_to_a_narrow_port_are_judged_by_their_segments() {
    check(|world| {
        rows::change_port(world, PORT_B, |row| row.mtu = u32::from(MTU))?;
        let mut failures = Vec::new();
        for (name, frame, headers) in [
            ("tcp", tcp(v4(A), v4(B), (1, 2), 3, &[7; 2500]), 40),
            ("tcp_ipv6", tcp(v6(A), v6(B), (1, 2), 3, &[7; 2500]), 60),
            ("udp", udp(v4(A), v4(B), (1, 2), &[7; 2500]), 28),
        ] {
            for (extra, counter) in [
                (0, Counter::PortTx(PORT_B)),
                (1, Counter::Drop(PORT_A, Reason::TooBig)),
            ] {
                let before = world.counts()?;
                let program = world.classifier("vx_port")?;
                let payload = u32::from(MTU) - headers + extra;
                test_run::tc_gso(program, world.ifindex(PORT_A), &frame, payload)?;
                let counts = growth(&before, &world.counts()?);
                if counts.get(&counter) != Some(&1) {
                    failures.push(format!("{name} and {extra}: {counts:?}"));
                }
            }
        }
        Ok(failures)
    });
}
