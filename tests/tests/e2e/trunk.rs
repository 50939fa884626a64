//! A link to a physical switch takes frames for every address, for as long as it is one.

use anyhow::{Result, ensure};
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::netns::Netns;
use vxnet_tests::network::Network;
use vxnet_tests::topology::LabBuilder;

const OFFICE: &str = "[network.office]\nbridge = \"br-office\"\nvlans = [1001, 1002]\n";

/// A hypervisor whose link `phys0` is down and leads to VLANs of a physical switch.
fn lab(label: &str) -> Result<(Lab, Netns)> {
    let lab = LabBuilder::new(label)
        .hypervisors(&[Kind::Vxnet])
        .network(Network::new("blue", 10))
        .every_host("trunk = { office = \"phys0\" }")
        .config(OFFICE)
        .prepare()?;
    let netns = lab.hypervisor(1)?.netns.clone();
    netns.ip("link add phys0 type veth peer name switch0")?;
    netns.ip("link set switch0 up")?;
    Ok((lab, netns))
}

/// The flags of the trunk link.
fn flags(netns: &Netns) -> Result<String> {
    let text = netns.ip("-o link show dev phys0")?;
    let flags = text.split(['<', '>']).nth(1).unwrap_or_default();
    Ok(flags.to_owned())
}

#[test]
fn trunk_link_is_promiscuous_and_up_until_teardown() -> Result<()> {
    let (mut lab, netns) = lab("promisc")?;
    let before = flags(&netns)?;
    ensure!(
        !before.contains("PROMISC") && !before.contains("UP"),
        "{before}"
    );
    let on = |when: &str| -> Result<()> {
        let now = flags(&netns)?;
        ensure!(
            now.contains("PROMISC") && now.contains("UP"),
            "{when}: {now}"
        );
        Ok(())
    };
    lab.vxnet(1)?.start()?;
    on("with the daemon")?;
    // Not by a socket of the daemon's.
    lab.vxnet(1)?.kill()?;
    on("without the daemon")?;
    netns.ip("link set phys0 promisc off down")?;
    lab.vxnet(1)?.start()?;
    on("after somebody switched it off")?;
    lab.vxnet(1)?.stop()?;
    lab.vxnet(1)?.teardown()?;
    let after = flags(&netns)?;
    ensure!(after == before, "teardown left {after}, it was {before}");
    let run = lab.vxnet(1)?.run_directory();
    ensure!(!run.exists(), "{} is left", run.display());
    Ok(())
}

#[test]
fn trunk_link_that_was_promiscuous_and_up_stays_so() -> Result<()> {
    let (mut lab, netns) = lab("stays")?;
    netns.ip("link set phys0 promisc on up")?;
    lab.vxnet(1)?.start()?;
    lab.vxnet(1)?.stop()?;
    lab.vxnet(1)?.teardown()?;
    let after = flags(&netns)?;
    ensure!(after.contains("PROMISC") && after.contains("UP"), "{after}");
    Ok(())
}
