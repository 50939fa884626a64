//! Conservation: every frame that came in left, or was dropped for a reason, and what vxnet counts
//! is what others count at each edge: packet sockets, and the kernel's `ip -s link`.
//!
//! Between them the labs make a frame for each of `vxnet_common::reason::Reason`, but for those that
//! no frame alone brings about here:
//! - `short_frame`: this kernel takes nothing shorter than an Ethernet header from a veth or a tap;
//! - `unknown_port`, `port_gone`: only between a change and the apply or the daemon that follows it;
//! - `encap_failed`, `decap_failed`: the kernel has no memory, or a NIC's padding that no veth makes;
//! - `no_neighbour`: only without the link that resolves next hops, which every lab has;
//! - `stale_strip`: halfway through an upgrade;
//! - `fdb_full`: the FDB has room for more addresses than a test has time to send;
//! - `looped`: a loop repeats frames as often as it likes, so that nobody else knows how many they
//!   were; `loops` looks at what `vxnet verify` makes of them.

mod bench;
mod books;
mod bulk;
mod edge;
mod group;
mod guarded;
mod kinds;
mod ledger;
mod messages;
mod trunk_link;

use std::time::Duration;

use anyhow::Result;
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind as Switch;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::topology::LabBuilder;

use crate::inject::Injector;
use bench::Bench;
use kinds::Kinds;

const PATIENCE: Duration = Duration::from_secs(10);

fn lab(label: &str, receive: &str) -> Result<Lab> {
    let office = Network::of_vlans("office", 100, &[1001, 1002])
        .portgroup("vlan-1001", "vlan = 1001")
        .portgroup("vlan-all", "vlans = [1001, 1002]")
        .vlan(1001, "vni = 5001");
    LabBuilder::new(label)
        .hypervisors(&[Switch::Vxnet, Switch::Vxnet])
        .every_host(&format!("receive = \"{receive}\""))
        .network(Network::new("blue", 10).gateways(&[1]))
        .network(office)
        .in_portgroup(1, "vnet3", "vlan-1001")
        .in_portgroup(1, "vnet4", "vlan-all")
        .in_portgroup(2, "vnet1", "vlan-1001")
        .guest("blue", 1, Port::Tap)
        .guest("blue", 1, Port::Veth)
        .guest("blue", 1, Port::Veth)
        .guest("office", 1, Port::Veth)
        .guest("office", 1, Port::Tap)
        .guest("office", 1, Port::Veth)
        .guest("blue", 2, Port::Veth)
        .guest("office", 2, Port::Tap)
        .build()
}

/// Frames of every kind, and all books agree about each.
fn every_kind(label: &str, receive: &str) -> Result<()> {
    let mut bench = Bench::new(lab(label, receive)?)?;
    bench.hosts("blue", &[1, 2])?;
    bench.settle(&[
        &["blue1.1", "blue1.2", "blue1.3", "blue2.1", "hv1", "hv2"],
        &["office1.1", "office2.1"],
    ])?;
    let injector = Injector::new(&bench.lab, 1)?;
    let mut kinds = Kinds::new(&bench);
    kinds.plain()?;
    kinds.vlans()?;
    kinds.wire(&injector)?;
    let kinds = kinds.all;
    bench.run(&kinds, Duration::ZERO)
}

#[test]
fn conservation_of_frames_of_every_kind() -> Result<()> {
    every_kind("conserve", "auto")
}

#[test]
fn conservation_of_frames_of_every_kind_at_tc() -> Result<()> {
    every_kind("conservetc", "tc")
}
