//! `vxnet plan` says what `vxnet apply` then does, and does nothing itself.

use anyhow::{Context as _, Result, ensure};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::snapshot::Snapshot;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::Family;

/// Two networks on two hypervisors, whose daemons have set them up and stopped.
fn lab(label: &str, receive: &str) -> Result<Lab> {
    let mut lab = LabBuilder::new(label)
        .every_host(&format!("receive = \"{receive}\""))
        .hypervisors(&[Kind::Vxnet, Kind::Vxnet])
        .network(Network::new("blue", 10).gateways(&[1]))
        .network(Network::new("red", 11))
        .guest("blue", 1, Port::Tap)
        .guest("blue", 2, Port::Veth)
        .build()?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    lab.wait_for_ping(from, to, Family::V4)?;
    lab.vxnet(1)?.stop()?;
    Ok(lab)
}

/// The lines that name a change.
fn changes(text: &str) -> Vec<&str> {
    let is_change = |line: &&str| ["+ ", "~ ", "- "].iter().any(|sign| line.starts_with(sign));
    text.lines().filter(is_change).collect()
}

/// Plans, which must change nothing, then applies, which must do what was planned, and plans again,
/// to nothing. Returns the number of changes.
fn planned_and_applied(lab: &mut Lab, what: &str) -> Result<usize> {
    let netns = lab.hypervisor(1)?.netns.clone();
    let (before, pins) = (Snapshot::take(&netns)?, lab.bpffs.pins("hv1"));
    let planned = lab.vxnet(1)?.with_config(["plan"]).run()?;
    let difference = before.diff(&Snapshot::take(&netns)?);
    ensure!(difference.is_empty(), "{what}: plan changed\n{difference}");
    ensure!(pins == lab.bpffs.pins("hv1"), "{what}: plan changed pins");

    let vxnet = lab.vxnet(1)?;
    let applied = vxnet.apply()?;
    ensure!(
        changes(&planned) == changes(&applied),
        "{what}: planned\n{planned}\nbut applied\n{applied}"
    );
    let json = vxnet.with_config(["plan"]).arg("--json").json()?;
    let left = json["changes"].as_array().context("changes")?;
    ensure!(left.is_empty(), "{what}: left to do: {json:#}");
    let again = vxnet.apply()?;
    ensure!(again.contains("hv1: nothing to change\n"), "{again}");
    Ok(changes(&planned).len())
}

fn plan_is_what_apply_does(label: &str, receive: &str) -> Result<()> {
    let mut lab = lab(label, receive)?;
    let count = planned_and_applied(&mut lab, "what the daemon left")?;
    ensure!(count == 0, "{count} changes after the daemon");

    lab.vxnet(1)?.teardown()?;
    let count = planned_and_applied(&mut lab, "from nothing")?;
    ensure!(count > 30, "only {count} changes from nothing");

    let port = lab.guest("blue", 1, 1)?.port.clone();
    let netns = lab.hypervisor(1)?.netns.clone();
    netns.ip(&format!("link set {port} master br-blue"))?;
    let count = planned_and_applied(&mut lab, "a guest")?;
    ensure!(count > 0, "a guest is no change");

    lab.networks
        .push(Network::new("green", 12).extra("mtu = 1300"));
    lab.networks[1] = Network::new("red", 13).ageing(60);
    let config = lab.config();
    lab.vxnet(1)?.write_config(&config)?;
    let count = planned_and_applied(&mut lab, "a network more, and one changed")?;
    ensure!(count > 10, "only {count} changes for two networks");

    // One with a guest in it, whose bridge stays.
    let blue = lab.networks.remove(0);
    let config = lab.config();
    lab.vxnet(1)?.write_config(&config)?;
    let count = planned_and_applied(&mut lab, "a network less")?;
    ensure!(count > 5, "only {count} changes without a network");

    // It comes back, and with it one whose bridge is somebody else's, which has a port.
    netns.ip("link add br-violet type bridge")?;
    netns.ip("link add violet0 type veth peer name violet1")?;
    netns.ip("link set violet0 master br-violet")?;
    lab.networks.insert(0, blue);
    lab.networks.push(Network::new("violet", 14));
    let config = lab.config();
    lab.vxnet(1)?.write_config(&config)?;
    let count = planned_and_applied(&mut lab, "one that was left, and one adopted")?;
    ensure!(count > 10, "only {count} changes for two networks");
    lab.networks.pop();
    let config = lab.config();
    lab.vxnet(1)?.write_config(&config)?;
    let count = planned_and_applied(&mut lab, "one given back")?;
    ensure!(count > 5, "only {count} changes without a network");
    Ok(())
}

#[test]
fn plan_is_what_apply_does_at_xdp() -> Result<()> {
    plan_is_what_apply_does("planxdp", "xdp")
}

#[test]
fn plan_is_what_apply_does_at_tc() -> Result<()> {
    plan_is_what_apply_does("plantc", "tc")
}

/// Others may look meanwhile, and what the daemon would mend is no plan's to mend.
#[test]
fn plan_needs_no_lock_and_makes_no_pin() -> Result<()> {
    let mut lab = lab("planpin", "auto")?;
    let pin = lab.vxnet(1)?.pin_directory().join("maps/SWEPT");
    std::fs::remove_file(&pin)?;
    lab.vxnet(1)?.with_config(["plan"]).run()?;
    ensure!(!pin.exists(), "plan made {}", pin.display());

    let vxnet = lab.vxnet(1)?;
    vxnet.start()?;
    let text = vxnet.with_config(["plan"]).run()?;
    ensure!(text.contains("hv1: nothing to change\n"), "{text}");
    Ok(())
}

#[test]
fn plan_refuses_what_apply_would_refuse() -> Result<()> {
    let mut lab = lab("planno", "auto")?;
    let netns = lab.hypervisor(1)?.netns.clone();
    netns.ip("link add br-green type veth peer name other")?;
    lab.networks.push(Network::new("green", 12));
    let config = lab.config();
    let vxnet = lab.vxnet(1)?;
    vxnet.write_config(&config)?;
    for command in ["plan", "apply"] {
        let refused = vxnet.with_config([command]).output()?;
        let text = &refused.stderr;
        ensure!(
            refused.status.code() == Some(1)
                && text.contains("link br-green exists and is no bridge"),
            "{command}: {text}"
        );
    }
    Ok(())
}
