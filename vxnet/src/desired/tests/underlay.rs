//! The underlay: its family and port, and which links are its uplinks.

use vxnet_common::addr::VtepAddr;

use super::{
    of, program,
    scene::{ETH0, ETH1, Machine, red_fabric, underlay},
};
use crate::state::{Hook, Id, Link, Spec};

#[test]
fn the_underlays_family_decides_the_kernel_parameter_and_the_host_row() {
    for (family, key) in [(4, "net/ipv4"), (6, "net/ipv6")] {
        let state = of(&red_fabric(family), &Machine::new(family));
        let id = Id::Sysctl(format!("{key}/conf/lo/forwarding"));
        assert_eq!(state[&id], Spec::Sysctl("1".into()));
        assert!(matches!(&state[&Id::Local], Spec::Local(row)
            if row.family == family && row.underlay == VtepAddr::from(underlay(family, 1))));
    }
}

#[test]
fn r7348_08_the_port_reaches_the_host_row_and_the_templates() {
    let mut fabric = red_fabric(4);
    fabric.port = 8472;
    let state = of(&fabric, &Machine::new(4));
    assert!(matches!(&state[&Id::Local], Spec::Local(row) if row.port == 8472));
    assert!(matches!(&state[&Id::Vtep(1)], Spec::Vtep(row)
        if row.header.0[22..24] == 8472u16.to_be_bytes()));
}

#[test]
fn uplinks_follow_the_routes_and_others_stand_by() {
    let fabric = red_fabric(4);
    let mut machine = Machine::new(4);
    let programs = |machine: &Machine| {
        let state = of(&fabric, machine);
        [ETH0, ETH1].map(|link| {
            [Hook::TcIngress, Hook::Xdp].map(|hook| program(&state, link, hook).is_some())
        })
    };
    assert_eq!(programs(&machine), [[true, true], [true, false]]);
    let routes = &mut machine.observed.facts.routes;
    routes.insert(underlay(4, 3), ETH1);
    assert_eq!(programs(&machine), [[true, true], [true, true]]);
    machine.observed.facts.routes.clear();
    assert_eq!(programs(&machine), [[true, false], [true, false]]);
}

#[test]
fn what_can_stand_by() {
    type Alter = fn(&mut Link);
    let table: [(&str, Alter, bool); 9] = [
        ("hardware", |_| {}, true),
        ("a bond", |link| link.kind = "bond".into(), true),
        ("a veth", |link| link.kind = "veth".into(), true),
        ("a tap", |link| link.kind = "tun".into(), false),
        ("a bridge", |link| link.kind = "bridge".into(), false),
        ("no Ethernet", |link| link.is_ethernet = false, false),
        ("ours", |link| link.is_ours = true, false),
        ("a port", |link| link.master = Some(4), false),
        ("no address", |link| link.addresses.clear(), false),
    ];
    for (name, alter, stands_by) in table {
        let mut machine = Machine::new(4);
        alter(machine.link("eth1"));
        let state = of(&red_fabric(4), &machine);
        assert_eq!(state.contains_key(&Id::PortSlot(ETH1)), stands_by, "{name}");
    }
    for (family, address) in [(4, "2001:db8::9/64"), (6, "10.9.0.1/24")] {
        let mut machine = Machine::new(family);
        machine.link("eth1").addresses = vec![address.parse().unwrap()];
        let state = of(&red_fabric(family), &machine);
        let stands_by = state.contains_key(&Id::PortSlot(ETH1));
        assert!(!stands_by, "an address of the other family");
    }
}

#[test]
fn named_uplinks_are_the_only_ones() {
    let mut fabric = red_fabric(4);
    let host = fabric.hosts.get_mut("host1").unwrap();
    host.uplinks = vec!["eth1".into()];
    let state = of(&fabric, &Machine::new(4));
    assert_eq!(program(&state, ETH1, Hook::TcIngress), Some("vx_uplink"));
    assert_eq!(program(&state, ETH1, Hook::Xdp), Some("vx_uplink_xdp"));
    assert!(
        !state.contains_key(&Id::PortSlot(ETH0)),
        "despite the route"
    );
}
