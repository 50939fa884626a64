//! Which hosts are peers, in which networks, and the rows of their VTEPs.

use vxnet_common::{
    addr::VtepAddr,
    map::{self, segment::list, vtep::Vtep},
    outer::Template,
};

use super::{
    members, of,
    scene::{Machine, fabric, red_fabric, underlay},
    segment, settled,
};
use crate::{
    desired::desired,
    state::{Id, Spec},
};

#[test]
fn a_vtep_row_has_the_template_of_the_peer() {
    for family in [4, 6] {
        let machine = Machine::new(family);
        let state = of(&red_fabric(family), &machine);
        for (slot, host) in [(1, 2), (2, 3)] {
            let address = VtepAddr::from(underlay(family, host));
            let own = VtepAddr::from(underlay(family, 1));
            let template = Template::new(family, own, address, 4789);
            let expected = Vtep {
                address,
                checksum: template.checksum,
                header: template.header,
                name: map::name(&format!("host{host}")),
                ..Vtep::FREE
            };
            assert_eq!(state[&Id::Vtep(slot)], Spec::Vtep(Box::new(expected)));
            assert_eq!(state[&Id::VtepSlot(address)], Spec::Slot(slot));
        }
    }
}

#[test]
fn attack2_only_the_hosts_of_a_network_may_send_into_it() {
    let (_, state) = settled(&fabric(4));
    let Spec::Slot(host2) = state[&Id::VtepSlot(VtepAddr::from(underlay(4, 2)))] else {
        panic!("host2 has no slot");
    };
    let Spec::Slot(host3) = state[&Id::VtepSlot(VtepAddr::from(underlay(4, 3)))] else {
        panic!("host3 has no slot");
    };
    let ((red, red_row), (blue, blue_row)) = (segment(&state, 10), segment(&state, 20));
    assert!(red_row.has_vtep(host2) && red_row.has_vtep(host3));
    assert!(blue_row.has_vtep(host2) && !blue_row.has_vtep(host3));
    assert_eq!(members(&state, red, list::VTEPS), [host2, host3]);
    assert_eq!(members(&state, blue, list::VTEPS), [host2]);
    assert_eq!((red_row.flood_vteps, blue_row.flood_vteps), (2, 1));
}

#[test]
fn hosts_without_a_common_network_are_no_peers() {
    let mut fabric = fabric(4);
    fabric.networks.remove("red");
    let state = of(&fabric, &Machine::new(4));
    assert!(state.contains_key(&Id::VtepSlot(VtepAddr::from(underlay(4, 2)))));
    assert!(!state.contains_key(&Id::VtepSlot(VtepAddr::from(underlay(4, 3)))));
    let alone = desired(&fabric, "host3", &Machine::new(4).observed).unwrap();
    assert!(
        !alone
            .keys()
            .any(|id| matches!(id, Id::Vtep(_) | Id::Bridge(_)))
    );
}

#[test]
fn a_vtep_slot_above_64_sets_its_bit_in_the_right_word() {
    let mut fabric = red_fabric(4);
    for number in 0..100u8 {
        let mut host = fabric.hosts["host3"].clone();
        host.name = format!("more{number}");
        host.underlay = std::net::Ipv4Addr::new(10, 1, 0, number).into();
        let red = fabric.networks.get_mut("red").unwrap();
        red.hosts.insert(host.name.clone());
        fabric.hosts.insert(host.name.clone(), host);
    }
    let (_, state) = settled(&fabric);
    let (_, row) = segment(&state, 10);
    let expected: Vec<u32> = (1..=102).collect();
    let have: Vec<u32> = (0..1024).filter(|slot| row.has_vtep(*slot)).collect();
    assert_eq!(have, expected);
}
