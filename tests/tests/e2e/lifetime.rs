//! Starting and ending vxnet while guests talk.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::probe::Probe;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::transfer;
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

const RATE: u32 = 1000;

/// A lab in which vxnet on hv1 serves the guests of a network.
pub(crate) fn lab(label: &str) -> LabBuilder {
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

/// The daemon makes the detour anew, whatever became of it.
#[test]
fn f10_the_detour_is_mended() -> Result<()> {
    let mut lab = lab("mend").every_host("receive = \"tc\"").build()?;
    let netns = lab.hypervisor(1)?.netns.clone();
    let room = lab.vxnet(1)?.run_directory().join("detour.netns");
    let from_start = Instant::now();
    unharmed(&mut lab, |lab| {
        for damage in [
            "ethtool -K vx-detour-end gro on",
            "ip link set vx-detour down",
            "ip link set vx-detour-end down",
            "ip link set vx-detour-end name elsewhere",
            "ip link del vx-detour",
            &format!(
                "nsenter --net={} ip link set vx-detour-room down",
                room.display()
            ),
            &format!("umount --lazy {}", room.display()),
        ] {
            let index = || netns.ip("-o link show dev vx-detour-end");
            let before = index()?;
            netns.line(damage).run()?;
            let mended = eventually(Duration::from_secs(10), || {
                ensure!(index()? != before, "{damage}: the former device is there");
                let mounts = std::fs::read_to_string("/proc/self/mounts")?;
                let mounted = mounts.matches(&*room.to_string_lossy()).count();
                ensure!(
                    mounted == 1,
                    "{damage}: {mounted} mounts on {}",
                    room.display()
                );
                let near = netns.ip("-o link show dev vx-detour up")?;
                ensure!(near.contains("LOWER_UP"), "{damage}: {near}");
                let end = netns.ip("-o link show dev vx-detour-end up")?;
                ensure!(end.contains("LOWER_UP"), "{damage}: {end}");
                let offloads = netns.line("ethtool -k vx-detour-end").run()?;
                ensure!(
                    offloads.contains("generic-receive-offload: off"),
                    "{damage}: {offloads}"
                );
                let left = netns.ip("-o link show")?;
                ensure!(!left.contains("elsewhere"), "{left}");
                Ok(())
            });
            mended.with_context(|| lab.vxnet(1).map_or_else(|_| String::new(), |it| it.log()))?;
        }
        // Mending takes less than a probe has to last.
        std::thread::sleep(Duration::from_secs(2).saturating_sub(from_start.elapsed()));
        Ok(())
    })?;
    let (from, to) = (lab.guest("blue", 2, 1)?, lab.guest("blue", 1, 1)?);
    transfer::tcp_both_ways(&from.netns, &to.netns, to.v4, 1 << 20)
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
