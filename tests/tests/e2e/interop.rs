//! Traffic with a kernel peer, over an IPv4 and an IPv6 underlay.

use anyhow::{Result, ensure};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::ping::Ping;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::transfer;
use vxnet_tests::underlay::{Family, Wire};

use crate::switch;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

struct Variant {
    underlay: Family,
    wire: Wire,
    peer: Kind,
    /// Where vxnet takes packets off the wire; `auto` is XDP here.
    receive: &'static str,
}

const PLAIN: Variant = Variant {
    underlay: Family::V4,
    wire: Wire::Mtu,
    peer: Kind::Kernel,
    receive: "auto",
};

impl Variant {
    fn lab(&self, label: &str) -> Result<Lab> {
        let lab = LabBuilder::new(label)
            .underlay(self.underlay)
            .wire(self.wire)
            .every_host(&format!("receive = \"{}\"", self.receive))
            .hypervisors(&[switch(), self.peer])
            .network(Network::new("blue", 10))
            .guest("blue", 1, Port::Tap)
            .guest("blue", 1, Port::Veth)
            .guest("blue", 2, Port::Tap)
            .guest("blue", 2, Port::Veth)
            .build()?;
        let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
        lab.wait_for_ping(from, to, Family::V4)?;
        Ok(lab)
    }
}

#[test]
fn p17_kernel_peer_over_ipv4() -> Result<()> {
    everything(&PLAIN.lab("peerfour")?)
}

#[test]
fn p17_kernel_peer_over_ipv6() -> Result<()> {
    everything(
        &Variant {
            underlay: Family::V6,
            ..PLAIN
        }
        .lab("peersix")?,
    )
}

#[test]
fn p17_kernel_peer_received_at_tc() -> Result<()> {
    everything(
        &Variant {
            receive: "tc",
            ..PLAIN
        }
        .lab("peertc")?,
    )
}

#[test]
fn p17_kernel_peer_over_ipv6_received_at_tc() -> Result<()> {
    everything(
        &Variant {
            receive: "tc",
            underlay: Family::V6,
            ..PLAIN
        }
        .lab("peertcsix")?,
    )
}

#[test]
fn p17_kernel_peer_received_straight_to_taps() -> Result<()> {
    everything(
        &Variant {
            receive: "xdp-direct",
            ..PLAIN
        }
        .lab("peerdirect")?,
    )
}

#[test]
fn p17_kernel_peer_over_ipv6_received_straight_to_taps() -> Result<()> {
    everything(
        &Variant {
            receive: "xdp-direct",
            underlay: Family::V6,
            ..PLAIN
        }
        .lab("directsix")?,
    )
}

#[test]
fn p17_kernel_peer_over_a_wire_of_super_packets() -> Result<()> {
    everything(
        &Variant {
            receive: "tc",
            wire: Wire::Gso,
            ..PLAIN
        }
        .lab("peergso")?,
    )
}

#[test]
fn p17_two_of_a_kind_over_ipv4() -> Result<()> {
    everything(
        &Variant {
            peer: switch(),
            ..PLAIN
        }
        .lab("samefour")?,
    )
}

#[test]
fn p17_two_of_a_kind_over_ipv6() -> Result<()> {
    everything(
        &Variant {
            peer: switch(),
            underlay: Family::V6,
            ..PLAIN
        }
        .lab("samesix")?,
    )
}

fn everything(lab: &Lab) -> Result<()> {
    for index in [1, 2] {
        let (ours, theirs) = (lab.guest("blue", 1, index)?, lab.guest("blue", 2, index)?);
        for (client, server) in [(ours, theirs), (theirs, ours)] {
            let names = format!("{} > {}", client.name, server.name);
            for family in FAMILIES {
                let address = server.address(family);
                for size in [64, 1600, 3200] {
                    let reply = Ping::new(address).size(size).run(&client.netns)?;
                    ensure!(reply.all(), "{names} {size} bytes: {}", reply.text);
                }
                transfer::tcp_both_ways(&client.netns, &server.netns, address, 60_000)?;
                transfer::tcp_both_ways(&client.netns, &server.netns, address, 2_000_000)?;
            }
            // Up to the largest datagram of an ordinary network: the last ones are fragmented.
            transfer::udp_echo(&client.netns, &server.netns, server.v4, 1..=1472)?;
        }
    }
    Ok(())
}
