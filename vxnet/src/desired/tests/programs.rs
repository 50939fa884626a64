//! The programs on the uplinks: where XDP runs, and what it may do there.

use vxnet_common::map::{self, port::flag};

use super::{
    of, port, program,
    scene::{ETH0, ETH1, Machine, red_fabric},
    set, settled,
};
use crate::{
    model::{Fabric, Receive},
    plan::plan,
    state::{DETOUR, DETOUR_END, GRO_SOCKET, Hook, Id, Program, Spec, State},
};

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
fn packets_take_the_detour_only_while_its_other_end_takes_them() {
    let detour = |state: &State| match &state[&Id::Local] {
        Spec::Local(local) => local.detour,
        _ => panic!("no host row"),
    };
    let fabric = red_fabric(4);
    let (mut machine, state) = settled(&fabric);
    assert_eq!(detour(&state), machine.ifindex(DETOUR));
    let end = machine.ifindex(DETOUR_END);
    assert_eq!(program(&state, end, Hook::TcIngress), Some("vx_detour"));
    let end = Id::Program(end, Hook::TcIngress);
    machine.observed.state.remove(&end);
    let state = of(&fabric, &machine);
    assert_eq!(detour(&state), 0);
    assert!(state.contains_key(&end), "it is put back");
    machine.remove(DETOUR);
    assert_eq!(detour(&of(&fabric, &machine)), 0);
}

#[test]
fn the_gro_socket_is_open_only_where_tc_receives() {
    type Alter = fn(&mut Fabric, &mut Machine);
    let table: [(&str, Alter, bool); 7] = [
        ("receive = tc", |fabric, _| set(fabric, Receive::Tc), true),
        ("receive = auto", |_, _| {}, false),
        (
            "the driver refused XDP",
            |_, machine| {
                machine.observed.facts.xdp_refused.insert(ETH0);
            },
            true,
        ),
        (
            "gro-socket = false",
            |fabric, _| {
                set(fabric, Receive::Tc);
                fabric.hosts.get_mut("host1").unwrap().gro_socket = false;
            },
            false,
        ),
        (
            "somebody has the port",
            |fabric, machine| {
                set(fabric, Receive::Tc);
                machine.observed.facts.port_taken = Some(4789);
            },
            false,
        ),
        (
            "somebody had another port",
            |fabric, machine| {
                set(fabric, Receive::Tc);
                machine.observed.facts.port_taken = Some(8472);
            },
            true,
        ),
        (
            "somebody has the name",
            |fabric, machine| {
                set(fabric, Receive::Tc);
                machine.add(GRO_SOCKET, "dummy", None);
            },
            false,
        ),
    ];
    for (what, alter, wanted) in table {
        let (mut fabric, mut machine) = (red_fabric(4), Machine::new(4));
        alter(&mut fabric, &mut machine);
        let open = wanted.then_some(&Spec::GroSocket {
            port: 4789,
            up: true,
        });
        let state = of(&fabric, &machine);
        assert_eq!(state.get(&Id::GroSocket), open, "{what}");
    }
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
