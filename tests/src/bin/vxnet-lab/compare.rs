//! The same bulk flow over vxnet and over the kernel's bridge and VXLAN device, in turns: only
//! ratios within a round mean something on a busy machine.

use anyhow::{Result, bail};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::iperf::median;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::Family;

use crate::report::Report;
use crate::speed::tcp;

const ROUNDS: usize = 5;

pub(crate) fn run(lab: &Lab, kind: Kind, quick: bool, report: &mut Report) -> Result<()> {
    report.section("Compared with the kernel's bridge + VXLAN device (brvx)");
    let seconds = if quick { 1 } else { 2 };
    let brvx = baseline()?;
    let targets = if kind == Kind::Vxnet {
        [0.9, 0.7]
    } else {
        [0.0, 0.0]
    };
    for (index, ports, target) in [(1, "tap", targets[0]), (2, "veth", targets[1])] {
        let outcome = rounds(lab, &brvx, index, seconds, target);
        report.check(&format!("TCP between {ports} guests against brvx"), outcome);
    }
    Ok(())
}

fn baseline() -> Result<Lab> {
    let lab = LabBuilder::new("brvx")
        .hypervisors(&[Kind::Kernel, Kind::Kernel])
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

fn rounds(lab: &Lab, brvx: &Lab, index: usize, seconds: u32, target: f64) -> Result<String> {
    let mut ratios = Vec::new();
    let mut pairs = Vec::new();
    for round in 0..ROUNDS {
        // Whoever comes first may find a cooler machine: take turns.
        let (ours, theirs) = if round % 2 == 0 {
            let ours = tcp(lab, index, seconds)?.gbit_per_s;
            (ours, tcp(brvx, index, seconds)?.gbit_per_s)
        } else {
            let theirs = tcp(brvx, index, seconds)?.gbit_per_s;
            (tcp(lab, index, seconds)?.gbit_per_s, theirs)
        };
        ratios.push(ours / theirs);
        pairs.push(format!("{ours:.2}/{theirs:.2}"));
    }
    let ratio = median(&ratios);
    let figure = format!("median {ratio:.2}x ({} Gb/s)", pairs.join(", "));
    if ratio < target {
        bail!("{figure}, at least {target}x wanted");
    }
    Ok(figure)
}
