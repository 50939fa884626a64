//! Stations that move from the physical network to another host.

use std::time::Duration;

use anyhow::{Result, ensure};
use vxnet_tests::frame::{BROADCAST, tagged};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::{Network, mac_text};
use vxnet_tests::packet_socket::PacketSocket;
use vxnet_tests::physical::{Switch, TRUNK};
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

use crate::burst::{Station, expect_seen, test_frame};

const OFFICE: &str = "office";
const VLAN: u16 = 1001;
/// Who moves.
const NOMAD: [u8; 6] = [0x02, 0x77, 0, 0, 0, 5];
const SOON: Duration = Duration::from_secs(2);

/// A VLAN of the overlay: hv1 has the physical switch and a guest, hv2 has two guests.
fn lab(label: &str, receive: &str) -> Result<(Lab, Switch)> {
    let office = Network::of_vlans(OFFICE, 100, &[VLAN])
        .portgroup("vlan-1001", "vlan = 1001\ndefault = true")
        .vlan(VLAN, "vni = 5001");
    let mut lab = LabBuilder::new(label)
        .hypervisors(&[Kind::Vxnet, Kind::Vxnet])
        .every_host(&format!("receive = \"{receive}\""))
        .host(1, &format!("trunk = {{ {OFFICE} = \"{TRUNK}\" }}"))
        .network(office)
        .guest(OFFICE, 1, Port::Tap)
        .guest(OFFICE, 2, Port::Veth)
        .guest(OFFICE, 2, Port::Tap)
        .prepare()?;
    let switch = Switch::connect(&lab, &[1])?;
    lab.start()?;
    lab.plug_all()?;
    let near = lab.guest(OFFICE, 1, 1)?;
    for index in [1, 2] {
        lab.wait_for_ping(near, lab.guest(OFFICE, 2, index)?, Family::V4)?;
    }
    Ok((lab, switch))
}

/// Checks that hv1's guest and hv2's first one reach the nomad behind the switch, or else at hv2's
/// second guest, and nowhere else.
fn is_there(what: &str, stations: &[Station], wire: &PacketSocket, behind: bool) -> Result<()> {
    for from in &stations[..2] {
        wire.discard_backlog()?;
        let frame = test_frame(from.mac, NOMAD);
        from.send(&frame)?;
        let at_guest = usize::from(!behind);
        expect_seen(what, &frame, stations, &[0, 0, at_guest])?;
        let seen = wire.collect(Duration::ZERO, |got| got == tagged(&frame, VLAN))?;
        ensure!(
            seen.len() == usize::from(behind),
            "{what}, from {}: {} at the switch",
            from.name,
            seen.len()
        );
    }
    Ok(())
}

/// What hv1 says of the nomad.
fn place(lab: &mut Lab) -> Result<String> {
    let rows = lab.vxnet(1)?.fdb(OFFICE, &mac_text(NOMAD))?;
    ensure!(rows.len() == 1, "{rows:?}");
    Ok(rows[0]["where"].as_str().unwrap_or_default().to_owned())
}

fn moves_to_a_peer(label: &str, receive: &str) -> Result<()> {
    let (mut lab, switch) = lab(label, receive)?;
    let stations = Station::all(&lab)?;
    let wire = PacketSocket::open(&switch.netns, "to-hv1")?;
    let hello = test_frame(NOMAD, BROADCAST);
    wire.send(&tagged(&hello, VLAN))?;
    expect_seen("hello", &hello, &stations, &[1, 1, 1])?;
    ensure!(place(&mut lab)? == "local", "not learned");
    is_there("behind the switch", &stations, &wire, true)?;

    // A guest of the peer's has the address now, without a word to the switch: one frame, to one.
    let here = test_frame(NOMAD, stations[0].mac);
    stations[2].send(&here)?;
    expect_seen("at hv2", &here, &stations, &[1, 0, 0])?;
    ensure!(place(&mut lab)? == "vtep", "still behind the switch");
    is_there("at hv2", &stations, &wire, false)?;

    // And back.
    wire.send(&tagged(&hello, VLAN))?;
    expect_seen("hello again", &hello, &stations, &[1, 1, 1])?;
    ensure!(place(&mut lab)? == "local", "still at hv2");
    is_there("back again", &stations, &wire, true)?;
    for number in [1, 2] {
        let lies = lab.vxnet(number)?.drops("local_mac")?;
        ensure!(lies == 0, "hv{number} disbelieved {lies} frames");
    }

    // A guest's own address does not yield so.
    let lie = test_frame(stations[0].mac, BROADCAST);
    stations[2].send(&lie)?;
    expect_seen("a lie", &lie, &stations, &[0, 1, 0])?;
    eventually(SOON, || {
        let lies = lab.vxnet(1)?.drops("local_mac")?;
        ensure!(lies == 1, "{lies} counted");
        Ok(())
    })
}

#[test]
fn evpn_03_a_station_behind_a_trunk_link_may_move_to_a_peer_and_back() -> Result<()> {
    moves_to_a_peer("nomad", "auto")
}

#[test]
fn evpn_03_a_station_behind_a_trunk_link_may_move_to_a_peer_and_back_at_tc() -> Result<()> {
    moves_to_a_peer("nomadtc", "tc")
}
