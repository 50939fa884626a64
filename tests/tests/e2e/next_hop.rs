//! The way to a peer changes while no daemon runs: the programs follow it by themselves.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use vxnet_tests::counters::link_counter;
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::probe::{Probe, ProbeResult};
use vxnet_tests::topology::{LabBuilder, UPLINK};
use vxnet_tests::underlay::{self, Family, Subnet, Wire};

use crate::switch;

const RATE: u32 = 1000;
/// How long the programs may take to follow.
const LIMIT: Duration = Duration::from_secs(2);

fn lab(label: &str, family: Family) -> Result<Lab> {
    let mut lab = LabBuilder::new(label)
        .underlay(family)
        .hypervisors(&[switch(), Kind::Kernel])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Tap)
        .guest("blue", 2, Port::Veth)
        .build()?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    lab.wait_for_ping(from, to, Family::V4)?;
    if switch() == Kind::Vxnet {
        lab.vxnet(1)?.kill()?;
    }
    Ok(lab)
}

/// Runs numbered packets from hv1 to hv2 across `change`.
fn across(lab: &Lab, change: impl FnOnce() -> Result<()>) -> Result<ProbeResult> {
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    let probe = Probe::start(&from.netns, &to.netns, to.v4, RATE)?;
    std::thread::sleep(Duration::from_secs(1));
    change()?;
    std::thread::sleep(LIMIT + Duration::from_secs(1));
    let result = probe.finish()?;
    ensure!(
        result.longest_gap < LIMIT,
        "the outage was too long: {result}"
    );
    let limit = u64::from(RATE) * LIMIT.as_secs();
    ensure!(result.lost < limit && result.duplicated == 0, "{result}");
    Ok(result)
}

#[test]
fn next_hop_the_router_gets_a_new_mac_and_says_so() -> Result<()> {
    let lab = lab("garp", Family::V4)?;
    across(&lab, || {
        lab.router.ip("link set hv1 address 02:00:00:00:77:01")?;
        let announce = lab
            .router
            .line("arping -U -c 2 -w 2 -I hv1 10.77.1.1")
            .output()?;
        // arping reports that nobody answered, which nobody should.
        ensure!(!announce.stdout.is_empty(), "{}", announce.stderr);
        Ok(())
    })?;
    Ok(())
}

#[test]
fn next_hop_the_router_gets_a_new_mac_on_an_ipv6_underlay() -> Result<()> {
    let lab = lab("garpsix", Family::V6)?;
    // The new address is told in an unsolicited advertisement (RFC 4861 section 7.2.6). What the
    // router asks for by itself will not do: it may ask for a frame that it forwards, and then with
    // its link-local address.
    lab.router.sysctl("net.ipv6.conf.hv1.ndisc_notify", "1")?;
    across(&lab, || {
        lab.router
            .ip("link set hv1 address 02:00:00:00:77:02")
            .map(drop)
    })?;
    Ok(())
}

#[test]
fn next_hop_another_router_on_the_same_link() -> Result<()> {
    let lab = lab("second", Family::V4)?;
    // Each address is to be answered for by its own link only.
    lab.router.sysctl("net.ipv4.conf.all.arp_ignore", "1")?;
    lab.router
        .ip("link add second link hv1 type macvlan mode bridge")?;
    lab.router
        .ip("address add 10.77.1.9/24 dev second noprefixroute")?;
    lab.router.ip("link set second up")?;
    let far = lab.hypervisor(1)?;
    across(&lab, || {
        far.netns
            .ip("route replace default via 10.77.1.9 dev eth0")
            .map(drop)
    })?;
    let through = link_counter(&lab.router, "second", "rx", "packets")?;
    ensure!(
        through > u64::from(RATE),
        "{through} packets through the new hop"
    );
    Ok(())
}

#[test]
fn next_hop_the_route_moves_to_another_link_and_back() -> Result<()> {
    let lab = lab("move", Family::V4)?;
    let hypervisor = &lab.hypervisor(1)?.netns;
    // The second router is joined to the first: there is only one way back.
    let second = underlay::router(&lab.scope, "router2")?;
    let detour = Subnet {
        hypervisor: 1,
        router: 2,
    };
    underlay::connect(hypervisor, &second, detour, "eth1", Wire::Mtu, 1500)?;
    lab.router.ip(&format!(
        "link add cross type veth peer name cross netns {second}"
    ))?;
    for (netns, host) in [(&lab.router, 1), (&second, 2)] {
        netns.ip(&format!("address add 10.78.0.{host}/24 dev cross"))?;
        netns.ip("link set cross up")?;
    }
    second.ip("route add default via 10.78.0.1")?;
    let sent = |link: &str| link_counter(hypervisor, link, "tx", "packets");
    for (link, hop) in [("eth1", "10.77.101.1"), (UPLINK, "10.77.1.1")] {
        let before = sent(link)?;
        across(&lab, || {
            hypervisor
                .ip(&format!("route replace default via {hop} dev {link}"))
                .map(drop)
        })
        .with_context(|| format!("to {link}"))?;
        let through = sent(link)? - before;
        ensure!(
            through > u64::from(RATE),
            "{through} packets left through {link}"
        );
    }
    Ok(())
}
