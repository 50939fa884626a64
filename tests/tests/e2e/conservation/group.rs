//! A network whose floods go to a multicast group of the underlay: one packet for all peers.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;
use vxnet_tests::frame::{BROADCAST, Endpoint, Outer};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind as Switch;
use vxnet_tests::network::Network;
use vxnet_tests::shared_link;
use vxnet_tests::topology::LabBuilder;

use super::bench::Bench;
use super::kinds::{BEYOND, Kinds, MULTICAST, Sender, UNKNOWN};

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 0, 0, 10);
const GROUP_MAC: [u8; 6] = [0x01, 0, 0x5e, 0, 0, 10];
/// Of others.
const FOREIGN: Ipv4Addr = Ipv4Addr::new(239, 0, 0, 11);
const FLOOD: [&str; 7] = [
    "blue1.1", "blue1.2", "blue2.1", "blue3.1", "hv1", "hv2", "hv3",
];

fn group(label: &str, receive: &str) -> Result<()> {
    let mut lab = LabBuilder::new(label)
        .hypervisors(&[Switch::Vxnet, Switch::Vxnet, Switch::Vxnet])
        .every_host(&format!(
            "receive = \"{receive}\"\nmulticast = \"{}\"",
            shared_link::LINK
        ))
        .network(Network::new("blue", 10).group(GROUP))
        .guest("blue", 1, Port::Tap)
        .guest("blue", 1, Port::Veth)
        .guest("blue", 2, Port::Tap)
        .guest("blue", 3, Port::Veth)
        .prepare()?;
    let lan = shared_link::join_all(&mut lab)?;
    lab.start()?;
    lab.plug_all()?;
    let mut bench = Bench::on(lab, &lan, shared_link::LINK)?;
    bench.hosts("blue", &[1, 2, 3])?;
    bench.settle(&[&FLOOD])?;

    let mut kinds = Kinds::new(&bench);
    for (from, what) in [
        ("blue1.1", ["broadcast", "multicast", "unknown"]),
        (
            "blue2.1",
            ["broadcast of hv2", "multicast of hv2", "unknown of hv2"],
        ),
        (
            "hv3",
            [
                "broadcast of a host",
                "multicast of a host",
                "unknown of a host",
            ],
        ),
    ] {
        let others: Vec<_> = FLOOD.into_iter().filter(|&name| name != from).collect();
        for (what, to) in what.into_iter().zip([BROADCAST, MULTICAST, UNKNOWN]) {
            kinds.from(from, what, to, &others, None)?;
        }
    }
    let to = kinds.mac("blue3.1")?;
    kinds.from("blue1.2", "unicast", to, &["blue3.1"], None)?;
    kinds.by_group()?;
    let kinds = kinds.all;
    bench.run(&kinds, Duration::ZERO)
}

impl Kinds<'_> {
    /// Packets on hv1's wire to groups.
    fn by_group(&mut self) -> Result<()> {
        let from = Endpoint::new([0x02, 0x78, 0, 0, 0, 2], self.bench.lab.hypervisor(2)?.vtep);
        let good = Outer::new(from, Endpoint::new(GROUP_MAC, GROUP), 10);
        let mut foreign = good;
        foreign.to.ip = FOREIGN.into();
        let mut bare = good;
        bare.vxlan.flags = 0;
        let flood = ["blue1.1", "blue1.2", "hv1"];
        let inside = self.frame(BEYOND, BROADCAST);
        let sender = Sender::Wire { admitted: true };
        self.add(
            "by the group",
            sender,
            good.wrap(&inside),
            &inside,
            &flood,
            None,
        );
        for (what, outer) in [("another's group", foreign), ("no VXLAN", bare)] {
            let packet = outer.wrap(&self.frame(BEYOND, BROADCAST));
            self.add(what, Sender::Aside, packet, &[], &[], None);
            self.last().noticed = Some("not_ours");
        }
        Ok(())
    }
}

#[test]
fn conservation_of_floods_to_a_group() -> Result<()> {
    group("consgroup", "auto")
}

#[test]
fn conservation_of_floods_to_a_group_at_tc() -> Result<()> {
    group("consgrouptc", "tc")
}
