//! Networks with VLANs: their segments, portgroups and trunk links.

use std::collections::BTreeMap;

use vxnet_common::{
    addr::{VlanId, Vni},
    map::{
        port::{flag, kind},
        segment::list,
        vlan::VlanKey,
    },
};

use super::{
    bridge, members, of, port, program,
    scene::{ETH1, Machine, fabric},
    settled,
};
use crate::{
    desired::{desired, doubts},
    model::{Fabric, Network, PortRule, Portgroup, Segment, Trunk},
    state::{Hook, Id, Spec, State},
};

fn vid(id: u16) -> VlanId {
    VlanId::new(id).unwrap()
}

/// Returns the fabric with one network of the VLANs 10, on the overlay, and 20, and eth1 of host1 as
/// its trunk.
fn with_vlans() -> Fabric {
    let mut fabric = fabric(4);
    fabric.networks.clear();
    let access = |id| Portgroup {
        pvid: Some(vid(id)),
        ..Portgroup::default()
    };
    let trunk = Portgroup {
        tagged: [vid(10), vid(20)].into(),
        ..Portgroup::default()
    };
    let network = Network {
        name: "office".into(),
        bridge: "br-office".into(),
        hosts: ["host1", "host2"].map(String::from).into(),
        subnets: Vec::new(),
        gateways: BTreeMap::new(),
        mtu: None,
        segments: BTreeMap::from([
            (Some(vid(10)), Segment::new(Vni::new(5010))),
            (Some(vid(20)), Segment::new(None)),
        ]),
        portgroups: BTreeMap::from([
            ("ten".into(), access(10)),
            ("twenty".into(), access(20)),
            ("all".into(), trunk),
        ]),
        default_portgroup: None,
    };
    fabric.networks.insert("office".into(), network);
    let host = fabric.hosts.get_mut("host1").unwrap();
    let link = Trunk {
        link: "eth1".into(),
        native: None,
    };
    host.trunks.insert("office".into(), link);
    for (link, group) in [("vm1", "ten"), ("vm2", "twenty"), ("vm3", "all")] {
        let rule = PortRule {
            portgroup: Some(group.into()),
            ..PortRule::default()
        };
        host.ports.insert(link.into(), rule);
    }
    fabric
}

fn vlan(state: &State, id: u32) -> u32 {
    let found = state.iter().find_map(|(key, spec)| match (key, spec) {
        (Id::Vlan(VlanKey { vid, .. }), Spec::Slot(slot)) if *vid == id => Some(*slot),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no VLAN {id}"))
}

fn with_guests(fabric: &Fabric) -> (Machine, State) {
    let (mut machine, _) = settled(fabric);
    for guest in ["vm1", "vm2", "vm3", "vm4"] {
        machine.add_guest(guest, "br-office");
    }
    machine
        .settle(|observed| desired(fabric, "host1", observed))
        .unwrap();
    let state = of(fabric, &machine);
    (machine, state)
}

#[test]
fn ports_are_in_the_vlans_of_their_portgroups() {
    let (machine, state) = with_guests(&with_vlans());
    let (ten, twenty) = (vlan(&state, 10), vlan(&state, 20));
    let of = |name: &str| *port(&state, machine.ifindex(name));
    let aware = |name: &str| of(name).flags & (flag::VLAN_AWARE | flag::TAGGED);
    assert_eq!((of("vm1").segment, of("vm1").pvid), (ten, 10));
    assert_eq!((of("vm2").segment, of("vm2").pvid), (twenty, 20));
    assert_eq!(aware("vm1"), flag::VLAN_AWARE);
    assert_eq!((of("vm3").segment, of("vm3").pvid), (0, 0));
    assert_eq!(aware("vm3"), flag::VLAN_AWARE | flag::TAGGED);
    assert_eq!(
        (of("vm4").segment, aware("vm4")),
        (0, flag::VLAN_AWARE),
        "blocked"
    );
    let host = of("br-office");
    assert_eq!((host.kind, host.segment), (kind::HOST, 0), "in no VLAN");
    assert!(
        ["vm1", "vm2", "vm3"]
            .iter()
            .all(|name| of(name).network == of("vm4").network)
    );

    let slot = |name: &str| match state[&Id::PortSlot(machine.ifindex(name))] {
        Spec::Slot(slot) => slot,
        _ => panic!("no slot"),
    };
    let Spec::PortVlans(vlans) = &state[&Id::PortVlans(slot("vm3"))] else {
        panic!("no VLANs");
    };
    assert!(vlans.contains(10) && vlans.contains(20) && !vlans.contains(30));
    assert!(!state.contains_key(&Id::PortVlans(slot("vm1"))));
    let flooded = |segment| members(&state, segment, list::PORTS);
    let sorted = |mut slots: Vec<u32>| {
        slots.sort_unstable();
        slots
    };
    let trunk = slot("eth1");
    assert_eq!(
        sorted(flooded(ten)),
        sorted(vec![slot("vm1"), slot("vm3"), trunk])
    );
    assert_eq!(
        sorted(flooded(twenty)),
        sorted(vec![slot("vm2"), slot("vm3"), trunk])
    );
}

#[test]
fn r7348_20_only_vlans_with_a_vni_are_on_the_overlay() {
    let (_, state) = with_guests(&with_vlans());
    let (ten, twenty) = (vlan(&state, 10), vlan(&state, 20));
    let row = |slot| match &state[&Id::Segment(slot)] {
        Spec::Segment(row) => **row,
        _ => panic!("no segment"),
    };
    assert_eq!((row(ten).vni, row(ten).vid), (5010, 10));
    assert_eq!((row(twenty).vni, row(twenty).vid), (0, 20));
    assert_eq!(members(&state, ten, list::VTEPS).len(), 1);
    assert_eq!(row(twenty).flood_vteps, 0);
    assert_eq!(row(twenty).vteps, [0; 16], "nobody may send into it");
    assert_eq!(state[&Id::Vni(5010)], Spec::Slot(ten));
    assert_eq!(
        (row(ten).bridge, row(ten).host_port),
        (0, 0),
        "the host is no station"
    );
    assert_eq!(row(ten).network, row(twenty).network);
}

#[test]
fn a_trunk_link_takes_everything_and_belongs_to_nobody_else() {
    let (machine, state) = with_guests(&with_vlans());
    let row = port(&state, ETH1);
    assert_eq!(row.kind, kind::TRUNK);
    assert_eq!(row.flags, flag::VLAN_AWARE | flag::TAGGED | flag::KEEP_ROWS);
    let wanted = Spec::Trunk {
        promiscuous: true,
        all_vlans: true,
        up: true,
    };
    assert_eq!(state[&Id::Trunk("eth1".into())], wanted);
    assert_eq!(
        program(&state, ETH1, Hook::TcIngress),
        Some("vx_port"),
        "no uplink"
    );
    assert_eq!(program(&state, ETH1, Hook::Xdp), None);
    assert_eq!(state[&Id::PortMtu("vm1".into())], Spec::PortMtu(1450));
    assert_eq!(bridge(&state, "br-office").mtu, 1450);
    let doubts = doubts(&with_vlans(), "host1", &machine.observed.facts);
    assert!(
        doubts
            .iter()
            .any(|doubt| doubt.contains("vm4") && doubt.contains("no_vlan"))
    );
    assert!(
        doubts
            .iter()
            .any(|doubt| doubt.contains("eth1") && doubt.contains("address"))
    );
}

#[test]
fn p23_a_trunk_that_is_narrower_than_its_network_is_doubtful() {
    let (mut machine, state) = with_guests(&with_vlans());
    assert_eq!(port(&state, ETH1).mtu, 1500);
    let said = |machine: &Machine| {
        let said = doubts(&with_vlans(), "host1", &machine.observed.facts);
        said.iter()
            .any(|doubt| doubt.contains("eth1") && doubt.contains("too_big"))
    };
    assert!(!said(&machine));
    machine.link("eth1").mtu = 1400;
    assert!(said(&machine));
    assert_eq!(port(&of(&with_vlans(), &machine), ETH1).mtu, 1400);
}

#[test]
fn without_overlay_the_mtu_is_the_trunks() {
    let mut fabric = with_vlans();
    let office = fabric.networks.get_mut("office").unwrap();
    office.segments.get_mut(&Some(vid(10))).unwrap().vni = None;
    let (_, state) = settled(&fabric);
    assert_eq!(bridge(&state, "br-office").mtu, 1500);
    assert!(
        !state.keys().any(|id| matches!(id, Id::Vtep(_))),
        "no peers"
    );
}

#[test]
fn loops_a_vlan_on_the_overlay_and_trunks_crosses_at_its_gateway_only() {
    let mut fabric = with_vlans();
    let office = fabric.networks.get_mut("office").unwrap();
    let ten = office.segments.get_mut(&Some(vid(10))).unwrap();
    ten.trunk_gateway = Some("host2".into());
    let (machine, state) = with_guests(&fabric);
    let trunk = port(&state, machine.ifindex("eth1"));
    let Some((Id::PortVlans(_), Spec::PortVlans(vlans))) = state.iter().find(|(id, _)| {
        let slot = state.iter().find_map(|(id, spec)| match (id, spec) {
            (Id::Port(slot), Spec::Port(row)) if row.ifindex == trunk.ifindex => Some(*slot),
            _ => None,
        });
        matches!(id, Id::PortVlans(of) if Some(*of) == slot)
    }) else {
        panic!("no VLANs");
    };
    assert!(!vlans.contains(10) && vlans.contains(20));
}

#[test]
fn links_that_the_host_needs_are_no_trunks() {
    let mut fabric = with_vlans();
    fabric
        .hosts
        .get_mut("host1")
        .unwrap()
        .trunks
        .get_mut("office")
        .unwrap()
        .link = "eth0".into();
    let refused = desired(&fabric, "host1", &Machine::new(4).observed).unwrap_err();
    assert!(
        refused.to_string().contains("leads to the underlay"),
        "{refused}"
    );
    let mut machine = Machine::new(4);
    let virbr0 = machine.ifindex("virbr0");
    machine.link("eth1").master = Some(virbr0);
    let refused = desired(&with_vlans(), "host1", &machine.observed).unwrap_err();
    assert!(
        refused.to_string().contains("is a port of virbr0"),
        "{refused}"
    );
}
