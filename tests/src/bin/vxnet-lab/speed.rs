//! Bulk TCP and UDP between guests behind taps and behind veths.

use anyhow::{Context as _, Result, bail};
use vxnet_tests::iperf::{self, IperfResult, Load};
use vxnet_tests::lab::Lab;

use crate::report::Report;

/// The least share of bulk bytes that has to reach a tap in super-packets.
const GSO_PERCENT: f64 = 95.0;

pub(crate) fn run(lab: &Lab, quick: bool, report: &mut Report) {
    report.section("Speed");
    let seconds = if quick { 1 } else { 4 };
    report.check("TCP, tap to tap", tap_tcp(lab, seconds));
    report.check(
        "TCP, veth to veth",
        tcp(lab, 2, seconds).map(|result| text(&result)),
    );
    for (index, ports) in [(1, "tap to tap"), (2, "veth to veth")] {
        report.check(
            &format!("UDP of 1400 bytes, {ports}"),
            udp(lab, index, seconds),
        );
    }
}

/// One bulk flow between the `index`-th blue guests of hv1 and hv2.
pub(crate) fn tcp(lab: &Lab, index: usize, seconds: u32) -> Result<IperfResult> {
    let (from, to) = (lab.guest("blue", 1, index)?, lab.guest("blue", 2, index)?);
    iperf::run(
        &lab.scope,
        &from.netns,
        &to.netns,
        to.v4,
        Load::Tcp,
        seconds,
    )
}

fn tap_tcp(lab: &Lab, seconds: u32) -> Result<String> {
    let cable = lab
        .guest("blue", 2, 1)?
        .cable()
        .context("the guest has a tap")?;
    let before = cable.to_guest.read();
    let result = tcp(lab, 1, seconds)?;
    let carried = cable.to_guest.read().since(before);
    let figure = format!(
        "{}, {:.1} % of bytes in GSO frames",
        text(&result),
        carried.gso_percent()
    );
    if carried.gso_percent() < GSO_PERCENT {
        bail!("{figure} (at least {GSO_PERCENT} % wanted)");
    }
    Ok(figure)
}

fn udp(lab: &Lab, index: usize, seconds: u32) -> Result<String> {
    let (from, to) = (lab.guest("blue", 1, index)?, lab.guest("blue", 2, index)?);
    let load = Load::Udp {
        length: 1400,
        rate: "150M",
    };
    let result = iperf::run(&lab.scope, &from.netns, &to.netns, to.v4, load, seconds)?;
    let figure = format!(
        "{:.2} Gb/s, {:.2} % lost",
        result.gbit_per_s, result.lost_percent
    );
    if result.gbit_per_s < 0.14 {
        bail!("{figure} (0.15 Gb/s sent)");
    }
    Ok(figure)
}

fn text(result: &IperfResult) -> String {
    let IperfResult {
        gbit_per_s,
        out_of_order,
        retransmits,
        ..
    } = result;
    format!("{gbit_per_s:.2} Gb/s, {out_of_order} segments out of order, {retransmits} sent again")
}
