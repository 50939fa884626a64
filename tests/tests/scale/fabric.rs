//! The configuration, and the guests' links.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use anyhow::Result;
use vxnet_tests::netns::Netns;

pub(crate) const NETWORKS: u32 = 4096;
pub(crate) const PORTS: u32 = 1000;
pub(crate) const VTEPS: u32 = 1000;

/// The VNI of the network that the lab's own guests are in, which is the first.
pub(crate) const BLUE: u32 = 10;
/// The other networks with a guest: two are in the first.
pub(crate) const WITH_PORT: RangeInclusive<u32> = 2..=PORTS - 1;

/// The VNI of a network.
pub(crate) const fn vni(network: u32) -> u32 {
    1000 + network
}

/// The guest's end of the link in a network.
pub(crate) fn guest(network: u32) -> String {
    format!("q{network}")
}

/// The hosts besides the lab's, and the networks besides the first: in each are both hosts of the
/// lab and two more.
pub(crate) fn text() -> String {
    let mut text = String::new();
    for host in 3..=VTEPS + 1 {
        let [_, _, high, low] = host.to_be_bytes();
        writeln!(text, "[host.far{host}]\nunderlay = \"10.99.{high}.{low}\"").expect("a String");
    }
    for network in 2..=NETWORKS {
        let vni = vni(network);
        let far = 3 + network % (VTEPS - 1);
        let other = 3 + (network + 7) % (VTEPS - 1);
        writeln!(
            text,
            "[network.n{network}]\nbridge = \"br{network}\"\nvni = {vni}\n\
             hosts = [\"hv1\", \"hv2\", \"far{far}\", \"far{other}\"]"
        )
        .expect("a String");
    }
    text
}

/// Plugs a guest's link into each network that is to have one.
pub(crate) fn plug(netns: &Netns) -> Result<()> {
    let mut batch = String::new();
    for network in WITH_PORT {
        let guest = guest(network);
        writeln!(batch, "link add p{network} type veth peer name {guest}")?;
        writeln!(batch, "link set {guest} up")?;
        writeln!(batch, "link set p{network} master br{network} up")?;
    }
    netns.line("ip -batch -").stdin(batch).run()?;
    Ok(())
}
