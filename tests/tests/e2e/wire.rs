//! What is on the wire between hypervisors, and what of it is accepted.

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use vxnet_tests::capture::{Capture, Pcap};
use vxnet_tests::frame::{Endpoint, arp_request, echo_request, tcp, udp};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::ping::Ping;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::transfer;
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

use crate::burst::{BURST, Station, count, expect_burst, test_frame};
use crate::inject::Injector;
use crate::switch;

fn lab(label: &str, vni: u32) -> Result<Lab> {
    let lab = LabBuilder::new(label)
        .hypervisors(&[switch(), Kind::Kernel])
        .network(Network::new("blue", vni))
        .guest("blue", 1, Port::Tap)
        .guest("blue", 2, Port::Veth)
        .build()?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    lab.wait_for_ping(from, to, Family::V4)?;
    Ok(lab)
}

/// The VNI of tcpdump's `vxlan.pcap`, in which two stations exchange ARP and pings.
const PCAP_VNI: u32 = 100;
/// Its stations: the one behind the peer, and the one behind our own guest's port.
const REMOTE: [u8; 6] = [0x00, 0x30, 0x88, 0x01, 0x00, 0x02];
const LOCAL: [u8; 6] = [0x00, 0x16, 0x3e, 0x37, 0xf6, 0x04];

/// What the remote station sends.
fn pcap_frames() -> [Vec<u8>; 4] {
    let remote = Endpoint::new(REMOTE, [192, 168, 203, 5]);
    let local = Endpoint::new(LOCAL, [192, 168, 203, 3]);
    let payload: Vec<u8> = (0..56).collect();
    [
        arp_request(REMOTE, [192, 168, 203, 5].into(), [192, 168, 203, 3].into()),
        echo_request(remote, local, 1292, 1, &payload),
        udp(remote, local, (40_000, 50_000), &payload),
        tcp(remote, local, (40_000, 50_000), 1, &payload),
    ]
}

#[test]
fn p18_inner_frames_of_a_known_vni_are_delivered_byte_exact() -> Result<()> {
    let lab = lab("pcap", PCAP_VNI)?;
    let station = [Station::new(lab.guest("blue", 1, 1)?)?];
    station[0].send(&test_frame(LOCAL, [0xff; 6]))?;
    let wire = Injector::new(&lab, 1)?;
    let outer = wire.outer(lab.hypervisor(2)?.vtep, PCAP_VNI);
    // From an unknown source port, with a checksum, with odd reserved bits (R7348-03, 05, 12, 15).
    let mut odd = outer;
    odd.vxlan.flags |= 0x41;
    odd.vxlan.reserved = [1, 2, 3];
    odd.vxlan.last = 9;
    let summed = vxnet_tests::frame::Outer {
        checksum: true,
        source_port: 1,
        ..outer
    };
    let variants: &[_] = if switch() == Kind::Vxnet {
        &[
            ("as captured", outer),
            ("checksum", summed),
            ("reserved bits", odd),
        ]
    } else {
        &[("as captured", outer), ("checksum", summed)]
    };
    for (what, outer) in variants {
        for (number, inner) in pcap_frames().iter().enumerate() {
            wire.send(outer, inner)?;
            let seen = count(inner, &station)?;
            ensure!(
                seen == [1],
                "{what}, frame {number}: delivered {seen:?} times unchanged"
            );
        }
    }
    Ok(())
}

#[test]
fn p18_an_unknown_vni_is_only_counted() -> Result<()> {
    let mut lab = lab("novni", PCAP_VNI)?;
    let station = [Station::new(lab.guest("blue", 1, 1)?)?];
    let wire = Injector::new(&lab, 1)?;
    let outer = wire.outer(lab.hypervisor(2)?.vtep, PCAP_VNI + 1);
    let before = lab.vxnet(1)?.drops("unknown_vni")?;
    for inner in pcap_frames() {
        wire.send(&outer, &inner)?;
        ensure!(count(&inner, &station)? == [0], "delivered");
    }
    let counted = lab.vxnet(1)?.drops("unknown_vni")? - before;
    ensure!(counted == 4, "{counted} drops counted");
    Ok(())
}

#[test]
fn r7348_01_a_header_without_the_i_flag_is_dropped() -> Result<()> {
    let mut lab = lab("iflag", PCAP_VNI)?;
    let station = [Station::new(lab.guest("blue", 1, 1)?)?];
    let wire = Injector::new(&lab, 1)?;
    let mut outer = wire.outer(lab.hypervisor(2)?.vtep, PCAP_VNI);
    outer.vxlan.flags = 0;
    let before = lab.vxnet(1)?.drops("bad_vxlan")?;
    let inner = test_frame([2, 0, 0, 0, 0, 9], [0xff; 6]);
    wire.send(&outer, &inner)?;
    ensure!(count(&inner, &station)? == [0], "delivered");
    ensure!(
        lab.vxnet(1)?.drops("bad_vxlan")? == before + 1,
        "not counted"
    );
    Ok(())
}

fn capture(lab: &Lab, work: impl FnOnce() -> Result<()>) -> Result<Pcap> {
    // The router's end: what has left hv1, complete.
    let capture = Capture::start(&lab.scope, &lab.router, "hv1", "udp port 4789")?;
    work()?;
    let pcap = capture.finish()?;
    pcap.ensure_well_formed()?;
    Ok(pcap)
}

#[test]
fn p24_inner_1400_becomes_outer_1450_with_df_and_no_checksum() -> Result<()> {
    let lab = lab("outer", 10)?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    // The guest's MTU sets the length of the inner packets.
    from.netns.ip("link set eth0 mtu 1400")?;
    let pcap = capture(&lab, || {
        transfer::tcp_both_ways(&from.netns, &to.netns, to.v4, 60_000)
    })?;
    let source = lab.hypervisor(1)?.vtep;
    let full = format!("ip.src == {source} && tcp.len > 1000 && udp");
    let fields = [
        "ip.len",
        "ip.flags.df",
        "ip.ttl",
        "udp.length",
        "udp.dstport",
        "udp.checksum",
    ];
    let packets = pcap.fields(&full, &fields)?;
    let mut outer = BTreeMap::new();
    for packet in &packets {
        let first = packet
            .iter()
            .map(|values| values.split(',').next().unwrap_or_default());
        let first: Vec<String> = first.map(str::to_owned).collect();
        *outer.entry(first).or_insert(0usize) += 1;
    }
    let wanted = ["1450", "1", "64", "1430", "4789", "0x0000"].map(str::to_owned);
    if switch() == Kind::Kernel {
        return Ok(());
    }
    let exact = outer.get(wanted.as_slice()).copied().unwrap_or(0);
    ensure!(
        exact >= 20,
        "{exact} of {} packets have {fields:?} = {wanted:?}: {outer:?}",
        packets.len()
    );
    Ok(())
}

#[test]
fn r7348_09_10_source_ports_tell_flows_apart() -> Result<()> {
    const FLOWS: u16 = 1000;
    let lab = lab("sport", 10)?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    let pcap = capture(&lab, || {
        for flow in 0..FLOWS {
            let socket = from
                .netns
                .enter(|| UdpSocket::bind((from.v4, 20_000 + flow)))??;
            for _ in 0..2 {
                socket.send_to(b"flow", (to.v4, 9))?;
            }
        }
        Ok(())
    })?;
    let filter = format!("ip.src == {} && udp.dstport == 9 && !icmp", from.v4);
    let mut ports: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    for packet in pcap.fields(&filter, &["udp.srcport"])? {
        let (outer, inner) = packet[0].split_once(',').context("outer and inner port")?;
        ports
            .entry(inner.to_owned())
            .or_default()
            .insert(outer.parse()?);
    }
    ensure!(
        ports.len() == usize::from(FLOWS),
        "{} flows were captured",
        ports.len()
    );
    let mixed = ports.values().filter(|outer| outer.len() != 1).count();
    ensure!(mixed == 0, "{mixed} flows used more than one source port");
    let mut buckets = [0usize; 16];
    for &port in ports.values().flatten() {
        ensure!(port >= 49_152, "source port {port}");
        buckets[usize::from(port - 49_152) * 16 / 16_384] += 1;
    }
    let fullest = buckets.iter().max().copied().unwrap_or(0);
    ensure!(
        fullest <= 2 * usize::from(FLOWS) / 16,
        "badly spread: {buckets:?}"
    );
    Ok(())
}

#[test]
fn r7348_16_outer_packets_are_never_fragments() -> Result<()> {
    let lab = lab("frag", 10)?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    // A guest that ignores the MTU of the overlay: what does not fit may be dropped, not cut.
    from.netns.ip("link set eth0 mtu 1500")?;
    lab.hypervisor(1)?
        .netns
        .ip(&format!("link set {} mtu 1500", from.port))?;
    let filter = "src host 10.77.1.2 and ip proto 17";
    let capture = Capture::start(&lab.scope, &lab.router, "hv1", filter)?;
    let answered = Ping::new(to.v4).size(1400).run(&from.netns)?;
    ensure!(answered.received > 0, "what fits is lost: {answered:?}");
    for size in [1430, 1472, 3200] {
        Ping::new(to.v4).size(size).run(&from.netns)?;
    }
    let capture = capture.finish()?;
    ensure!(!capture.summary("")?.is_empty(), "nothing was seen");
    // Flags and offset of the outer header: the guests' own packets may well be fragments.
    let fragments = capture.summary("frame[20:2] != 40:00 && frame[20:2] != 00:00")?;
    ensure!(
        fragments.is_empty() || switch() == Kind::Kernel,
        "fragments:\n{fragments}"
    );
    Ok(())
}

#[test]
fn r7348_06_networks_with_equal_addresses_are_isolated() -> Result<()> {
    let lab = LabBuilder::new("isolated")
        .hypervisors(&[switch(), Kind::Kernel])
        .network(Network::new("blue", 10))
        .network(Network::new("red", 20))
        .guest("blue", 1, Port::Tap)
        .guest("blue", 2, Port::Veth)
        .guest("red", 1, Port::Veth)
        .guest("red", 2, Port::Tap)
        .build()?;
    eventually(Duration::from_secs(5), || {
        for network in ["blue", "red"] {
            let (from, to) = (lab.guest(network, 1, 1)?, lab.guest(network, 2, 1)?);
            lab.wait_for_ping(from, to, Family::V4)?;
        }
        Ok(())
    })?;
    let stations = Station::all(&lab)?;
    for (sender, peer) in [(0, 1), (1, 0), (2, 3), (3, 2)] {
        // Broadcast, an address of the same network, and one of the other network.
        for destination in [
            [0xff; 6],
            stations[peer].mac,
            stations[(sender + 2) % 4].mac,
        ] {
            let from = &stations[sender];
            let frame = test_frame(from.mac, destination);
            let mut expected = [0; 4];
            expected[peer] = BURST;
            expect_burst(&from.name, from, &frame, &stations, &expected)?;
        }
    }
    Ok(())
}
