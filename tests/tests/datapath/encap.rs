//! Frames of local ports to peers: the outer header, byte for byte.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use vxnet_common::{map::port::flag, reason::Reason};
use vxnet_tests::frame::{arp_reply, ethernet, tcp, udp};

use crate::case::{Case, check, check_port};
use crate::fabric::{
    A, AT_LOST, AT_NARROW, AT_ONE, AT_SILENT, AT_TWO, Family, GATEWAY_MAC, HOST, NARROW,
    NARROW_MTU, ONE, PATH_MTU, PORT_A, TWO, datagram, datagram6, plain, v4, v6,
};
use crate::outcome::Receiver::{Port, Vtep};
use crate::receive::from_port;
use crate::test_run;
use crate::world::World;

#[test]
fn r7348_02_04_16_the_outer_header_is_as_the_rfc_says() {
    check_port(PORT_A, |family| {
        let arp = arp_reply((A, [10, 0, 0, 1].into()), (AT_ONE, [10, 0, 0, 2].into()));
        let frames = [
            ("p24_udp", datagram(A, AT_ONE)),
            ("p24_udp_ipv6", datagram6(A, AT_ONE)),
            ("p24_tcp", tcp(v4(A), v4(AT_ONE), (1, 2), 3, b"segment")),
            (
                "p24_tcp_ipv6",
                tcp(v6(A), v6(AT_ONE), (1, 2), 3, b"segment"),
            ),
            ("arp_reply", arp),
            ("other_ethertype", plain(A, AT_ONE, 60)),
            ("attack10_14_bytes", ethernet(A, AT_ONE, 0x88b5, &[])),
            ("attack10_17_bytes", ethernet(A, AT_ONE, 0x88b5, &[0; 3])),
            ("profinet", ethernet(A, AT_ONE, 0x8892, &[0; 40])),
            ("mpls", ethernet(A, AT_ONE, 0x8847, &[0; 64])),
            (
                "q14_length_instead_of_type",
                ethernet(A, AT_ONE, 46, &[0xaa; 46]),
            ),
            // VXLAN between guests is payload.
            (
                "attack6_vxlan_in_vxlan",
                udp(v4(A), v4(AT_ONE), (5, 4789), &[8; 60]),
            ),
        ];
        let mut cases: Vec<Case> = frames
            .into_iter()
            .map(|(name, inner)| {
                let packet = family.leaves(ONE, &inner);
                Case::delivered(name, inner, [(Vtep(ONE), packet)])
            })
            .collect();
        let other = datagram(A, AT_TWO);
        let packet = family.leaves(TWO, &other);
        cases.push(Case::delivered(
            "to_the_other_peer",
            other,
            [(Vtep(TWO), packet)],
        ));
        cases
    });
    check_port(HOST, |family| {
        let inner = datagram(GATEWAY_MAC, AT_ONE);
        let packet = family.leaves(ONE, &inner);
        vec![Case::delivered(
            "from_the_host",
            inner,
            [(Vtep(ONE), packet)],
        )]
    });
}

/// The bytes of RFC 7348 figure 1 written down, lest builder and programs err alike.
#[test]
fn r7348_golden_bytes() {
    check(|world| {
        let inner = plain(A, AT_ONE, 60);
        let mut golden = match world.family {
            Family::V4 => [
                // Ethernet: next hop, uplink, IPv4
                "0200 0000 aa22 0200 0000 aa01 0800",
                // version, TOS, length 96; id 0, DF; TTL 64, UDP, checksum; addresses
                "4500 0060 0000 4000 4011 b659 c000 0211 c000 0222",
            ]
            .concat(),
            Family::V6 => [
                "0200 0000 aa22 0200 0000 aa01 86dd",
                // version, class and label 0, payload 76, UDP, hop limit 64; addresses
                "6000 0000 004c 1140",
                "2001 0db8 0000 0000 0000 0000 0000 0011",
                "2001 0db8 0000 0000 0000 0000 0000 0022",
            ]
            .concat(),
        };
        // Source port (replaced for comparison), 4789, length 76, checksum 0; I flag, VNI 100
        golden += "c350 12b5 004c 0000 0800 0000 0000 6400";
        golden.retain(|digit| digit != ' ');
        let mut golden: Vec<u8> = (0..golden.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&golden[at..at + 2], 16).expect("hex"))
            .collect();
        golden.extend(&inner);
        let got = from_port(world, PORT_A, &inner)?;
        let packets = got.delivered.get(&Vtep(ONE)).cloned().unwrap_or_default();
        ensure!(packets.len() == 1, "{got:?}");
        vxnet_tests::frame::assert_same("golden", &golden, &packets[0]);
        Ok(Vec::new())
    });
}

#[test]
fn p13_ecn_01_dscp_and_ecn_are_inherited() {
    check_port(PORT_A, |family| {
        let names = [
            "p13_ecn_00",
            "p13_ecn_01",
            "p13_ecn_10",
            "ecn_01_ce_stays_ce",
            "p13_tos_14",
            "dscp_ef",
            "all_ones",
        ];
        let classes = [0, 1, 2, 3, 0x14, 0xb8, 0xff];
        let mut cases = Vec::new();
        for (name, class) in names.into_iter().zip(classes) {
            let mut four = datagram(A, AT_ONE);
            four[15] = class;
            let mut six = datagram6(A, AT_ONE);
            six[14] |= class >> 4;
            six[15] |= class << 4;
            for inner in [four, six] {
                let packet = family.leaves_marked(ONE, class, &inner);
                cases.push(Case::delivered(name, inner, [(Vtep(ONE), packet)]));
            }
        }
        cases
    });
}

#[test]
fn p23_frames_that_do_not_fit_the_path() {
    check_port(PORT_A, |family| {
        // The MTU bounds the outer IP packet.
        let largest = |mtu: u32| mtu as usize + 14 - family.outer_len();
        let fits = plain(A, AT_ONE, largest(PATH_MTU));
        let narrow = plain(A, AT_NARROW, largest(NARROW_MTU));
        let packet = family.leaves(ONE, &fits);
        let narrow_packet = family.leaves(NARROW, &narrow);
        vec![
            Case::delivered("p23_largest", fits, [(Vtep(ONE), packet)]),
            Case::delivered(
                "p23_largest_narrow",
                narrow,
                [(Vtep(NARROW), narrow_packet)],
            ),
            Case::dropped(
                "p23_one_more",
                plain(A, AT_ONE, largest(PATH_MTU) + 1),
                Reason::TooBig,
            ),
            Case::dropped(
                "p23_one_more_narrow",
                plain(A, AT_NARROW, largest(NARROW_MTU) + 1),
                Reason::TooBig,
            ),
        ]
    });
}

#[test]
fn peers_that_cannot_be_reached() {
    check_port(PORT_A, |_| {
        vec![
            Case::dropped("no_route", datagram(A, AT_LOST), Reason::NoRoute),
            Case::dropped(
                "no_route_other_type",
                plain(A, AT_LOST, 60),
                Reason::NoRoute,
            ),
            // Without a resolver there is nobody to ask.
            Case::dropped("no_neighbour", plain(A, AT_SILENT, 60), Reason::NoNeighbour),
        ]
    });
}

#[test]
fn r7348_09_10_source_ports_follow_the_flow() {
    check(|world| {
        let mut buckets: BTreeMap<u16, u32> = BTreeMap::new();
        for flow in 0..1000 {
            let frame = udp(v4(A), v4(AT_ONE), (1024 + flow, 53), b"query");
            let port = source_port(world, &frame)?;
            ensure!(port >= 49152, "R7348-10: source port {port}");
            let frame = udp(v4(A), v4(AT_ONE), (1024 + flow, 53), b"another query");
            let again = source_port(world, &frame)?;
            ensure!(port == again, "one flow, ports {port} and {again}");
            *buckets.entry((port - 49152) / 1024).or_default() += 1;
        }
        let most = buckets.values().max().copied().unwrap_or(0);
        ensure!(
            most <= 125,
            "of 1000 flows, {most} are in one of 16 buckets"
        );
        Ok(Vec::new())
    });
}

fn source_port(world: &World, frame: &[u8]) -> Result<u16> {
    let run = test_run::tc(world.classifier("vx_port")?, world.ifindex(PORT_A), frame)?;
    let udp = world.family.udp();
    ensure!(run.action == 7, "action {}", run.action);
    Ok(u16::from_be_bytes([run.frame[udp], run.frame[udp + 1]]))
}

#[test]
fn flags_of_a_guest_do_not_change_what_it_sends() {
    check(|world| {
        crate::rows::set_flags(world, PORT_A, flag::XDP_TARGET)?;
        let frame = datagram(A, GATEWAY_MAC);
        let cases = [Case::delivered(
            "to_the_gateway",
            frame.clone(),
            [(Port(HOST), frame)],
        )];
        Ok(crate::case::on_port(world, PORT_A, &cases))
    });
}
