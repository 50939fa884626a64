//! Who is believed to have an address.

use super::*;

#[test]
fn arp_04_arp_05_arp_06_arp_07_what_is_not_believed() {
    let broken = |at: usize, value: u8| {
        let mut frame = arp_request(A, ip4(A), ip4(B));
        frame[at] = value;
        frame
    };
    let broken6 = |at: usize, value: u8| {
        let mut frame = solicitation(A, ip6(A), ip6(B));
        frame[at] = value;
        frame
    };
    check(|world| {
        let family = world.family;
        let mut failures = Vec::new();
        let foreign = arp((A, BROADCAST), 1, (C, ip4(A)), ([0; 6], ip4(B)));
        let foreign6 = {
            let body = target(ip6(B), 1, C);
            icmp6(
                (A, ip6(A)),
                ([0x33, 0x33, 0xff, 0, 0, 0x0b], ALL_NODES),
                135,
                [0; 4],
                &body,
            )
        };
        for (name, frame) in [
            ("arp_04_htype", broken(15, 6)),
            ("arp_04_ptype", broken(16, 0x86)),
            ("arp_04_hlen", broken(18, 8)),
            ("arp_04_plen", broken(19, 16)),
            ("arp_04_operation", broken(21, 3)),
            (
                "arp_04_short",
                arp_request(A, ip4(A), ip4(B))[..41].to_vec(),
            ),
            ("arp_05_not_the_senders", foreign),
            ("arp_05_nd_not_the_senders", foreign6),
            ("arp_07_hop_limit", broken6(21, 254)),
            ("arp_07_checksum", broken6(56, 0x55)),
            ("arp_07_code", broken6(55, 1)),
            ("arp_07_option_len_0", broken6(79, 0)),
            ("arp_07_option_len_2", broken6(79, 2)),
            ("arp_07_option_kind", broken6(78, 2)),
            ("arp_07_length_lies", broken6(19, 24)),
        ] {
            rows::clear(&mut world.neighbours)?;
            stations(world)?;
            let copies = everyone(family, &frame);
            failures.extend(on_port(
                world,
                PORT_A,
                &[Case::delivered(name, frame, copies)],
            ));
            if heard(world, BLUE, ip4(A)).is_some() || heard(world, BLUE, ip6(A)).is_some() {
                failures.push(format!("{name}: believed"));
            }
        }
        let group = [3, 0, 0, 0, 0, 1];
        let lies = [
            (
                "arp_06_zero",
                arp((A, BROADCAST), 1, ([0; 6], ip4(A)), ([0; 6], ip4(B))),
            ),
            (
                "arp_06_group",
                arp((A, BROADCAST), 1, (group, ip4(A)), ([0; 6], ip4(B))),
            ),
            (
                "arp_06_broadcast",
                arp((A, B), 2, (BROADCAST, ip4(A)), (B, ip4(B))),
            ),
        ]
        .map(|(name, frame)| Case::dropped(name, frame, Reason::BadNeighbour));
        failures.extend(on_port(world, PORT_A, &lies));
        ensure!(heard(world, BLUE, ip4(A)).is_none(), "ARP-06: believed");
        Ok(failures)
    });
}

#[test]
fn claims_of_ports_are_remembered() {
    check(|world| {
        suppress(world, BLUE)?;
        let router = advertisement((A, ip6(A)), (ALL_NODES_MAC, ALL_NODES), OVERRIDE | ROUTER);
        let claimed = [(A, neighbour_flag::ROUTER), (A, 0)];
        for (frame, address, row) in [
            (
                arp_request(A, ip4(A), ip4(C)),
                IpAddr::from(ip4(A)),
                claimed[1],
            ),
            (router, ip6(A).into(), claimed[0]),
            // Only an advertisement tells whether somebody is a router.
            (solicitation(A, ip6(A), ip6(C)), ip6(A).into(), claimed[0]),
            (
                solicitation(A, link_local(A), ip6(C)),
                link_local(A).into(),
                claimed[1],
            ),
        ] {
            from_port(world, PORT_A, &frame)?;
            let got = heard(world, BLUE, address);
            ensure!(got == Some(row), "{address}: {got:?}");
        }
        // Somebody else has it now; what the user excepts nobody has.
        know(world, BLUE, ip4(B), A, (0, 0))?;
        reserve(world, BLUE, EXEMPT, NOBODY)?;
        from_port(world, PORT_B, &arp_request(B, ip4(B), ip4(C)))?;
        ensure!(heard(world, BLUE, ip4(B)) == Some((B, 0)), "not moved");
        from_port(world, PORT_B, &arp_request(B, EXEMPT, ip4(C)))?;
        let exempt = heard(world, BLUE, EXEMPT);
        ensure!(exempt.is_none(), "{exempt:?}");
        Ok(Vec::new())
    });
}

/// Believed, a guest would get what all others send out of the network, from the switch itself and
/// for as long as it repeats itself.
#[test]
fn arp_01_attack15_a_gateways_address_is_its_hosts() {
    check(|world| {
        suppress(world, BLUE)?;
        let mut failures = Vec::new();
        for gateway in [IpAddr::from(ip4(GATEWAY_MAC)), ip6(GATEWAY_MAC).into()] {
            let claim = |mac: [u8; 6]| match gateway {
                IpAddr::V4(gateway) => arp_reply((mac, gateway), (B, ip4(B))),
                IpAddr::V6(gateway) => advertisement((mac, gateway), (B, ip6(B)), SOLICITED),
            };
            // Whether it is that of this host or of another: a guest's claim is no frame for others.
            for owner in [holder::of_vtep(ONE), HOST] {
                reserve(world, BLUE, gateway, owner)?;
                let lie = Case::dropped("attack15_a_guest", claim(A), Reason::SpoofedIp);
                failures.extend(on_port(world, PORT_A, &[lie]));
                let got = heard(world, BLUE, gateway);
                ensure!(got.is_none(), "{gateway}: a guest is believed: {got:?}");
            }
            for path in Path::ALL {
                let packet = world.family.arrives(ONE, &claim(AT_ONE));
                from_underlay(world, path, &packet)?;
                let got = heard(world, BLUE, gateway);
                ensure!(got.is_none(), "{gateway}: a peer is believed: {got:?}");
            }
            from_port(world, HOST, &claim(GATEWAY_MAC))?;
            let got = heard(world, BLUE, gateway);
            ensure!(got == Some((GATEWAY_MAC, 0)), "{gateway}: {got:?}");

            // That of a peer's host.
            rows::clear(&mut world.neighbours)?;
            reserve(world, BLUE, gateway, holder::of_vtep(ONE))?;
            for path in Path::ALL {
                let packet = world.family.arrives(TWO, &claim(AT_TWO));
                from_underlay(world, path, &packet)?;
                let got = heard(world, BLUE, gateway);
                ensure!(
                    got.is_none(),
                    "{gateway}: another peer is believed: {got:?}"
                );
                let packet = world.family.arrives(ONE, &claim(AT_ONE));
                from_underlay(world, path, &packet)?;
                let got = heard(world, BLUE, gateway);
                ensure!(got == Some((AT_ONE, 0)), "{path:?} {gateway}: {got:?}");
                rows::clear(&mut world.neighbours)?;
            }

            // Heard before the configuration said whose it is.
            know(world, BLUE, gateway, B, (0, 0))?;
            reserve(world, BLUE, gateway, HOST)?;
            let asks = match gateway {
                IpAddr::V4(gateway) => arp_request(A, ip4(A), gateway),
                IpAddr::V6(gateway) => solicitation(A, ip6(A), gateway),
            };
            let copies = everyone(world.family, &asks);
            let case = Case::delivered("heard_before", asks, copies);
            failures.extend(on_port(world, PORT_A, &[case]));
        }
        Ok(failures)
    });
}

#[test]
fn claims_of_peers_are_remembered_on_every_path() {
    check(|world| {
        let mut failures = Vec::new();
        for path in Path::ALL {
            for (name, inner, address) in [
                (
                    "request",
                    arp_request(AT_ONE, ip4(AT_ONE), ip4(A)),
                    IpAddr::from(ip4(AT_ONE)),
                ),
                (
                    "reply",
                    arp_reply((AT_ONE, ip4(AT_ONE)), (A, ip4(A))),
                    ip4(AT_ONE).into(),
                ),
                (
                    "advertisement",
                    advertisement((AT_ONE, ip6(AT_ONE)), (A, ip6(A)), SOLICITED),
                    ip6(AT_ONE).into(),
                ),
            ] {
                rows::clear(&mut world.neighbours)?;
                suppress(world, BLUE)?;
                know(world, BLUE, ip4(A), A, (0, 0))?;
                let packet = world.family.arrives(ONE, &inner);
                let got = from_underlay(world, path, &packet)?;
                // Answered on the asker's own host only: here it is delivered.
                let delivered = got.delivered.get(&Port(PORT_A)) == Some(&vec![inner]);
                if heard(world, BLUE, address) != Some((AT_ONE, 0)) || !delivered {
                    failures.push(format!("{path:?} {name}: {got:?}"));
                }
            }
        }
        Ok(failures)
    });
}
