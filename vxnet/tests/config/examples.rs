//! The examples are accepted, and mean what they say.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use vxnet::model::{Portgroup, Receive, Segment, Suppress};
use vxnet_common::addr::{VlanId, Vni};

use crate::fabric_file::accepted;

const TWO_HOSTS: &str = include_str!("../../../examples/two-hosts.toml");
const TWO_NETWORKS: &str = include_str!("../../../examples/two-networks.toml");
const IPV6_UNDERLAY: &str = include_str!("../../../examples/ipv6-underlay.toml");
const VLAN_TRUNK: &str = include_str!("../../../examples/vlan-trunk.toml");
const MULTICAST: &str = include_str!("../../../examples/multicast.toml");
const OVERLAY_VLANS: &str = include_str!("../../../examples/overlay-vlans.toml");

#[test]
fn r7348_07_the_examples_are_accepted() {
    let fabric = accepted(TWO_HOSTS);
    assert_eq!(fabric.port, 4789);
    assert_eq!(
        fabric.hosts["host1"].underlay,
        "172.31.0.121".parse::<IpAddr>().expect("an address")
    );
    assert_eq!(fabric.hosts["host2"].receive, Receive::Auto);
    assert!(fabric.hosts["host2"].uplinks.is_empty());
    let network = &fabric.networks["br0-vxlan"];
    let segment = &network.segments[&None];
    assert_eq!(
        (network.bridge.as_str(), segment.vni),
        ("br0", Vni::new(10))
    );
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
        (network.mtu, segment.ageing),
        (None, Duration::from_mins(5))
    );

    let fabric = accepted(TWO_NETWORKS);
    assert_eq!(fabric.hosts["host1"].uplinks, ["eth0", "eth1"]);
    assert_eq!(fabric.hosts["host3"].receive, Receive::Tc);
    let (lab, office) = (&fabric.networks["lab"], &fabric.networks["office"]);
    assert_eq!(lab.mtu, Some(1400));
    assert_eq!(lab.segments[&None].ageing, Duration::from_mins(10));
    assert_eq!(lab.hosts.iter().collect::<Vec<_>>(), ["host2", "host3"]);
    assert_eq!(
        office.gateways["host1"][1],
        "fd00:124::1/64".parse().expect("an address")
    );

    let fabric = accepted(IPV6_UNDERLAY);
    assert!(fabric.hosts.values().all(|host| host.underlay.is_ipv6()));
}

fn vlan(id: u16) -> VlanId {
    VlanId::new(id).expect("a VLAN id")
}

#[test]
fn vlan_trunk_is_the_scenario_of_the_physical_switch() {
    let fabric = accepted(VLAN_TRUNK);
    for host in ["hv1", "hv2"] {
        let trunk = &fabric.hosts[host].trunks["ovs-network"];
        assert_eq!((trunk.link.as_str(), trunk.native), ("enp5s0f0", None));
    }
    let network = &fabric.networks["ovs-network"];
    assert_eq!(network.bridge, "ovsbr0");
    assert!(network.is_vlan_aware() && !network.is_on_overlay());
    let segments = [1001, 1002].map(|id| (Some(vlan(id)), Segment::new(None)));
    assert_eq!(network.segments, segments.into());
    let access = |id| Portgroup {
        pvid: Some(vlan(id)),
        ..Portgroup::default()
    };
    let trunk = Portgroup {
        tagged: BTreeSet::from([vlan(1001), vlan(1002)]),
        ..Portgroup::default()
    };
    let portgroups = [
        ("vlan-1001", access(1001)),
        ("vlan-1002", access(1002)),
        ("vlan-all", trunk),
    ];
    let portgroups = portgroups.map(|(name, portgroup)| (name.to_owned(), portgroup));
    assert_eq!(network.portgroups, portgroups.into());
    let of = |host: &str, link: &str| network.portgroup(fabric.hosts[host].ports.get(link));
    assert_eq!(of("hv1", "vnet0"), Some(&access(1001)));
    assert_eq!(of("hv2", "vnet1"), Some(&access(1002)));
    assert_eq!(of("hv1", "vnet9"), None, "blocked");
}

#[test]
fn multicast_is_the_scenario_of_two_groups() {
    let fabric = accepted(MULTICAST);
    for host in fabric.hosts.values() {
        assert_eq!(host.multicast.as_deref(), Some("eth1"));
    }
    for (name, vni, group) in [
        ("br0-vxlan", 10, "239.0.0.10"),
        ("br1-vxlan", 11, "239.0.0.11"),
    ] {
        let segment = &fabric.networks[name].segments[&None];
        assert_eq!(segment.vni, Vni::new(vni));
        assert_eq!(segment.group, group.parse().ok());
    }
}

#[test]
fn overlay_vlans_means_what_it_says() {
    let fabric = accepted(OVERLAY_VLANS);
    let office = &fabric.networks["office"];
    assert_eq!(office.segments.len(), 12);
    let on_overlay = &office.segments[&Some(vlan(20))];
    assert_eq!(on_overlay.trunk_gateway.as_deref(), Some("host1"));
    assert_eq!(on_overlay.ageing, Duration::from_hours(1));
    let except = BTreeSet::from(["192.168.20.5".parse().expect("an address")]);
    assert_eq!(on_overlay.suppress, Some(Suppress { except }));
    assert!(!on_overlay.flood.unknown_unicast && on_overlay.flood.broadcast);
    assert_eq!(on_overlay.stations.len(), 1);
    let plain = &office.segments[&Some(vlan(40))];
    assert_eq!((plain.vni, plain.ageing), (None, Duration::from_mins(10)));
    let host1 = &fabric.hosts["host1"];
    assert_eq!(host1.trunks["office"].native, Some(vlan(10)));
    assert_eq!(office.portgroup(None), Some(&office.portgroups["servers"]));
    let trunk = office
        .portgroup(host1.ports.get("vnet1"))
        .expect("a portgroup");
    assert_eq!((trunk.pvid, trunk.native_tagged), (Some(vlan(10)), true));
    assert_eq!(trunk.tagged.len(), 11);

    let students = &fabric.networks["lab"].portgroups["students"];
    assert!(students.isolated && students.locked && !students.router);
    assert_eq!(
        (students.bum_limit, students.fdb_limit),
        (Some(1000), Some(4))
    );
}
