//! Bulk traffic where XDP does not run: super-packets reach taps by way of the detour.

use anyhow::{Context as _, Result, ensure};
use vxnet::state::DETOUR;
use vxnet_tests::counters::link_counter;
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::iperf::{self, Load};
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::transfer;
use vxnet_tests::underlay::{Family, Wire};

use crate::switch;

/// The least share of bulk bytes that has to reach a tap in super-packets.
const GSO_PERCENT: f64 = 95.0;
/// How much reordering is believed to be chance, of the some 100,000 segments of a run.
const REORDERED: u64 = 5;

fn lab(label: &str, underlay: Family, wire: Wire) -> Result<Lab> {
    let lab = LabBuilder::new(label)
        .underlay(underlay)
        .wire(wire)
        .every_host("receive = \"tc\"")
        .hypervisors(&[Kind::Kernel, switch()])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Tap)
        .guest("blue", 2, Port::Tap)
        .build()?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    lab.wait_for_ping(from, to, Family::V4)?;
    Ok(lab)
}

/// One bulk flow from the kernel's guest to vxnet's, in inner packets of either family.
fn bulk(lab: &Lab) -> Result<()> {
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    for target in [std::net::IpAddr::from(to.v4), to.v6.into()] {
        let cable = to.cable().context("the guest has a tap")?;
        let before = cable.to_guest.read();
        let result = iperf::run(&lab.scope, &from.netns, &to.netns, target, Load::Tcp, 2)?;
        let share = cable.to_guest.read().since(before).gso_percent();
        ensure!(
            share >= GSO_PERCENT,
            "{target}: {share:.1} % in super-packets: {result:?}"
        );
        ensure!(result.sack_reordered <= REORDERED, "{target}: {result:?}");
    }
    transfer::tcp_both_ways(&from.netns, &to.netns, to.v4, 1 << 20)
}

#[test]
fn p17_tcp_reaches_taps_in_super_packets() -> Result<()> {
    bulk(&lab("detour", Family::V4, Wire::Mtu)?)
}

#[test]
fn p17_tcp_reaches_taps_in_super_packets_behind_ipv6() -> Result<()> {
    bulk(&lab("detoursix", Family::V6, Wire::Mtu)?)
}

/// So do those that cross the wire whole.
#[test]
fn attack10_p17_encapsulated_super_packets_reach_taps_whole() -> Result<()> {
    bulk(&lab("detourgso", Family::V4, Wire::Gso)?)
}

/// UDP's take the detour for every port: what they are cut into after a program stripped them still
/// looks like a tunnel's packets.
#[test]
fn attack10_p17_encapsulated_super_packets_of_udp_arrive() -> Result<()> {
    let lab = LabBuilder::new("detourudp")
        .wire(Wire::Gso)
        .every_host("receive = \"tc\"")
        .hypervisors(&[Kind::Kernel, switch()])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Veth)
        .guest("blue", 2, Port::Veth)
        .guest("blue", 2, Port::Tap)
        .build()?;
    let from = lab.guest("blue", 1, 1)?;
    for index in [1, 2] {
        let to = lab.guest("blue", 2, index)?;
        lab.wait_for_ping(from, to, Family::V4)?;
        for size in [1000, 100, 10] {
            transfer::udp_segments(&from.netns, &to.netns, to.v4, size)?;
        }
    }
    Ok(())
}

/// A veth takes super-packets as they are: they need no detour.
#[test]
fn attack10_p17_encapsulated_super_packets_reach_veths_uncut() -> Result<()> {
    let lab = LabBuilder::new("detourno")
        .wire(Wire::Gso)
        .every_host("receive = \"tc\"")
        .hypervisors(&[Kind::Kernel, switch()])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Veth)
        .guest("blue", 2, Port::Veth)
        .build()?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    lab.wait_for_ping(from, to, Family::V4)?;
    let host = &lab.hypervisor(2)?.netns;
    let crossed = || link_counter(host, DETOUR, "tx", "packets");
    let before = crossed()?;
    let result = iperf::run(&lab.scope, &from.netns, &to.netns, to.v4, Load::Tcp, 2)?;
    // The handshake and what comes before the first super-packet.
    let cut = crossed()? - before;
    ensure!(cut < 100, "{cut} packets took the detour: {result:?}");
    Ok(())
}

/// What enters the overlay has nothing to do with the host's own input filter, large or small.
#[test]
fn p17_an_input_filter_of_the_host_does_not_matter() -> Result<()> {
    let lab = lab("detourfw", Family::V4, Wire::Mtu)?;
    let host = &lab.hypervisor(2)?.netns;
    host.line("nft -f -")
        .stdin(
            "table inet fw { chain input { type filter hook input priority 0; policy drop; }; }\n",
        )
        .run()?;
    bulk(&lab)?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    transfer::udp_echo(&from.netns, &to.netns, to.v4, [1, 100, 1400])
}
