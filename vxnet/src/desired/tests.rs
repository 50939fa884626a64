//! What a host should be, from facts written by hand and from a machine in memory.

mod bridges;
mod doubts;
mod groups;
mod guard;
mod peers;
mod ports;
mod programs;
mod refusals;
mod rounds;
mod rows;
pub(crate) mod scene;
mod underlay;
mod vlans;

use vxnet_common::map::{
    port::Port,
    segment::{FloodKey, Segment},
};

use self::scene::Machine;
use super::*;
use crate::{model::Receive, state::Hook};

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

fn program(state: &State, ifindex: u32, hook: Hook) -> Option<&str> {
    match state.get(&Id::Program(ifindex, hook))? {
        Spec::Program(program) => Some(&program.name),
        other => panic!("{other:?} is no program"),
    }
}

fn set(fabric: &mut Fabric, receive: Receive) {
    fabric.hosts.get_mut("host1").unwrap().receive = receive;
}
