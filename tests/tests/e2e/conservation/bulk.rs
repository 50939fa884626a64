//! Bulk TCP, which the kernel joins and cuts on its way.

use anyhow::{Context as _, Result, ensure};
use vxnet::state::{DETOUR, DETOUR_END};
use vxnet_tests::counters::link_counter;
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::iperf::{self, Load};
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::{Family, Wire};
use vxnet_tests::wait::eventually;

use super::PATIENCE;

/// How bulk TCP reaches a port.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// Joined behind XDP, which counted each segment.
    Joined,
    /// On the detour.
    Detour,
    /// As it came.
    Itself,
}

/// Sends for a while, and checks that every segment is accounted for on both hosts.
fn bulk(label: &str, receive: &str, wire: Wire, port: Port, by: By) -> Result<()> {
    let mut lab = LabBuilder::new(label)
        .wire(wire)
        .hypervisors(&[Kind::Vxnet, Kind::Vxnet])
        .every_host(&format!("receive = \"{receive}\""))
        .network(Network::new("blue", 10))
        .guest("blue", 1, port)
        .guest("blue", 2, port)
        .build()?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    lab.wait_for_ping(from, to, Family::V4)?;
    iperf::run(&lab.scope, &from.netns, &to.netns, to.v4, Load::Tcp, 2)?;
    for guest in &lab.guests {
        guest.silence()?;
    }
    for number in [1, 2] {
        eventually(PATIENCE, || {
            let account = lab.vxnet(number)?.json("verify")?;
            let lost = lost_on_the_detour(&lab, number)?;
            ensure!(
                account["missing"] == lost,
                "hv{number}, {lost} lost on the detour: {account}"
            );
            Ok(())
        })?;
    }
    let account = lab.vxnet(2)?.json("verify")?;
    let joined = account["merged"].as_u64().context("merged")?;
    let detoured = link_counter(&lab.hypervisor(2)?.netns, DETOUR, "tx", "packets")?;
    let (joins, detours) = (by == By::Joined, by == By::Detour);
    ensure!(
        (joined > 1000) == joins && (detoured > 1000) == detours,
        "{detoured} took the detour: {account}"
    );
    Ok(())
}

/// What the kernel dropped on a host's detour: on the way into the room, or behind it.
fn lost_on_the_detour(lab: &Lab, number: usize) -> Result<u64> {
    let netns = &lab.hypervisor(number)?.netns;
    let before = link_counter(netns, DETOUR, "tx", "dropped")?;
    Ok(before + link_counter(netns, DETOUR_END, "rx", "dropped")?)
}

#[test]
fn conservation_of_bulk_tcp_merged_behind_xdp() -> Result<()> {
    bulk("consxdp", "auto", Wire::Mtu, Port::Veth, By::Joined)
}

#[test]
fn conservation_of_bulk_tcp_on_the_detour() -> Result<()> {
    bulk("consgro", "tc", Wire::Mtu, Port::Tap, By::Detour)
}

#[test]
fn conservation_of_bulk_tcp_on_the_detour_that_comes_whole() -> Result<()> {
    bulk("conscut", "tc", Wire::Gso, Port::Tap, By::Detour)
}

#[test]
fn conservation_of_bulk_tcp_that_stays_whole() -> Result<()> {
    bulk("conswhole", "tc", Wire::Gso, Port::Veth, By::Itself)
}
