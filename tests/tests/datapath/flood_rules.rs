//! Floods that are switched off, that go to a group of the underlay, and that pass by ports that are
//! isolated or shut.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Result, ensure};
use vxnet_common::{
    addr::{Mac, VtepAddr},
    event::kind,
    loop_probe::Probe,
    map::{
        holder::Holder,
        name,
        port::flag,
        segment::flag as segment_flag,
        vtep::{NextHop, Vtep},
    },
    outer::Template,
    reason::Reason,
};
use vxnet_tests::frame::{BROADCAST, Endpoint, Outer, VXLAN_PORT};

use crate::case::{Case, check, on_port, on_station, on_uplink};
use crate::fabric::{
    A, AT_ONE, B, BLUE, C, Family, GATEWAY_MAC, HOST, ONE, PATH_MTU, PORT_A, PORT_B, PORT_C,
    STRANGER, TWO, UPLINK, UPLINK_MAC, VNI_BLUE, VNI_RED, datagram, plain,
};
use crate::flood::copies;
use crate::green::{GREEN_12, TRUNK, tag};
use crate::outcome::Receiver::{Port, Vtep as ToVtep};
use crate::receive::{Path, Way, from_port, from_underlay_by};
use crate::rows::{self, set_flood};
use crate::world::{self, World};

const MULTICAST: [u8; 6] = [1, 0, 0x5e, 0, 0, 9];

#[test]
fn p01_each_kind_of_flood_can_be_off() {
    check(|world| {
        let family = world.family;
        let mut failures = Vec::new();
        let kinds = [
            ("broadcast", segment_flag::NO_BROADCAST, BROADCAST),
            ("multicast", segment_flag::NO_MULTICAST, MULTICAST),
            ("unknown", segment_flag::NO_UNKNOWN, C),
        ];
        for (off, bit, _) in kinds {
            rows::change_segment(world, BLUE, |row| row.flags = bit)?;
            for (kind, own, dst) in kinds {
                let name = format!("flood_off {off}: {kind}");
                let frame = datagram(A, dst);
                let packet = family.arrives(ONE, &datagram(AT_ONE, dst));
                let (here, there) = if own == bit {
                    (
                        Case::dropped(name.clone(), frame, Reason::FloodOff),
                        Case::dropped(name, packet, Reason::FloodOff),
                    )
                } else {
                    let ports = [PORT_A, PORT_B, PORT_C, HOST];
                    let inner = datagram(AT_ONE, dst);
                    let arrived = copies(family, &ports, &[], &inner);
                    let copies = copies(family, &ports[1..], &[ONE, TWO], &frame);
                    (
                        Case::delivered(name.clone(), frame, copies),
                        Case::delivered(name, packet, arrived),
                    )
                };
                failures.extend(on_port(world, PORT_A, &[here]));
                failures.extend(on_uplink(world, ONE, &[there]));
            }
        }
        Ok(failures)
    });
}

/// A slot of `VTEPS` for the group.
const GROUP: u32 = 6;

fn group(family: Family) -> Endpoint {
    match family {
        Family::V4 => Endpoint::new([1, 0, 0x5e, 0, 0, 10], Ipv4Addr::new(239, 0, 0, 10)),
        Family::V6 => {
            let address = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 0x10);
            Endpoint::new([0x33, 0x33, 0, 0, 0, 0x10], address)
        }
    }
}

/// Lets BLUE flood to a group.
fn use_group(world: &mut World) -> Result<()> {
    let family = world.family;
    let Endpoint { mac, ip } = group(family);
    let address = VtepAddr::from(ip);
    let local = VtepAddr::from(family.local().ip);
    let template = Template::new(family.number(), local, address, VXLAN_PORT);
    let hop = NextHop {
        ifindex: world.ifindex(UPLINK),
        mtu: PATH_MTU,
        dst: mac,
        src: UPLINK_MAC,
    };
    let row = Vtep {
        address,
        deadline: Vtep::NEVER,
        next_hop: [hop; 2],
        checksum: template.checksum,
        header: template.header,
        ..Vtep::FREE
    };
    world.vteps.set(GROUP, row, 0)?;
    set_flood(world, BLUE, &[PORT_A, PORT_B, PORT_C], &[GROUP])?;
    rows::change_segment(world, BLUE, |row| row.group = address)
}

#[test]
fn r7348_23_one_packet_to_the_group_instead_of_one_each() {
    check(|world| {
        use_group(world)?;
        let family = world.family;
        let cases = [
            ("broadcast", BROADCAST),
            ("multicast", MULTICAST),
            ("unknown", C),
        ]
        .map(|(name, dst)| {
            let frame = datagram(A, dst);
            let packet = Outer::new(family.local(), group(family), VNI_BLUE).wrap(&frame);
            let mut copies = copies(family, &[PORT_B, PORT_C, HOST], &[], &frame);
            copies.push((ToVtep(GROUP), packet));
            Case::delivered(name, frame, copies)
        });
        let mut failures = on_port(world, PORT_A, &cases);
        let frame = datagram(A, AT_ONE);
        let packet = family.leaves(ONE, &frame);
        let known = [Case::delivered(
            "known_unicast",
            frame,
            [(ToVtep(ONE), packet)],
        )];
        failures.extend(on_port(world, PORT_A, &known));
        Ok(failures)
    });
}

#[test]
fn r7348_23_packets_to_the_group_are_received() {
    check(|world| {
        use_group(world)?;
        let family = world.family;
        let to_group = |from: u32, vni: u32, inner: &[u8]| {
            Outer::new(family.peer(from), group(family), vni).wrap(inner)
        };
        let all = datagram(AT_ONE, BROADCAST);
        let one = datagram(AT_ONE, B);
        let nobody = datagram(AT_ONE, STRANGER);
        let ports = [PORT_A, PORT_B, PORT_C, HOST];
        let stranger = to_group(7, VNI_BLUE, &all);
        let another = {
            let to: IpAddr = match group(family).ip {
                IpAddr::V4(_) => Ipv4Addr::new(239, 0, 0, 11).into(),
                IpAddr::V6(_) => Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 0, 0x11).into(),
            };
            let to = Endpoint::new(group(family).mac, to);
            Outer {
                to,
                ..Outer::new(family.peer(ONE), to, VNI_BLUE)
            }
            .wrap(&all)
        };
        let cases = [
            Case::delivered(
                "group_broadcast",
                to_group(ONE, VNI_BLUE, &all),
                copies(family, &ports, &[], &all),
            ),
            Case::delivered(
                "group_unknown",
                to_group(ONE, VNI_BLUE, &nobody),
                copies(family, &ports, &[], &nobody),
            ),
            Case::delivered(
                "group_unicast",
                to_group(ONE, VNI_BLUE, &one),
                [(Port(PORT_B), one)],
            ),
            Case::dropped("attack1_group_stranger", stranger, Reason::UnknownVtep),
            // Of a network that has no group, or another: perhaps somebody else's on this host.
            Case::passed("group_of_no_network", to_group(ONE, VNI_RED, &all))
                .counts(Reason::NotOurs),
            Case::passed("another_group", another).counts(Reason::NotOurs),
        ];
        Ok(on_uplink(world, ONE, &cases))
    });
}

/// Nobody has joined the group where the detour leads: the packet is addressed to the host there.
#[test]
fn attack10_r7348_23_super_packets_to_the_group_take_the_detour() {
    check(|world| {
        use_group(world)?;
        let family = world.family;
        let mut failures = Vec::new();
        for (dst, ports) in [(B, &[PORT_B][..]), (BROADCAST, &[PORT_A, PORT_B, PORT_C])] {
            let inner = datagram(AT_ONE, dst);
            let packet = Outer::new(family.peer(ONE), group(family), VNI_BLUE);
            world.set_whole(ONE, packet.source_port, world::now()?)?;
            let (way, outcome) = from_underlay_by(world, Path::Detour, &packet.wrap(&inner))?;
            world.set_whole(ONE, packet.source_port, 0)?;
            let got = |port| outcome.delivered.get(&Port(port)) == Some(&vec![inner.clone()]);
            if way != Way::Detoured || !ports.iter().all(|port| got(*port)) {
                failures.push(format!("{way:?} {outcome:?}"));
            }
        }
        Ok(failures)
    });
}

#[test]
fn p02_isolated_ports_are_apart_and_nobody_else() {
    check(|world| {
        let family = world.family;
        for port in [PORT_A, PORT_B] {
            rows::set_flags(world, port, flag::ISOLATED)?;
        }
        let unicast = |name: &str, from, to, port| {
            let frame = datagram(from, to);
            Case::delivered(name, frame.clone(), [(Port(port), frame)])
        };
        let all = datagram(A, BROADCAST);
        let unknown = datagram(A, C);
        let cases = [
            Case::dropped("p02_isolated", datagram(A, B), Reason::Isolated),
            unicast("p02_to_the_host", A, GATEWAY_MAC, HOST),
            Case::delivered(
                "p02_flood",
                all.clone(),
                copies(family, &[PORT_C, HOST], &[ONE, TWO], &all),
            ),
            Case::delivered(
                "p02_unknown",
                unknown.clone(),
                copies(family, &[PORT_C, HOST], &[ONE, TWO], &unknown),
            ),
        ];
        let mut failures = on_port(world, PORT_A, &cases);
        let back = [Case::dropped("p02_back", datagram(B, A), Reason::Isolated)];
        failures.extend(on_port(world, PORT_B, &back));
        let normal = [unicast("p02_from_a_normal_port", C, A, PORT_A).learns(C)];
        failures.extend(on_port(world, PORT_C, &normal));
        let host = [unicast("p02_from_the_host", GATEWAY_MAC, A, PORT_A)];
        failures.extend(on_port(world, HOST, &host));
        Ok(failures)
    });
}

fn shut(world: &mut World, port: u32, until: u64) -> Result<()> {
    let row = Holder {
        shut_until: until,
        ..world.holders.get(&port, 0)?
    };
    Ok(world.holders.set(port, row, 0)?)
}

#[test]
fn attack26_a_port_that_is_shut_gives_and_gets_nothing() {
    check(|world| {
        let family = world.family;
        shut(world, PORT_B, u64::MAX)?;
        let all = datagram(A, BROADCAST);
        let to_others = [
            Case::dropped("shut_unicast", datagram(A, B), Reason::Looped),
            Case::delivered(
                "shut_flood",
                all.clone(),
                copies(family, &[PORT_C, HOST], &[ONE, TWO], &all),
            ),
        ];
        let mut failures = on_port(world, PORT_A, &to_others);
        let from_it = [
            Case::dropped("shut_sender", datagram(B, A), Reason::Looped),
            Case::dropped(
                "shut_sender_flood",
                datagram(STRANGER, BROADCAST),
                Reason::Looped,
            ),
        ];
        failures.extend(on_port(world, PORT_B, &from_it));
        let arrived = datagram(AT_ONE, BROADCAST);
        let from_peer = [
            Case::dropped(
                "shut_from_the_overlay",
                family.arrives(ONE, &datagram(AT_ONE, B)),
                Reason::Looped,
            ),
            Case::delivered(
                "shut_flood_from_the_overlay",
                family.arrives(ONE, &arrived),
                copies(family, &[PORT_A, PORT_C, HOST], &[], &arrived),
            ),
        ];
        failures.extend(on_uplink(world, ONE, &from_peer));
        // The time is over.
        let now = crate::world::now()?;
        shut(world, PORT_B, now)?;
        let frame = datagram(A, B);
        let open = [Case::delivered(
            "open_again",
            frame.clone(),
            [(Port(PORT_B), frame)],
        )];
        failures.extend(on_port(world, PORT_A, &open));
        Ok(failures)
    });
}

#[test]
fn loop_probes_are_trapped_everywhere() {
    let probe = Probe {
        host: name("host1"),
        port: name("v1"),
        vni: VNI_BLUE,
        vid: 0,
        nonce: 7,
    };
    check(|world| {
        let mut failures = Vec::new();
        let frame = probe.emit(Mac(UPLINK_MAC)).to_vec();
        for until in [0, u64::MAX] {
            world.events();
            shut(world, PORT_B, until)?;
            let cases = [Case::dropped(
                "loop_probe",
                frame.clone(),
                Reason::LoopProbe,
            )];
            failures.extend(on_port(world, PORT_B, &cases));
            let events = world.events();
            let [event] = events[..] else {
                anyhow::bail!("{} events", events.len());
            };
            let said = (event.kind, event.segment, event.holder, event.vid);
            ensure!(said == (kind::PROBE, BLUE, PORT_B, 0), "{event:?}");
            ensure!(Probe::parse(&event.frame) == Some(probe), "{event:?}");
        }
        shut(world, PORT_B, 0)?;
        // With a tag too, beside the frame and in it.
        let tagged = [Case::dropped(
            "loop_probe_tagged",
            tag(12, 0, &frame),
            Reason::LoopProbe,
        )];
        failures.extend(on_station(world, TRUNK, &tagged));
        for event in world.events() {
            let said = (event.kind, event.segment, event.holder, event.vid);
            ensure!(said == (kind::PROBE, GREEN_12, TRUNK, 12), "{event:?}");
            ensure!(Probe::parse(&event.frame) == Some(probe), "{event:?}");
        }
        // Where no VLAN is: the daemon hears of it all the same.
        from_port(world, TRUNK, &frame)?;
        let events = world.events();
        ensure!(events.len() == 1 && events[0].segment == 0, "{events:?}");
        let other = [Case::delivered(
            "no_probe",
            plain(A, B, 60),
            [(Port(PORT_B), plain(A, B, 60))],
        )];
        failures.extend(on_port(world, PORT_A, &other));
        ensure!(world.events().is_empty(), "an event of an ordinary frame");
        Ok(failures)
    });
}
