//! The rows of networks: what each has of its own, and the slots they keep.

use std::time::Duration;

use vxnet_common::{addr::VtepAddr, map::segment::list};

use super::{
    members, of, port,
    scene::{Machine, fabric, plain, red_fabric, underlay},
    segment, settled,
};
use crate::{
    desired::desired,
    model::Fabric,
    state::{Id, Spec, State},
};

#[test]
fn ageing_is_the_networks() {
    let mut fabric = red_fabric(4);
    plain(&mut fabric, "red").ageing = Duration::from_millis(1500);
    let (_, state) = settled(&fabric);
    assert_eq!(segment(&state, 10).1.ageing, 1_500_000_000);
}

#[test]
fn r7348_06_two_networks_share_nothing_but_the_peers() {
    let fabric = fabric(4);
    let (mut machine, _) = settled(&fabric);
    let in_red = machine.add_guest("vm1", "br-red");
    let in_blue = machine.add_guest("vm2", "br-blue");
    let state = of(&fabric, &machine);
    let ((red, red_row), (blue, blue_row)) = (segment(&state, 10), segment(&state, 20));
    assert_ne!(red, blue);
    assert_ne!(red_row.host_port, blue_row.host_port);
    assert_eq!(port(&state, in_red).segment, red);
    assert_eq!(port(&state, in_blue).segment, blue);
    let of_red = members(&state, red, list::PORTS);
    let of_blue = members(&state, blue, list::PORTS);
    assert_eq!((of_red.len(), of_blue.len()), (1, 1));
    assert_ne!(of_red, of_blue);
    let resolvers = state
        .values()
        .filter(|spec| matches!(spec, Spec::Program(program) if program.name == "vx_resolve"));
    assert_eq!(resolvers.count(), 1, "one anchor is enough");
}

#[test]
fn slots_are_kept_through_changes() {
    let mut fabric = fabric(4);
    let (mut machine, _) = settled(&fabric);
    let guests = ["vm1", "vm2", "vm3"].map(|name| machine.add_guest(name, "br-red"));
    let settle = |machine: &mut Machine, fabric: &Fabric| {
        machine
            .settle(|observed| desired(fabric, "host1", observed))
            .unwrap();
        machine.observed.state.clone()
    };
    let before = settle(&mut machine, &fabric);
    let slot = |state: &State, ifindex| state.get(&Id::PortSlot(ifindex)).cloned();
    machine.remove("vm1");
    let late = machine.add_guest("vm0", "br-red");
    // The host whose address sorts first leaves, and so does the first network.
    fabric.hosts.remove("host2");
    fabric.networks.remove("blue");
    let after = settle(&mut machine, &fabric);
    for guest in &guests[1..] {
        assert_eq!(slot(&before, *guest), slot(&after, *guest));
    }
    assert_eq!(slot(&after, guests[0]), None);
    let host3 = Id::VtepSlot(VtepAddr::from(underlay(4, 3)));
    assert_eq!(before[&host3], after[&host3]);
    assert_eq!(before[&Id::Vni(10)], after[&Id::Vni(10)]);
    assert_ne!(slot(&before, guests[0]), slot(&after, late), "it rests");
    // The flood list closes the gap.
    let (red, row) = segment(&after, 10);
    assert_eq!(row.flood_ports, 3);
    assert_eq!(members(&after, red, list::PORTS).len(), 3);
    assert_eq!(members(&after, red, list::VTEPS).len(), 1);
}
