//! Removing vxnet, or a network: what goes, and what must not.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use vxnet_tests::guest::Port;
use vxnet_tests::lab::Lab;
use vxnet_tests::netns::Netns;
use vxnet_tests::network::Network;
use vxnet_tests::ping::Ping;
use vxnet_tests::snapshot::{BpfObjects, Snapshot};
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

use crate::lifetime::lab;

#[test]
fn p36_teardown_leaves_nothing() -> Result<()> {
    leaves_nothing(lab("nothing").prepare()?, &[])
}

#[test]
fn p36_teardown_leaves_nothing_that_somebody_broke() -> Result<()> {
    let damage = [
        "ip link del vx-detour",
        "ip link del vx-detour-end",
        "ip link set vxa-10 nomaster",
        "ip link set vxa-10 down",
    ];
    leaves_nothing(lab("broken").prepare()?, &damage)
}

#[test]
fn p36_teardown_leaves_nothing_of_clsact_filters() -> Result<()> {
    let mut lab = lab("clsact").prepare()?;
    lab.vxnet(1)?.use_clsact();
    leaves_nothing(lab, &[])
}

/// Sets everything up and tears it down; in between, while no daemon runs, others do some `damage`.
#[test]
fn p36_what_is_refused_at_first_leaves_nothing() -> Result<()> {
    let mut lab = lab("refused").prepare()?;
    let netns = lab.hypervisor(1)?.netns.clone();
    netns.ip("link add br-blue type veth peer name other")?;
    wait_for_addresses(&netns)?;
    let before = Snapshot::take(&netns)?;
    for command in ["apply", "daemon"] {
        let refused = lab.vxnet(1)?.with_config([command]).output()?;
        let text = &refused.stderr;
        ensure!(
            !refused.status.success() && text.contains("link br-blue exists and is no bridge"),
            "{command}: {text}"
        );
        let difference = before.diff(&Snapshot::take(&netns)?);
        ensure!(difference.is_empty(), "{command} left:\n{difference}");
        let pins = lab.bpffs.pins("hv1");
        ensure!(pins.is_empty(), "{command} left pins: {pins:?}");
    }
    Ok(())
}

/// Until the kernel has found its own addresses to be unique, it changes them itself.
fn wait_for_addresses(netns: &Netns) -> Result<()> {
    eventually(Duration::from_secs(5), || {
        let tentative = netns.ip("-6 address show tentative")?;
        ensure!(tentative.is_empty(), "{tentative}");
        Ok(())
    })
}

fn leaves_nothing(mut lab: Lab, damage: &[&str]) -> Result<()> {
    let netns = lab.hypervisor(1)?.netns.clone();
    wait_for_addresses(&netns)?;
    let before = Snapshot::take(&netns)?;
    lab.start()?;
    lab.plug_all()?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    lab.wait_for_ping(from, to, Family::V4)?;
    let objects = BpfObjects::pinned_below(lab.vxnet(1)?.pin_directory())?;
    ensure!(!objects.is_empty(), "vxnet has no BPF objects");
    ensure!(
        !before.diff(&Snapshot::take(&netns)?).is_empty(),
        "the snapshot is blind"
    );

    let refused = lab.vxnet(1)?.command(["teardown"]).output()?;
    ensure!(
        !refused.status.success(),
        "teardown took the guests' network away without --force"
    );
    lab.vxnet(1)?.stop()?;
    let port = lab.guest("blue", 1, 2)?.port.clone();
    lab.guests.clear();
    netns.ip(&format!("link del {port}"))?;
    for command in damage {
        netns.line(command).run()?;
    }
    lab.vxnet(1)?.teardown()?;
    eventually(Duration::from_secs(5), || {
        let difference = before.diff(&Snapshot::take(&netns)?);
        ensure!(difference.is_empty(), "left behind or lost:\n{difference}");
        let left = objects.still_in(&BpfObjects::all()?);
        ensure!(left.is_empty(), "still in the kernel: {left:?}");
        let pins = lab.bpffs.pins("hv1");
        ensure!(pins.is_empty(), "pins: {pins:?}");
        Ok(())
    })
}

#[test]
fn p36_a_network_that_goes_unplugs_no_guest() -> Result<()> {
    let mut lab = lab("leaves")
        .network(Network::new("red", 20))
        .network(Network::new("empty", 30))
        .guest("red", 1, Port::Veth)
        .guest("red", 1, Port::Veth)
        .build()?;
    lab.vxnet(1)?.stop()?;
    let with_red = lab.config();
    lab.networks.retain(|network| network.name == "blue");
    let without = lab.config();
    lab.vxnet(1)?.write_config(&without)?;
    lab.vxnet(1)?.apply()?;
    let netns = lab.hypervisor(1)?.netns.clone();
    let ports = netns.ip("-o link show master br-red")?;
    let port = lab.guest("red", 1, 1)?.port.clone();
    ensure!(ports.contains(port.as_str()), "unplugged: {ports:?}");
    let bridges = netns.ip("-o link show type bridge")?;
    ensure!(!bridges.contains("br-empty"), "left: {bridges}");
    ensure!(bridges.contains("br-blue"), "gone: {bridges}");
    // What its portgroups and checks kept apart, the kernel's bridge does not join.
    let (from, to) = (lab.guest("red", 1, 1)?, lab.guest("red", 1, 2)?);
    let reply = Ping::new(to.v4).run(&from.netns)?;
    ensure!(reply.received == 0, "the kernel bridges: {}", reply.text);
    let text = lab.vxnet(1)?.cli("status")?;
    ensure!(text.contains("bridge br-red is in no network"), "{text}");

    // The network comes back to a bridge that vxnet made: it goes when its guests have left.
    let apply = |lab: &mut Lab, config: &str| {
        lab.vxnet(1)?.write_config(config)?;
        lab.vxnet(1)?.apply()
    };
    apply(&mut lab, &with_red)?;
    // What nobody answered before is asked again in a second.
    let (from, to) = (lab.guest("red", 1, 1)?, lab.guest("red", 1, 2)?);
    lab.wait_for_ping(from, to, Family::V4)?;
    apply(&mut lab, &without)?;
    let ports = [1, 2].map(|index| Ok(lab.guest("red", 1, index)?.port.clone()));
    for port in ports.into_iter().collect::<Result<Vec<_>>>()? {
        netns.ip(&format!("link del {port}"))?;
    }
    apply(&mut lab, &without)?;
    let bridges = netns.ip("-o link show type bridge")?;
    ensure!(!bridges.contains("br-red"), "left: {bridges}");
    let rules = netns.line("nft list ruleset").run()?;
    ensure!(!rules.contains("br-red"), "left: {rules}");
    Ok(())
}

/// Many links are removed as a group, whose number somebody else may use too.
#[test]
fn p36_a_teardown_takes_nobody_elses_links_along() -> Result<()> {
    let mut lab = lab("group").network(Network::new("red", 20)).build()?;
    let netns = lab.hypervisor(1)?.netns.clone();
    let group = u32::from_be_bytes(*b"vxnt");
    netns.ip("link add foreign type bridge")?;
    netns.ip(&format!("link set foreign group {group}"))?;
    lab.vxnet(1)?.stop()?;
    lab.vxnet(1)?.teardown()?;
    let links = netns.ip("-o link show")?;
    ensure!(links.contains("foreign"), "gone: {links}");
    ensure!(
        !links.contains("br-") && !links.contains("vxa-"),
        "left: {links}"
    );
    Ok(())
}

/// A removal that was killed leaves its mark on links that are in use again.
#[test]
fn p36_a_removal_that_was_killed_costs_nobody_a_bridge() -> Result<()> {
    let mut lab = lab("marked").network(Network::new("red", 20)).build()?;
    let netns = lab.hypervisor(1)?.netns.clone();
    let group = u32::from_be_bytes(*b"vxnt");
    let anchors = || netns.ip("-o link show master br-blue");
    netns.ip(&format!("link set br-blue group {group}"))?;
    let before = (netns.ip("-o link show br-blue")?, anchors()?);
    ensure!(
        before.0.contains(&group.to_string()),
        "not marked: {}",
        before.0
    );
    lab.vxnet(1)?.stop()?;
    lab.networks.retain(|network| network.name == "blue");
    let config = lab.config();
    lab.vxnet(1)?.write_config(&config)?;
    lab.vxnet(1)?.apply()?;
    let index = |text: &str| text.split(':').next().map(str::to_owned);
    let after = netns.ip("-o link show br-blue")?;
    ensure!(index(&after) == index(&before.0), "remade: {after}");
    ensure!(!after.contains(&group.to_string()), "still marked: {after}");
    ensure!(
        anchors()?.lines().count() == before.1.lines().count(),
        "ports are gone"
    );
    ensure!(
        !netns.ip("-o link show type bridge")?.contains("br-red"),
        "br-red is left"
    );
    Ok(())
}

/// The kernel finds a link by its alternative names too: a link of the host's must not be taken for
/// the bridge of a network because of one.
#[test]
fn p36_an_alternative_name_makes_nobody_elses_link_a_bridge_of_ours() -> Result<()> {
    let mut lab = lab("altname").prepare()?;
    let netns = lab.hypervisor(1)?.netns.clone();
    netns.ip("link add lan0 type bridge")?;
    netns.ip("link property add dev lan0 altname br-blue")?;
    let before = netns.ip("-o link show lan0")?;
    let done = lab.vxnet(1)?.apply();
    let after = netns.ip("-o link show lan0")?;
    ensure!(after == before, "changed: {after}");
    let error = done.err().context("the name is taken")?;
    ensure!(format!("{error:#}").contains("br-blue"), "{error:#}");
    Ok(())
}
