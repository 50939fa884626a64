//! Rows whose place has left their segment since they were written.

use super::*;

#[test]
fn r7348_06_a_peer_that_left_the_segment_gets_nothing() {
    let tables = scene();
    let mut blue = tables.segments[&BLUE];
    let to = |segment: &Segment, from| decide(&tables, BLUE, segment, from, 0, AT_P_OF_BLUE, NOW);
    assert_eq!(to(&blue, From::Port(C)), FLOOD);
    assert_eq!(to(&blue, From::Vtep(Q)), LOCAL);
    blue.flags = segment::flag::NO_UNKNOWN;
    assert_eq!(to(&blue, From::Port(C)), Err(Reason::FloodOff));
}

#[test]
fn r7348_06_rows_whose_place_has_left_their_segment_are_told() {
    let mut tables = scene();
    let vlan10 = 3;
    let green = Segment {
        network: HOST,
        vid: 10,
        ..segment(3000, &[])
    };
    tables.segments.insert(vlan10, green);
    let port = Port {
        network: HOST,
        flags: flag::VLAN_AWARE | flag::TAGGED,
        ..port(port::kind::GUEST, 0, 14, 0)
    };
    let trunk = 7;
    tables.ports.insert(trunk, port);
    tables.carried.insert((trunk, 10));
    let row = |place, slot| FdbEntry::fixed(place, slot, origin::MANUAL);
    for (name, segment, row, expected) in [
        ("guest", RED, row(place::PORT, A), true),
        ("host", RED, row(place::PORT, HOST), true),
        ("of another bridge", BLUE, row(place::PORT, A), false),
        ("unplugged", RED, row(place::PORT, FREED), false),
        ("no such port", RED, row(place::PORT, 999), false),
        ("uplink", RED, row(place::PORT, UPLINK), false),
        ("carries the VLAN", vlan10, row(place::PORT, trunk), true),
        ("in the VLAN no longer", vlan10, row(place::PORT, A), false),
        ("peer", RED, row(place::VTEP, P), true),
        ("peer of both", BLUE, row(place::VTEP, Q), true),
        ("peer that left", BLUE, row(place::VTEP, P), false),
        ("no such segment", 99, row(place::PORT, A), false),
    ] {
        let key = FdbKey::new(segment, AT_A);
        assert_eq!(is_in_segment(&tables, &key, &row), expected, "{name}");
    }
    tables.carried.clear();
    let key = FdbKey::new(vlan10, AT_A);
    let carried = is_in_segment(&tables, &key, &row(place::PORT, trunk));
    assert!(!carried, "the VLAN was taken from the port");
}
