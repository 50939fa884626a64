//! Traffic with Open vSwitch's userspace datapath as the other VTEP.

use anyhow::{Result, ensure};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::network::Network;
use vxnet_tests::ping::Ping;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::transfer;
use vxnet_tests::underlay::Family;

use crate::switch;

#[test]
fn p17_open_vswitch_peer_over_ipv4() -> Result<()> {
    peer("ovsfour", Family::V4)
}

#[test]
fn p17_open_vswitch_peer_over_ipv6() -> Result<()> {
    peer("ovssix", Family::V6)
}

fn peer(label: &str, underlay: Family) -> Result<()> {
    let lab = LabBuilder::new(label)
        .underlay(underlay)
        .hypervisors(&[switch(), Kind::OpenVswitch])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Tap)
        .guest("blue", 1, Port::Veth)
        .guest("blue", 2, Port::Veth)
        .build()?;
    let theirs = lab.guest("blue", 2, 1)?;
    for index in [1, 2] {
        let ours = lab.guest("blue", 1, index)?;
        lab.wait_for_ping(ours, theirs, Family::V4)?;
        for (client, server) in [(ours, theirs), (theirs, ours)] {
            let names = format!("{} > {}", client.name, server.name);
            for family in [Family::V4, Family::V6] {
                let address = server.address(family);
                for size in [64, 1600, 3200] {
                    let reply = Ping::new(address).size(size).run(&client.netns)?;
                    ensure!(reply.all(), "{names} {size} bytes: {}", reply.text);
                }
                transfer::tcp_both_ways(&client.netns, &server.netns, address, 60_000)?;
            }
            transfer::udp_echo(&client.netns, &server.netns, server.v4, [600])?;
        }
    }
    Ok(())
}
