//! Guests that send from the address of somebody at another host.

use std::time::Duration;

use anyhow::{Result, ensure};
use vxnet_tests::frame::BROADCAST;
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::network::{Network, gateway_v4, mac_text};
use vxnet_tests::ping::Ping;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

use crate::burst::{Station, expect_seen, test_frame};

/// An address of the victim's that no stack answers for, or repeats on its own.
const OWNED: [u8; 6] = [0x02, 0x66, 0, 0, 0, 7];

/// hv1 is the gateway; the victim is at hv1, the liar and a bystander at hv2.
fn lab(label: &str) -> LabBuilder {
    LabBuilder::new(label)
        .hypervisors(&[Kind::Vxnet, Kind::Vxnet])
        .network(Network::new("blue", 10).gateways(&[1]))
        .guest("blue", 1, Port::Veth)
        .guest("blue", 2, Port::Veth)
        .guest("blue", 2, Port::Veth)
}

#[test]
fn attack8_attack15_a_stolen_address_goes_back_with_its_owners_next_frame() -> Result<()> {
    let lab = lab("stolen").build()?;
    let (victim, liar) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    lab.wait_for_ping(victim, liar, Family::V4)?;
    lab.wait_for_ping(victim, lab.guest("blue", 2, 2)?, Family::V4)?;
    let stations = Station::all(&lab)?;
    stations[0].send(&test_frame(OWNED, BROADCAST))?;
    let to_owner = test_frame(stations[2].mac, OWNED);
    let arrives = |what, seen: [usize; 3]| {
        stations[2].send(&to_owner)?;
        expect_seen(what, &to_owner, &stations, &seen)
    };
    eventually(Duration::from_secs(2), || arrives("learned", [1, 0, 0]))?;

    let lie = test_frame(OWNED, BROADCAST);
    stations[1].send(&lie)?;
    // The owner's host knows better.
    expect_seen("the lie", &lie, &stations, &[0, 0, 1])?;
    arrives("stolen", [0, 1, 0])?;

    let proof = test_frame(OWNED, stations[2].mac);
    stations[0].send(&proof)?;
    expect_seen("of the owner", &proof, &stations, &[0, 0, 1])?;
    arrives("given back", [1, 0, 0])
}

#[test]
fn attack15_a_gateways_mac_address_cannot_be_taken_at_another_host() -> Result<()> {
    let mut lab = lab("gatemac").build()?;
    let gateway = lab.hypervisor(1)?.mac("br-blue")?;
    let liar = lab.guest("blue", 2, 1)?.port.clone();
    let bystander = lab.guest("blue", 2, 2)?;
    lab.wait_for_ping(lab.guest("blue", 1, 1)?, bystander, Family::V4)?;
    let bystander = bystander.netns.clone();
    let ping = || Ping::new(gateway_v4(1)).count(3).run(&bystander);
    ensure!(ping()?.received == 3, "the gateway is not reached");
    let stations = Station::all(&lab)?;
    let lie = test_frame(gateway, BROADCAST);
    stations[1].send(&lie)?;
    expect_seen("the lie", &lie, &stations, &[0, 0, 0])?;
    ensure!(ping()?.received == 3, "the gateway is not reached any more");
    let vxnet = lab.vxnet(2)?;
    let dropped = vxnet.drops_of(&liar, "local_mac")?;
    ensure!(dropped == 1, "{dropped} counted");
    let rows = vxnet.fdb("blue", &mac_text(gateway))?;
    ensure!(
        rows.len() == 1 && rows[0]["where"] == "vtep" && rows[0]["origin"] == "static",
        "{rows:?}"
    );
    Ok(())
}
