//! Multicast groups of the underlay in place of copies for each peer.

use std::net::IpAddr;

use vxnet_common::{
    addr::VtepAddr,
    map::{segment::list, vtep::Vtep},
};

use super::{
    members, of,
    scene::{ETH0, ETH1, Machine, plain, red_fabric, underlay},
    segment, settled,
};
use crate::{
    model::Fabric,
    state::{Id, Spec, State},
};

const GROUP: &str = "239.0.0.10";

fn with_group() -> Fabric {
    let mut fabric = red_fabric(4);
    plain(&mut fabric, "red").group = Some(GROUP.parse().unwrap());
    fabric
}

fn group_row(state: &State) -> (u32, Vtep) {
    let address = VtepAddr::from(GROUP.parse::<IpAddr>().unwrap());
    state
        .iter()
        .find_map(|(id, spec)| match (id, spec) {
            (Id::Vtep(slot), Spec::Vtep(row)) if row.address == address => Some((*slot, **row)),
            _ => None,
        })
        .expect("a row for the group")
}

#[test]
fn floods_go_to_the_group_and_peers_may_still_send() {
    let fabric = with_group();
    let (_, state) = settled(&fabric);
    let (slot, row) = group_row(&state);
    let (red, segment) = segment(&state, 10);
    assert_eq!(
        members(&state, red, list::VTEPS),
        [slot],
        "one copy for all"
    );
    assert_eq!(segment.group, row.address);
    assert!(!segment.has_vtep(slot), "nobody sends from a group");
    let peer = VtepAddr::from(underlay(4, 2));
    let Spec::Slot(peer_slot) = state[&Id::VtepSlot(peer)] else {
        panic!("no slot");
    };
    assert!(segment.has_vtep(peer_slot));
    assert!(!state.contains_key(&Id::VtepSlot(row.address)));
    assert_eq!(row.deadline, Vtep::NEVER, "the programs do not look it up");
    let hop = row.next_hop();
    assert_eq!((hop.ifindex, hop.dst), (ETH0, [1, 0, 0x5e, 0, 0, 10]));
    let membership = Id::Membership("eth0".into(), GROUP.parse().unwrap());
    assert_eq!(state.get(&membership), Some(&Spec::Membership));
}

#[test]
fn the_user_chooses_the_link_of_the_groups() {
    let mut fabric = with_group();
    fabric.hosts.get_mut("host1").unwrap().multicast = Some("eth1".into());
    let (_, state) = settled(&fabric);
    assert_eq!(group_row(&state).1.next_hop().ifindex, ETH1);
    let membership = Id::Membership("eth1".into(), GROUP.parse().unwrap());
    assert!(state.contains_key(&membership));
}

#[test]
fn a_missing_link_of_the_groups_is_doubtful() {
    let mut fabric = with_group();
    fabric.hosts.get_mut("host1").unwrap().multicast = Some("eth9".into());
    let machine = Machine::new(4);
    let doubts = super::doubts(&fabric, "host1", &machine.observed.facts);
    assert!(
        doubts.iter().any(|doubt| doubt.contains("eth9")),
        "{doubts:?}"
    );
    assert_eq!(group_row(&of(&fabric, &machine)).1.next_hop().ifindex, 0);
}
