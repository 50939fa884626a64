use std::collections::BTreeMap;

use vxnet_common::map::{name, vtep::Vtep};

use super::*;

fn port(kind: u32, segment: u32, flags: u32, link: &str) -> Port {
    Port {
        ifindex: 7,
        kind,
        segment,
        flags,
        network: 9,
        name: name(link),
        ..Port::FREE
    }
}

fn view() -> View {
    let segment = |vid, vni| Segment {
        vni,
        vid,
        network: 9,
        name: name("blue"),
        vteps: [1 << 1; vxnet_common::map::segment::VTEP_WORDS],
        ..Segment::FREE
    };
    let vtep = |last| Vtep {
        address: VtepAddr::v4([10, 0, 0, last]),
        ..Vtep::FREE
    };
    View {
        segments: BTreeMap::from([(1, segment(1001, 5)), (2, segment(1002, 0))]),
        ports: BTreeMap::from([
            (1, port(kind::GUEST, 1, 0, "access")),
            (2, port(kind::GUEST, 0, port_flag::TAGGED, "trunk")),
            (3, port(kind::HOST, 0, 0, "br0")),
            (4, port(kind::UPLINK, 0, 0, "eth0")),
        ]),
        vteps: BTreeMap::from([(1, vtep(1)), (2, vtep(2))]),
        now: 0,
    }
}

fn resolve(place: &Place, slot: u32) -> Result<(u8, u32)> {
    let view = view();
    place.resolve(&view, slot, &view.segments[&slot], |_, vid| Ok(vid == 1002))
}

#[test]
fn a_place_must_be_in_the_segment() {
    let port = |name: &str| Place {
        port: Some(name.into()),
        vtep: None,
    };
    assert_eq!(resolve(&port("access"), 1).unwrap(), (place::PORT, 1));
    assert_eq!(resolve(&port("trunk"), 2).unwrap(), (place::PORT, 2));
    for (name, slot, says) in [
        ("access", 2, "not in VLAN 1002"),
        ("trunk", 1, "not in VLAN 1001"),
        ("br0", 1, "the host itself"),
        ("eth0", 1, "not in VLAN 1001"),
        ("nobody", 1, "there is no port"),
    ] {
        let error = resolve(&port(name), slot).unwrap_err().to_string();
        assert!(error.contains(says), "{name}: {error}");
    }
    let vtep = |last| Place {
        port: None,
        vtep: Some([10, 0, 0, last].into()),
    };
    assert_eq!(resolve(&vtep(1), 1).unwrap(), (place::VTEP, 1));
    assert!(
        resolve(&vtep(2), 1)
            .unwrap_err()
            .to_string()
            .contains("no part")
    );
    assert!(
        resolve(&vtep(3), 1)
            .unwrap_err()
            .to_string()
            .contains("no VTEP")
    );
}

#[test]
fn what_the_daemon_wrote_is_refused_with_a_hint() {
    let address = Address {
        mac: Mac([2, 0, 0, 0, 0, 1]),
        network: "blue".into(),
        vlan: None,
    };
    let row = |origin| FdbEntry::fixed(place::PORT, 1, origin);
    for fine in [origin::LEARNED, origin::MANUAL] {
        address.check_not_static(Some(&row(fine))).unwrap();
    }
    address.check_not_static(None).unwrap();
    for refused in [origin::STATIC, origin::CONTROL] {
        let error = address.check_not_static(Some(&row(refused))).unwrap_err();
        assert!(error.to_string().contains("\nhint: "), "{error}");
    }
}

#[test]
fn attack6_a_port_that_may_not_use_the_address_is_noticed() {
    let (own, other) = (Mac([2, 0, 0, 0, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
    let allowed = [AllowedKey::mac(1, own), AllowedKey::mac(2, other)];
    let bound = port(kind::GUEST, 1, port_flag::CHECK_MAC, "bound");
    assert!(is_bound_elsewhere(1, &bound, other, &allowed));
    assert!(!is_bound_elsewhere(1, &bound, own, &allowed));
    let free = port(kind::GUEST, 1, 0, "free");
    assert!(!is_bound_elsewhere(1, &free, other, &allowed));
}
