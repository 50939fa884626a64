//! The bridges of networks and their anchors: addresses, MTUs, and what replaces them.

use vxnet_common::addr::Vni;

use super::{
    bridge, of,
    scene::{self, ETH1, Machine, fabric, plain, red_fabric, underlay},
    settled,
};
use crate::{
    desired::desired,
    state::{Id, Spec},
};

#[test]
fn p25_r7348_18_the_mtu_leaves_room_for_the_outer_header() {
    let table = [
        // (family, MTU of eth0, of eth1, in the file, expected)
        (4, 1500, 1500, None, 1450),
        (6, 1500, 1500, None, 1430),
        (4, 9000, 1500, None, 8950),
        (6, 9000, 9000, None, 8930),
        (4, 9000, 9000, Some(1400), 1400),
        (4, 40, 1500, None, 0),
    ];
    for (family, eth0, eth1, explicit, expected) in table {
        let mut machine = Machine::new(family);
        machine.link("eth0").mtu = eth0;
        machine.link("eth1").mtu = eth1;
        let mut fabric = red_fabric(family);
        fabric.networks.get_mut("red").unwrap().mtu = explicit;
        let state = of(&fabric, &machine);
        assert_eq!(bridge(&state, "br-red").mtu, expected, "{family} {eth0}");
        let anchor = &state[&Id::Anchor(scene::anchor(10))];
        let bridge = "br-red".into();
        assert_eq!(
            *anchor,
            Spec::Anchor {
                bridge,
                mtu: expected,
                up: true,
            }
        );
    }
}

#[test]
fn p25_r7348_18_the_narrowest_uplink_in_use_counts_and_none_is_like_ethernet() {
    let fabric = red_fabric(4);
    let mut machine = Machine::new(4);
    (machine.link("eth0").mtu, machine.link("eth1").mtu) = (9000, 4000);
    let routes = &mut machine.observed.facts.routes;
    routes.insert(underlay(4, 3), ETH1);
    assert_eq!(bridge(&of(&fabric, &machine), "br-red").mtu, 3950);
    machine.observed.facts.routes.clear();
    assert_eq!(bridge(&of(&fabric, &machine), "br-red").mtu, 1450);
}

#[test]
fn a_bridges_address_is_its_own_stable_and_local() {
    let state = of(&fabric(4), &Machine::new(4));
    let (red, blue) = (bridge(&state, "br-red"), bridge(&state, "br-blue"));
    assert!(red.up && blue.up);
    assert_eq!(red.mac.0[0], 0x02, "locally administered, no group");
    assert_ne!(red.mac, blue.mac);
    let elsewhere = desired(&fabric(4), "host2", &Machine::new(4).observed).unwrap();
    assert_ne!(bridge(&elsewhere, "br-red").mac, red.mac);
    // FNV-1a of "host1/10": guests keep their ARP entries over an upgrade of vxnet.
    assert_eq!(red.mac.to_string(), "02:40:18:0d:14:60");
}

#[test]
fn a_changed_vni_replaces_the_anchor() {
    let mut fabric = red_fabric(4);
    let (mut machine, _) = settled(&fabric);
    plain(&mut fabric, "red").vni = Vni::new(77);
    machine
        .settle(|observed| desired(&fabric, "host1", observed))
        .unwrap();
    assert!(machine.observed.facts.link(&scene::anchor(77)).is_some());
    assert!(machine.observed.facts.link(&scene::anchor(10)).is_none());
}

#[test]
fn the_mtu_follows_the_narrowest_path_to_a_peer_down_to_a_floor() {
    let fabric = red_fabric(4);
    let (mut machine, _) = settled(&fabric);
    for (path, expected) in [(1400, 1350), (9000, 1450), (552, 1230)] {
        machine.observed.facts.route_mtu = [(underlay(4, 2), path)].into();
        assert_eq!(
            bridge(&of(&fabric, &machine), "br-red").mtu,
            expected,
            "{path}"
        );
    }
}

#[test]
fn p25_a_bridge_that_was_there_gets_the_networks_mtu() {
    let fabric = red_fabric(4);
    let mut machine = Machine::new(4);
    machine.add("br-red", "bridge", None).mtu = 9000;
    assert_eq!(bridge(&of(&fabric, &machine), "br-red").mtu, 1450);
}
