//! Which packets of peers are admitted.

use super::*;

/// Returns a packet that claims to come from the peer with that last byte.
fn packet(last: u8, vni: u32) -> Tunnelled {
    Tunnelled {
        source: peer(last),
        group: VtepAddr::NONE,
        vni,
        source_port: 50_000,
        traffic_class: 0,
        start: 50,
        end: 110,
    }
}

#[test]
fn attack1_attack2_only_peers_and_only_their_networks_are_admitted() {
    let tables = scene();
    let rows = [
        ("P in red", packet(34, RED_VNI), Ok((RED, P))),
        ("Q in red", packet(50, RED_VNI), Ok((RED, Q))),
        ("Q in blue", packet(50, BLUE_VNI), Ok((BLUE, Q))),
        (
            "attack1: no host of the fabric",
            packet(66, RED_VNI),
            Err(Reason::UnknownVtep),
        ),
        (
            "attack1: neither host nor network",
            packet(66, 77),
            Err(Reason::UnknownVtep),
        ),
        (
            "attack2: no network of this host",
            packet(34, 77),
            Err(Reason::UnknownVni),
        ),
        ("VNI 0", packet(34, 0), Err(Reason::UnknownVni)),
        (
            "attack2: no network of the sender",
            packet(34, BLUE_VNI),
            Err(Reason::VniNotShared),
        ),
    ];
    for (name, packet, expected) in rows {
        assert_eq!(admit(&tables, &packet), expected, "{name}");
    }
}

#[test]
fn attack1_an_address_of_the_other_family_is_another_address() {
    let tables = scene();
    let mut packet = packet(34, RED_VNI);
    let mut bare = [0; 16];
    bare[12..].copy_from_slice(&[192, 0, 2, 34]);
    packet.source = VtepAddr::v6(bare);
    assert_eq!(admit(&tables, &packet), Err(Reason::UnknownVtep));
}

#[test]
fn attack1_what_free_rows_hold_is_no_key() {
    let mut tables = scene();
    tables.vteps.insert(VtepAddr::NONE, P);
    tables.vnis.insert(0, RED);
    tables.segments.insert(RED, segment(0, &[P, Q]));
    let mut packet = packet(34, 0);
    assert_eq!(admit(&tables, &packet), Err(Reason::UnknownVni));
    packet.source = VtepAddr::NONE;
    assert_eq!(admit(&tables, &packet), Err(Reason::UnknownVtep));
}

#[test]
fn r7348_06_a_slot_that_changes_hands_between_two_look_ups_admits_nothing() {
    let mut tables = scene();
    tables.segments.insert(RED, segment(3000, &[P, Q]));
    let packet = packet(34, RED_VNI);
    assert_eq!(admit(&tables, &packet), Err(Reason::UnknownVni));
    tables.segments.remove(&RED);
    assert_eq!(admit(&tables, &packet), Err(Reason::UnknownVni));
}

#[test]
fn a_group_is_admitted_for_its_own_network_only() {
    let mut tables = scene();
    let group = VtepAddr::v4([239, 0, 0, 10]);
    let to_group = Tunnelled {
        group,
        ..packet(34, RED_VNI)
    };
    assert_eq!(admit(&tables, &to_group), Err(Reason::NotOurs));
    let red = tables.segments.get_mut(&RED).unwrap();
    red.group = group;
    assert_eq!(admit(&tables, &to_group), Ok((RED, P)));
    let other = Tunnelled {
        group: VtepAddr::v4([239, 0, 0, 11]),
        ..to_group
    };
    assert_eq!(admit(&tables, &other), Err(Reason::NotOurs));
    assert_eq!(
        admit(&tables, &packet(34, RED_VNI)),
        Ok((RED, P)),
        "unicast still is"
    );
}
