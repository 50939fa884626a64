//! Guests that vxnet has not taken over yet, and programs that somebody took away: nothing may
//! pass instead.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use vxnet_tests::frame::BROADCAST;
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::{Network, gateway_v4};
use vxnet_tests::packet_socket::PacketSocket;
use vxnet_tests::ping::Ping;
use vxnet_tests::probe::Probe;
use vxnet_tests::topology::{LabBuilder, UPLINK};
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

use crate::burst::{Station, burst, test_frame};

fn lab(label: &str) -> Result<Lab> {
    LabBuilder::new(label)
        .hypervisors(&[Kind::Vxnet, Kind::Kernel])
        .network(Network::new("blue", 10).gateways(&[1]))
        .prepare()
}

/// No frame passes between the first two guests of hv1, nor to the host.
fn expect_closed(lab: &Lab, what: &str) -> Result<()> {
    let hypervisor = lab.hypervisor(1)?;
    let stations = Station::all(lab)?;
    let bridge = PacketSocket::open(&hypervisor.netns, "br-blue")?;
    for destination in [BROADCAST, stations[1].mac] {
        let frame = test_frame(stations[0].mac, destination);
        let seen = burst(&stations[0], &frame, &stations)?;
        ensure!(
            seen.iter().all(|&seen| seen == 0),
            "{what}: frames passed: {seen:?}"
        );
        let host = bridge.collect(Duration::ZERO, |got| got == frame)?.len();
        ensure!(host == 0, "{what}: {host} frames reached the bridge device");
    }
    let guest = lab.guest("blue", 1, 1)?;
    for address in [gateway_v4(1), lab.guest("blue", 1, 2)?.v4] {
        let reply = Ping::new(address).run(&guest.netns)?;
        ensure!(
            reply.received == 0,
            "{what}: {address} answered {}",
            reply.text
        );
    }
    Ok(())
}

#[test]
fn fail_closed_guests_that_no_daemon_has_seen() -> Result<()> {
    let mut lab = lab("closed")?;
    lab.vxnet(1)?.apply()?;
    lab.plug("blue", 1, Port::Tap)?;
    lab.plug("blue", 1, Port::Tap)?;
    expect_closed(&lab, "after apply, no daemon")?;
    // The next apply takes them over.
    lab.vxnet(1)?.apply()?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 1, 2)?);
    lab.wait_for_ping(from, to, Family::V4)
}

#[test]
fn fail_closed_when_the_pins_are_torn() -> Result<()> {
    let mut lab = lab("torn")?;
    lab.start()?;
    lab.plug("blue", 1, Port::Tap)?;
    lab.plug("blue", 1, Port::Veth)?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 1, 2)?);
    lab.wait_for_ping(from, to, Family::V4)?;
    lab.vxnet(1)?.kill()?;
    // Nothing but the pins keeps the programs attached now.
    remove_pins(&lab.bpffs.pin_directory("hv1"))?;
    // The kernel detaches in the background; until then the programs forward as they should.
    let guest = lab.guest("blue", 1, 1)?;
    let target = lab.guest("blue", 1, 2)?.v4;
    eventually(Duration::from_secs(5), || {
        let reply = Ping::new(target).count(1).run(&guest.netns)?;
        ensure!(reply.received == 0, "the programs are still attached");
        Ok(())
    })?;
    expect_closed(&lab, "without pins")?;
    // Starting again heals it.
    lab.vxnet(1)?.start()?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 1, 2)?);
    lab.wait_for_ping(from, to, Family::V4)
}

fn remove_pins(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_pins(&path)?;
        } else {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Counts inner packets that reach hv1's stack from the uplink, behind every TC program.
const WATCH: &str = "table netdev watch {
    chain uplink {
        type filter hook ingress device eth0 priority 0
        ip saddr 192.168.50.0/24 counter name inner
        ether type 0x88b5 counter name inner
    }
    counter inner { }
}";

#[test]
fn attack31_removed_programs_never_leak_inner_frames_to_the_host() -> Result<()> {
    let mut lab = LabBuilder::new("detach")
        .hypervisors(&[Kind::Vxnet, Kind::Kernel])
        .network(Network::new("blue", 10).gateways(&[1]))
        .guest("blue", 1, Port::Tap)
        .guest("blue", 2, Port::Veth)
        .build()?;
    let netns = lab.hypervisor(1)?.netns.clone();
    netns.line("nft -f -").stdin(WATCH).run()?;
    let (from, to) = (lab.guest("blue", 2, 1)?, lab.guest("blue", 1, 1)?);
    lab.wait_for_ping(from, to, Family::V4)?;
    let probe = Probe::start(&from.netns, &to.netns, to.v4, 1000)?;
    std::thread::sleep(Duration::from_millis(500));
    lab.vxnet(1)?.kill()?;
    // One after the other, under load.
    let pins = lab.bpffs.pin_directory("hv1");
    for pin in lab.bpffs.pins("hv1") {
        let path = pins.join(&pin);
        if path.is_file() {
            fs::remove_file(&path)?;
            std::thread::sleep(Duration::from_millis(100));
            let leaked = leaked(&lab)?;
            ensure!(
                leaked == 0,
                "{leaked} inner frames after {} was removed",
                pin.display()
            );
        }
    }
    netns.ip(&format!("link set {UPLINK} xdp off")).ok();
    let result = probe.finish()?;
    let leaked = leaked(&lab)?;
    ensure!(
        leaked == 0,
        "{leaked} inner frames reached the host ({result})"
    );
    ensure!(result.lost > 0, "nothing was detached: {result}");
    Ok(())
}

fn leaked(lab: &Lab) -> Result<u64> {
    let netns = &lab.hypervisor(1)?.netns;
    let report = netns
        .line("nft -j list counter netdev watch inner")
        .json()?;
    let counters = report["nftables"].as_array().into_iter().flatten();
    Ok(counters
        .filter_map(|item| item["counter"]["packets"].as_u64())
        .sum())
}

/// Guests talk again, through the maps that the command line shows.
fn expect_healed(lab: &mut Lab, what: &str) -> Result<()> {
    eventually(Duration::from_secs(6), || {
        let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 1, 2)?);
        let reply = Ping::new(to.v4).count(1).run(&from.netns)?;
        ensure!(reply.received == 1, "{what}: guests are cut off");
        Ok(())
    })?;
    let mac = lab.guest("blue", 1, 1)?.mac;
    eventually(Duration::from_secs(6), || {
        let rows = lab.vxnet(1)?.fdb("blue", &mac_text(mac))?;
        ensure!(
            !rows.is_empty(),
            "{what}: the FDB shown is not the one in use"
        );
        Ok(())
    })
}

fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

#[test]
fn attack31_f15_what_was_removed_is_healed_by_the_running_daemon() -> Result<()> {
    let mut lab = lab("heal")?;
    lab.start()?;
    lab.plug("blue", 1, Port::Tap)?;
    lab.plug("blue", 1, Port::Veth)?;
    expect_healed(&mut lab, "at first")?;
    let netns = lab.hypervisor(1)?.netns.clone();
    netns.line("nft flush ruleset").run()?;
    remove_pins(&lab.bpffs.pin_directory("hv1"))?;
    eventually(Duration::from_secs(6), || {
        let tables = netns.line("nft list tables").run()?;
        ensure!(tables.contains("bridge vxnet"), "no guard: {tables}");
        ensure!(!lab.bpffs.pins("hv1").is_empty(), "nothing is pinned");
        Ok(())
    })?;
    expect_healed(&mut lab, "after all pins and rules were removed")
}

#[test]
fn f15_lost_maps_are_replaced_together_with_the_programs_on_them() -> Result<()> {
    let mut lab = lab("split")?;
    lab.start()?;
    lab.plug("blue", 1, Port::Tap)?;
    lab.plug("blue", 1, Port::Veth)?;
    expect_healed(&mut lab, "at first")?;
    lab.vxnet(1)?.kill()?;
    remove_pins(&lab.bpffs.pin_directory("hv1").join("maps"))?;
    lab.vxnet(1)?.start()?;
    expect_healed(&mut lab, "after the maps were lost")
}
