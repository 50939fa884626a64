//! VLANs across a physical switch, as in the second seed: two hypervisors with trunk links, access
//! ports, a trunk port and a PC; and a VLAN that reaches a third host by the overlay.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};
use vxnet_tests::frame::{BROADCAST, tagged, tci};
use vxnet_tests::guest::{Guest, Port};
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::netns::Netns;
use vxnet_tests::network::Network;
use vxnet_tests::packet_socket::PacketSocket;
use vxnet_tests::physical::{Switch, TRUNK};
use vxnet_tests::ping::Ping;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

use crate::burst::{Station, count, expect_seen, test_frame};

const OFFICE: &str = "office";
const STRANGER: [u8; 6] = [0x02, 0x77, 0, 0, 0, 1];
/// How long a frame may be on its way.
const SOON: Duration = Duration::from_secs(2);

fn office() -> Network {
    Network::of_vlans(OFFICE, 100, &[1001, 1002])
        .portgroup("vlan-1001", "vlan = 1001")
        .portgroup("vlan-1002", "vlan = 1002")
        .portgroup("vlan-all", "vlans = [1001, 1002]")
}

/// On hv1 an access port of each VLAN, a trunk port and a port without a portgroup; on hv2 an
/// access port of each VLAN.
fn lab(label: &str) -> Result<(Lab, Switch)> {
    let trunk = format!("trunk = {{ {OFFICE} = \"{TRUNK}\" }}");
    let mut lab = LabBuilder::new(label)
        .hypervisors(&[Kind::Vxnet, Kind::Vxnet])
        .every_host(&trunk)
        .network(office())
        .in_portgroup(1, "vnet0", "vlan-1001")
        .in_portgroup(1, "vnet1", "vlan-1002")
        .in_portgroup(1, "vnet2", "vlan-all")
        .in_portgroup(2, "vnet0", "vlan-1001")
        .in_portgroup(2, "vnet1", "vlan-1002")
        .guest(OFFICE, 1, Port::Tap)
        .guest(OFFICE, 1, Port::Veth)
        .guest(OFFICE, 1, Port::Veth)
        .guest(OFFICE, 1, Port::Veth)
        .guest(OFFICE, 2, Port::Veth)
        .guest(OFFICE, 2, Port::Tap)
        .prepare()?;
    let switch = Switch::connect(&lab, &[1, 2])?;
    lab.start()?;
    lab.plug_all()?;
    lab.wait_for_ping(at(&lab, 1, 1001)?, at(&lab, 2, 1001)?, Family::V4)?;
    lab.wait_for_ping(at(&lab, 1, 1002)?, at(&lab, 2, 1002)?, Family::V4)?;
    Ok((lab, switch))
}

/// The guest at the access port of a VLAN.
fn at(lab: &Lab, hypervisor: usize, vid: usize) -> Result<&Guest> {
    lab.guest(OFFICE, hypervisor, vid - 1000)
}

/// The guest at the trunk port.
fn at_trunk(lab: &Lab) -> Result<&Guest> {
    lab.guest(OFFICE, 1, 3)
}

/// The guest at the port without a portgroup.
fn nowhere(lab: &Lab) -> Result<&Guest> {
    lab.guest(OFFICE, 1, 4)
}

#[track_caller]
fn reaches(from: &Netns, to: impl Into<std::net::IpAddr>) -> Result<()> {
    let to = to.into();
    let reply = eventually(SOON, || {
        let reply = Ping::new(to).run(from)?;
        ensure!(reply.all(), "{from} does not reach {to}: {}", reply.text);
        Ok(reply)
    })?;
    drop(reply);
    Ok(())
}

#[track_caller]
fn does_not_reach(from: &Netns, to: impl Into<std::net::IpAddr>) -> Result<()> {
    let to = to.into();
    let reply = Ping::new(to).count(2).run(from)?;
    ensure!(reply.received == 0, "{from} reaches {to}: {}", reply.text);
    Ok(())
}

#[test]
fn p11_seed2_a_vlan_spans_hosts_and_nothing_crosses_to_another() -> Result<()> {
    let (lab, switch) = lab("vlans")?;
    for vid in [1001, 1002] {
        let (here, there) = (at(&lab, 1, vid)?, at(&lab, 2, vid)?);
        reaches(&here.netns, there.v4)?;
        reaches(&there.netns, here.v6)?;
        // With a tag the frame is longer than the network's MTU and header, and still fits.
        let full = Ping::new(there.v4).size(1422).dont_fragment();
        ensure!(full.run(&here.netns)?.all(), "full frames in VLAN {vid}");
    }
    // Same subnet, same host or other host: a VLAN is on its own.
    does_not_reach(&at(&lab, 1, 1001)?.netns, at(&lab, 1, 1002)?.v4)?;
    does_not_reach(&at(&lab, 1, 1001)?.netns, at(&lab, 2, 1002)?.v4)?;
    does_not_reach(&at(&lab, 1, 1002)?.netns, at(&lab, 2, 1001)?.v4)?;

    let pc = switch.pc(&lab, 1001, Ipv4Addr::new(192, 168, 50, 201))?;
    reaches(&pc.netns, at(&lab, 1, 1001)?.v4)?;
    reaches(&at(&lab, 2, 1001)?.netns, pc.address)?;
    does_not_reach(&pc.netns, at(&lab, 1, 1002)?.v4)?;
    does_not_reach(&at(&lab, 2, 1002)?.netns, pc.address)
}

#[test]
fn seed2_the_same_addresses_live_side_by_side_in_two_vlans() -> Result<()> {
    let (lab, _switch) = lab("twins")?;
    let shared = Ipv4Addr::new(192, 168, 50, 200);
    let mac = "52:54:00:aa:aa:aa";
    for vid in [1001, 1002] {
        let netns = &at(&lab, 2, vid)?.netns;
        netns.ip(&format!("link set eth0 address {mac}"))?;
        netns.ip(&format!("address add {shared}/24 dev eth0"))?;
    }
    let received = |vid| -> Result<u64> {
        let netns = &at(&lab, 2, vid)?.netns;
        Ok(vxnet_tests::counters::Counters::read(netns)?.value("Icmp.InEchos"))
    };
    for vid in [1001, 1002] {
        let (own, other) = (received(vid)?, received(2003 - vid)?);
        reaches(&at(&lab, 1, vid)?.netns, shared)?;
        ensure!(
            received(vid)? >= own + 3,
            "VLAN {vid}: somebody else answered"
        );
        ensure!(received(2003 - vid)? == other, "VLAN {vid} leaked");
    }
    Ok(())
}

#[test]
fn q_07_the_trunk_port_sees_tags_and_the_priority_is_kept() -> Result<()> {
    let (lab, switch) = lab("tags")?;
    let trunk = at_trunk(&lab)?;
    let guest = PacketSocket::open(&trunk.netns, "eth0")?;
    let wire = switch.tap("probe")?;
    let access = Station::new(at(&lab, 2, 1001)?)?;
    let other = Station::new(at(&lab, 2, 1002)?)?;

    // Access port of another host to the trunk port: a tag appears.
    let plain = test_frame(access.mac, BROADCAST);
    access.send(&plain)?;
    let arrived = guest.receive(SOON, |got| tci(got).is_some() && got[16..] == plain[12..])?;
    ensure!(
        arrived.as_deref().and_then(tci) == Some(1001),
        "{arrived:?}"
    );

    // Trunk port to the wire and to an access port: priority 5 stays, then goes with the tag.
    let plain = test_frame(trunk.mac, BROADCAST);
    for vid in [1001u16, 1002] {
        let frame = tagged(&plain, 5 << 13 | vid);
        guest.send(&frame)?;
        let seen = wire.receive(SOON, |got| got == frame)?;
        ensure!(seen.is_some(), "VLAN {vid}: not on the wire as it was");
        let stations = [&access, &other];
        for (station, of) in stations.into_iter().zip([1001, 1002]) {
            let expected = usize::from(of == vid);
            eventually(SOON, || {
                let seen = station.seen(&plain)?;
                ensure!(seen == expected, "VLAN {vid} at {}: {seen}", station.name);
                Ok(())
            })?;
        }
    }

    // The wire to the trunk port.
    let frame = tagged(&test_frame(STRANGER, BROADCAST), 0x63ea);
    wire.send(&frame)?;
    let seen = guest.receive(SOON, |got| got == frame)?;
    ensure!(seen.is_some(), "the trunk port did not get {frame:02x?}");
    Ok(())
}

/// Sends a frame.
type Send<'a> = &'a dyn Fn(&[u8]) -> Result<()>;

#[test]
fn q_05_frames_without_a_vlan_of_the_port_go_nowhere_and_are_counted() -> Result<()> {
    let (mut lab, switch) = lab("strays")?;
    let stations = Station::all(&lab)?;
    let wire = switch.tap("probe")?;
    for guest in [nowhere(&lab)?, at(&lab, 1, 1001)?] {
        guest.silence()?;
    }
    let (blocked, access) = (
        Station::new(nowhere(&lab)?)?,
        Station::new(at(&lab, 1, 1001)?)?,
    );
    let from = |mac| test_frame(mac, BROADCAST);
    let (by_blocked, by_access, by_wire): (Send<'_>, Send<'_>, Send<'_>) = (
        &|frame| blocked.send(frame),
        &|frame| access.send(frame),
        &|frame| wire.send(frame),
    );
    let cases: [(&str, &str, Send<'_>, Vec<u8>, &str); 7] = [
        (
            "no portgroup",
            "vnet3",
            by_blocked,
            from(blocked.mac),
            "no_vlan",
        ),
        (
            "no portgroup, tagged",
            "vnet3",
            by_blocked,
            tagged(&from(blocked.mac), 1001),
            "vlan_denied",
        ),
        // as Open vSwitch does.
        (
            "own tag on an access port",
            "vnet0",
            by_access,
            tagged(&from(access.mac), 1001),
            "vlan_denied",
        ),
        (
            "another tag on an access port",
            "vnet0",
            by_access,
            tagged(&from(access.mac), 1002),
            "vlan_denied",
        ),
        (
            "untagged on the wire",
            TRUNK,
            by_wire,
            from(STRANGER),
            "no_vlan",
        ),
        (
            "foreign VLAN on the wire",
            TRUNK,
            by_wire,
            tagged(&from(STRANGER), 1003),
            "vlan_denied",
        ),
        (
            "VLAN 4095",
            TRUNK,
            by_wire,
            tagged(&from(STRANGER), 4095),
            "bad_vid",
        ),
    ];
    for (what, port, send, frame, reason) in cases {
        let before = lab.vxnet(1)?.drops_of(port, reason)?;
        wire.discard_backlog()?;
        send(&frame)?;
        let plain = [&frame[..12], &frame[frame.len() - 52..]].concat();
        for form in [&frame, &plain] {
            let seen = count(form, &stations)?;
            ensure!(seen.iter().all(|seen| *seen == 0), "{what}: {seen:?}");
        }
        let leaked = wire.collect(Duration::ZERO, |got| got[6..12] == frame[6..12])?;
        ensure!(leaked.is_empty(), "{what}: on the wire");
        let counted = lab.vxnet(1)?.drops_of(port, reason)? - before;
        ensure!(counted == 1, "{what}: {counted} counted as {reason}");
    }
    Ok(())
}

#[test]
fn q_01_a_priority_tag_counts_as_none_and_its_priority_is_kept() -> Result<()> {
    let (lab, switch) = lab("priority")?;
    let wire = switch.tap("probe")?;
    let access = Station::new(at(&lab, 1, 1001)?)?;
    let plain = test_frame(access.mac, BROADCAST);
    access.send(&tagged(&plain, 6 << 13))?;
    let expected = tagged(&plain, 0xc3e9);
    let seen = wire.receive(SOON, |got| got == expected)?;
    ensure!(seen.is_some(), "not on the wire with VLAN and priority");
    let far = Station::new(at(&lab, 2, 1001)?)?;
    access.send(&tagged(&plain, 6 << 13))?;
    eventually(SOON, || {
        ensure!(far.seen(&plain)? == 1, "no untagged copy at hv2");
        Ok(())
    })
}

#[test]
fn q_08_learning_is_per_vlan() -> Result<()> {
    let (lab, switch) = lab("ivl")?;
    let wire = switch.tap("probe")?;
    let stations = Station::all(&lab)?;
    let [first, second, ..] = &stations[..] else {
        unreachable!("six guests")
    };
    // The stranger is behind the wire in VLAN 1001, and at the guest of VLAN 1002 on hv1.
    wire.send(&tagged(&test_frame(STRANGER, BROADCAST), 1001))?;
    second.send(&test_frame(STRANGER, BROADCAST))?;
    eventually(SOON, || {
        ensure!(
            first.seen(&test_frame(STRANGER, BROADCAST))? == 1,
            "not arrived"
        );
        Ok(())
    })?;
    wire.discard_backlog()?;
    let frame = test_frame(first.mac, STRANGER);
    first.send(&frame)?;
    let seen = wire.receive(SOON, |got| got == tagged(&frame, 1001))?;
    ensure!(seen.is_some(), "the stranger of VLAN 1001 was forgotten");
    let seen = count(&frame, &stations)?;
    ensure!(seen == [0; 6], "{seen:?}");
    Ok(())
}

/// VLAN 1001 has a VNI; hv1 is its trunk gateway, hv3 has no trunk at all.
#[test]
fn seed2_a_vlan_on_the_overlay_reaches_a_host_without_a_trunk() -> Result<()> {
    let vlan = "vni = 5001\ntrunk-gateway = \"hv1\"";
    let trunk = format!("trunk = {{ {OFFICE} = \"{TRUNK}\" }}");
    let mut lab = LabBuilder::new("gateway")
        .hypervisors(&[Kind::Vxnet, Kind::Vxnet, Kind::Vxnet])
        .host(1, &trunk)
        .host(2, &trunk)
        .network(office().vlan(1001, vlan))
        .in_portgroup(1, "vnet0", "vlan-1001")
        .in_portgroup(2, "vnet0", "vlan-1001")
        .in_portgroup(2, "vnet1", "vlan-1002")
        .in_portgroup(3, "vnet0", "vlan-1001")
        .in_portgroup(3, "vnet1", "vlan-all")
        .guest(OFFICE, 1, Port::Tap)
        .guest(OFFICE, 2, Port::Veth)
        .guest(OFFICE, 2, Port::Veth)
        .guest(OFFICE, 3, Port::Tap)
        .guest(OFFICE, 3, Port::Veth)
        .prepare()?;
    let switch = Switch::connect(&lab, &[1, 2])?;
    lab.start()?;
    lab.plug_all()?;
    let [first, second, third] = [1, 2, 3].map(|number| lab.guest(OFFICE, number, 1));
    let (first, second, third) = (first?, second?, third?);
    lab.wait_for_ping(third, first, Family::V4)?;
    lab.wait_for_ping(third, second, Family::V4)?;
    let pc = switch.pc(&lab, 1001, Ipv4Addr::new(192, 168, 50, 201))?;
    reaches(&third.netns, pc.address)?;
    reaches(&second.netns, pc.address)?;
    reaches(&pc.netns, first.v4)?;
    does_not_reach(&third.netns, lab.guest(OFFICE, 2, 2)?.v4)?;

    // A broadcast of each reaches each other once: the ring of trunk and overlay is open.
    let stations = [first, second, third].map(Station::new);
    let stations = stations.into_iter().collect::<Result<Vec<_>>>()?;
    let wire = switch.tap("probe")?;
    let trunk = PacketSocket::open(&lab.guest(OFFICE, 3, 2)?.netns, "eth0")?;
    for (number, from) in stations.iter().enumerate() {
        let frame = test_frame(from.mac, BROADCAST);
        from.send(&frame)?;
        let mut expected = [1; 3];
        expected[number] = 0;
        expect_seen(&format!("from {}", from.name), &frame, &stations, &expected)?;
        let with_tag = |got: &[u8]| got == tagged(&frame, 1001);
        for (what, socket) in [("wire", &wire), ("trunk port", &trunk)] {
            let seen = socket.collect(Duration::ZERO, with_tag)?.len();
            ensure!(seen == 1, "from {}: {seen} at the {what}", from.name);
        }
    }
    Ok(())
}
