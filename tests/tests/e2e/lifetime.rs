//! Starting, ending and removing vxnet while guests talk.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::probe::Probe;
use vxnet_tests::snapshot::{BpfObjects, Snapshot};
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::transfer;
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

const RATE: u32 = 1000;

fn lab(label: &str) -> LabBuilder {
    LabBuilder::new(label)
        .hypervisors(&[Kind::Vxnet, Kind::Kernel])
        .network(Network::new("blue", 10).ageing(10).gateways(&[1]))
        .guest("blue", 1, Port::Tap)
        .guest("blue", 1, Port::Veth)
        .guest("blue", 2, Port::Veth)
}

/// Numbered packets in both directions and between local ports while `work` runs: none is lost.
fn unharmed(lab: &mut Lab, work: impl FnOnce(&mut Lab) -> Result<()>) -> Result<()> {
    let pairs = [((1, 1), (2, 1)), ((2, 1), (1, 1)), ((1, 1), (1, 2))];
    let mut probes = Vec::new();
    for (from, to) in pairs {
        let (from, to) = (
            lab.guest("blue", from.0, from.1)?,
            lab.guest("blue", to.0, to.1)?,
        );
        lab.wait_for_ping(from, to, Family::V4)?;
        let names = format!("{} > {}", from.name, to.name);
        probes.push((names, Probe::start(&from.netns, &to.netns, to.v4, RATE)?));
    }
    work(lab)?;
    for (names, probe) in probes {
        let result = probe.finish()?;
        ensure!(
            result.lost == 0 && result.duplicated == 0,
            "{names}: {result}"
        );
        ensure!(result.sent > u64::from(RATE), "{names}: {result}");
    }
    Ok(())
}

#[test]
fn a1_kill_9_and_restart_lose_nothing() -> Result<()> {
    let mut lab = lab("kill").build()?;
    unharmed(&mut lab, |lab| {
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(500));
            lab.vxnet(1)?.kill()?;
            std::thread::sleep(Duration::from_millis(500));
            lab.vxnet(1)?.start()?;
        }
        Ok(())
    })
}

#[test]
fn a4_without_a_daemon_across_ageing_nothing_is_lost() -> Result<()> {
    let mut lab = lab("dead").build()?;
    unharmed(&mut lab, |lab| {
        lab.vxnet(1)?.kill()?;
        std::thread::sleep(Duration::from_secs(22));
        Ok(())
    })
}

#[test]
fn f19_sigterm_and_apply_lose_nothing() -> Result<()> {
    let mut lab = lab("term").build()?;
    unharmed(&mut lab, |lab| {
        std::thread::sleep(Duration::from_millis(500));
        lab.vxnet(1)?.stop()?;
        std::thread::sleep(Duration::from_millis(500));
        lab.vxnet(1)?.apply()?;
        lab.vxnet(1)?.start()
    })
}

#[test]
fn f22_a_second_daemon_is_refused() -> Result<()> {
    let mut lab = lab("twice").build()?;
    unharmed(&mut lab, |lab| {
        let vxnet = lab.vxnet(1)?;
        let config = vxnet.config_path();
        let second = vxnet
            .command(["daemon", "--host", "hv1", "--config"])
            .arg(config)
            .timeout(Duration::from_secs(5))
            .output()?;
        ensure!(!second.status.success(), "it started: {}", second.stderr);
        ensure!(vxnet.is_running(), "the first one ended");
        std::thread::sleep(Duration::from_secs(1));
        Ok(())
    })
}

#[test]
fn p36_teardown_leaves_nothing() -> Result<()> {
    leaves_nothing(lab("nothing").prepare()?, &[])
}

#[test]
fn p36_teardown_leaves_nothing_that_somebody_broke() -> Result<()> {
    let damage = [
        "ethtool -K vx-gro-end gro off",
        "ip link set vx-gro down",
        "ip link set vxa-10 nomaster",
        "ip link set vxa-10 down",
    ];
    leaves_nothing(lab("broken").prepare()?, &damage)
}

/// TCP that TC receives goes on, and the daemon makes the link anew, whatever became of it.
#[test]
fn f10_the_gro_link_is_mended() -> Result<()> {
    let mut lab = lab("mend").every_host("receive = \"tc\"").build()?;
    let netns = lab.hypervisor(1)?.netns.clone();
    let from_start = Instant::now();
    unharmed(&mut lab, |_| {
        for damage in [
            "ethtool -K vx-gro-end gro off",
            "ethtool -K vx-gro tso on",
            "ip link set vx-gro down",
            "ip link set vx-gro-end name elsewhere",
            "ip link del vx-gro",
        ] {
            netns.line(damage).run()?;
            eventually(Duration::from_secs(10), || {
                let near = netns.line("ethtool -k vx-gro").run()?;
                let far = netns.line("ethtool -k vx-gro-end").run()?;
                let up = netns.line("ip -o link show dev vx-gro up").run()?;
                ensure!(
                    near.contains("tx-tcp-segmentation: off"),
                    "{damage}: {near}"
                );
                ensure!(
                    far.contains("generic-receive-offload: on"),
                    "{damage}: {far}"
                );
                ensure!(up.contains("vx-gro"), "{damage}: it is down");
                let left = netns.line("ip -o link show").run()?;
                ensure!(!left.contains("elsewhere"), "{left}");
                Ok(())
            })?;
        }
        // Mending takes less than a probe has to last.
        std::thread::sleep(Duration::from_secs(2).saturating_sub(from_start.elapsed()));
        Ok(())
    })?;
    let (from, to) = (lab.guest("blue", 2, 1)?, lab.guest("blue", 1, 1)?);
    transfer::tcp_both_ways(&from.netns, &to.netns, to.v4, 1 << 20)
}

#[test]
fn p36_teardown_leaves_nothing_of_clsact_filters() -> Result<()> {
    let mut lab = lab("clsact").prepare()?;
    lab.vxnet(1)?.use_clsact();
    leaves_nothing(lab, &[])
}

#[test]
fn f16_clsact_filters_outlive_the_daemon_and_are_replaced_without_loss() -> Result<()> {
    let mut lab = lab("filters").prepare()?;
    lab.vxnet(1)?.use_clsact();
    lab.start()?;
    lab.plug_all()?;
    let netns = lab.hypervisor(1)?.netns.clone();
    let filters = netns.line("tc filter show dev eth0 ingress").run()?;
    ensure!(filters.contains("vx_uplink"), "no filter: {filters}");
    unharmed(&mut lab, |lab| {
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(500));
            lab.vxnet(1)?.kill()?;
            std::thread::sleep(Duration::from_millis(500));
            lab.vxnet(1)?.start()?;
        }
        Ok(())
    })
}

/// Sets everything up and tears it down; in between, while no daemon runs, others do some `damage`.
fn leaves_nothing(mut lab: Lab, damage: &[&str]) -> Result<()> {
    let netns = lab.hypervisor(1)?.netns.clone();
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
        .build()?;
    lab.vxnet(1)?.stop()?;
    lab.networks.retain(|network| network.name == "blue");
    let config = lab.config();
    lab.vxnet(1)?.write_config(&config)?;
    lab.vxnet(1)?.apply()?;
    let netns = &lab.hypervisor(1)?.netns;
    let ports = netns.ip("-o link show master br-red")?;
    let port = &lab.guest("red", 1, 1)?.port;
    ensure!(ports.contains(port.as_str()), "unplugged: {ports:?}");
    let bridges = netns.ip("-o link show type bridge")?;
    ensure!(!bridges.contains("br-empty"), "left: {bridges}");
    ensure!(bridges.contains("br-blue"), "gone: {bridges}");
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
