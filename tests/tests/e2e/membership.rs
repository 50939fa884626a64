//! Multicast groups of the underlay stay joined without the daemon, and when the link flaps.

use std::time::Duration;

use anyhow::{Result, ensure};
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::network::Network;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

#[test]
fn membership_v4_outlives_the_daemon_and_a_link_flap() -> Result<()> {
    outlives("igmp", Family::V4, "239.0.0.10")
}

#[test]
fn membership_v6_outlives_the_daemon_and_a_link_flap() -> Result<()> {
    outlives("mld", Family::V6, "ff05::10")
}

fn outlives(label: &str, family: Family, group: &str) -> Result<()> {
    let mut network = Network::new("blue", 10);
    network.extra = format!("flood = \"{group}\"\n");
    let mut lab = LabBuilder::new(label)
        .underlay(family)
        .hypervisors(&[Kind::Vxnet, Kind::Kernel])
        .network(network)
        // The routes, by which it would be found, go when the link goes down.
        .every_host("multicast = \"eth0\"")
        .prepare()?;
    let netns = lab.hypervisor(1)?.netns.clone();
    let is_joined = || -> Result<bool> {
        let groups = netns.ip("maddress show dev eth0")?;
        Ok(groups.split_whitespace().any(|word| word == group))
    };
    lab.vxnet(1)?.start()?;
    ensure!(is_joined()?, "not joined");
    lab.vxnet(1)?.kill()?;
    ensure!(is_joined()?, "not joined without the daemon");
    netns.ip("link set eth0 down")?;
    netns.ip("link set eth0 up")?;
    ensure!(
        is_joined()?,
        "not joined after the link went down and came back"
    );
    // The next daemon finds it, and leaves it for good at teardown.
    lab.vxnet(1)?.start()?;
    ensure!(is_joined()?, "not joined with the next daemon");
    lab.vxnet(1)?.stop()?;
    lab.vxnet(1)?.teardown()?;
    eventually(Duration::from_secs(2), || {
        ensure!(!is_joined()?, "still joined after teardown");
        let addresses = netns.ip("address show dev eth0")?;
        ensure!(!addresses.contains(group), "{addresses}");
        Ok(())
    })?;
    let keep = netns.line("cat /proc/sys/net/ipv6/conf/eth0/keep_addr_on_down");
    ensure!(keep.run()?.trim() == "0", "addresses are still kept");
    Ok(())
}
