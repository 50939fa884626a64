//! Loops: a guest that bridges two of its NICs, or two switches joined behind vxnet's back.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use vxnet_tests::guest::{Guest, Port};
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

/// Within this, a loop is cut.
const CUT: Duration = Duration::from_secs(1);
/// Within this, a port whose loop is gone is open again.
const OPEN: Duration = Duration::from_secs(4);

/// Moves the NIC of `from` to `to` and bridges it with the one there.
fn join(from: &Guest, to: &Guest) -> Result<()> {
    from.netns
        .ip(&format!("link set eth0 name eth1 netns {}", to.netns))?;
    to.netns.ip("link add loop type bridge")?;
    to.netns.ip("link set loop up")?;
    to.netns.ip("link set eth0 master loop")?;
    to.netns.ip("link set eth1 master loop up")?;
    Ok(())
}

/// Waits for a line in the log of hypervisor `number`.
fn wait_for_line(lab: &mut Lab, number: usize, within: Duration, line: &str) -> Result<()> {
    let vxnet = lab.vxnet(number)?;
    eventually(within, || {
        let log = vxnet.log();
        ensure!(log.contains(line), "no \"{line}\" in:\n{log}");
        Ok(())
    })
}

#[test]
fn attack26_loop_between_two_ports_of_a_host_shuts_the_later_and_opens_it_again() -> Result<()> {
    let mut lab = LabBuilder::new("loop")
        .hypervisors(&[Kind::Vxnet])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Veth)
        .guest("blue", 1, Port::Veth)
        .guest("blue", 1, Port::Tap)
        .guest("blue", 1, Port::Tap)
        .build()?;
    join(lab.guest("blue", 1, 1)?, lab.guest("blue", 1, 2)?)?;
    let line = "port vnet1 of network blue is shut: a loop leads back to port vnet0 of host hv1";
    wait_for_line(&mut lab, 1, CUT, line)?;
    ensure!(
        !lab.vxnet(1)?
            .log()
            .contains("vnet0 of network blue is shut")
    );
    let note = lab.vxnet(1)?.run_directory().join("loops.json");
    let known = std::fs::read_to_string(&note)?;
    ensure!(known.contains("\"port\":\"vnet1\"") && known.contains("\"other_port\":\"vnet0\""));
    // The others do not notice.
    lab.wait_for_ping(
        lab.guest("blue", 1, 3)?,
        lab.guest("blue", 1, 4)?,
        Family::V4,
    )?;
    ensure!(lab.vxnet(1)?.drops("looped")? > 0, "nothing was dropped");
    // However often the loop has repeated a frame, each is accounted for.
    eventually(Duration::from_secs(5), || {
        let account = lab.vxnet(1)?.json("verify")?;
        ensure!(account["missing"] == 0, "{account}");
        Ok(())
    })?;

    lab.guest("blue", 1, 2)?
        .netns
        .ip("link set eth1 nomaster")?;
    let line = "port vnet1 of network blue is open again";
    wait_for_line(&mut lab, 1, OPEN, line)?;
    eventually(Duration::from_secs(1), || {
        ensure!(!note.exists(), "the loop is still known");
        Ok(())
    })?;
    let bridged = lab.guest("blue", 1, 2)?;
    bridged.netns.ip("link set eth0 nomaster")?;
    lab.wait_for_ping(lab.guest("blue", 1, 3)?, bridged, Family::V4)
}

#[test]
fn attack26_loop_between_two_hosts_shuts_one_end() -> Result<()> {
    let mut lab = two_hosts("loops")?;
    join(lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?)?;
    let line = "port vnet0 of network blue is shut: a loop leads back to port vnet0 of host hv1";
    wait_for_line(&mut lab, 2, CUT, line)?;
    // Long enough for the first host to lose its patience if the second had not said that it did
    // its part.
    thread::sleep(CUT);
    let log = lab.vxnet(1)?.log();
    ensure!(!log.contains("is shut"), "{log}");
    lab.wait_for_ping(
        lab.guest("blue", 1, 2)?,
        lab.guest("blue", 2, 2)?,
        Family::V4,
    )
}

#[test]
fn attack26_loop_in_one_direction_is_cut_where_its_probes_arrive() -> Result<()> {
    let mut lab = two_hosts("loopd")?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    // What comes from the first host does not get through to the second.
    let deaf = "table bridge deaf { chain forward { type filter hook forward priority 0; iifname eth1 drop; }; }";
    to.netns.command("nft").arg(deaf).run()?;
    join(from, to)?;
    let line = "port vnet0 of network blue is shut: a loop leads back to port vnet0 of host hv2";
    wait_for_line(&mut lab, 1, CUT, line)
}

/// A note that cannot be written is no reason to look away.
#[test]
fn attack26_loop_is_cut_and_opened_where_nothing_can_be_noted() -> Result<()> {
    let mut lab = LabBuilder::new("loopnote")
        .hypervisors(&[Kind::Vxnet])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Veth)
        .guest("blue", 1, Port::Veth)
        .build()?;
    let note = lab.vxnet(1)?.run_directory().join("loops.json");
    // Nothing can be renamed to the name of a folder.
    std::fs::create_dir(&note)?;
    join(lab.guest("blue", 1, 1)?, lab.guest("blue", 1, 2)?)?;
    let bridged = lab.guest("blue", 1, 2)?.netns.clone();
    wait_for_line(&mut lab, 1, CUT, "port vnet1 of network blue is shut")?;
    bridged.ip("link set eth1 nomaster")?;
    let line = "port vnet1 of network blue is open again";
    wait_for_line(&mut lab, 1, OPEN, line)?;

    // Once it can be written again, it is.
    std::fs::remove_dir(&note)?;
    bridged.ip("link set eth1 master loop")?;
    eventually(CUT, || {
        let loops = lab.vxnet(1)?.json("status")?["loops"].take();
        ensure!(loops[0]["port"] == "vnet1", "{loops:#}");
        Ok(())
    })?;
    let log = lab.vxnet(1)?.log();
    let complaints = log.matches("cannot note the loops").count();
    ensure!(complaints == 1, "{complaints} complaints in:\n{log}");
    Ok(())
}

fn two_hosts(label: &str) -> Result<Lab> {
    LabBuilder::new(label)
        .hypervisors(&[Kind::Vxnet, Kind::Vxnet])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Veth)
        .guest("blue", 2, Port::Veth)
        .guest("blue", 1, Port::Tap)
        .guest("blue", 2, Port::Tap)
        .build()
}
