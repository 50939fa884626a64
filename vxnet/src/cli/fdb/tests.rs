use vxnet_common::{
    learn::MOVES_WINDOW,
    map::{fdb::FROZEN, name},
};

use super::*;

fn segment(vid: u16) -> Segment {
    Segment {
        network: 9,
        vid,
        ageing: 1_000_000_000,
        name: name("blue"),
        ..Segment::FREE
    }
}

fn view(vids: &[u16]) -> View {
    let port = port::Port {
        ifindex: 3,
        kind: kind::GUEST,
        name: name("vnet1"),
        ..port::Port::FREE
    };
    View {
        segments: (1..).zip(vids.iter().map(|vid| segment(*vid))).collect(),
        ports: BTreeMap::from([(1, port)]),
        vteps: BTreeMap::new(),
        now: 500_000_000,
    }
}

#[test]
fn a_segment_is_named_by_network_and_vlan() {
    let plain = view(&[0]);
    assert_eq!(plain.segment("blue", None).unwrap().0, 1);
    let error = |view: &View, vlan| view.segment("blue", vlan).unwrap_err().to_string();
    assert!(error(&plain, Some(7)).contains("has no VLANs"));
    assert!(plain.segment("red", None).is_err());
    let vlans = view(&[1002, 1001]);
    assert_eq!(vlans.segment("blue", Some(1001)).unwrap().0, 2);
    assert!(error(&vlans, None).ends_with("add --vlan, one of 1001,1002"));
    assert!(error(&vlans, Some(7)).ends_with("it has 1001,1002"));
}

#[test]
fn a_filter_that_names_no_vlan_is_refused() {
    let filter = |network: Option<&str>, vlan| Filter {
        network: network.map(str::to_owned),
        vlan: Some(vlan),
        mac: None,
        port: None,
        vtep: None,
    };
    let (plain, vlans) = (view(&[0]), view(&[1001, 1002]));
    assert!(vlans.check(&filter(None, 1001)).is_ok());
    assert!(vlans.check(&filter(Some("blue"), 1002)).is_ok());
    let error = |view: &View, network, vlan| {
        let refused = view.check(&filter(network, vlan)).unwrap_err();
        refused.to_string()
    };
    assert!(error(&vlans, None, 99).starts_with("no network has VLAN 99 on this host\nhint: "));
    assert!(error(&plain, None, 0).starts_with("no network has VLAN 0 "));
    assert!(error(&vlans, Some("blue"), 99).ends_with("it has 1001,1002"));
    assert!(error(&plain, Some("blue"), 99).contains("has no VLANs"));
}

#[test]
fn rows_tell_who_wrote_them() {
    let key = FdbKey::new(1, Mac([2, 0, 0, 0, 0, 1]));
    let learned = FdbEntry::learned(place::PORT, 1, 0);
    let mut later = view(&[1001]);
    later.now += MOVES_WINDOW;
    let view = view(&[1001]);
    let told = |row: &FdbEntry| {
        let row = view.row(&key, row).expect("a live row");
        (row.origin, row.flags.join(","), row.age_s, row.vlan)
    };
    let vlan = Some(1001);
    assert_eq!(told(&learned), ("learned", String::new(), Some(0), vlan));
    let sticky = FdbEntry {
        flags: flag::STICKY,
        ..learned
    };
    assert_eq!(told(&sticky).0, "sticky");
    let frozen = FdbEntry {
        moves: FROZEN,
        ..learned
    };
    assert_eq!(told(&frozen).1, "frozen");
    let thawed = later.row(
        &key,
        &FdbEntry {
            last_seen: later.now,
            ..frozen
        },
    );
    assert!(
        thawed.is_some_and(|row| row.flags.is_empty()),
        "followed again"
    );
    let manual = FdbEntry::fixed(place::PORT, 1, origin::MANUAL);
    assert_eq!(told(&manual), ("manual", String::new(), None, vlan));
    let fixed = FdbEntry::fixed(place::PORT, 1, origin::STATIC);
    assert_eq!(told(&fixed).0, "static");
}

#[test]
fn a_filter_asks_for_all_that_it_names() {
    let key = FdbKey::new(1, Mac([2, 0, 0, 0, 0, 1]));
    let row = view(&[1001])
        .row(&key, &FdbEntry::learned(place::PORT, 1, 0))
        .expect("a live row");
    let all = || Filter {
        network: None,
        vlan: None,
        mac: None,
        port: None,
        vtep: None,
    };
    assert!(all().matches(&row));
    let matching = Filter {
        network: Some("blue".into()),
        vlan: Some(1001),
        mac: Some(Mac(key.mac)),
        port: Some("vnet1".into()),
        vtep: None,
    };
    assert!(matching.matches(&row));
    for wrong in [
        Filter {
            vlan: Some(1002),
            ..all()
        },
        Filter {
            mac: Some(Mac([2; 6])),
            ..all()
        },
        Filter {
            port: Some("vnet2".into()),
            ..all()
        },
        Filter {
            network: Some("red".into()),
            ..all()
        },
        Filter {
            vtep: Some([10, 0, 0, 1].into()),
            ..all()
        },
    ] {
        assert!(!wrong.matches(&row));
    }
}
