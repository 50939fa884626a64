//! Addresses whose place leaves their network: a peer, a link, a VLAN of a port. Nobody gets frames
//! of a network that it is no longer in, and the address may turn up elsewhere.

use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vxnet_tests::frame::BROADCAST;
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::{Network, mac_text};
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::Family;
use vxnet_tests::vxnet::Vxnet;
use vxnet_tests::wait::eventually;

use crate::burst::{Station, test_frame};

const PATIENCE: Duration = Duration::from_secs(5);
const STRANGER: [u8; 6] = [0x52, 0x54, 0, 0x99, 0, 1];

/// Two networks on two hypervisors, with a guest of the first on each.
pub(crate) fn lab(label: &str) -> Result<Lab> {
    let lab = LabBuilder::new(label)
        .hypervisors(&[Kind::Vxnet, Kind::Vxnet])
        .network(Network::new("blue", 10))
        .network(Network::new("red", 11))
        .guest("blue", 1, Port::Veth)
        .guest("blue", 2, Port::Veth)
        .build()?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    lab.wait_for_ping(from, to, Family::V4)?;
    Ok(lab)
}

/// Gives a daemon another configuration.
pub(crate) fn reload(vxnet: &Vxnet, config: &str) -> Result<()> {
    vxnet.write_config(config)?;
    Ok(kill(
        Pid::from_raw(vxnet.pid()?.cast_signed()),
        Signal::SIGHUP,
    )?)
}

/// Waits until an address is nowhere in a network.
fn forgotten(vxnet: &Vxnet, network: &str, mac: [u8; 6]) -> Result<()> {
    eventually(PATIENCE, || {
        let rows = vxnet.fdb(network, &mac_text(mac))?;
        ensure!(rows.is_empty(), "still there: {rows:?}");
        Ok(())
    })
}

#[test]
fn r7348_06_a_peer_that_leaves_a_network_takes_its_addresses_with_it() -> Result<()> {
    let mut lab = lab("leave")?;
    let remote = lab.guest("blue", 2, 1)?.mac;
    let stranger = mac_text(STRANGER);
    lab.networks[0].hosts = vec![1];
    let config = lab.config();
    let vxnet = lab.vxnet(1)?;
    vxnet.cli(&format!(
        "fdb add {stranger} --network blue --vtep 10.77.2.2"
    ))?;
    ensure!(
        !vxnet.fdb("blue", &mac_text(remote))?.is_empty(),
        "not learned"
    );
    // It stays a peer in red: its row of the VTEPs stays.
    reload(vxnet, &config)?;
    forgotten(vxnet, "blue", STRANGER)?;
    forgotten(vxnet, "blue", remote)
}

#[test]
fn r7348_06_a_link_that_moves_to_another_bridge_leaves_no_address_behind() -> Result<()> {
    let mut lab = lab("move")?;
    let (port, local) = {
        let guest = lab.guest("blue", 1, 1)?;
        (guest.port.clone(), guest.mac)
    };
    let stations = Station::all(&lab)?;
    let stranger = mac_text(STRANGER);
    let netns = lab.hypervisor(1)?.netns.clone();
    let vxnet = lab.vxnet(1)?;
    vxnet.cli(&format!("fdb add {stranger} --network blue --port {port}"))?;
    netns.ip(&format!("link set {port} master br-red"))?;
    forgotten(vxnet, "blue", STRANGER)?;
    forgotten(vxnet, "blue", local)?;
    // The station is at the other host now, and no liar for that.
    stations[1].send(&test_frame(STRANGER, BROADCAST))?;
    eventually(PATIENCE, || {
        let rows = vxnet.fdb("blue", &stranger)?;
        ensure!(
            rows.len() == 1 && rows[0]["vtep"] == "10.77.2.2",
            "{rows:?}"
        );
        Ok(())
    })
}

#[test]
fn q_05_q_08_a_portgroup_of_another_vlan_leaves_no_address_behind() -> Result<()> {
    let office = |vid| {
        Network::of_vlans("office", 100, &[1001, 1002]).portgroup("desk", &format!("vlan = {vid}"))
    };
    let mut lab = LabBuilder::new("regroup")
        .hypervisors(&[Kind::Vxnet])
        .network(office(1001))
        .in_portgroup(1, "vnet0", "desk")
        .guest("office", 1, Port::Veth)
        .build()?;
    let port = lab.guest("office", 1, 1)?.port.clone();
    lab.networks[0] = office(1002);
    let config = lab.config();
    let vxnet = lab.vxnet(1)?;
    let stranger = mac_text(STRANGER);
    vxnet.cli(&format!(
        "fdb add {stranger} --network office --vlan 1001 --port {port}"
    ))?;
    reload(vxnet, &config)?;
    forgotten(vxnet, "office", STRANGER)
}

#[test]
fn a19_who_gets_the_place_of_another_port_begins_at_zero() -> Result<()> {
    let mut lab = LabBuilder::new("successor")
        .hypervisors(&[Kind::Vxnet])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Veth)
        .build()?;
    let port = lab.guest("blue", 1, 1)?.port.clone();
    let station = &Station::all(&lab)?[0];
    for _ in 0..10 {
        // From a group: nobody is.
        station.send(&test_frame([0x53; 6], BROADCAST))?;
    }
    let netns = lab.hypervisor(1)?.netns.clone();
    let vxnet = lab.vxnet(1)?;
    ensure!(vxnet.drops_of(&port, "bad_source")? == 10, "not counted");
    netns.ip(&format!("link set {port} nomaster"))?;
    let has_port = |vxnet: &Vxnet| -> Result<bool> {
        Ok(vxnet
            .rows("port show")?
            .iter()
            .any(|row| row["port"] == port.as_str()))
    };
    eventually(PATIENCE, || {
        ensure!(!has_port(vxnet)?, "{port} is still there");
        Ok(())
    })?;
    let next = lab.plug("blue", 1, Port::Veth)?.port.clone();
    let vxnet = lab.vxnet(1)?;
    ensure!(
        vxnet.drops_of(&next, "bad_source")? == 0,
        "blamed for another's"
    );
    let last = vxnet.rows("drop show --last")?;
    let blamed = last
        .iter()
        .any(|row| row["reason"] == "bad_source" && row["port"] == next.as_str());
    ensure!(!last.is_empty() && !blamed, "{last:?}");
    let account = vxnet.json("verify")?;
    ensure!(
        account["balanced"] == true && account["dropped"].as_u64() >= Some(10),
        "{account}"
    );
    Ok(())
}
