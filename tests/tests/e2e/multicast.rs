//! Networks whose floods go to multicast groups of the underlay, together with a kernel VXLAN
//! device that does the same: the second scenario of the first seed.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use vxnet_tests::frame::{BROADCAST, inner_of};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::netns::Netns;
use vxnet_tests::network::Network;
use vxnet_tests::packet_socket::PacketSocket;
use vxnet_tests::ping::Ping;
use vxnet_tests::shared_link;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::transfer;
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

use crate::burst::{Station, expect_burst, expect_seen, test_frame};

const BLUE: Ipv4Addr = Ipv4Addr::new(239, 0, 0, 10);
const RED: Ipv4Addr = Ipv4Addr::new(239, 0, 0, 11);
const STRANGER: [u8; 6] = [0x02, 0x77, 0, 0, 0, 2];

/// hv1 and hv3 run vxnet, hv2 the kernel's VXLAN device; red is not on hv3.
fn lab(label: &str) -> Result<(Lab, Netns)> {
    let mut lab = LabBuilder::new(label)
        .hypervisors(&[Kind::Vxnet, Kind::Kernel, Kind::Vxnet])
        .every_host(&format!("multicast = \"{}\"", shared_link::LINK))
        .network(Network::new("blue", 10).group(BLUE))
        .network(Network::new("red", 11).group(RED).hosts(&[1, 2]))
        .guest("blue", 1, Port::Tap)
        .guest("blue", 2, Port::Veth)
        .guest("blue", 3, Port::Veth)
        .guest("red", 1, Port::Veth)
        .guest("red", 2, Port::Veth)
        .prepare()?;
    let lan = shared_link::join_all(&mut lab)?;
    lab.start()?;
    lab.plug_all()?;
    for (network, numbers) in [("blue", &[2, 3][..]), ("red", &[2])] {
        for &number in numbers {
            let (from, to) = (lab.guest(network, 1, 1)?, lab.guest(network, number, 1)?);
            lab.wait_for_ping(from, to, Family::V4)?;
        }
    }
    Ok((lab, lan))
}

/// The outer destinations of the copies of `inner` that came in on a port of the shared link.
fn destinations(port: &PacketSocket, inner: &[u8]) -> Result<Vec<(IpAddr, [u8; 6])>> {
    let copies = port.collect(Duration::ZERO, |got| {
        inner_of(got).is_some_and(|(_, frame)| frame == inner)
    })?;
    let destination = |frame: &Vec<u8>| {
        let address: [u8; 4] = frame[30..34].try_into().expect("four bytes");
        let mac = frame[..6].try_into().expect("six bytes");
        (IpAddr::from(address), mac)
    };
    Ok(copies.iter().map(destination).collect())
}

#[test]
fn seed1_guests_reach_each_other_through_groups() -> Result<()> {
    let (lab, _lan) = lab("groups")?;
    for (network, numbers) in [("blue", [2, 3]), ("red", [2, 2])] {
        for number in numbers {
            let (near, far) = (lab.guest(network, 1, 1)?, lab.guest(network, number, 1)?);
            for (from, to) in [(near, far), (far, near)] {
                for family in [Family::V4, Family::V6] {
                    let reply = Ping::new(to.address(family)).size(1600).run(&from.netns)?;
                    ensure!(reply.all(), "{} > {}: {}", from.name, to.name, reply.text);
                }
                transfer::tcp_both_ways(&from.netns, &to.netns, to.v4, 60_000)?;
            }
        }
    }
    Ok(())
}

#[test]
fn seed1_floods_go_to_the_group_only_and_known_unicast_to_its_vtep() -> Result<()> {
    let (lab, lan) = lab("groupwire")?;
    let stations = Station::all(&lab)?;
    let mac = |last| [0x01, 0, 0x5e, 0, 0, last];
    // vxnet and the kernel's device alike.
    for (network, number, group) in [
        ("blue", 1, 10),
        ("blue", 2, 10),
        ("blue", 3, 10),
        ("red", 1, 11),
    ] {
        let from = lab.guest(network, number, 1)?;
        let port = PacketSocket::open(&lan, &format!("hv{number}"))?;
        let station = stations.iter().find(|station| station.name == from.name);
        let station = station.context("a station for each guest")?;
        for target in [BROADCAST, [0x01, 0, 0x5e, 1, 2, 3], STRANGER] {
            let frame = test_frame(from.mac, target);
            station.send(&frame)?;
            let expected: Vec<usize> = lab
                .guests
                .iter()
                .map(|guest| usize::from(guest.network == network && guest.name != from.name))
                .collect();
            let what = format!("{} to {target:02x?}", from.name);
            expect_seen(&what, &frame, &stations, &expected)?;
            let sent = destinations(&port, &frame)?;
            let to_group = (IpAddr::from([239, 0, 0, group]), mac(group));
            ensure!(sent == [to_group], "{}: on the wire {sent:?}", from.name);
        }
    }
    // Known unicast.
    for (number, peer) in [(1, 2), (2, 1), (1, 3)] {
        let (from, to) = (lab.guest("blue", number, 1)?, lab.guest("blue", peer, 1)?);
        let port = PacketSocket::open(&lan, &format!("hv{number}"))?;
        let frame = test_frame(from.mac, to.mac);
        Station::new(from)?.send(&frame)?;
        let vtep = lab.hypervisor(peer)?.vtep;
        let expected = [(vtep, lab.hypervisor(peer)?.mac(shared_link::LINK)?)];
        let mut sent = Vec::new();
        eventually(Duration::from_secs(2), || {
            sent.extend(destinations(&port, &frame)?);
            ensure!(sent == expected, "hv{number} to hv{peer}: {sent:?}");
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn seed1_groups_work_while_no_daemon_runs() -> Result<()> {
    let (mut lab, _lan) = lab("groupdead")?;
    for number in [1, 3] {
        lab.vxnet(number)?.kill()?;
    }
    let stations = Station::all(&lab)?;
    for (from, expected) in [
        (0, [0, 10, 10, 0, 0]),
        (1, [10, 0, 10, 0, 0]),
        (4, [0, 0, 0, 10, 0]),
    ] {
        let station = &stations[from];
        let frame = test_frame(station.mac, BROADCAST);
        expect_burst("broadcast", station, &frame, &stations, &expected)?;
    }
    // What the shared link has forgotten is asked for again by its queries; hosts answer those
    // without the daemon.
    let (near, far) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    near.netns.ip("neigh flush all")?;
    lab.wait_for_ping(near, far, Family::V4)
}
