//! VXLAN packets that must not be believed.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Result, ensure};
use vxnet_tests::frame::{BROADCAST, Endpoint, Outer, udp};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::{Network, mac_text};
use vxnet_tests::topology::{LabBuilder, UPLINK};
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

use crate::burst::{Station, count, expect_seen, test_frame};
use crate::inject::Injector;
use crate::switch;

const SPOOFED: [u8; 6] = [0x02, 0xba, 0xdb, 0xad, 0xba, 0xd0];

/// hv1 and hv2 share blue; hv1 and hv3 share red.
fn lab(label: &str, receive: &str) -> Result<Lab> {
    let lab = LabBuilder::new(label)
        .every_host(&format!("receive = \"{receive}\""))
        .hypervisors(&[switch(), Kind::Kernel, Kind::Kernel])
        .network(Network::new("blue", 10).hosts(&[1, 2]))
        .network(Network::new("red", 20).hosts(&[1, 3]))
        .guest("blue", 1, Port::Tap)
        .guest("red", 1, Port::Veth)
        .guest("blue", 2, Port::Veth)
        .guest("red", 3, Port::Veth)
        .build()?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    lab.wait_for_ping(from, to, Family::V4)?;
    Ok(lab)
}

/// Sends broadcast and unicast, IP and not, under `outer`: all of it is to be counted under
/// `reason`, none of it delivered or learned.
fn expect_refused(lab: &mut Lab, outer: &Outer, reason: &str) -> Result<()> {
    let stations = Station::all(lab)?;
    let wire = Injector::new(lab, 1)?;
    let target = Endpoint::new(stations[0].mac, lab.guest("blue", 1, 1)?.v4);
    let liar = Endpoint::new(SPOOFED, Ipv4Addr::new(192, 168, 50, 99));
    let frames = [
        test_frame(SPOOFED, BROADCAST),
        test_frame(SPOOFED, target.mac),
        udp(liar, target, (4000, 4000), b"bad"),
    ];
    let before = lab.vxnet(1)?.drops(reason)?;
    for frame in &frames {
        wire.send(outer, frame)?;
        let seen = count(frame, &stations)?;
        ensure!(seen == [0, 0, 0, 0], "{reason}: delivered {seen:?}");
    }
    let counted = lab.vxnet(1)?.drops(reason)? - before;
    ensure!(
        counted == frames.len() as u64,
        "{reason}: {counted} of {} counted",
        frames.len()
    );
    let rows = lab.vxnet(1)?.fdb("blue", &mac_text(SPOOFED))?;
    ensure!(rows.is_empty(), "learned: {rows:?}");
    Ok(())
}

#[test]
fn attack1_vxlan_from_an_unknown_vtep() -> Result<()> {
    unknown_vtep(&mut lab("strangerxdp", "auto")?)
}

#[test]
fn attack1_vxlan_from_an_unknown_vtep_at_tc() -> Result<()> {
    unknown_vtep(&mut lab("strangertc", "tc")?)
}

fn unknown_vtep(lab: &mut Lab) -> Result<()> {
    let unknown: IpAddr = [10, 77, 9, 9].into();
    let outer = Injector::new(lab, 1)?.outer(unknown, 10);
    expect_refused(lab, &outer, "unknown_vtep")
}

#[test]
fn attack2_a_vni_that_the_peer_does_not_share() -> Result<()> {
    vni_not_shared(&mut lab("sharexdp", "auto")?)
}

#[test]
fn attack2_a_vni_that_the_peer_does_not_share_at_tc() -> Result<()> {
    vni_not_shared(&mut lab("sharetc", "tc")?)
}

fn vni_not_shared(lab: &mut Lab) -> Result<()> {
    let peer = lab.hypervisor(3)?.vtep;
    let outer = Injector::new(lab, 1)?.outer(peer, 10);
    expect_refused(lab, &outer, "vni_not_shared")
}

#[test]
fn attack3_another_local_address_than_the_vtep() -> Result<()> {
    other_address(&mut lab("localxdp", "auto")?)
}

#[test]
fn attack3_another_local_address_than_the_vtep_at_tc() -> Result<()> {
    other_address(&mut lab("localtc", "tc")?)
}

fn other_address(lab: &mut Lab) -> Result<()> {
    let other: IpAddr = [10, 77, 1, 200].into();
    lab.hypervisor(1)?
        .netns
        .ip(&format!("address add {other}/32 dev {UPLINK}"))?;
    let mut outer = Injector::new(lab, 1)?.outer(lab.hypervisor(2)?.vtep, 10);
    outer.to.ip = other;
    expect_refused(lab, &outer, "not_ours")
}

#[test]
fn attack4_a_local_guests_mac_from_outside_is_not_believed() -> Result<()> {
    local_mac(&mut lab("spoofxdp", "auto")?)
}

#[test]
fn attack4_a_local_guests_mac_from_outside_is_not_believed_at_tc() -> Result<()> {
    local_mac(&mut lab("spooftc", "tc")?)
}

fn local_mac(lab: &mut Lab) -> Result<()> {
    let stations = Station::all(lab)?;
    let victim = stations[0].mac;
    // The guest has just pinged: its MAC is known on its own port.
    let wire = Injector::new(lab, 1)?;
    let outer = wire.outer(lab.hypervisor(2)?.vtep, 10);
    let frame = test_frame(victim, BROADCAST);
    wire.send(&outer, &frame)?;
    let seen = count(&frame, &stations)?;
    ensure!(seen == [0, 0, 0, 0], "delivered {seen:?}");
    let rows = lab.vxnet(1)?.fdb("blue", &mac_text(victim))?;
    ensure!(
        rows.len() == 1 && rows[0]["where"] == "local",
        "the victim moved: {rows:?}"
    );
    ensure!(lab.vxnet(1)?.drops("local_mac")? >= 1, "not counted");

    // Nothing is left of it: the guest is served as before, also by the host that was slandered.
    let (to_guest, of_guest) = (
        test_frame(stations[2].mac, victim),
        test_frame(victim, stations[2].mac),
    );
    stations[2].send(&to_guest)?;
    expect_seen("to the guest", &to_guest, &stations, &[1, 0, 0, 0])?;
    stations[0].send(&of_guest)?;
    expect_seen("of the guest", &of_guest, &stations, &[0, 0, 1, 0])?;

    // Once the guest has left, it may be elsewhere; and it may come back.
    let port = lab.guest("blue", 1, 1)?.port.clone();
    let netns = lab.hypervisor(1)?.netns.clone();
    netns.ip(&format!("link set {port} nomaster"))?;
    is_at(lab, victim, "vtep", || wire.send(&outer, &frame))?;
    netns.ip(&format!("link set {port} master br-blue"))?;
    lab.vxnet(1)?.wait_for_port("blue", &port)?;
    is_at(lab, victim, "local", || stations[0].send(&of_guest))?;
    stations[2].send(&to_guest)?;
    expect_seen("back again", &to_guest, &stations, &[1, 0, 0, 0])
}

/// Lets a station be heard until it is known in a place.
fn is_at(lab: &mut Lab, mac: [u8; 6], place: &str, speak: impl Fn() -> Result<()>) -> Result<()> {
    eventually(Duration::from_secs(5), || {
        speak()?;
        let rows = lab.vxnet(1)?.fdb("blue", &mac_text(mac))?;
        ensure!(rows.len() == 1 && rows[0]["where"] == place, "{rows:?}");
        Ok(())
    })
}
