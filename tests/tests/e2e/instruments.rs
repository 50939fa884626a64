//! The instruments themselves: they have to see the faults that the other tests say are absent.
//! Nothing of vxnet runs here.

use std::time::Duration;

use anyhow::{Result, ensure};
use vxnet_tests::capture::Capture;
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::iperf::{self, Load};
use vxnet_tests::lab::Lab;
use vxnet_tests::netns::Netns;
use vxnet_tests::network::Network;
use vxnet_tests::ping::Ping;
use vxnet_tests::probe::Probe;
use vxnet_tests::scope::Scope;
use vxnet_tests::snapshot::Snapshot;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::Family;

fn lab(label: &str) -> Result<Lab> {
    let lab = LabBuilder::new(label)
        .hypervisors(&[Kind::Kernel, Kind::Kernel])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Tap)
        .guest("blue", 2, Port::Tap)
        .build()?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    lab.wait_for_ping(from, to, Family::V4)?;
    Ok(lab)
}

#[test]
fn instruments_a_snapshot_sees_what_is_left_behind() -> Result<()> {
    let scope = Scope::open("snapshot")?;
    let netns = Netns::create(&scope, "host")?;
    let before = Snapshot::take(&netns)?;
    ensure!(
        before.diff(&Snapshot::take(&netns)?).is_empty(),
        "an idle namespace differs"
    );
    for (section, make, undo) in [
        ("link", "ip link add left type bridge", "ip link del left"),
        (
            "address",
            "ip address add 192.0.2.1/32 dev lo",
            "ip address del 192.0.2.1/32 dev lo",
        ),
        (
            "route",
            "ip route add blackhole 192.0.2.0/24",
            "ip route del 192.0.2.0/24",
        ),
        (
            "rule",
            "ip rule add pref 77 table 77",
            "ip rule del pref 77",
        ),
        (
            "qdisc",
            "tc qdisc add dev lo clsact",
            "tc qdisc del dev lo clsact",
        ),
        (
            "nft",
            "nft add table bridge left",
            "nft delete table bridge left",
        ),
        (
            "sysctl",
            "sysctl -w net.ipv4.ip_forward=1",
            "sysctl -w net.ipv4.ip_forward=0",
        ),
    ] {
        netns.line(make).run()?;
        let difference = before.diff(&Snapshot::take(&netns)?);
        ensure!(
            difference.contains(&format!("+ {section}: ")),
            "{make}: {difference}"
        );
        netns.line(undo).run()?;
        let difference = before.diff(&Snapshot::take(&netns)?);
        ensure!(difference.is_empty(), "{undo}: {difference}");
    }
    Ok(())
}

#[test]
fn instruments_the_probe_sees_loss_and_duplicates() -> Result<()> {
    let lab = lab("probe")?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    let start = || Probe::start(&from.netns, &to.netns, to.v4, 1000);
    let pause = || std::thread::sleep(Duration::from_millis(500));

    let probe = start()?;
    pause();
    let clean = probe.finish()?;
    ensure!(
        clean.lost == 0 && clean.duplicated == 0 && clean.sent >= 400,
        "{clean}"
    );

    let probe = start()?;
    pause();
    lab.router.ip("link set hv2 down")?;
    pause();
    lab.router.ip("link set hv2 up")?;
    pause();
    let broken = probe.finish()?;
    ensure!(
        broken.lost >= 400 && broken.longest_gap.as_millis() >= 400,
        "{broken}"
    );

    // A second way to the same peer: every flooded frame arrives twice.
    let hypervisor = lab.hypervisor(1)?;
    lab.hypervisor(2)?
        .netns
        .ip("address add 10.77.2.3/24 dev eth0")?;
    hypervisor
        .netns
        .ip("link set vx10 type bridge_slave learning off")?;
    hypervisor.netns.ip("link set vx10 type vxlan nolearning")?;
    hypervisor
        .netns
        .ip("link set br-blue type bridge fdb_flush")?;
    let mac = vxnet_tests::network::mac_text(to.mac);
    hypervisor
        .netns
        .line(&format!("bridge fdb del {mac} dev vx10 dst 10.77.2.2"))
        .output()?;
    hypervisor.flood_to(lab.network("blue")?, [10, 77, 2, 3].into())?;
    let probe = start()?;
    pause();
    let doubled = probe.finish()?;
    ensure!(doubled.lost == 0 && doubled.duplicated >= 400, "{doubled}");
    Ok(())
}

#[test]
fn instruments_tap_cables_carry_super_packets() -> Result<()> {
    let lab = lab("cable")?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    let cable = to.cable().expect("the guest has a tap");
    let before = cable.to_guest.read();
    iperf::run(&lab.scope, &from.netns, &to.netns, to.v4, Load::Tcp, 1)?;
    let bulk = cable.to_guest.read().since(before);
    ensure!(bulk.gso_percent() > 90.0, "{bulk:?}");
    // Without segmentation offload in the sender and GRO in the receiver nothing is merged.
    from.netns.line("ethtool -K eth0 tso off gso off").run()?;
    lab.hypervisor(2)?
        .netns
        .line("ethtool -K eth0 gro off")
        .run()?;
    lab.hypervisor(2)?
        .netns
        .line("ethtool -K vx10 gro off")
        .run()?;
    let before = cable.to_guest.read();
    iperf::run(&lab.scope, &from.netns, &to.netns, to.v4, Load::Tcp, 1)?;
    let single = cable.to_guest.read().since(before);
    ensure!(single.gso_percent() < 10.0, "{single:?}");
    Ok(())
}

#[test]
fn instruments_a_capture_is_complete_and_well_formed() -> Result<()> {
    let lab = lab("capture")?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    let capture = Capture::start(&lab.scope, &lab.router, "hv1", "udp port 4789")?;
    let reply = Ping::new(to.v4).count(20).run(&from.netns)?;
    let pcap = capture.finish()?;
    ensure!(reply.all(), "{}", reply.text);
    let seen = (pcap.count("icmp.type == 8")?, pcap.count("icmp.type == 0")?);
    ensure!(seen == (20, 20), "{seen:?} of 20 requests and replies");
    pcap.ensure_well_formed()
}
