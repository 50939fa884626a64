//! Flooding and learning over the overlay, against kernel peers: topology T2.

use std::time::Duration;

use anyhow::{Result, ensure};
use vxnet_tests::frame::BROADCAST;
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::{Network, mac_text};
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

use crate::burst::{Station, expect_burst, test_frame};
use crate::inject::Injector;
use crate::switch;

const STRANGER: [u8; 6] = [0x02, 0x66, 0x22, 0x33, 0x44, 0x55];

/// Two guests on hv1 (the switch under test), one on each of two kernel peers.
fn builder(label: &str) -> LabBuilder {
    LabBuilder::new(label)
        .hypervisors(&[switch(), Kind::Kernel, Kind::Kernel])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Veth)
        .guest("blue", 1, Port::Tap)
        .guest("blue", 2, Port::Veth)
        .guest("blue", 3, Port::Veth)
}

fn warm(lab: Lab) -> Result<(Lab, Vec<Station>)> {
    for number in [2, 3] {
        let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", number, 1)?);
        lab.wait_for_ping(from, to, Family::V4)?;
    }
    let stations = Station::all(&lab)?;
    Ok((lab, stations))
}

#[test]
fn p12_flood_reaches_every_peer_exactly_once() -> Result<()> {
    let (_lab, stations) = warm(builder("hers").build()?)?;
    let sender = &stations[0];
    for (what, destination) in [("unknown unicast", STRANGER), ("broadcast", BROADCAST)] {
        let frame = test_frame(sender.mac, destination);
        expect_burst(what, sender, &frame, &stations, &[0, 10, 10, 10])?;
    }
    Ok(())
}

#[test]
fn p12_known_unicast_goes_to_one_peer() -> Result<()> {
    let (_lab, stations) = warm(builder("known").build()?)?;
    let sender = &stations[0];
    for (target, expected) in [(1, [0, 10, 0, 0]), (2, [0, 0, 10, 0]), (3, [0, 0, 0, 10])] {
        stations[target].send(&test_frame(stations[target].mac, BROADCAST))?;
        let frame = test_frame(sender.mac, stations[target].mac);
        eventually(Duration::from_secs(2), || {
            expect_burst("known unicast", sender, &frame, &stations, &expected)
        })?;
    }
    Ok(())
}

#[test]
fn p12_an_unresolvable_vtep_causes_no_duplicates() -> Result<()> {
    // One peer whose next hop nobody answers for, one that there is no route to but the default.
    let ghosts = "[host.ghost1]\nunderlay = \"10.77.1.77\"\n[host.ghost2]\nunderlay = \
                  \"198.51.100.1\"\n";
    let (_lab, stations) = warm(builder("ghost").config(ghosts).build()?)?;
    let sender = &stations[0];
    let frame = test_frame(sender.mac, STRANGER);
    expect_burst("flood", sender, &frame, &stations, &[0, 10, 10, 10])
}

#[test]
fn evpn_01_split_horizon() -> Result<()> {
    let (_lab, stations) = warm(builder("split").build()?)?;
    // What hv2 floods comes from hv2 alone: hv1 must not repeat it to hv3.
    let sender = &stations[2];
    let frame = test_frame(sender.mac, STRANGER);
    expect_burst(
        "flood from a peer",
        sender,
        &frame,
        &stations,
        &[10, 10, 0, 10],
    )
}

#[test]
fn p22_learned_from_the_overlay_flushed_and_learned_again() -> Result<()> {
    let (mut lab, stations) = warm(builder("relearn").build()?)?;
    let sender = &stations[0];
    let wire = Injector::new(&lab, 1)?;
    let peer = lab.hypervisor(2)?.vtep;
    let mac = mac_text(STRANGER);
    let learn = || wire.send(&wire.outer(peer, 10), &test_frame(STRANGER, BROADCAST));
    let frame = test_frame(sender.mac, STRANGER);
    // hv2 floods what it gets, for it has no such station: its guest sees the frame.
    let at_one = [0, 0, 10, 0];

    learn()?;
    eventually(Duration::from_secs(2), || {
        expect_burst("learned", sender, &frame, &stations, &at_one)
    })?;
    let row = lab.vxnet(1)?.fdb("blue", &mac)?;
    let address = peer.to_string();
    ensure!(
        row.len() == 1 && row[0]["where"] == "vtep" && row[0]["vtep"] == address,
        "{row:?}"
    );

    lab.vxnet(1)?.cli(&format!("fdb flush --vtep {peer}"))?;
    expect_burst("flushed", sender, &frame, &stations, &[0, 10, 10, 10])?;
    learn()?;
    eventually(Duration::from_secs(2), || {
        expect_burst("learned again", sender, &frame, &stations, &at_one)
    })
}
