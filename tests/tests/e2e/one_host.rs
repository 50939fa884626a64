//! Guests of one hypervisor: topology T1.

use anyhow::{Result, ensure};
use vxnet_tests::guest::Port;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::ping::Ping;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::transfer;
use vxnet_tests::underlay::Family;

use crate::switch;

fn lab(label: &str) -> Result<Lab> {
    LabBuilder::new(label)
        .hypervisors(&[switch()])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Veth)
        .guest("blue", 1, Port::Tap)
        .guest("blue", 1, Port::Veth)
        .build()
}

#[test]
fn p01_ping_between_all_ports_v4_and_v6() -> Result<()> {
    ping_all(&lab("one")?, 56)
}

#[test]
fn p03_pings_of_64_1600_and_3200_bytes() -> Result<()> {
    let lab = lab("sizes")?;
    // 1600 and 3200 bytes travel in IPv4 and IPv6 fragments.
    [64, 1600, 3200]
        .into_iter()
        .try_for_each(|size| ping_all(&lab, size))
}

#[test]
fn p03_transfers_between_ports_are_identical() -> Result<()> {
    let lab = lab("http")?;
    for (client, server) in [(1, 2), (2, 1), (1, 3)] {
        let (client, server) = (lab.guest("blue", 1, client)?, lab.guest("blue", 1, server)?);
        for family in [Family::V4, Family::V6] {
            let address = server.address(family);
            transfer::tcp_both_ways(&client.netns, &server.netns, address, 1_000_000)?;
        }
    }
    Ok(())
}

fn ping_all(lab: &Lab, size: u32) -> Result<()> {
    for from in &lab.guests {
        for to in lab.guests.iter().filter(|to| to.name != from.name) {
            for family in [Family::V4, Family::V6] {
                let reply = Ping::new(to.address(family)).size(size).run(&from.netns)?;
                ensure!(
                    reply.all(),
                    "{} > {} {family:?}: {}",
                    from.name,
                    to.name,
                    reply.text
                );
            }
        }
    }
    Ok(())
}
