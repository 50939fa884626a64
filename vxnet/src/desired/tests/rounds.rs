//! From one look at the machine to the next: what comes first, what follows, and that it ends.

use vxnet_common::{
    addr::VtepAddr,
    map::{
        self, LAYOUT,
        fdb::{FdbEntry, FdbKey, origin, place},
        local::Local,
        port::{Port, flag, kind},
        segment::{Segment, list},
    },
};

use super::{
    bridge, members, of, port, program,
    scene::{Machine, anchor, fabric, red_fabric, underlay},
    segment, settled,
};
use crate::{
    desired::desired,
    state::{Hook, Id, Observed, Spec, State},
};

/// What every guest is held to, whatever its portgroup.
const GUARDED: u32 = flag::NO_VXLAN | flag::NO_DHCP_SERVER | flag::NO_RA;

fn lines(state: &State) -> Vec<String> {
    state.keys().map(ToString::to_string).collect()
}

#[test]
fn at_first_only_what_needs_no_bridge() {
    let state = of(&red_fabric(4), &Machine::new(4));
    assert_eq!(
        lines(&state),
        [
            "sysctl net/ipv4/conf/lo/forwarding",
            "bridge guard (nftables)",
            "bridge br-red",
            "anchor port vxa-10",
            "detour vx-detour",
            "address 192.168.124.1/24 on br-red",
            "host row",
            "VTEP row 1",
            "VTEP row 2",
            "VTEP 172.31.0.122",
            "VTEP 172.31.0.123",
            "port row 1",
            "port row 2",
            "port of link 2",
            "port of link 3",
            "tc-ingress program of link 2",
            "xdp program of link 2",
            "tc-ingress program of link 3",
        ]
    );
    let Spec::Local(local) = &state[&Id::Local] else {
        panic!("no host row");
    };
    let expected = Local {
        layout: LAYOUT,
        underlay: VtepAddr::from(underlay(4, 1)),
        port: 4789,
        family: 4,
        pad: 0,
        detour: 0,
        resolver: 0,
        name: map::name("host1"),
    };
    assert_eq!(*local, expected, "there is no resolver yet");
}

#[test]
fn then_the_rows_that_name_the_bridge_and_its_guests() {
    let fabric = red_fabric(4);
    let (mut machine, _) = settled(&fabric);
    let vm1 = machine.add_guest("vm1", "br-red");
    let vm2 = machine.add("vm2", "veth", Some(machine.ifindex("br-red")));
    let vm2 = vm2.ifindex;
    let bridge_index = machine.ifindex("br-red");
    let state = of(&fabric, &machine);
    let (slot, row) = segment(&state, 10);

    let host_port = port(&state, bridge_index);
    assert_eq!((host_port.kind, host_port.segment), (kind::HOST, slot));
    assert_eq!(
        state[&Id::PortSlot(bridge_index)],
        Spec::Slot(row.host_port)
    );
    let tap = port(&state, vm1);
    let expected = Port {
        ifindex: vm1,
        kind: kind::GUEST,
        segment: slot,
        flags: flag::XDP_TARGET | GUARDED,
        network: row.host_port,
        bum_limit: 0,
        fdb_limit: 4096,
        mtu: 0,
        pvid: 0,
        mac: [0x52, 0x54, 0, 0, 0, vm1 as u8],
        name: map::name("vm1"),
    };
    assert_eq!(*tap, expected);
    assert_eq!(
        port(&state, vm2).flags,
        flag::TAKES_MARKED | GUARDED,
        "a veth takes no XDP frames"
    );

    let slot_of = |ifindex| match state[&Id::PortSlot(ifindex)] {
        Spec::Slot(slot) => slot,
        _ => panic!("no slot"),
    };
    let ports = members(&state, slot, list::PORTS);
    assert_eq!(ports, [slot_of(vm1), slot_of(vm2)], "not the anchor");
    assert_eq!(members(&state, slot, list::VTEPS), [1, 2]);
    let expected = Segment {
        vni: 10,
        network: slot_of(bridge_index),
        bridge: bridge_index,
        host_port: slot_of(bridge_index),
        mtu: 1450,
        ageing: 300_000_000_000,
        flood_ports: 2,
        flood_vteps: 2,
        gateway_v4: [192, 168, 124, 1],
        name: map::name("red"),
        bridge_name: map::name("br-red"),
        vteps: {
            let mut vteps = Segment::FREE.vteps;
            vteps[0] = 0b110;
            vteps
        },
        ..Segment::FREE
    };
    assert_eq!(*row, expected);

    let own = FdbKey::new(slot, bridge(&state, "br-red").mac);
    let entry = FdbEntry::fixed(place::PORT, row.host_port, origin::STATIC);
    assert_eq!(state[&Id::Fdb(own)], Spec::Fdb(entry));

    assert_eq!(
        program(&state, bridge_index, Hook::TcEgress),
        Some("vx_port")
    );
    assert_eq!(program(&state, bridge_index, Hook::TcIngress), None);
    assert_eq!(program(&state, vm1, Hook::TcIngress), Some("vx_port"));
    assert_eq!(program(&state, vm1, Hook::Xdp), None);
    let anchor = machine.ifindex(&anchor(10));
    assert_eq!(program(&state, anchor, Hook::TcIngress), Some("vx_resolve"));
    assert!(matches!(&state[&Id::Local], Spec::Local(row) if row.resolver == anchor));
    assert!(!state.contains_key(&Id::PortSlot(anchor)), "no port");
    let virbr0 = machine.ifindex("vnet9");
    assert!(!state.contains_key(&Id::PortSlot(virbr0)), "not ours");
}

#[test]
fn the_second_plan_is_empty() {
    for family in [4, 6] {
        let fabric = fabric(family);
        let mut machine = Machine::new(family);
        let wanted = |observed: &Observed| desired(&fabric, "host1", observed);
        let rounds = machine.settle(wanted).unwrap();
        assert!(rounds <= 3, "{rounds} rounds");
        machine.add_guest("vm1", "br-red");
        assert_eq!(machine.settle(wanted).unwrap(), 1, "one more for a guest");
        assert_eq!(machine.settle(wanted).unwrap(), 0);
        assert_eq!(machine.observed.state, of(&fabric, &machine));
    }
}

#[test]
fn a_fabric_without_networks_leaves_no_link_of_ours() {
    let mut fabric = fabric(4);
    let (mut machine, _) = settled(&fabric);
    machine.add_guest("vm1", "br-red");
    fabric.networks.clear();
    machine
        .settle(|observed| desired(&fabric, "host1", observed))
        .unwrap();
    let ours = machine
        .observed
        .facts
        .links
        .values()
        .filter(|link| link.is_ours);
    assert_eq!(ours.count(), 0);
    let left = machine.observed.state.keys().filter(|id| {
        matches!(
            id,
            Id::Segment(_) | Id::Vni(_) | Id::Flood(_) | Id::Fdb(_) | Id::Vtep(_)
        )
    });
    assert_eq!(left.count(), 0);
}
