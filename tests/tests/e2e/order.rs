//! Order: no receive path lets packets of a flow overtake each other, at taps and veths, on wires
//! of MTU-size frames and of super-packets.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use vxnet_tests::counters::Counters;
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::iperf::{self, IperfResult, Load};
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::probe::{Probe, Sending};
use vxnet_tests::steering::steer;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::transfer;
use vxnet_tests::underlay::{Family, Wire};
use vxnet_tests::wait::eventually;

use crate::switch;

const SECONDS: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(20);
/// Numbered datagrams a second, about what a socket can send through the slowest path.
const RATE: u32 = 50_000;
/// The lab's own links can reorder on a busy machine: a round that shows some is followed by
/// another. A path that lets segments overtake shows it in each.
const ROUNDS: usize = 3;
/// So few bytes on the way that no queue overflows: what follows a lost segment comes out of order too.
const WINDOW: u32 = 256 << 10;
/// Bytes of the flow that is written unevenly.
const UNEVEN: usize = 16 << 20;
/// Bytes of a TCP segment in the labs.
const SEGMENT: f64 = 1398.0;
/// The share of segments that may be out of order above the kernel's own.
const CHANCE: f64 = 1e-5;

fn lab(label: &str, receive: &str, wire: Wire, [sender, receiver]: [Kind; 2]) -> Result<Lab> {
    let lab = LabBuilder::new(label)
        .wire(wire)
        .every_host(&format!("receive = \"{receive}\""))
        .hypervisors(&[sender, receiver])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Tap)
        .guest("blue", 1, Port::Veth)
        .guest("blue", 2, Port::Tap)
        .guest("blue", 2, Port::Veth)
        .build()?;
    for index in [1, 2] {
        let (from, to) = (lab.guest("blue", 1, index)?, lab.guest("blue", 2, index)?);
        lab.wait_for_ping(from, to, Family::V4)?;
    }
    Ok(lab)
}

/// Numbered datagrams to the tap or the veth of hv2: none may overtake another.
fn numbered(lab: &Lab, index: usize, sending: Sending) -> Result<()> {
    let (from, to) = (lab.guest("blue", 1, index)?, lab.guest("blue", 2, index)?);
    let probe = Probe::start_with(&from.netns, &to.netns, to.v4, RATE, sending)?;
    let wanted = u64::from(RATE);
    eventually(PATIENCE, || {
        ensure!(probe.sent() >= wanted, "{} sent", probe.sent());
        Ok(())
    })?;
    let probe = probe.finish()?;
    ensure!(
        probe.received > wanted / 2 && probe.reordered == 0 && probe.duplicated == 0,
        "{}, {sending:?}: {probe:?}",
        to.name
    );
    Ok(())
}

/// A bulk flow to the tap or the veth of hv2.
fn bulk(lab: &Lab, index: usize) -> Result<IperfResult> {
    let (from, to) = (lab.guest("blue", 1, index)?, lab.guest("blue", 2, index)?);
    iperf::run(
        &lab.scope,
        &from.netns,
        &to.netns,
        to.v4,
        Load::TcpWindow(WINDOW),
        SECONDS,
    )
}

/// Segments that come singly and merged by turns: no path may split a flow by that.
fn uneven(lab: &Lab, index: usize) -> Result<()> {
    let (from, to) = (lab.guest("blue", 1, index)?, lab.guest("blue", 2, index)?);
    let mut seen = Vec::new();
    for _ in 0..ROUNDS {
        let before = Counters::read(&to.netns)?;
        transfer::tcp_uneven(&from.netns, &to.netns, to.v4, UNEVEN)?;
        seen.push(Counters::read(&to.netns)?.since(&before, "TcpExt.TCPOFOQueue"));
        if seen.ends_with(&[0]) {
            return Ok(());
        }
    }
    bail!("{}: {seen:?} segments came early", to.name);
}

/// Returns whether receiver and sender saw no more reordering than with the kernel's bridge and
/// VXLAN device. (What follows a lost segment is no reordering, and a busy machine loses some.)
fn is_in_order(got: &IperfResult, reference: &IperfResult) -> bool {
    let segments = got.gbit_per_s * 1e9 / 8.0 * f64::from(SECONDS) / SEGMENT;
    let number = |count| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let kept =
        |of: fn(&IperfResult) -> u64| number(of(got)) <= number(of(reference)) + segments * CHANCE;
    kept(|result| result.sack_reordered) && kept(|result| result.out_of_order)
}

fn in_order(label: &str, receive: &str, wires: &[Wire]) -> Result<()> {
    for &wire in wires {
        for sender in [switch(), Kind::Kernel] {
            let ours = lab(label, receive, wire, [sender, switch()])?;
            let kernel = lab(&format!("{label}k"), receive, wire, [Kind::Kernel; 2])?;
            // One CPU has the segments of the guests' veths, and the other the acknowledgements.
            for lab in [&ours, &kernel] {
                for (hypervisor, cpu) in [(1, 0), (2, 1)] {
                    let host = &lab.hypervisor(hypervisor)?.netns;
                    steer(host, &lab.guest("blue", hypervisor, 2)?.port, 1 << cpu)?;
                }
            }
            for index in [1, 2] {
                numbered(&ours, index, Sending::Single)?;
                numbered(&ours, index, Sending::Mixed)?;
                uneven(&ours, index)?;
                let mut seen = Vec::new();
                for round in 1..=ROUNDS {
                    let (got, reference) = (bulk(&ours, index)?, bulk(&kernel, index)?);
                    let in_order = is_in_order(&got, &reference);
                    seen.push((got, reference));
                    if in_order {
                        break;
                    }
                    ensure!(round < ROUNDS, "{wire:?}, guest {index}: {seen:#?}");
                }
            }
        }
    }
    Ok(())
}

#[test]
fn q_12_flows_stay_in_order_through_tc() -> Result<()> {
    in_order("ordertc", "tc", &[Wire::Mtu, Wire::Gso])
}

#[test]
fn q_12_flows_stay_in_order_through_xdp() -> Result<()> {
    in_order("orderxdp", "xdp", &[Wire::Mtu, Wire::Gso])
}

/// Only where checksums are finished on the wire, as on hardware.
#[test]
fn q_12_flows_stay_in_order_straight_to_taps() -> Result<()> {
    in_order("orderdirect", "xdp-direct", &[Wire::Mtu])
}
