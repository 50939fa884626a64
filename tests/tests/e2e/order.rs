//! Order: no receive path lets packets of a flow overtake each other, at taps and veths, on wires
//! of MTU-size frames and of super-packets.

use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::iperf::{self, IperfResult, Load};
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::probe::Probe;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::{Family, Wire};
use vxnet_tests::wait::eventually;

use crate::switch;

const SECONDS: u32 = 2;
const PATIENCE: Duration = Duration::from_secs(20);
/// Numbered datagrams a second, before the bulk flow: beside it, another CPU's queues would let them
/// overtake each other within the lab, whichever switch carries them.
const RATE: u32 = 5000;
/// The lab's own links can reorder on a busy machine: a round that shows some is followed by
/// another. A path that lets segments overtake shows it in each.
const ROUNDS: usize = 3;
/// Bytes of a TCP segment in the labs.
const SEGMENT: f64 = 1398.0;
/// The share of segments that may be out of order above the kernel's own.
const CHANCE: f64 = 1e-5;

fn lab(label: &str, receive: &str, wire: Wire, receiver: Kind) -> Result<Lab> {
    let lab = LabBuilder::new(label)
        .wire(wire)
        .every_host(&format!("receive = \"{receive}\""))
        .hypervisors(&[Kind::Kernel, receiver])
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

/// Numbered datagrams, then a bulk flow, to the tap or the veth of hv2.
fn load(lab: &Lab, index: usize) -> Result<IperfResult> {
    let (from, to) = (lab.guest("blue", 1, index)?, lab.guest("blue", 2, index)?);
    let probe = Probe::start(&from.netns, &to.netns, to.v4, RATE)?;
    let wanted = u64::from(RATE * SECONDS);
    eventually(PATIENCE, || {
        ensure!(probe.sent() >= wanted, "{} sent", probe.sent());
        Ok(())
    })?;
    let probe = probe.finish()?;
    ensure!(
        probe.received > 0 && probe.reordered == 0 && probe.duplicated == 0,
        "{}: {probe:?}",
        to.name
    );
    on_one_cpu(|| {
        iperf::run(
            &lab.scope,
            &from.netns,
            &to.netns,
            to.v4,
            Load::Tcp,
            SECONDS,
        )
    })
}

/// Runs `work`, and the processes that it starts, on the first CPU: a veth queues by CPU, so segments
/// of a sender or of acknowledgements that move overtake each other before they reach any switch.
fn on_one_cpu<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let this = Pid::from_raw(0);
    let before = sched_getaffinity(this)?;
    let mut first = CpuSet::new();
    first.set(0)?;
    sched_setaffinity(this, &first)?;
    let done = work();
    sched_setaffinity(this, &before)?;
    done
}

/// Returns whether the sender saw no more reordering than with the kernel's bridge and VXLAN device.
/// (What follows a lost segment is no reordering, and a busy machine loses some.)
fn is_in_order(got: &IperfResult, reference: &IperfResult) -> bool {
    let segments = got.gbit_per_s * 1e9 / 8.0 * f64::from(SECONDS) / SEGMENT;
    let seen =
        |result: &IperfResult| f64::from(u32::try_from(result.sack_reordered).unwrap_or(u32::MAX));
    seen(got) <= seen(reference) + segments * CHANCE
}

fn in_order(label: &str, receive: &str, wires: &[Wire]) -> Result<()> {
    for &wire in wires {
        let ours = lab(label, receive, wire, switch())?;
        let kernel = lab(&format!("{label}k"), receive, wire, Kind::Kernel)?;
        for index in [1, 2] {
            let mut seen = Vec::new();
            for round in 1..=ROUNDS {
                let (got, reference) = (load(&ours, index)?, load(&kernel, index)?);
                let in_order = is_in_order(&got, &reference);
                seen.push((got, reference));
                if in_order {
                    break;
                }
                ensure!(round < ROUNDS, "{wire:?}, guest {index}: {seen:#?}");
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
