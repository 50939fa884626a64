//! The socket that makes GRO join VXLAN packets on an uplink that receives at TC.

use std::time::Duration;

use anyhow::{Result, ensure};
use vxnet::state::GRO_SOCKET;
use vxnet_tests::counters::{Counters, link_counter};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::{Kind, link_mac};
use vxnet_tests::iperf::{self, Load};
use vxnet_tests::lab::Lab;
use vxnet_tests::network::{Network, mac_text};
use vxnet_tests::ping::Ping;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::{Family, Wire};
use vxnet_tests::wait::eventually;

use crate::switch;

const PATIENCE: Duration = Duration::from_secs(10);

fn lab(label: &str, host: &str, underlay: Family) -> Result<Lab> {
    let lab = LabBuilder::new(label)
        .underlay(underlay)
        .wire(Wire::Mtu)
        .every_host(host)
        .hypervisors(&[Kind::Kernel, switch()])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Veth)
        .guest("blue", 2, Port::Veth)
        .build()?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    lab.wait_for_ping(from, to, Family::V4)?;
    Ok(lab)
}

/// Sends bulk TCP to vxnet's guest, and returns how many frames it got for a thousand that the uplink
/// did.
fn frames(lab: &Lab) -> Result<u64> {
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    let host = &lab.hypervisor(2)?.netns;
    let read = || -> Result<(u64, u64)> {
        let frames = link_counter(host, &to.port, "tx", "packets")?;
        Ok((frames, link_counter(host, "eth0", "rx", "packets")?))
    };
    let before = read()?;
    let result = iperf::run(&lab.scope, &from.netns, &to.netns, to.v4, Load::Tcp, 2)?;
    let after = read()?;
    let came = after.1 - before.1;
    ensure!(came > 10_000, "only {came} packets came: {result:?}");
    Ok((after.0 - before.0) * 1000 / came)
}

#[test]
fn p17_gro_joins_tcp_on_the_uplink_where_tc_receives() -> Result<()> {
    for (label, underlay) in [("grosock", Family::V4), ("grosocksix", Family::V6)] {
        let frames = frames(&lab(label, "receive = \"tc\"", underlay)?)?;
        ensure!(frames < 200, "{underlay:?}: {frames} frames");
    }
    Ok(())
}

/// Nothing is received through the device: what reaches its socket goes nowhere.
#[test]
fn attack5_packets_to_another_address_of_the_host_do_not_come_in_by_the_gro_socket() -> Result<()> {
    let lab = lab("grosockin", "receive = \"tc\"", Family::V4)?;
    let (near, far) = (lab.router.clone(), lab.hypervisor(2)?.netns.clone());
    let vtep = lab.hypervisor(2)?.vtep;
    far.ip("address add 10.88.0.2/32 dev lo")?;
    far.ip("address add 10.99.0.2/24 dev lo")?;
    near.ip(&format!("route add 10.88.0.2 via {vtep}"))?;
    let mac = mac_text(link_mac(&far, GRO_SOCKET)?);
    near.ip("link add evil type vxlan id 77 remote 10.88.0.2 dstport 4789")?;
    near.ip("address add 10.99.0.1/24 dev evil")?;
    near.ip("link set evil up")?;
    near.ip(&format!(
        "neighbour replace 10.99.0.2 lladdr {mac} dev evil nud permanent"
    ))?;
    let counters = || Counters::read(&far);
    let before = counters()?;
    let reply = Ping::new([10, 99, 0, 2]).count(3).run(&near)?;
    ensure!(reply.received == 0, "{reply:?}");
    let after = counters()?;
    let came = after.value("Udp.InDatagrams") - before.value("Udp.InDatagrams");
    ensure!(came >= 3, "only {came} packets got to the socket");
    let asked = after.value("Icmp.InEchos") - before.value("Icmp.InEchos");
    ensure!(asked == 0, "the host was asked");
    let frames = link_counter(&far, GRO_SOCKET, "rx", "packets")?;
    ensure!(frames == 0, "{frames} frames came out");
    Ok(())
}

fn taken(label: &str, device: &str) -> Result<()> {
    let mut lab = lab(label, "receive = \"tc\"", Family::V4)?;
    let host = lab.hypervisor(2)?.netns.clone();
    let vxnet = lab.vxnet(2)?;
    vxnet.stop()?;
    host.ip(&format!("link del {GRO_SOCKET}"))?;
    host.ip(&format!("link add other type vxlan {device} dstport 4789"))?;
    host.ip("link set other up")?;
    vxnet.start()?;
    eventually(PATIENCE, || {
        let warnings = vxnet.json("status")?["warnings"].to_string();
        ensure!(warnings.contains("UDP port 4789"), "{warnings}");
        ensure!(
            host.ip(&format!("link show {GRO_SOCKET}")).is_err(),
            "the device that is of no use is still there"
        );
        Ok(())
    })?;
    ensure!(host.ip("-o link show other up")?.contains("other"));
    // That device's socket does as well.
    let frames = frames(&lab)?;
    ensure!(frames < 200, "{frames} frames");
    Ok(())
}

#[test]
fn p17_a_vxlan_device_of_somebody_elses_keeps_the_port() -> Result<()> {
    taken("grosocktaken", "id 99")
}

/// One almost like ours, as Open vSwitch makes it.
#[test]
fn p17_a_vxlan_device_of_open_vswitch_keeps_the_port() -> Result<()> {
    taken("grosockovs", "external udp6zerocsumrx")
}

#[test]
fn p17_the_port_is_left_to_others_on_request() -> Result<()> {
    let lab = lab(
        "grosockoff",
        "receive = \"tc\"\ngro-socket = false",
        Family::V4,
    )?;
    let host = &lab.hypervisor(2)?.netns;
    ensure!(host.ip(&format!("link show {GRO_SOCKET}")).is_err());
    let frames = frames(&lab)?;
    ensure!(frames > 900, "{frames} frames: what joined them?");
    Ok(())
}
