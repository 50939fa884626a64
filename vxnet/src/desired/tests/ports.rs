//! What guests may do and claim, where addresses are fixed, and what is never answered for.

use std::net::IpAddr;

use vxnet_common::{
    addr::{Mac, VtepAddr},
    map::{
        NO_SLOT,
        allowed::AllowedKey,
        fdb::{FdbEntry, FdbKey, origin, place},
        holder,
        neighbour::{self, NeighbourKey},
        port::flag,
        segment::{self, list},
    },
};

use super::{
    of, port,
    scene::{plain, red_fabric, underlay},
    segment as row_of, settled,
};
use crate::{
    desired::{bridge_mac, desired},
    model::{Flood, PortRule, Portgroup, Station, Suppress},
    state::{Id, Spec, State},
};

const MAC: Mac = Mac([0x52, 0x54, 0, 0, 0, 1]);

fn slot(state: &State, ifindex: u32) -> u32 {
    match state[&Id::PortSlot(ifindex)] {
        Spec::Slot(slot) => slot,
        _ => panic!("no slot"),
    }
}

#[test]
fn attack15_attack16_rules_and_portgroups_become_flags_and_rows() {
    let mut fabric = red_fabric(4);
    let red = fabric.networks.get_mut("red").unwrap();
    let servers = Portgroup {
        dhcp_server: true,
        router: true,
        isolated: true,
        locked: true,
        bum_limit: Some(500),
        fdb_limit: Some(3),
        ..Portgroup::default()
    };
    red.portgroups.insert("servers".into(), servers);
    let address: IpAddr = "192.168.124.7".parse().unwrap();
    let rule = PortRule {
        portgroup: Some("servers".into()),
        macs: [MAC].into(),
        addresses: [address].into(),
    };
    fabric
        .hosts
        .get_mut("host1")
        .unwrap()
        .ports
        .insert("vm1".into(), rule);
    let (mut machine, _) = settled(&fabric);
    let vm1 = machine.add_guest("vm1", "br-red");
    let vm2 = machine.add_guest("vm2", "br-red");
    let bridge = machine.ifindex("br-red");
    let container = machine.add("container", "veth", Some(bridge)).ifindex;
    let nic = machine.add("nic", "", Some(bridge)).ifindex;
    let state = of(&fabric, &machine);
    let row = port(&state, vm1);
    let expected = flag::XDP_TARGET
        | flag::NO_VXLAN
        | flag::ISOLATED
        | flag::LOCKED
        | flag::CHECK_MAC
        | flag::CHECK_IP;
    assert_eq!(row.flags, expected);
    assert_eq!((row.bum_limit, row.fdb_limit), (500, 3));
    assert_eq!(row.mtu, 0, "a tap takes what its guest has room for");
    let slot = slot(&state, vm1);
    assert!(state.contains_key(&Id::Allowed(AllowedKey::mac(slot, MAC))));
    let key = AllowedKey::ip(slot, VtepAddr::from(address));
    assert!(state.contains_key(&Id::Allowed(key)));
    let other = port(&state, vm2);
    let usual = flag::XDP_TARGET | flag::NO_VXLAN | flag::NO_DHCP_SERVER | flag::NO_RA;
    assert_eq!((other.flags, other.bum_limit), (usual, 0));
    let usual = flag::NO_VXLAN | flag::NO_DHCP_SERVER | flag::NO_RA;
    let veth = port(&state, container).flags;
    assert_eq!(veth, usual | flag::TAKES_MARKED, "nothing there cuts");
    assert_eq!(port(&state, nic).flags, usual, "hardware might cut");
}

/// A link that is plugged into the wrong network must not lose what it was meant to be kept from.
#[test]
fn a_port_whose_portgroup_is_another_networks_is_blocked() {
    let mut fabric = red_fabric(4);
    let rule = PortRule {
        portgroup: Some("elsewhere".into()),
        ..PortRule::default()
    };
    let host = fabric.hosts.get_mut("host1").unwrap();
    host.ports.insert("vm1".into(), rule);
    let (mut machine, _) = settled(&fabric);
    let vm1 = machine.add_guest("vm1", "br-red");
    let vm2 = machine.add_guest("vm2", "br-red");
    let state = of(&fabric, &machine);
    let (blocked, other) = (port(&state, vm1), port(&state, vm2));
    assert_eq!(blocked.segment, NO_SLOT);
    assert_eq!(blocked.flags & flag::VLAN_AWARE, flag::VLAN_AWARE);
    assert_ne!(other.segment, NO_SLOT);
    let slot = slot(&state, vm1);
    let flooded_to = |(id, spec): (&Id, &Spec)| {
        matches!(id, Id::Flood(key) if key.list == list::PORTS) && *spec == Spec::Slot(slot)
    };
    assert!(!state.iter().any(flooded_to), "it gets floods");
}

#[test]
fn checks_come_with_their_addresses_and_go_before_them() {
    let mut fabric = red_fabric(4);
    let (mut machine, _) = settled(&fabric);
    machine.add_guest("vm1", "br-red");
    let before = of(&fabric, &machine);
    let rule = PortRule {
        macs: [MAC].into(),
        ..PortRule::default()
    };
    fabric
        .hosts
        .get_mut("host1")
        .unwrap()
        .ports
        .insert("vm1".into(), rule);
    let after = of(&fabric, &machine);
    let at = |from: &State, to: &State, what: fn(&Id) -> bool| {
        let ops = crate::plan::plan(from, to);
        ops.iter()
            .position(|op| what(op.id()))
            .expect("an operation")
    };
    let is_allowed = |id: &Id| matches!(id, Id::Allowed(_));
    let is_port = |id: &Id| matches!(id, Id::Port(_));
    assert!(at(&before, &after, is_allowed) < at(&before, &after, is_port));
    assert!(at(&after, &before, is_port) < at(&after, &before, is_allowed));
}

#[test]
fn p09_stations_are_fixed_where_the_user_says() {
    let mut fabric = red_fabric(4);
    let elsewhere = Mac([0x52, 0x54, 0, 0, 0, 2]);
    for (mac, host, link) in [(MAC, "host1", "vm1"), (elsewhere, "host2", "vm9")] {
        let station = Station {
            host: host.into(),
            port: link.into(),
        };
        plain(&mut fabric, "red").stations.insert(mac, station);
    }
    let (mut machine, state) = settled(&fabric);
    let (red, _) = row_of(&state, 10);
    let Spec::Slot(peer) = state[&Id::VtepSlot(VtepAddr::from(underlay(4, 2)))] else {
        panic!("no slot");
    };
    let at_peer = FdbEntry::fixed(place::VTEP, peer, origin::STATIC);
    assert_eq!(
        state[&Id::Fdb(FdbKey::new(red, elsewhere))],
        Spec::Fdb(at_peer)
    );
    let here = Id::Fdb(FdbKey::new(red, MAC));
    assert!(!state.contains_key(&here), "its link is not there yet");
    let vm1 = machine.add_guest("vm1", "br-red");
    machine
        .settle(|observed| desired(&fabric, "host1", observed))
        .unwrap();
    let state = of(&fabric, &machine);
    let entry = FdbEntry::fixed(place::PORT, slot(&state, vm1), origin::STATIC);
    assert_eq!(state[&here], Spec::Fdb(entry));
}

#[test]
fn arp_01_floods_and_suppression_are_the_segments() {
    let mut fabric = red_fabric(4);
    let red = plain(&mut fabric, "red");
    red.flood = Flood {
        unknown_unicast: false,
        ..Flood::default()
    };
    let virtual_address: IpAddr = "192.168.124.100".parse().unwrap();
    red.suppress = Some(Suppress {
        except: [virtual_address].into(),
    });
    let (_, state) = settled(&fabric);
    let (slot, row) = row_of(&state, 10);
    assert_eq!(
        row.flags,
        segment::flag::NO_UNKNOWN | segment::flag::SUPPRESS
    );
    let owner = |state: &State, address: IpAddr| {
        let key = NeighbourKey::new(slot, VtepAddr::from(address));
        state.get(&Id::Reserved(key)).cloned()
    };
    let nobodys = Some(Spec::Slot(neighbour::NOBODY));
    assert_eq!(owner(&state, virtual_address), nobodys);
    let gateway: IpAddr = "192.168.124.1".parse().unwrap();
    assert_eq!(owner(&state, gateway), Some(Spec::Slot(row.host_port)));

    // The second host has a gateway too.
    let red = fabric.networks.get_mut("red").unwrap();
    let remote = "192.168.124.2/24".parse().unwrap();
    red.gateways.insert("host2".into(), vec![remote]);
    let (_, state) = settled(&fabric);
    let Spec::Slot(peer) = state[&Id::VtepSlot(VtepAddr::from(underlay(4, 2)))] else {
        panic!("no slot");
    };
    let its = Some(Spec::Slot(holder::of_vtep(peer)));
    assert_eq!(owner(&state, remote.addr()), its);

    // Its bridge's address is static here: no guest of ours can take it.
    let bridge = bridge_mac("host2", &fabric.networks["red"]);
    let row = FdbEntry::fixed(place::VTEP, peer, origin::STATIC);
    let key = Id::Fdb(FdbKey::new(slot, bridge));
    assert_eq!(state.get(&key), Some(&Spec::Fdb(row)));

    // Without suppression nobody is heard.
    plain(&mut fabric, "red").suppress = None;
    let (_, state) = settled(&fabric);
    assert_eq!(owner(&state, gateway), None);
}
