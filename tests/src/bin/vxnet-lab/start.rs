//! From nothing to a running fabric, and back to nothing.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::netns::Netns;
use vxnet_tests::snapshot::{BpfObjects, Snapshot};
use vxnet_tests::wait::eventually;

use crate::report::Report;

/// The state of the vxnet hypervisors before vxnet touched them.
pub(crate) type Before = Vec<(usize, Snapshot)>;

/// Shows the configuration, starts everything and plugs the guests in.
pub(crate) fn run(lab: &mut Lab, kind: Kind, report: &mut Report) -> Result<Before> {
    report.section("The lab");
    let name = lab.scope.name();
    report.note(&format!(
        "{name}: hv1, hv2 and hv3 behind a router, underlay MTU 1500"
    ));
    report.note(match kind {
        Kind::Vxnet => "hv1 and hv2 run vxnet, hv3 is a kernel bridge with a VXLAN device",
        _ => "all three are kernel bridges with VXLAN devices",
    });
    let mut before = Vec::new();
    if kind == Kind::Vxnet {
        report.section("The configuration, the same file on every hypervisor");
        report.show(&lab.config());
        for number in [1, 2] {
            before.push((number, Snapshot::take(&lab.hypervisor(number)?.netns)?));
        }
        let output = lab.vxnet(1)?.check()?;
        let said = format!("{}{}", output.stdout, output.stderr);
        report.expect(
            "`vxnet check` accepts it",
            output.status.success(),
            one_line(&said),
        );
    }
    lab.start().context("cannot start the hypervisors")?;
    lab.plug_all().context("cannot plug in the guests")?;
    if kind == Kind::Vxnet {
        show_status(lab, report)?;
    }
    Ok(before)
}

fn show_status(lab: &mut Lab, report: &mut Report) -> Result<()> {
    report.section("vxnet status on hv1");
    let vxnet = lab.vxnet(1)?;
    report.show(&vxnet.cli("status")?);
    let status = vxnet.json("status")?;
    report.expect(
        "the daemon runs",
        status["daemon"] == "running",
        &status["daemon"].to_string(),
    );
    let uplinks = &status["uplinks"];
    report.expect(
        "the uplink receives",
        uplinks[0]["link"] == "eth0",
        &uplinks.to_string(),
    );
    let ports = vxnet.rows("port show")?;
    let guests = ports.iter().filter(|row| row["kind"] == "guest").count();
    report.expect("hv1 has 3 guest ports", guests == 3, &guests.to_string());
    report.show(&vxnet.cli("port show")?);
    Ok(())
}

/// Removes vxnet from both hypervisors; nothing may be left.
pub(crate) fn teardown(lab: &mut Lab, before: &Before, report: &mut Report) -> Result<()> {
    report.section("vxnet teardown");
    // What the guests' ports leave in a hypervisor is not vxnet's.
    lab.guests.clear();
    for (number, before) in before {
        let hypervisor = lab.hypervisor_mut(*number)?;
        let (name, netns) = (hypervisor.name.clone(), hypervisor.netns.clone());
        unplug(&netns)?;
        let vxnet = hypervisor.vxnet()?;
        let pins = vxnet.pin_directory().to_owned();
        let objects = BpfObjects::pinned_below(&pins)?;
        vxnet.stop()?;
        vxnet.teardown()?;
        let difference = eventually(Duration::from_secs(5), || {
            let difference = before.diff(&Snapshot::take(&netns)?);
            ensure!(difference.is_empty(), "left behind or lost:\n{difference}");
            Ok(String::from(
                "links, addresses, routes, qdiscs, filters, nft and sysctls as before",
            ))
        });
        report.check(&format!("{name}: the namespace is as it was"), difference);
        let freed = eventually(Duration::from_secs(5), || {
            let left = objects.still_in(&BpfObjects::all()?);
            ensure!(left.is_empty(), "{left:?}");
            ensure!(
                !objects.is_empty(),
                "no BPF objects were found below {}",
                pins.display()
            );
            Ok(format!("{} gone", objects.len()))
        });
        report.check(
            &format!("{name}: BPF programs, maps and links are freed"),
            freed,
        );
        let pins = lab.bpffs.pins(&name);
        report.expect(
            &format!("{name}: no pins"),
            pins.is_empty(),
            &format!("{pins:?}"),
        );
    }
    Ok(())
}

/// Removes the guests' veths. (Taps went with their cables.)
fn unplug(netns: &Netns) -> Result<()> {
    let links = netns.line("ip -j link").json()?;
    let names = links
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|link| link["ifname"].as_str());
    for name in names.filter(|name| name.starts_with("vnet")) {
        netns.ip(&format!("link del {name}"))?;
    }
    Ok(())
}

pub(crate) fn one_line(text: &str) -> &str {
    text.lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .trim()
}
