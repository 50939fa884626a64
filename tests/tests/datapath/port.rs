//! Frames of local ports to local ports and the host.

use vxnet_common::reason::Reason;
use vxnet_tests::frame::{BROADCAST, ETHERTYPE_ARP, ETHERTYPE_IPV4, arp_reply, ethernet, tcp};

use crate::case::{Case, check, check_port, on_port};
use crate::fabric::{
    A, AT_ONE, B, C, D, GATEWAY_MAC, HOST, MOVED_OUT, PORT_A, PORT_B, PORT_C, PORT_RED, RED,
    STRANGER, UNPLUGGED, datagram, datagram6, plain, v4,
};
use crate::outcome::Receiver::Port;
use crate::receive::{self, from_link};

#[test]
fn p04_p05_attack10_known_unicast_goes_to_its_port_as_it_is() {
    check_port(PORT_A, |_| {
        let arp = arp_reply((A, [10, 0, 0, 1].into()), (B, [10, 0, 0, 2].into()));
        let nested = ethernet(A, B, ETHERTYPE_IPV4, &datagram(A, B));
        let bytes = [
            ("p01_ipv4", datagram(A, B)),
            ("p01_ipv6", datagram6(A, B)),
            ("p01_tcp", tcp(v4(A), v4(B), (1, 2), 3, b"segment")),
            ("p04_arp", arp),
            ("p04_no_ip_in_it", nested),
            ("p05_ihl_4", broken(|ip| ip[0] = 0x44)),
            ("p05_ihl_lies", broken(|ip| ip[0] = 0x4f)),
            ("attack12_ip_version_5", broken(|ip| ip[0] = 0x55)),
            ("attack13_ip_protocol_0", broken(|ip| ip[9] = 0)),
            ("attack11_total_length_lies", broken(|ip| ip[3] = 0xff)),
            ("p04_first_fragment", broken(|ip| ip[6] = 0x20)),
            ("p04_later_fragment", broken(|ip| ip[7] = 0x10)),
            ("p05_udp_without_header", datagram(A, B)[..34].to_vec()),
            ("attack10_14_bytes", ethernet(A, B, ETHERTYPE_ARP, &[])),
            ("attack10_15_bytes", ethernet(A, B, ETHERTYPE_ARP, &[0])),
            ("attack10_17_bytes", ethernet(A, B, ETHERTYPE_ARP, &[0; 3])),
            ("attack10_59_bytes", plain(A, B, 59)),
            ("q15_full_size", plain(A, B, 1514)),
        ];
        let case = |(name, frame): (_, Vec<u8>)| {
            Case::delivered(name, frame.clone(), [(Port(PORT_B), frame)])
        };
        bytes.map(case).into()
    });
}

/// A datagram with its IPv4 header changed; a switch does not look.
fn broken(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut frame = datagram(A, B);
    change(&mut frame[14..34]);
    frame
}

#[test]
fn the_host_is_a_station() {
    check_port(PORT_A, |_| {
        let frame = datagram(A, GATEWAY_MAC);
        let six = datagram6(A, GATEWAY_MAC);
        vec![
            Case::delivered("to_the_gateway", frame.clone(), [(Port(HOST), frame)]),
            Case::delivered("to_the_gateway_ipv6", six.clone(), [(Port(HOST), six)]),
        ]
    });
    check_port(HOST, |_| {
        let frame = datagram(GATEWAY_MAC, A);
        vec![
            Case::delivered("from_the_host", frame.clone(), [(Port(PORT_A), frame)]),
            Case::dropped(
                "q11_host_to_itself",
                datagram(A, GATEWAY_MAC),
                Reason::SamePort,
            )
            .learns(A),
        ]
    });
}

#[test]
fn what_a_bridge_must_not_forward() {
    check_port(PORT_A, |_| {
        let to = |dst| plain(A, dst, 60);
        let from = |src| plain(src, B, 60);
        let tagged = |ethertype, tci: u16| {
            let mut payload = tci.to_be_bytes().to_vec();
            payload.extend([0x08, 0x00]);
            payload.extend([0; 46]);
            ethernet(A, B, ethertype, &payload)
        };
        vec![
            Case::dropped("q10_stp", to([1, 0x80, 0xc2, 0, 0, 0]), Reason::LinkLocal),
            Case::dropped("q10_pause", to([1, 0x80, 0xc2, 0, 0, 1]), Reason::LinkLocal),
            Case::dropped("q10_lacp", to([1, 0x80, 0xc2, 0, 0, 2]), Reason::LinkLocal),
            Case::dropped(
                "q10_lldp",
                to([1, 0x80, 0xc2, 0, 0, 0xe]),
                Reason::LinkLocal,
            ),
            Case::dropped(
                "q10_last",
                to([1, 0x80, 0xc2, 0, 0, 0xf]),
                Reason::LinkLocal,
            ),
            Case::dropped("q09_broadcast_source", from(BROADCAST), Reason::BadSource),
            Case::dropped(
                "q09_multicast_source",
                from([1, 0, 0x5e, 0, 0, 1]),
                Reason::BadSource,
            ),
            Case::dropped("q09_zero_source", from([0; 6]), Reason::BadSource),
            Case::dropped("q06_tagged", tagged(0x8100, 10), Reason::Tagged),
            Case::dropped("q03_vid_4095", tagged(0x8100, 0xfff), Reason::BadVid),
            Case::dropped("q13_service_tagged", tagged(0x88a8, 10), Reason::Tagged),
            Case::dropped("q11_same_port", plain(C, A, 60), Reason::SamePort).learns(C),
            Case::dropped(
                "r7348_06_slot_of_another_network",
                to(MOVED_OUT),
                Reason::PortGone,
            ),
            Case::dropped("unplugged", to(UNPLUGGED), Reason::PortGone),
        ]
    });
}

#[test]
fn sources_are_learned_where_they_speak() {
    check_port(PORT_A, |_| {
        let to_b = |src| (plain(src, B, 60), [(Port(PORT_B), plain(src, B, 60))]);
        let case = |name, src| {
            let (frame, deliveries) = to_b(src);
            Case::delivered(name, frame, deliveries)
        };
        vec![
            case("p19_new", STRANGER).learns(STRANGER),
            case("p19_known", A),
            case("p19_moved_from_the_overlay", AT_ONE).learns(AT_ONE),
            case("p19_back_from_a_slot_that_is_gone", UNPLUGGED).learns(UNPLUGGED),
            Case::dropped(
                "attack15_the_gateway_is_not_a_guest",
                plain(GATEWAY_MAC, B, 60),
                Reason::LocalMac,
            ),
        ]
    });
    check_port(PORT_C, |_| {
        let frame = plain(B, A, 60);
        let moved = Case::delivered(
            "p19_moved_between_ports",
            frame.clone(),
            [(Port(PORT_A), frame)],
        );
        vec![moved.learns(B)]
    });
}

#[test]
fn r7348_06_networks_are_apart() {
    check(|world| {
        // Known in BLUE, so unknown in RED: the flood is the proof, of RED's members only.
        let red = plain(D, D, 60);
        let same = [Case::dropped("q11_same_port_in_red", red, Reason::SamePort)];
        let mut failures = on_port(world, PORT_RED, &same);
        let taken = plain(A, D, 60);
        let learned = [
            Case::dropped("same_address_in_two_networks", taken, Reason::SamePort)
                .learns_in(RED, A),
        ];
        failures.extend(on_port(world, PORT_RED, &learned));
        Ok(failures)
    });
}

#[test]
fn a_link_without_a_row_is_closed() {
    check(|world| {
        let uplink = world.ifindex(crate::fabric::UPLINK);
        let mut failures = Vec::new();
        for (name, ifindex, slot) in [
            // Slot 0 counts for links in no table.
            ("unknown_port", 1, 0),
            ("ports_program_on_an_uplink", uplink, crate::fabric::UPLINK),
        ] {
            let got = from_link(world, ifindex, &datagram(A, B))?;
            let mut expected = crate::outcome::Outcome::default();
            expected.count_port_rx(slot, datagram(A, B).len());
            expected.count_drop(slot, Reason::UnknownPort);
            failures.extend(
                expected
                    .difference(&got)
                    .map(|text| format!("{name}\n{text}")),
            );
        }
        Ok(failures)
    });
}

/// Between the daemon's two writes, when a slot changes hands.
#[test]
fn a_link_whose_slot_is_another_links_is_closed() {
    check(|world| {
        let ifindex = world.ifindex(PORT_A);
        let row = world.ports.get(&PORT_A, 0)?;
        let other = world.ifindex(PORT_C);
        let taken = vxnet_common::map::port::Port {
            ifindex: other,
            ..row
        };
        world.ports.set(PORT_A, taken, 0)?;
        let got = from_link(world, ifindex, &datagram(A, B));
        world.ports.set(PORT_A, row, 0)?;
        let mut expected = crate::outcome::Outcome::default();
        // Slot 0 counts for links in no table.
        expected.count_port_rx(0, datagram(A, B).len());
        expected.count_drop(0, Reason::UnknownPort);
        Ok(expected.difference(&got?).into_iter().collect())
    });
}

/// The kernel takes the tag out of a frame that comes in on a link, so TEST_RUN shows another one.
#[test]
fn q06_a_tag_that_the_kernel_took_out_counts() {
    check(|world| {
        let mut tagged = vec![0, 10, 0x08, 0x00];
        tagged.extend([0; 46]);
        let mut failures = Vec::new();
        for (name, ethertype) in [("q06_tagged", 0x8100), ("q13_service_tagged", 0x88a8)] {
            let frame = ethernet(A, B, ethertype, &tagged);
            let got = receive::from_station(world, PORT_A, &frame)?;
            let mut expected = crate::outcome::Outcome::default();
            // Without its tag.
            expected.count_port_rx(PORT_A, frame.len() - 4);
            expected.count_drop(PORT_A, Reason::Tagged);
            failures.extend(
                expected
                    .difference(&got)
                    .map(|text| format!("{name}\n{text}")),
            );
        }
        // The way of the frame is not at fault.
        let frame = datagram(A, B);
        let got = receive::from_station(world, PORT_A, &frame)?;
        if got.delivered.get(&Port(PORT_B)) != Some(&vec![frame]) {
            failures.push(format!("not tagged: {got:?}"));
        }
        Ok(failures)
    });
}
