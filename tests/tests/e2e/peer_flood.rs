//! A guest floods addresses over the overlay: guests of other networks on its host may not notice.

use std::sync::atomic::AtomicBool;

use anyhow::{Result, ensure};
use vxnet_common::map::holder::VTEP_FDB_LIMIT;
use vxnet_tests::frame::{BROADCAST, ETHERTYPE_TEST, ethernet};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::{Network, mac_text};
use vxnet_tests::packet_socket::PacketSocket;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

use crate::mac_flood::{LATEST, flood, random_mac};

/// Nowhere, so that every frame of the flood goes to every host.
const UNKNOWN: [u8; 6] = [0x02, 0x77, 0, 0, 0, 2];

/// The rows of hv2 for addresses behind hv1, by network.
fn behind(lab: &mut Lab, network: &str) -> Result<Vec<String>> {
    let rows = lab.vxnet(2)?.rows("fdb show")?;
    let there = rows
        .iter()
        .filter(|row| row["network"] == network && row["vtep"] != serde_json::Value::Null);
    Ok(there
        .filter_map(|row| row["mac"].as_str().map(str::to_owned))
        .collect())
}

#[test]
fn attack7_a_flood_over_the_overlay_leaves_other_networks_their_share() -> Result<()> {
    let mut lab = LabBuilder::new("peerflood")
        .hypervisors(&[Kind::Vxnet, Kind::Vxnet])
        .network(Network::new("blue", 10))
        .network(Network::new("red", 20))
        .guest("blue", 1, Port::Veth)
        .guest("blue", 1, Port::Veth)
        .guest("blue", 2, Port::Veth)
        .guest("red", 1, Port::Veth)
        .guest("red", 2, Port::Veth)
        .build()?;
    let (neighbour, far) = (lab.guest("blue", 1, 2)?, lab.guest("blue", 2, 1)?);
    lab.wait_for_ping(neighbour, far, Family::V4)?;
    let neighbour = mac_text(neighbour.mac);
    let flooder = PacketSocket::open(&lab.guest("blue", 1, 1)?.netns, "eth0")?;
    flood(&flooder, UNKNOWN, &AtomicBool::new(false))?;
    // As many as may be, give or take those of the guests.
    let limit = VTEP_FDB_LIMIT as usize;
    let blue = behind(&mut lab, "blue")?;
    ensure!(
        (limit - 100..=limit).contains(&blue.len()),
        "{} rows of at most {limit}",
        blue.len()
    );
    ensure!(blue.contains(&neighbour), "a live row has gone");
    // Who speaks first now is known, in the other network.
    let speaker = PacketSocket::open(&lab.guest("red", 1, 1)?.netns, "eth0")?;
    for number in 0..100 {
        let mac = random_mac(number);
        speaker.send(&ethernet(mac, BROADCAST, ETHERTYPE_TEST, &[0; 46]))?;
    }
    eventually(LATEST, || {
        let red = behind(&mut lab, "red")?;
        let known = (0..100).filter(|number| red.contains(&mac_text(random_mac(*number))));
        ensure!(known.count() == 100, "only {} rows", red.len());
        Ok(())
    })
}
