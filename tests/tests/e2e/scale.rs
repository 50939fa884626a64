//! As much as a host may have: networks, ports, peers and addresses, all at once.

use std::fmt::Write as _;
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use aya::maps::{HashMap, Map, MapData, MapError};
use vxnet_common::addr::{Mac, VtepAddr};
use vxnet_common::map::fdb::{FdbEntry, FdbKey, origin, place};
use vxnet_tests::frame::inner_of;
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::packet_socket::PacketSocket;
use vxnet_tests::probe::Probe;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

use crate::burst::test_frame;

const NETWORKS: u32 = 4096;
const PORTS: u32 = 1000;
const VTEPS: u32 = 1000;
/// As many as fit, but for what the host itself and the guests need.
const ADDRESSES: u32 = (1 << 20) - 20_000;
/// What the README says at most: of the daemon, and of all maps, in MiB.
const DAEMON_MIB: u64 = 384;
const MAPS_MIB: u64 = 384;
/// What a busy machine may take for what the README gives seconds for.
const PATIENCE: Duration = Duration::from_mins(8);

/// Other hosts, and networks that each share with hv1.
fn fabric() -> String {
    let mut text = String::new();
    for host in 3..=VTEPS + 1 {
        let [_, _, high, low] = host.to_be_bytes();
        writeln!(text, "[host.far{host}]\nunderlay = \"10.99.{high}.{low}\"").expect("a String");
    }
    for network in 2..=NETWORKS {
        let far = 3 + network % (VTEPS - 1);
        let other = 3 + (network + 7) % (VTEPS - 1);
        writeln!(
            text,
            "[network.n{network}]\nbridge = \"br{network}\"\nvni = {}\nhosts = [\"hv1\", \
             \"far{far}\", \"far{other}\"]",
            1000 + network
        )
        .expect("a String");
    }
    text
}

/// A port in each of so many networks, beside the guests.
fn plug(lab: &Lab, ports: u32) -> Result<()> {
    let mut batch = String::new();
    for number in 2..2 + ports {
        writeln!(batch, "link add p{number} type veth peer name q{number}")?;
        writeln!(batch, "link set p{number} master br{number} up")?;
    }
    let netns = &lab.hypervisor(1)?.netns;
    netns.line("ip -batch -").stdin(batch).run()?;
    Ok(())
}

fn open(lab: &mut Lab, name: &str) -> Result<MapData> {
    let path = lab.vxnet(1)?.pin_directory().join("maps").join(name);
    MapData::from_pin(&path).with_context(|| path.display().to_string())
}

/// Fills the FDB with addresses at the peer in a slot, spread over the segments.
fn load(lab: &mut Lab, vtep: u32, segments: u32) -> Result<()> {
    let map = Map::HashMap(open(lab, "FDB")?);
    let mut map = HashMap::<_, FdbKey, FdbEntry>::try_from(map)?;
    let row = FdbEntry {
        origin: origin::MANUAL,
        ..FdbEntry::learned(place::VTEP, vtep, 0)
    };
    for number in 0..ADDRESSES {
        map.insert(
            FdbKey::new(1 + number % segments, Mac(far_mac(number))),
            row,
            0,
        )?;
    }
    Ok(())
}

fn far_mac(number: u32) -> [u8; 6] {
    let [a, b, c, d] = number.to_be_bytes();
    [0x02, 0x88, a, b, c, d]
}

/// The memory of all pinned maps, as the kernel says (`memlock` of their descriptors), in MiB.
fn maps_mib(lab: &mut Lab) -> Result<u64> {
    let folder = lab.vxnet(1)?.pin_directory().join("maps");
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let map = MapData::from_pin(entry?.path())?;
        let fd = map.fd().as_fd().as_raw_fd();
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}"))?;
        let line = info.lines().find_map(|line| line.strip_prefix("memlock:"));
        bytes += line.context("no memlock")?.trim().parse::<u64>()?;
    }
    Ok(bytes >> 20)
}

/// The most memory that the daemon has had, in MiB.
fn daemon_mib(lab: &mut Lab) -> Result<u64> {
    let pid = lab.vxnet(1)?.pid()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.context("no VmHWM")?.parse::<u64>()? >> 10)
}

#[test]
#[expect(clippy::print_stdout, reason = "figures for the README")]
fn scale_4096_networks_1000_ports_1000_vteps_and_a_million_addresses() -> Result<()> {
    let mut lab = LabBuilder::new("scale")
        .hypervisors(&[Kind::Vxnet, Kind::Kernel])
        .config(&fabric())
        .network(Network::new("blue", 10).hosts(&[1, 2]))
        .guest("blue", 1, Port::Veth)
        .guest("blue", 1, Port::Tap)
        .guest("blue", 2, Port::Veth)
        .prepare()?;
    lab.vxnet(1)?.be_patient(PATIENCE);
    let started = Instant::now();
    lab.start()?;
    let first = started.elapsed();
    lab.plug_all()?;
    plug(&lab, PORTS - 2)?;
    let plugged = Instant::now();
    eventually(PATIENCE, || {
        let rows = lab.vxnet(1)?.rows("port show")?;
        let guests = rows.iter().filter(|row| row["kind"] == "guest").count();
        ensure!(guests == PORTS as usize, "{guests} guest ports");
        Ok(())
    })?;
    let plugged = plugged.elapsed();

    let vxnet = lab.vxnet(1)?;
    let networks = vxnet.rows("network show")?.len();
    let vteps = vxnet.rows("vtep show")?.len();
    ensure!(
        (networks, vteps) == (NETWORKS as usize, VTEPS as usize),
        "{networks} networks, {vteps} VTEPs"
    );
    let peer = lab.hypervisor(2)?.vtep.to_string();
    let slot = vtep_slot(&mut lab, &peer)?;
    load(&mut lab, slot, NETWORKS)?;
    let rows = lab.vxnet(1)?.rows("fdb show")?.len();
    ensure!(rows > ADDRESSES as usize, "{rows} rows");

    // Known traffic, on the host and to another, and a frame to one of the million.
    let [near, tap, far] =
        [(1, 1), (1, 2), (2, 1)].map(|(host, index)| lab.guest("blue", host, index));
    let (near, tap, far) = (near?, tap?, far?);
    lab.wait_for_ping(near, tap, Family::V4)?;
    lab.wait_for_ping(near, far, Family::V4)?;
    let probes = [tap, far].map(|to| Probe::start(&near.netns, &to.netns, to.v4, 1000));
    let wire = PacketSocket::open(&lab.router, "hv1")?;
    let sender = PacketSocket::open(&near.netns, "eth0")?;
    let mac = near.mac;
    let frame = test_frame(mac, known_mac(&mut lab)?);
    sender.send(&frame)?;
    let seen = wire.receive(PATIENCE, |got| inner_of(got) == Some((10, &frame[..])))?;
    ensure!(seen.is_some(), "one of a million is not found");

    // A restart changes nothing, and loses nothing.
    let restarted = Instant::now();
    let vxnet = lab.vxnet(1)?;
    vxnet.kill()?;
    vxnet.start()?;
    let again = restarted.elapsed();
    for probe in probes {
        let report = probe?.finish()?;
        ensure!(report.received == report.sent, "lost: {report:?}");
    }
    let account = lab.vxnet(1)?.json("verify")?;
    ensure!(account["balanced"] == true, "{account}");
    let (daemon, maps) = (daemon_mib(&mut lab)?, maps_mib(&mut lab)?);
    println!(
        "ready in {first:.1?}, ports in {plugged:.1?}, again in {again:.1?}; daemon {daemon} MiB, \
         maps {maps} MiB"
    );
    ensure!(daemon <= DAEMON_MIB, "the daemon took {daemon} MiB");
    ensure!(maps <= MAPS_MIB, "the maps take {maps} MiB");
    lab.vxnet(1)?.stop()?;
    lab.vxnet(1)?.teardown()?;
    let links = lab.hypervisor(1)?.netns.ip("-o link show type bridge")?;
    ensure!(links.is_empty(), "bridges are left");
    Ok(())
}

/// The slot of a peer's row.
fn vtep_slot(lab: &mut Lab, address: &str) -> Result<u32> {
    let map = Map::HashMap(open(lab, "VTEP_SLOTS")?);
    let map = HashMap::<_, VtepAddr, u32>::try_from(map)?;
    let key = VtepAddr::from(address.parse::<std::net::IpAddr>()?);
    Ok(map.get(&key, 0)?)
}

/// One of the addresses that were loaded into the segment of VNI 10.
fn known_mac(lab: &mut Lab) -> Result<[u8; 6]> {
    let map = Map::HashMap(open(lab, "VNIS")?);
    let vnis = HashMap::<_, u32, u32>::try_from(map)?;
    let segment = vnis.get(&10, 0)?;
    let map = Map::HashMap(open(lab, "FDB")?);
    let fdb = HashMap::<_, FdbKey, FdbEntry>::try_from(map)?;
    let number = segment - 1 + NETWORKS * 100;
    let mac = far_mac(number);
    match fdb.get(&FdbKey::new(segment, Mac(mac)), 0) {
        Ok(_) => Ok(mac),
        Err(MapError::KeyNotFound) => anyhow::bail!("{number} was not loaded"),
        Err(error) => Err(error.into()),
    }
}
