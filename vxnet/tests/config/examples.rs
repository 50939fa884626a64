//! The examples are accepted, and mean what they say.

use std::{net::IpAddr, time::Duration};

use vxnet::model::Receive;

use crate::fabric_file::accepted;

const TWO_HOSTS: &str = include_str!("../../../examples/two-hosts.toml");
const TWO_NETWORKS: &str = include_str!("../../../examples/two-networks.toml");
const IPV6_UNDERLAY: &str = include_str!("../../../examples/ipv6-underlay.toml");

#[test]
fn the_examples_are_accepted() {
    let fabric = accepted(TWO_HOSTS);
    assert_eq!(fabric.port, 4789);
    assert_eq!(
        fabric.hosts["host1"].underlay,
        "172.31.0.121".parse::<IpAddr>().expect("an address")
    );
    assert_eq!(fabric.hosts["host2"].receive, Receive::Auto);
    assert!(fabric.hosts["host2"].uplinks.is_empty());
    let network = &fabric.networks["br0-vxlan"];
    assert_eq!((network.bridge.as_str(), network.vni.value()), ("br0", 10));
    assert_eq!(network.hosts.iter().collect::<Vec<_>>(), ["host1", "host2"]);
    assert_eq!(
        network.subnets,
        ["192.168.124.0/24".parse().expect("a subnet")]
    );
    assert_eq!(
        network.gateways["host2"],
        ["192.168.124.2/24".parse().expect("an address")]
    );
    assert_eq!(
        (network.mtu, network.ageing),
        (None, Duration::from_mins(5))
    );

    let fabric = accepted(TWO_NETWORKS);
    assert_eq!(fabric.hosts["host1"].uplinks, ["eth0", "eth1"]);
    assert_eq!(fabric.hosts["host3"].receive, Receive::Tc);
    let (lab, office) = (&fabric.networks["lab"], &fabric.networks["office"]);
    assert_eq!((lab.mtu, lab.ageing), (Some(1400), Duration::from_mins(10)));
    assert_eq!(lab.hosts.iter().collect::<Vec<_>>(), ["host2", "host3"]);
    assert_eq!(
        office.gateways["host1"][1],
        "fd00:124::1/64".parse().expect("an address")
    );

    let fabric = accepted(IPV6_UNDERLAY);
    assert!(fabric.hosts.values().all(|host| host.underlay.is_ipv6()));
}
