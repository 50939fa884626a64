//! As much as a host may have: networks, ports, peers and addresses, all at once.
//!
//! A target of its own, because while the kernel removes thousands of links nobody else's namespace
//! can be made.

mod fabric;
mod maps;

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use vxnet_tests::frame::{ethernet, inner_of};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::{Network, mac_text};
use vxnet_tests::packet_socket::PacketSocket;
use vxnet_tests::probe::Probe;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

use fabric::{BLUE, NETWORKS, PORTS, VTEPS, vni};
use maps::{ADDRESSES, Loaded};

/// What the README says at most, in MiB.
const DAEMON_MIB: u64 = 256;
const MAPS_MIB: u64 = 256;
/// What a busy machine may take for what the README gives seconds for.
const PATIENCE: Duration = Duration::from_mins(8);
/// What a frame may take on its way, and how often one is sent that does not arrive: among so many
/// links the kernel forgets neighbours for want of room (`neigh_forced_gc`), and what waits for one.
const ARRIVAL: Duration = Duration::from_secs(3);
const TRIES: usize = 3;
/// Of the networks with a port, every so many-th is sent through.
const EVERY: u32 = 37;
/// Local experimental ethertype (IEEE Std 802).
const ETHERTYPE_TEST: u16 = 0x88b5;

#[test]
#[expect(clippy::print_stdout, reason = "the README has these figures")]
fn scale_4096_networks_1000_ports_1000_vteps_and_a_million_addresses() -> Result<()> {
    let mut lab = LabBuilder::new("scale")
        .hypervisors(&[Kind::Vxnet, Kind::Kernel])
        .config(&fabric::text())
        .network(Network::new("blue", BLUE).hosts(&[1, 2]))
        .guest("blue", 1, Port::Veth)
        .guest("blue", 1, Port::Tap)
        .guest("blue", 2, Port::Veth)
        .prepare()?;
    lab.vxnet(1)?.be_patient(PATIENCE);
    let start = Instant::now();
    lab.start()?;
    println!("ready in {:.1?}", start.elapsed());
    lab.plug_all()?;
    fabric::plug(&lab.hypervisor(1)?.netns)?;
    let start = Instant::now();
    let vxnet = lab.vxnet(1)?;
    eventually(PATIENCE, || {
        let rows = vxnet.rows("port show")?;
        let guests = rows.iter().filter(|row| row["kind"] == "guest").count();
        ensure!(guests == PORTS as usize, "{guests} guest ports");
        Ok(())
    })?;
    println!("all ports in {:.1?}", start.elapsed());
    let networks = vxnet.rows("network show")?.len();
    let vteps = vxnet.rows("vtep show")?.len();
    ensure!(
        (networks, vteps) == (NETWORKS as usize, VTEPS as usize),
        "{networks} networks, {vteps} VTEPs"
    );

    let peer = lab.hypervisor(2)?.vtep;
    let loaded = Loaded::load(lab.vxnet(1)?.pin_directory(), peer)?;
    let start = Instant::now();
    let rows = lab.vxnet(1)?.rows("fdb show")?.len();
    println!("{rows} addresses shown in {:.1?}", start.elapsed());
    ensure!(rows >= ADDRESSES as usize, "{rows} rows");

    forwards(&mut lab, &loaded)?;
    restarts(&mut lab)?;
    forwards(&mut lab, &loaded)?;

    let vxnet = lab.vxnet(1)?;
    let daemon = daemon_mib(vxnet.pid()?)?;
    let maps = maps::memory(vxnet.pin_directory())? >> 20;
    println!("the daemon had {daemon} MiB at most, the maps have {maps} MiB");
    ensure!(daemon <= DAEMON_MIB, "the daemon took {daemon} MiB");
    ensure!(maps <= MAPS_MIB, "the maps take {maps} MiB");
    let start = Instant::now();
    vxnet.stop()?;
    vxnet.teardown()?;
    println!("gone in {:.1?}", start.elapsed());
    let links = lab.hypervisor(1)?.netns.ip("-o link show type bridge")?;
    ensure!(links.is_empty(), "bridges are left");
    Ok(())
}

/// Sends to addresses in many networks, and expects each frame at its peer, in its network.
fn forwards(lab: &mut Lab, loaded: &Loaded) -> Result<()> {
    let wire = PacketSocket::open(&lab.router, "hv1")?;
    let netns = &lab.hypervisor(1)?.netns;
    for network in fabric::WITH_PORT.step_by(EVERY as usize) {
        let guest = PacketSocket::open(netns, &fabric::guest(network))?;
        let source = [0x52, 0x54, 0, 0x77, 0, 1];
        let mac = loaded.address(vni(network));
        let frame = ethernet(source, mac, ETHERTYPE_TEST, &[0x5a; 50]);
        let expected = Some((vni(network), &frame[..]));
        let mut seen = None;
        for _ in 0..TRIES {
            guest.send(&frame)?;
            seen = wire.receive(ARRIVAL, |got| inner_of(got) == expected)?;
            if seen.is_some() {
                break;
            }
        }
        ensure!(
            seen.is_some(),
            "network {network}: {} is not found",
            mac_text(mac)
        );
    }
    Ok(())
}

/// A restart changes nothing, and loses nothing.
#[expect(clippy::print_stdout, reason = "the README has these figures")]
fn restarts(lab: &mut Lab) -> Result<()> {
    let near = lab.guest("blue", 1, 1)?;
    let others = [lab.guest("blue", 1, 2)?, lab.guest("blue", 2, 1)?];
    let mut probes = Vec::new();
    for other in others {
        lab.wait_for_ping(near, other, Family::V4)?;
        probes.push(Probe::start(&near.netns, &other.netns, other.v4, 1000)?);
    }
    let start = Instant::now();
    let vxnet = lab.vxnet(1)?;
    vxnet.kill()?;
    vxnet.start()?;
    println!("ready again in {:.1?}", start.elapsed());
    for probe in probes {
        let report = probe.finish()?;
        ensure!(report.received == report.sent, "lost: {report:?}");
    }
    let account = lab.vxnet(1)?.json("verify")?;
    ensure!(account["balanced"] == true, "{account}");
    Ok(())
}

/// The most memory that a process has had (`VmHWM` of proc(5)).
fn daemon_mib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.context("no VmHWM")?.parse::<u64>()? >> 10)
}
