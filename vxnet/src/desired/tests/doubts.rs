//! What is probably not as the user means it, but keeps nothing from working.

use super::{
    of,
    scene::{ETH0, Machine, red_fabric},
};
use crate::{
    desired::doubts,
    model::Receive,
    state::{DETOUR, DETOUR_END, Hook, Id, Spec},
};

#[test]
fn a_named_uplink_that_does_not_exist_is_doubtful_but_keeps_nothing_from_working() {
    let machine = Machine::new(4);
    let mut fabric = red_fabric(4);
    let host = fabric.hosts.get_mut("host1").unwrap();
    host.uplinks = vec!["eth0".into(), "eth7".into()];
    let state = of(&fabric, &machine);
    assert!(state.contains_key(&Id::Guard) && state.contains_key(&Id::Local));
    let doubts = doubts(&fabric, "host1", &machine.observed.facts);
    assert!(
        doubts.iter().any(|doubt| doubt.contains("no link eth7")),
        "{doubts:?}"
    );
}

#[test]
fn r7348_18_a_host_without_its_underlay_address_is_doubtful_and_so_is_too_large_an_mtu() {
    let machine = Machine::new(4);
    let mut fabric = red_fabric(4);
    fabric.hosts.get_mut("host1").unwrap().underlay = "203.0.113.9".parse().unwrap();
    fabric.networks.get_mut("red").unwrap().mtu = Some(9000);
    let doubts = doubts(&fabric, "host1", &machine.observed.facts);
    assert!(
        doubts.iter().any(|doubt| doubt.contains("203.0.113.9")),
        "{doubts:?}"
    );
    assert!(
        doubts.iter().any(|doubt| doubt.contains("too_big")),
        "{doubts:?}"
    );
}

#[test]
fn f16_xdp_that_was_forced_and_refused_is_told() {
    let (mut fabric, mut machine) = (red_fabric(4), Machine::new(4));
    machine.observed.facts.xdp_refused.insert(ETH0);
    let told = |fabric: &_, machine: &Machine| {
        let doubts = doubts(fabric, "host1", &machine.observed.facts);
        doubts.iter().any(|doubt| doubt.contains("uplink eth0"))
    };
    for (receive, expected) in [
        (Receive::Auto, false),
        (Receive::Tc, false),
        (Receive::Xdp, true),
        (Receive::XdpDirect, true),
    ] {
        fabric.hosts.get_mut("host1").unwrap().receive = receive;
        assert_eq!(told(&fabric, &machine), expected, "{receive:?}");
    }
    machine.observed.facts.xdp_refused.clear();
    assert!(!told(&fabric, &machine), "it runs");
}

#[test]
fn a_port_that_somebody_has_is_told_while_the_user_wants_it() {
    let (mut fabric, mut machine) = (red_fabric(4), Machine::new(4));
    machine.observed.facts.port_taken = Some(4789);
    let told = |fabric: &_| {
        let doubts = doubts(fabric, "host1", &machine.observed.facts);
        doubts.iter().any(|doubt| doubt.contains("UDP port 4789"))
    };
    assert!(told(&fabric));
    fabric.hosts.get_mut("host1").unwrap().gro_socket = false;
    assert!(!told(&fabric));
}

#[test]
fn a_kernel_without_vxlan_devices_does() {
    let (fabric, mut machine) = (red_fabric(4), Machine::new(4));
    machine.observed.facts.no_vxlan = true;
    let state = of(&fabric, &machine);
    assert!(!state.contains_key(&Id::Detour) && !state.contains_key(&Id::GroSocket));
    let doubts = doubts(&fabric, "host1", &machine.observed.facts);
    assert!(
        doubts.iter().any(|doubt| doubt.contains("module vxlan")),
        "{doubts:?}"
    );
}

#[test]
fn a_kernel_that_refuses_a_namespace_does_too() {
    let (fabric, mut machine) = (red_fabric(4), Machine::new(4));
    machine.observed.facts.no_room = Some("cannot make a network namespace: ENOSPC".into());
    assert!(!of(&fabric, &machine).contains_key(&Id::Detour));
    let doubts = doubts(&fabric, "host1", &machine.observed.facts);
    assert!(
        doubts.iter().any(|doubt| doubt.contains("ENOSPC")),
        "{doubts:?}"
    );
}

#[test]
fn a_link_of_someone_elses_with_the_name_of_ours_is_left_alone() {
    for name in [DETOUR, DETOUR_END] {
        let fabric = red_fabric(4);
        let mut machine = Machine::new(4);
        let foreign = machine.add(name, "veth", None).ifindex;
        machine.run(foreign, Hook::TcIngress, "vx_detour");
        let state = of(&fabric, &machine);
        assert!(!state.contains_key(&Id::Detour), "{name}");
        assert!(
            !state.contains_key(&Id::Program(foreign, Hook::TcIngress)),
            "{name}"
        );
        let Spec::Local(local) = &state[&Id::Local] else {
            panic!("no host row");
        };
        assert_eq!(local.detour, 0, "{name}");
        let doubts = doubts(&fabric, "host1", &machine.observed.facts);
        assert!(
            doubts.iter().any(|doubt| doubt.contains(DETOUR)),
            "{doubts:?}"
        );
    }
}
