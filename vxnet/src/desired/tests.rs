//! What a host should be, from facts written by hand and from a machine in memory.

pub(crate) mod scene;

use std::time::Duration;

use vxnet_common::{
    addr::{Vni, VtepAddr},
    map::{
        self, LAYOUT,
        fdb::{FdbEntry, FdbKey, origin, place},
        local::Local,
        port::{Port, flag, kind},
        segment::{FloodKey, Segment, list},
        vtep::Vtep,
    },
    outer::Template,
};

use self::scene::{ETH0, ETH1, Machine, anchor, fabric, red_fabric, underlay};
use super::*;
use crate::{
    model::Receive,
    plan::plan,
    state::{Hook, Link, Program},
};

/// Returns what `host1` should be.
fn of(fabric: &Fabric, machine: &Machine) -> State {
    desired(fabric, "host1", &machine.observed).unwrap()
}

/// Returns a machine that is what it should be, and that state.
fn settled(fabric: &Fabric) -> (Machine, State) {
    let mut machine = Machine::new(4);
    machine
        .settle(|observed| desired(fabric, "host1", observed))
        .unwrap();
    let state = of(fabric, &machine);
    (machine, state)
}

fn lines(state: &State) -> Vec<String> {
    state.keys().map(ToString::to_string).collect()
}

/// Returns the row of the port on the link with that ifindex.
fn port(state: &State, ifindex: u32) -> &Port {
    let row = state.values().find_map(|spec| match spec {
        Spec::Port(row) if row.ifindex == ifindex => Some(row),
        _ => None,
    });
    row.unwrap_or_else(|| panic!("no row for link {ifindex}"))
}

/// Returns the row of a network.
fn segment(state: &State, vni: u32) -> (u32, &Segment) {
    let Some(Spec::Slot(slot)) = state.get(&Id::Vni(vni)) else {
        panic!("no VNI {vni}");
    };
    let Some(Spec::Segment(row)) = state.get(&Id::Segment(*slot)) else {
        panic!("VNI {vni} points to no segment");
    };
    (*slot, row)
}

/// Returns the members of a flood list, in order.
fn members(state: &State, segment: u32, list: u32) -> Vec<u32> {
    let key = |index| FloodKey {
        segment,
        list,
        index,
    };
    let rows = state.range(Id::Flood(key(0))..=Id::Flood(key(u32::MAX)));
    let members = rows.enumerate().map(|(at, (id, spec))| {
        assert_eq!(*id, Id::Flood(key(at as u32)), "the list has no gaps");
        match spec {
            Spec::Slot(slot) => *slot,
            other => panic!("{other:?} is no slot"),
        }
    });
    members.collect()
}

fn bridge(state: &State, name: &str) -> Bridge {
    match &state[&Id::Bridge(name.into())] {
        Spec::Bridge(bridge) => bridge.clone(),
        other => panic!("{other:?} is no bridge"),
    }
}

fn guard(state: &State) -> &str {
    match &state[&Id::Guard] {
        Spec::Guard(guard) => &guard.rules,
        other => panic!("{other:?} is no guard"),
    }
}

fn program(state: &State, ifindex: u32, hook: Hook) -> Option<&str> {
    match state.get(&Id::Program(ifindex, hook))? {
        Spec::Program(program) => Some(&program.name),
        other => panic!("{other:?} is no program"),
    }
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
        pad: [0; 5],
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
        flags: flag::XDP_TARGET,
        mac: [0x52, 0x54, 0, 0, 0, vm1 as u8],
        pad: [0; 2],
        name: map::name("vm1"),
    };
    assert_eq!(*tap, expected);
    assert_eq!(port(&state, vm2).flags, 0, "a veth takes no XDP frames");

    let slot_of = |ifindex| match state[&Id::PortSlot(ifindex)] {
        Spec::Slot(slot) => slot,
        _ => panic!("no slot"),
    };
    let ports = members(&state, slot, list::PORTS);
    assert_eq!(ports, [slot_of(vm1), slot_of(vm2)], "not the anchor");
    assert_eq!(members(&state, slot, list::VTEPS), [1, 2]);
    let expected = Segment {
        vni: 10,
        bridge: bridge_index,
        host_port: slot_of(bridge_index),
        mtu: 1450,
        ageing: 300_000_000_000,
        flood_ports: 2,
        flood_vteps: 2,
        name: map::name("red"),
        bridge_name: map::name("br-red"),
        vteps: {
            let mut vteps = Segment::FREE.vteps;
            vteps[0] = 0b110;
            vteps
        },
    };
    assert_eq!(*row, expected);

    let own = FdbKey::new(slot, bridge(&state, "br-red").mac);
    let entry = FdbEntry {
        slot: row.host_port,
        place: place::PORT,
        origin: origin::STATIC,
        pad: [0; 2],
        last_seen: 0,
    };
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
fn xdp_strips_only_while_both_programs_run() {
    let fabric = red_fabric(4);
    let (tc, xdp) = (Hook::TcIngress, Hook::Xdp);
    let table: [(&[Hook], bool); 4] = [
        (&[], false),
        (&[tc], false),
        (&[xdp], false),
        (&[tc, xdp], true),
    ];
    for (running, armed) in table {
        let mut machine = Machine::new(4);
        for hook in running {
            machine.run(ETH0, *hook, "vx_uplink");
        }
        // What runs on another uplink does not count.
        machine.run(ETH1, tc, "vx_uplink");
        machine.run(ETH1, Hook::TcEgress, "vx_uplink");
        let state = of(&fabric, &machine);
        let flags = port(&state, ETH0).flags;
        assert_eq!(flags & flag::STRIP != 0, armed, "{running:?}");
        assert_eq!(port(&state, ETH1).flags & flag::STRIP, 0);
    }
}

#[test]
fn xdp_is_disarmed_when_a_program_has_left_only_its_pin() {
    let fabric = red_fabric(4);
    for hook in [Hook::TcIngress, Hook::Xdp] {
        let (mut machine, _) = settled(&fabric);
        let state = &mut machine.observed.state;
        state.insert(Id::Program(ETH0, hook), Spec::Program(Program::PIN));
        let state = of(&fabric, &machine);
        assert_eq!(port(&state, ETH0).flags & flag::STRIP, 0, "{hook:?}");
        let ops = plan(&machine.observed.state, &state);
        let lines: Vec<_> = ops.iter().map(ToString::to_string).collect();
        let renewed = format!("~ {} program of link 2", hook.name());
        assert_eq!(lines, ["~ port row 1".to_owned(), renewed]);
    }
}

#[test]
fn xdp_is_disarmed_when_its_tc_program_is_gone() {
    let fabric = red_fabric(4);
    let (mut machine, state) = settled(&fabric);
    assert_ne!(port(&state, ETH0).flags & flag::STRIP, 0);
    let lost = Id::Program(ETH0, Hook::TcIngress);
    machine.observed.state.remove(&lost);
    let state = of(&fabric, &machine);
    assert_eq!(port(&state, ETH0).flags & flag::STRIP, 0);
    let ops = plan(&machine.observed.state, &state);
    let lines: Vec<_> = ops.iter().map(ToString::to_string).collect();
    let slot = 1;
    let expected = [
        format!("~ port row {slot}"),
        "+ tc-ingress program of link 2".to_owned(),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn frames_leave_the_skb_world_only_where_checksums_are_finished() {
    let table = [
        // (receive, kind of the uplink, direct)
        (Receive::Auto, "", true),
        (Receive::Auto, "veth", false),
        (Receive::Auto, "bond", false),
        (Receive::XdpDirect, "veth", true),
        (Receive::XdpDirect, "", true),
        (Receive::Xdp, "", false),
        (Receive::Tc, "", false),
    ];
    for (receive, kind, direct) in table {
        let (mut fabric, mut machine) = (red_fabric(4), Machine::new(4));
        set(&mut fabric, receive);
        machine.link("eth0").kind = kind.into();
        let state = of(&fabric, &machine);
        let row = port(&state, ETH0);
        assert_eq!((row.kind, row.segment), (map::port::kind::UPLINK, 0));
        let expected = if direct { flag::WIRE_CSUM } else { 0 };
        assert_eq!(row.flags, expected, "{receive:?} {kind}");
    }
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
fn a_host_without_its_underlay_address_is_doubtful_and_so_is_too_large_an_mtu() {
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
fn links_that_are_not_there_for_guests_are_never_taken_over() {
    let mut machine = Machine::new(4);
    let mut fabric = red_fabric(4);
    fabric.networks.get_mut("red").unwrap().bridge = "eth0".into();
    let error = desired(&fabric, "host1", &machine.observed).unwrap_err();
    assert!(error.to_string().contains("is no bridge"), "{error}");
    // The underlay itself may sit on a bridge.
    machine.link("eth0").kind = "bridge".into();
    let error = desired(&fabric, "host1", &machine.observed).unwrap_err();
    assert!(
        error.to_string().contains("leads to the underlay"),
        "{error}"
    );
}

#[test]
fn a_changed_vni_replaces_the_anchor() {
    let mut fabric = red_fabric(4);
    let (mut machine, _) = settled(&fabric);
    fabric.networks.get_mut("red").unwrap().vni = Vni::new(77).unwrap();
    machine
        .settle(|observed| desired(&fabric, "host1", observed))
        .unwrap();
    assert!(machine.observed.facts.link(&scene::anchor(77)).is_some());
    assert!(machine.observed.facts.link(&scene::anchor(10)).is_none());
}

#[test]
fn an_unknown_host_is_an_error_with_a_remedy() {
    let error = desired(&red_fabric(4), "host9", &Machine::new(4).observed).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the fabric has no host \"host9\"\nhint: name one of its hosts with --host"
    );
}

#[test]
fn xdp_runs_where_it_may_and_is_wanted() {
    type Alter = fn(&mut Fabric, &mut Machine);
    let table: [(&str, Alter, bool); 10] = [
        ("as it is", |_, _| {}, true),
        (
            "receive = xdp-direct",
            |fabric, _| set(fabric, Receive::XdpDirect),
            true,
        ),
        ("receive = xdp", |fabric, _| set(fabric, Receive::Xdp), true),
        ("receive = tc", |fabric, _| set(fabric, Receive::Tc), false),
        (
            "the driver refused",
            |_, machine| {
                machine.observed.facts.xdp_refused.insert(ETH0);
            },
            false,
        ),
        (
            "another driver refused",
            |_, machine| {
                machine.observed.facts.xdp_refused.insert(ETH1);
            },
            true,
        ),
        (
            "below a macvlan",
            |_, machine| machine.add("macvlan0", "macvlan", None).lower = Some(ETH0),
            false,
        ),
        (
            "below a VLAN",
            |_, machine| machine.add("eth0.7", "vlan", None).lower = Some(ETH0),
            true,
        ),
        (
            "another link below a macvlan",
            |_, machine| machine.add("macvlan0", "macvlan", None).lower = Some(ETH1),
            true,
        ),
        (
            "a port of a bridge",
            |_, machine| machine.link("eth0").master = Some(4),
            false,
        ),
    ];
    for (name, alter, runs) in table {
        let (mut fabric, mut machine) = (red_fabric(4), Machine::new(4));
        alter(&mut fabric, &mut machine);
        let state = of(&fabric, &machine);
        assert_eq!(program(&state, ETH0, Hook::Xdp).is_some(), runs, "{name}");
        assert!(program(&state, ETH0, Hook::TcIngress).is_some(), "{name}");
    }
}

fn set(fabric: &mut Fabric, receive: Receive) {
    fabric.hosts.get_mut("host1").unwrap().receive = receive;
}

#[test]
fn programs_are_of_the_version_that_vxnet_brings() {
    let fabric = red_fabric(4);
    let (mut machine, _) = settled(&fabric);
    let programs = &mut machine.observed.facts.programs;
    programs.insert("vx_uplink", 99);
    let ops = plan(&machine.observed.state, &of(&fabric, &machine));
    let lines: Vec<_> = ops.iter().map(ToString::to_string).collect();
    let expected = [
        "~ tc-ingress program of link 2",
        "~ tc-ingress program of link 3",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn r7348_18_the_mtu_leaves_room_for_the_outer_header() {
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
                mtu: expected
            }
        );
    }
}

#[test]
fn r7348_18_the_narrowest_uplink_in_use_counts_and_none_is_like_ethernet() {
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
fn ageing_is_the_networks() {
    let mut fabric = red_fabric(4);
    let red = fabric.networks.get_mut("red").unwrap();
    red.ageing = Duration::from_millis(1500);
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

/// Takes the margin off rules that are indented like the code around them.
fn rules(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let lines = lines.map(|line| line[8..].replace("    ", "\t") + "\n");
    lines.collect()
}

#[test]
fn the_guard_names_our_bridges_where_the_kernel_can() {
    let mut fabric = fabric(4);
    let fenced = guard(&of(&fabric, &Machine::new(4))).to_owned();
    set(&mut fabric, Receive::Tc);
    let expected = rules(
        r#"
        table bridge vxnet {
            chain forward {
                type filter hook forward priority filter; policy accept;
                meta ibrname "br-blue" drop
                meta ibrname "br-red" drop
            }
            chain input {
                type filter hook input priority filter; policy accept;
                meta ibrname "br-blue" drop
                meta ibrname "br-red" drop
            }
            chain output {
                type filter hook output priority filter; policy accept;
                meta obrname "br-blue" drop
                meta obrname "br-red" drop
            }
        }
        "#,
    );
    assert_eq!(guard(&of(&fabric, &Machine::new(4))), expected);
    let fence = rules(
        r#"
        table netdev vxnet {
            chain uplink-2 {
                type filter hook ingress device "eth0" priority -500; policy accept;
                meta pkttype other drop
            }
        }
        "#,
    );
    assert_eq!(fenced, expected + &fence, "where XDP may strip");
}

#[test]
fn the_guard_spares_foreign_bridges_where_the_kernel_cannot() {
    let mut fabric = red_fabric(4);
    set(&mut fabric, Receive::Tc);
    let (mut machine, _) = settled(&fabric);
    machine.observed.facts.can_match_bridge = false;
    machine.add_guest("vm1", "br-red");
    // A port of a bond is no port of a bridge, and one of nothing neither.
    let bond = machine.add("bond0", "bond", None).ifindex;
    machine.add("eth2", "", Some(bond));
    machine.add("eth3", "", Some(4711));
    let expected = rules(
        r#"
        table bridge vxnet {
            chain forward {
                type filter hook forward priority filter; policy accept;
                iifname "vnet9" accept
                drop
            }
            chain input {
                type filter hook input priority filter; policy accept;
                iifname "vnet9" accept
                drop
            }
            chain output {
                type filter hook output priority filter; policy accept;
                oifname "vnet9" accept
                drop
            }
        }
        "#,
    );
    assert_eq!(guard(&of(&fabric, &machine)), expected);
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
