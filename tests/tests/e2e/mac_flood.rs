//! One guest fills the FDB: nobody else may notice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use aya::maps::{HashMap, Map, MapData};
use serde_json::Value;
use vxnet_common::map::{fdb::FdbKey, holder::HeldKey};
use vxnet_tests::frame::{ETHERTYPE_TEST, ethernet};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::{Network, mac_text};
use vxnet_tests::packet_socket::PacketSocket;
use vxnet_tests::probe::Probe;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

const FRAMES: u32 = 1_000_000;
/// Addresses of a guest's port, unless its portgroup says otherwise.
const LIMIT: usize = 4096;
const RATE: u32 = 1000;
/// What the daemon may grow by, in KiB.
const GROWTH: u64 = 10 << 10;
/// How the addresses of the stations begin.
const PREFIX: [u8; 2] = [0x02, 0x66];
pub(crate) const LATEST: Duration = Duration::from_mins(1);

/// A locally administered address; all numbers give different ones, in no order.
pub(crate) fn random_mac(number: u32) -> [u8; 6] {
    // Odd, and so a permutation of the 32-bit numbers.
    let [a, b, c, d] = number.wrapping_mul(0x9e37_79b1).to_be_bytes();
    [PREFIX[0], PREFIX[1], a, b, c, d]
}

/// Sends all frames to `target`, as fast as they go.
pub(crate) fn flood(socket: &PacketSocket, target: [u8; 6], done: &AtomicBool) -> Result<Duration> {
    let started = Instant::now();
    let mut frame = ethernet([0; 6], target, ETHERTYPE_TEST, &[0; 46]);
    for number in 0..FRAMES {
        frame[6..12].copy_from_slice(&random_mac(number));
        socket.send(&frame)?;
        if number % 4096 == 0 && started.elapsed() > LATEST {
            break;
        }
    }
    done.store(true, Ordering::Relaxed);
    Ok(started.elapsed())
}

/// The rows of `macs`, and the number of rows at `port`.
fn rows(lab: &mut Lab, macs: &[String], port: &str) -> Result<(Vec<String>, usize)> {
    let rows = lab.vxnet(1)?.rows("fdb show")?;
    let of_port = rows.iter().filter(|row| row["port"] == port).count();
    let has = |mac: &&String| rows.iter().any(|row| row["mac"] == mac.as_str());
    Ok((macs.iter().filter(has).cloned().collect(), of_port))
}

#[test]
#[expect(clippy::print_stdout, reason = "the figures of the flood")]
fn attack7_a11_a_million_source_addresses_harm_nobody_else() -> Result<()> {
    let mut lab = LabBuilder::new("macflood")
        .hypervisors(&[Kind::Vxnet, Kind::Vxnet])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Veth)
        .guest("blue", 1, Port::Veth)
        .guest("blue", 1, Port::Tap)
        .guest("blue", 1, Port::Veth)
        .guest("blue", 2, Port::Veth)
        .build()?;
    let [flooder, sink, victim, neighbour] = [1, 2, 3, 4].map(|index| lab.guest("blue", 1, index));
    let (flooder, sink, victim, neighbour) = (flooder?, sink?, victim?, neighbour?);
    let far = lab.guest("blue", 2, 1)?;
    lab.wait_for_ping(victim, far, Family::V4)?;
    lab.wait_for_ping(victim, neighbour, Family::V4)?;
    lab.wait_for_ping(sink, far, Family::V4)?;
    let macs = [sink, victim, neighbour, far].map(|guest| mac_text(guest.mac));
    let (port, target) = (flooder.port.clone(), sink.mac);
    let socket = PacketSocket::open(&flooder.netns, "eth0")?;
    let probes = [
        (
            "to the other host",
            Probe::start(&victim.netns, &far.netns, far.v4, RATE)?,
        ),
        (
            "on the same host",
            Probe::start(&victim.netns, &neighbour.netns, neighbour.v4, RATE)?,
        ),
    ];
    let before = lab.vxnet(1)?.resident_kib()?;
    let done = AtomicBool::new(false);
    let took = thread::scope(|scope| -> Result<Duration> {
        let flooding = scope.spawn(|| flood(&socket, target, &done));
        while !done.load(Ordering::Relaxed) && !flooding.is_finished() {
            // How many rows the port holds is asked afterwards: while they change, a reader of the
            // table meets some that are gone by the time it is done.
            let (kept, _) = rows(&mut lab, &macs, &port)?;
            ensure!(kept == macs, "meanwhile only {kept:?} are known");
            thread::sleep(Duration::from_millis(200));
        }
        flooding.join().ok().context("the flood panicked")?
    })?;
    println!("{FRAMES} frames in {took:?}");
    for (what, probe) in probes {
        let seen = probe.finish()?;
        println!("{what}: {seen}");
        ensure!(seen.lost == 0 && seen.duplicated == 0, "{what}: {seen}");
    }
    ensure!(took < LATEST, "the flood was too slow");
    let (kept, held) = rows(&mut lab, &macs, &port)?;
    ensure!(kept == macs, "only {kept:?} are known");
    ensure!(held == LIMIT, "the port holds {held} rows");
    let growth = lab.vxnet(1)?.resident_kib()?.saturating_sub(before);
    ensure!(growth < GROWTH, "the daemon grew by {growth} KiB");
    let counted = lab.vxnet(1)?.drops_of(&port, "fdb_limit")?;
    ensure!(counted > 0, "the limit was not counted");
    Ok(())
}

/// As fast as it goes: what a portgroup allows is flooded, and nobody else loses a packet in a
/// hundred.
#[test]
#[expect(clippy::print_stdout, reason = "the figures of the storm")]
fn attack26_a_broadcast_storm_harms_nobody_else() -> Result<()> {
    const LIMIT: u64 = 500;
    let mut lab = LabBuilder::new("storm")
        .hypervisors(&[Kind::Vxnet, Kind::Vxnet])
        .network(Network::new("blue", 10).portgroup("noisy", &format!("bum-limit = {LIMIT}")))
        .in_portgroup(1, "vnet0", "noisy")
        .guest("blue", 1, Port::Veth)
        .guest("blue", 1, Port::Tap)
        .guest("blue", 1, Port::Veth)
        .guest("blue", 2, Port::Veth)
        .build()?;
    let [noisy, victim, neighbour] = [1, 2, 3].map(|index| lab.guest("blue", 1, index));
    let (noisy, victim, neighbour) = (noisy?, victim?, neighbour?);
    let far = lab.guest("blue", 2, 1)?;
    lab.wait_for_ping(victim, far, Family::V4)?;
    lab.wait_for_ping(victim, neighbour, Family::V4)?;
    let port = noisy.port.clone();
    let socket = PacketSocket::open(&noisy.netns, "eth0")?;
    let ear = PacketSocket::open(&far.netns, "eth0")?;
    let probes = [
        Probe::start(&victim.netns, &far.netns, far.v4, RATE)?,
        Probe::start(&victim.netns, &neighbour.netns, neighbour.v4, RATE)?,
    ];
    let frame = ethernet(noisy.mac, [0xff; 6], ETHERTYPE_TEST, &[0; 46]);
    let started = Instant::now();
    for _ in 0..FRAMES {
        socket.send(&frame)?;
    }
    let took = started.elapsed();
    println!("{FRAMES} broadcasts in {took:?}");
    for probe in probes {
        let seen = probe.finish()?;
        println!("meanwhile {seen}");
        ensure!(seen.lost * 100 <= seen.sent, "{seen}");
    }
    let heard = ear.collect(Duration::ZERO, |got| got == frame)?.len() as u64;
    // A second's share may be used up at once, at both ends.
    let most = LIMIT * (took.as_secs() + 2);
    ensure!((1..=most).contains(&heard), "{heard} heard, {most} allowed");
    let counted = lab.vxnet(1)?.drops_of(&port, "storm")?;
    ensure!(
        counted >= u64::from(FRAMES) - most,
        "only {counted} of {FRAMES} were stopped"
    );
    Ok(())
}

/// The places that hv1 keeps for stations of the test, and how many of their rows are learned there.
/// The stacks of the hosts may say something too, and have rows of their own.
fn held(lab: &mut Lab) -> Result<(usize, usize)> {
    let path = lab.vxnet(1)?.pin_directory().join("maps").join("HELD");
    let map = Map::HashMap(MapData::from_pin(path)?);
    let map = HashMap::<_, HeldKey, FdbKey>::try_from(map)?;
    let held = map.iter().collect::<Result<Vec<_>, _>>()?;
    let is_ours = |key: &&(HeldKey, FdbKey)| key.1.mac.starts_with(&PREFIX);
    let rows = lab.vxnet(1)?.rows("fdb show")?;
    let prefix = mac_text([PREFIX[0], PREFIX[1], 0, 0, 0, 0])[..6].to_owned();
    let is_learned = |row: &&Value| {
        row["origin"] == "learned"
            && row["mac"]
                .as_str()
                .is_some_and(|mac| mac.starts_with(&prefix))
    };
    Ok((
        held.iter().filter(is_ours).count(),
        rows.iter().filter(is_learned).count(),
    ))
}

#[test]
fn attack7_places_in_the_rings_do_not_pile_up() -> Result<()> {
    const STATIONS: u32 = 300;
    let mut lab = LabBuilder::new("pileup")
        .hypervisors(&[Kind::Vxnet, Kind::Vxnet])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Veth)
        .guest("blue", 2, Port::Veth)
        .build()?;
    for guest in &lab.guests {
        guest.silence()?;
    }
    lab.vxnet(1)?.cli("fdb flush --network blue")?;
    let sockets = [1, 2].map(|number| -> Result<PacketSocket> {
        PacketSocket::open(&lab.guest("blue", number, 1)?.netns, "eth0")
    });
    let [near, far] = sockets;
    let (near, far) = (near?, far?);
    for round in 1..=3 {
        for (socket, first) in [(&near, 0), (&far, STATIONS)] {
            for number in first..first + STATIONS {
                let frame = ethernet(random_mac(number), [0xff; 6], ETHERTYPE_TEST, &[0; 46]);
                socket.send(&frame)?;
            }
        }
        let all = 2 * STATIONS as usize;
        eventually(LATEST, || {
            let (places, learned) = held(&mut lab)?;
            ensure!(
                (learned, places) == (all, all),
                "round {round}: {learned} rows, {places} places"
            );
            Ok(())
        })?;
        // One is the user's from now on, and its place goes too.
        let (mac, port) = (
            mac_text(random_mac(0)),
            lab.guest("blue", 1, 1)?.port.clone(),
        );
        let vxnet = lab.vxnet(1)?;
        vxnet.cli(&format!("fdb add {mac} --network blue --port {port}"))?;
        let (places, _) = held(&mut lab)?;
        ensure!(places == all - 1, "{places} places beside a manual row");
        let vxnet = lab.vxnet(1)?;
        vxnet.cli(&format!("fdb del {mac} --network blue"))?;
        vxnet.cli("fdb flush --network blue")?;
        let (places, _) = held(&mut lab)?;
        ensure!(places == 0, "{places} places after a flush");
    }
    // A port takes the places of its addresses along.
    let own = ethernet(random_mac(0), [0xff; 6], ETHERTYPE_TEST, &[0; 46]);
    near.send(&own)?;
    eventually(LATEST, || {
        let (places, _) = held(&mut lab)?;
        ensure!(places == 1, "{places} places of one address");
        Ok(())
    })?;
    let port = lab.guest("blue", 1, 1)?.port.clone();
    let netns = &lab.hypervisor(1)?.netns;
    netns.ip(&format!("link set {port} nomaster"))?;
    eventually(LATEST, || {
        let (places, _) = held(&mut lab)?;
        ensure!(places == 0, "{places} places after the port has gone");
        Ok(())
    })
}
