//! Head-end replication to more than 256 VTEPs of one segment.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};
use vxnet_tests::frame::{BROADCAST, ETHERTYPE_TEST, ethernet, inner_of};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::packet_socket::PacketSocket;
use vxnet_tests::topology::{LabBuilder, UPLINK};
use vxnet_tests::wait::eventually;

use crate::burst::{BURST, Station};

/// Hosts beside hv1 and hv2; all of their addresses are on hv2's link.
const OTHERS: u8 = 255;
/// How long after the last copy nothing more is expected.
const QUIET: Duration = Duration::from_millis(300);

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 99, 0, number)
}

fn lab() -> Result<Lab> {
    let mut hosts = String::new();
    for number in 1..=OTHERS {
        let address = address(number);
        writeln!(hosts, "[host.far{number}]\nunderlay = \"{address}\"")?;
    }
    let lab = LabBuilder::new("her")
        .hypervisors(&[Kind::Vxnet, Kind::Kernel])
        .config(&hosts)
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Veth)
        .prepare()?;
    // A veth that polls holds 256 packets, and all copies of a frame are sent at one go.
    let far = &lab.hypervisor(2)?.netns;
    for (netns, link) in [(&lab.router, "hv1"), (&lab.router, "hv2"), (far, UPLINK)] {
        netns.line(&format!("ethtool -K {link} gro off")).run()?;
    }
    let mut batch = String::new();
    for number in 1..=OTHERS {
        writeln!(batch, "address add {}/32 dev {UPLINK}", address(number))?;
    }
    far.line("ip -batch -").stdin(batch).run()?;
    lab.router
        .ip("route add 10.99.0.0/24 via 10.77.2.2 dev hv2")?;
    Ok(lab)
}

/// A frame that can be told from others.
fn numbered(source: [u8; 6], number: u16) -> Vec<u8> {
    let mut payload = [0x5a; 50];
    payload[..2].copy_from_slice(&number.to_be_bytes());
    ethernet(source, BROADCAST, ETHERTYPE_TEST, &payload)
}

/// How many copies of `frame` each VTEP has got.
fn copies(wire: &PacketSocket, frame: &[u8]) -> Result<BTreeMap<Ipv4Addr, usize>> {
    let mut copies = BTreeMap::new();
    for got in wire.collect(QUIET, |got| inner_of(got) == Some((10, frame)))? {
        let octets: [u8; 4] = got[30..34].try_into()?;
        *copies.entry(octets.into()).or_insert(0) += 1;
    }
    Ok(copies)
}

#[test]
fn evpn_02_r7348_a_broadcast_reaches_each_of_256_vteps_once() -> Result<()> {
    let mut lab = lab()?;
    lab.start()?;
    lab.plug_all()?;
    let guest = lab.guest("blue", 1, 1)?;
    guest.silence()?;
    let station = Station::new(guest)?;
    let wire = PacketSocket::open(&lab.hypervisor(2)?.netns, UPLINK)?;
    let vteps = usize::from(OTHERS) + 1;
    // The first copies wait for the next hop's address.
    let mut number = 0;
    eventually(Duration::from_secs(10), || {
        number += 1;
        let frame = numbered(station.mac, number);
        station.send(&frame)?;
        let reached = copies(&wire, &frame)?.len();
        ensure!(reached == vteps, "{reached} of {vteps} VTEPs");
        Ok(())
    })?;
    let frame = numbered(station.mac, 1000);
    station.send(&frame)?;
    let seen = copies(&wire, &frame)?;
    ensure!(
        seen.len() == vteps && seen.values().all(|copies| *copies == 1),
        "{seen:?}"
    );
    let frame = numbered(station.mac, 2000);
    for _ in 0..BURST {
        station.send(&frame)?;
    }
    let seen = copies(&wire, &frame)?;
    ensure!(
        seen.len() == vteps && seen.values().all(|copies| *copies == BURST),
        "a burst of {BURST}: {seen:?}"
    );
    let lost = lab.vxnet(1)?.drops("redirect_failed")?;
    ensure!(lost == 0, "{lost} copies were lost");
    Ok(())
}
