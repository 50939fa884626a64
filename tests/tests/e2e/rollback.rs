//! All or nothing: a fabric that cannot be applied leaves the host as it was, and forwarding.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::netns::Netns;
use vxnet_tests::network::Network;
use vxnet_tests::probe::Probe;
use vxnet_tests::snapshot::Snapshot;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::Family;
use vxnet_tests::vxnet::Vxnet;
use vxnet_tests::wait::eventually;

use crate::leaving::{lab, reload};

const PATIENCE: Duration = Duration::from_secs(10);
/// The far end of the anchor of the network with VNI 12: if that name is taken, the network cannot
/// be made, after its bridge has been.
const OBSTACLE: &str = "vxp-12";

/// Puts something into the way of green.
fn obstruct(netns: &Netns) -> Result<()> {
    netns.ip(&format!("link add {OBSTACLE} type bridge"))?;
    Ok(())
}

/// A file with green, and without red.
fn other(lab: &mut Lab) -> String {
    lab.networks[1] = Network::new("green", 12);
    lab.config()
}

fn write_other(lab: &mut Lab) -> Result<()> {
    let config = other(lab);
    lab.vxnet(1)?.write_config(&config)
}

/// Everything that the tables hold but what moves by itself.
fn tables(vxnet: &Vxnet) -> Result<Value> {
    let mut networks = vxnet.json("network show")?;
    for network in networks.as_array_mut().into_iter().flatten() {
        network["fdb"] = Value::Null;
    }
    let names = |words: &str, key: &str| -> Result<Vec<Value>> {
        let rows = vxnet.rows(words)?;
        Ok(rows.iter().map(|row| row[key].clone()).collect())
    };
    Ok(serde_json::json!({
        "networks": networks,
        "ports": names("port show", "port")?,
        "vteps": names("vtep show", "host")?,
    }))
}

#[test]
fn a23_f4_an_apply_that_fails_half_way_changes_nothing() -> Result<()> {
    let mut lab = lab("backapply")?;
    let netns = lab.hypervisor(1)?.netns.clone();
    lab.vxnet(1)?.stop()?;
    obstruct(&netns)?;
    let (links, rows) = (Snapshot::take(&netns)?, tables(lab.vxnet(1)?)?);
    let pins = lab.bpffs.pins("hv1");
    write_other(&mut lab)?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    let probe = Probe::start(&from.netns, &to.netns, to.v4, 1000)?;
    let vxnet = lab.vxnet(1)?;
    let refused = vxnet.with_config(["apply"]).output()?;
    let text = &refused.stderr;
    ensure!(
        refused.status.code() == Some(1)
            && text.contains("the host is again as it was before")
            && text.contains("anchor port vxa-12"),
        "{text}"
    );
    let seen = probe.finish()?;
    ensure!(seen.lost == 0 && seen.sent > 100, "{seen}");
    let difference = links.diff(&Snapshot::take(&netns)?);
    ensure!(difference.is_empty(), "it left\n{difference}");
    let vxnet = lab.vxnet(1)?;
    let now = tables(vxnet)?;
    ensure!(rows == now, "from {rows:#}\nto {now:#}");
    let status = vxnet.json("status")?;
    let why = status["degraded"].as_str().unwrap_or_default();
    ensure!(why.contains("vxa-12"), "{status:#}");
    let text = vxnet.cli("status")?;
    ensure!(text.contains("\ndegraded\n  "), "{text}");
    ensure!(pins == lab.bpffs.pins("hv1"), "the pins are others");

    netns.ip(&format!("link del {OBSTACLE}"))?;
    let vxnet = lab.vxnet(1)?;
    vxnet.apply()?;
    let status = vxnet.json("status")?;
    ensure!(status["degraded"].is_null(), "{status:#}");
    ensure!(
        tables(vxnet)?["networks"][1]["network"] == "green",
        "no green"
    );
    Ok(())
}

#[test]
fn a23_f4_a_first_apply_that_fails_leaves_nothing() -> Result<()> {
    let mut lab = LabBuilder::new("backfirst")
        .hypervisors(&[Kind::Vxnet])
        .network(Network::new("green", 12))
        .prepare()?;
    let netns = lab.hypervisor(1)?.netns.clone();
    obstruct(&netns)?;
    let before = Snapshot::take(&netns)?;
    for command in ["apply", "daemon"] {
        let refused = lab.vxnet(1)?.with_config([command]).output()?;
        ensure!(refused.status.code() == Some(1), "{}", refused.stderr);
        let difference = before.diff(&Snapshot::take(&netns)?);
        ensure!(difference.is_empty(), "{command} left\n{difference}");
        let pins = lab.bpffs.pins("hv1");
        ensure!(pins.is_empty(), "{command} left pins: {pins:?}");
    }
    Ok(())
}

/// A fabric that cannot be noted cannot be come back to either.
#[test]
fn a23_f9_what_cannot_be_noted_is_not_applied() -> Result<()> {
    let mut lab = lab("backnote")?;
    let netns = lab.hypervisor(1)?.netns.clone();
    lab.vxnet(1)?.stop()?;
    // No note is written through a folder.
    let draft = lab.vxnet(1)?.run_directory().join("fabric.new");
    fs::create_dir(&draft)?;
    let (links, rows) = (Snapshot::take(&netns)?, tables(lab.vxnet(1)?)?);
    write_other(&mut lab)?;
    let vxnet = lab.vxnet(1)?;
    let refused = vxnet.with_config(["apply"]).output()?;
    let text = &refused.stderr;
    ensure!(
        refused.status.code() == Some(1) && text.contains("/fabric.json"),
        "{text}"
    );
    let difference = links.diff(&Snapshot::take(&netns)?);
    ensure!(difference.is_empty(), "it left\n{difference}");
    let vxnet = lab.vxnet(1)?;
    let now = tables(vxnet)?;
    ensure!(rows == now, "from {rows:#}\nto {now:#}");
    fs::remove_dir(&draft)?;
    vxnet.apply()?;
    Ok(())
}

/// Who has lost the note and a pin is not as good as new: guests are there.
#[test]
fn a23_f15_what_fails_without_a_record_removes_nothing() -> Result<()> {
    for command in ["apply", "daemon"] {
        let mut lab = lab(&format!("backlost{command}"))?;
        let netns = lab.hypervisor(1)?.netns.clone();
        lab.vxnet(1)?.stop()?;
        obstruct(&netns)?;
        write_other(&mut lab)?;
        let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
        let probe = Probe::start(&from.netns, &to.netns, to.v4, 1000)?;
        let vxnet = lab.vxnet(1)?;
        fs::remove_file(vxnet.run_directory().join("fabric.json"))?;
        fs::remove_file(vxnet.pin_directory().join("maps/LAST_DROPS"))?;
        let refused = vxnet.with_config([command]).output()?;
        let text = &refused.stderr;
        ensure!(
            refused.status.code() == Some(1) && text.contains("is not on record"),
            "{command}: {text}"
        );
        let seen = probe.finish()?;
        ensure!(seen.lost == 0 && seen.sent > 100, "{command}: {seen}");
        ensure!(
            netns.ip("link show br-blue").is_ok(),
            "{command}: no bridge"
        );
    }
    Ok(())
}

/// A daemon that reads a file which cannot be applied goes on with the former one.
#[test]
fn a23_f19_a_reload_that_fails_keeps_the_former_fabric() -> Result<()> {
    let mut lab = lab("backload")?;
    let netns = lab.hypervisor(1)?.netns.clone();
    obstruct(&netns)?;
    let rows = tables(lab.vxnet(1)?)?;
    let config = other(&mut lab);
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    let probe = Probe::start(&from.netns, &to.netns, to.v4, 1000)?;
    let degraded = |vxnet: &Vxnet, part: &str| {
        eventually(PATIENCE, || {
            let status = vxnet.json("status")?;
            let why = status["degraded"].as_str().unwrap_or("not at all");
            ensure!(why.contains(part), "{why}");
            Ok(())
        })
    };
    let vxnet = lab.vxnet(1)?;
    reload(vxnet, &config)?;
    degraded(vxnet, "vxa-12")?;
    let now = tables(vxnet)?;
    ensure!(rows == now, "from {rows:#}\nto {now:#}");

    // One that is wrong is not even begun.
    reload(vxnet, "[host]\nnonsense = 1\n")?;
    degraded(vxnet, "nonsense")?;
    let now = tables(vxnet)?;
    ensure!(rows == now, "from {rows:#}\nto {now:#}");
    let seen = probe.finish()?;
    ensure!(seen.lost == 0 && seen.sent > 100, "{seen}");

    // It is the former fabric that a new guest comes into.
    lab.plug("blue", 1, Port::Veth)?;
    let (from, to) = (lab.guest("blue", 1, 2)?, lab.guest("blue", 2, 1)?);
    lab.wait_for_ping(from, to, Family::V4)?;

    netns.ip(&format!("link del {OBSTACLE}"))?;
    let vxnet = lab.vxnet(1)?;
    reload(vxnet, &config)?;
    degraded(vxnet, "not at all")?;
    eventually(PATIENCE, || {
        let now = tables(vxnet)?;
        ensure!(now["networks"][1]["network"] == "green", "{now:#}");
        Ok(())
    })
}

/// So does one that starts with such a file.
#[test]
fn a23_a_daemon_that_starts_with_what_cannot_be_applied_goes_on_with_the_former_fabric()
-> Result<()> {
    let mut lab = lab("backstart")?;
    let netns = lab.hypervisor(1)?.netns.clone();
    let rows = tables(lab.vxnet(1)?)?;
    lab.vxnet(1)?.stop()?;
    obstruct(&netns)?;
    write_other(&mut lab)?;
    let vxnet = lab.vxnet(1)?;
    vxnet.start()?;
    let status = vxnet.json("status")?;
    let why = status["degraded"].as_str().unwrap_or_default();
    ensure!(why.contains("vxa-12"), "{status:#}");
    let now = tables(vxnet)?;
    ensure!(rows == now, "from {rows:#}\nto {now:#}");
    Ok(())
}
