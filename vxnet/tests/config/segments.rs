//! The settings of a segment, under a network and under a VLAN.

use std::net::IpAddr;

use vxnet::model::{Flood, Segment};
use vxnet_common::addr::{Mac, VlanId, Vni};

use crate::fabric_file::{accepted, faulty, network, refused, vlan_with, with};

/// Returns files with lines in a network without VLANs and in a VLAN, with the path of the table.
fn tables(lines: &str) -> [(String, &'static str); 2] {
    [
        (with("vni = 10", &format!("vni = 10\n{lines}")), "network.n"),
        (
            vlan_with("vni = 5010", &format!("vni = 5010\n{lines}")),
            "network.v.vlan.10",
        ),
    ]
}

/// Returns the segment that the lines make, wherever they stand.
fn segment(lines: &str) -> Segment {
    let [(plain, _), (vlan, _)] = tables(lines);
    let plain = accepted(&plain).networks["n"].segments[&None].clone();
    let vlan = accepted(&vlan).networks["v"].segments[&VlanId::new(10)].clone();
    assert_eq!((plain.vni, vlan.vni), (Vni::new(10), Vni::new(5010)));
    assert_eq!(
        Segment {
            vni: None,
            ..plain.clone()
        },
        Segment { vni: None, ..vlan }
    );
    plain
}

/// Expects the lines to have one fault, wherever they stand.
fn faulty_lines(lines: &str, key: &str, at: &str, message: &str) {
    for (text, path) in tables(lines) {
        faulty(&text, &format!("{path}.{key}"), at, message);
    }
}

#[test]
fn without_settings_a_segment_is_as_usual() {
    assert_eq!(
        segment(""),
        Segment::on_overlay(Vni::new(10).expect("a VNI"))
    );
}

#[test]
fn groups_of_the_underlay() {
    let group = |text: &str| segment(&format!("flood = \"{text}\"")).group;
    assert_eq!(group("239.0.0.10"), "239.0.0.10".parse::<IpAddr>().ok());
    assert_eq!(group("225.0.0.1"), "225.0.0.1".parse::<IpAddr>().ok());
    for (text, message) in [
        ("10.0.0.1", "is not a multicast address"),
        ("255.255.255.255", "is not a multicast address"),
        ("2001:db8::1", "is not a multicast address"),
        ("224.0.0.10", "never leaves its link"),
        ("ff02::10", "never leaves its link"),
        ("ff01::10", "never leaves its link"),
        ("ff00::10", "never leaves its link"),
        ("ff0f::10", "of a reserved scope"),
        ("ff08::10", "the underlay of the hosts is IPv4"),
        ("239.0.0.10/32", "has a prefix length"),
        ("", "is not an IP address"),
    ] {
        let value = format!("\"{text}\"");
        faulty_lines(&format!("flood = {value}"), "flood", &value, message);
    }
    faulty_lines("flood = true", "flood", "true", "expected a string");
    let over_ipv6 = |group: &str| {
        with("vni = 10", &format!("vni = 10\nflood = \"{group}\""))
            .replace("172.31.0.121", "2001:db8::1")
            .replace("172.31.0.122", "2001:db8::2")
    };
    accepted(&over_ipv6("ff08::10"));
    accepted(&over_ipv6("ff15::10"));
    faulty(
        &over_ipv6("239.0.0.10"),
        "network.n.flood",
        "\"239.0.0.10\"",
        "the underlay of the hosts is IPv6",
    );
    // Two networks may share a group: the VNI tells them apart.
    let one = with("vni = 10", "vni = 10\nflood = \"239.0.0.10\"");
    accepted(&format!(
        "{one}\n[network.m]\nbridge = \"br1\"\nvni = 11\nflood = \"239.0.0.10\"\n"
    ));
}

#[test]
fn a_group_is_for_a_vlan_on_the_overlay() {
    let alone = vlan_with("vni = 5010", "flood = \"239.0.0.10\"");
    faulty(
        &alone,
        "network.v.vlan.10.flood",
        "\"239.0.0.10\"",
        "a multicast group and no VNI",
    );
    let unread = vlan_with("vni = 5010", "vni = 0\nflood = \"239.0.0.10\"");
    faulty(&unread, "network.v.vlan.10.vni", "0", "from 1 to 16777215");
}

#[test]
fn kinds_of_flooding_are_switched_off_one_by_one() {
    let off = |key: &str| segment(&format!("{key} = false")).flood;
    let all = Flood::default();
    assert_eq!(
        off("unknown-unicast"),
        Flood {
            unknown_unicast: false,
            ..all
        }
    );
    assert_eq!(
        off("broadcast"),
        Flood {
            broadcast: false,
            ..all
        }
    );
    assert_eq!(
        off("multicast"),
        Flood {
            multicast: false,
            ..all
        }
    );
    assert_eq!(segment("broadcast = true\nmulticast = true").flood, all);
    for key in ["unknown-unicast", "broadcast", "multicast"] {
        faulty_lines(
            &format!("{key} = 0"),
            key,
            "0",
            "expected true or false, found `0`",
        );
    }
}

#[test]
fn suppression_and_its_exceptions() {
    assert_eq!(segment("suppress = false").suppress, None);
    let all = segment("suppress = true").suppress.expect("on");
    assert!(all.except.is_empty());
    let some = segment("suppress = { except = [\"192.168.124.5\", \"fd00::5\"] }");
    assert_eq!(some.suppress.expect("on").except.len(), 2);
    for (value, key, at, message) in [
        ("1", "suppress", "1", "expected true or false or a table"),
        ("{}", "suppress.except", "suppress", "missing key `except`"),
        ("{ except = [] }", "suppress.except", "[]", "an empty list"),
        (
            "{ except = [\"x\"] }",
            "suppress.except",
            "\"x\"",
            "is not an IP address",
        ),
        (
            "{ except = [\"224.0.0.9\"] }",
            "suppress.except",
            "\"224.0.0.9\"",
            "no guest",
        ),
        (
            "{ except = [\"fd00::5\"], excep = [] }",
            "suppress.excep",
            "excep",
            "unknown key `excep`",
        ),
        (
            "{ except = [\"fd00::5\", \"FD00::5\"] }",
            "suppress.except",
            "\"FD00::5\"",
            "listed twice",
        ),
    ] {
        faulty_lines(&format!("suppress = {value}"), key, at, message);
    }
}

#[test]
fn places_of_addresses() {
    let one = segment("fdb = { \"52:54:00:00:00:0A\" = { host = \"h1\", port = \"vnet0\" } }");
    let station = &one.stations[&Mac([0x52, 0x54, 0, 0, 0, 0x0a])];
    assert_eq!(
        (station.host.as_str(), station.port.as_str()),
        ("h1", "vnet0")
    );
    let headed =
        with("", "") + "\n[network.n.fdb.\"52:54:00:00:00:01\"]\nhost = \"h2\"\nport = \"vnet1\"\n";
    assert_eq!(
        accepted(&headed).networks["n"].segments[&None]
            .stations
            .len(),
        1
    );

    let fdb = |mac: &str, host: &str, port: &str| {
        format!("fdb = {{ \"{mac}\" = {{ host = \"{host}\", port = \"{port}\" }} }}")
    };
    for (mac, message) in [
        ("01:00:5e:00:00:01", "01:00:5e:00:00:01 is a group address"),
        ("00:00:00:00:00:00", "is the zero address"),
        ("52:54:00", "is not a MAC address"),
    ] {
        let quoted = format!("\"{mac}\"");
        faulty_lines(
            &fdb(mac, "h1", "vnet0"),
            &format!("fdb.{quoted}"),
            &quoted,
            message,
        );
    }
    let mac = "52:54:00:00:00:01";
    let key = format!("fdb.\"{mac}\"");
    for (host, port, at, message) in [
        ("h3", "vnet0", "host", "unknown host `h3`"),
        ("h1", "a/b", "port", "the name"),
        ("h1", "lo", "port", "keeps for itself"),
    ] {
        let value = if at == "host" { host } else { port };
        faulty_lines(
            &fdb(mac, host, port),
            &format!("{key}.{at}"),
            &format!("\"{value}\""),
            message,
        );
    }
    let twice = "fdb = { \"52:54:00:00:00:0a\" = { host = \"h1\", port = \"vnet0\" }, \
                 \"52:54:00:00:00:0A\" = { host = \"h2\", port = \"vnet0\" } }";
    faulty_lines(
        twice,
        "fdb.\"52:54:00:00:00:0A\"",
        "\"52:54:00:00:00:0A\"",
        "52:54:00:00:00:0a has two places",
    );
    for (value, missing) in [
        ("{ host = \"h1\" }", "port"),
        ("{ port = \"vnet0\" }", "host"),
    ] {
        let text = format!("fdb = {{ \"{mac}\" = {value} }}");
        let quoted = format!("\"{mac}\"");
        faulty_lines(&text, &format!("{key}.{missing}"), &quoted, "missing key");
    }
    let absent = network(&format!(
        "bridge = \"br1\"\nvni = 11\nhosts = [\"h1\"]\n{}",
        fdb(mac, "h2", "vnet0")
    ));
    faulty(
        &absent,
        &format!("network.other.{key}.host"),
        "\"h2\"",
        "is not one of the hosts of the network",
    );
}

#[test]
fn ageing_of_a_vlan() {
    for ageing in ["0", "\"5\"", "true"] {
        let report = refused(&vlan_with("vni = 5010", &format!("ageing = {ageing}")));
        assert_eq!(report.diagnostics().len(), 1, "{report}");
        assert_eq!(report.diagnostics()[0].key, "network.v.vlan.10.ageing");
    }
}

#[test]
fn p16_vnis_are_unique_among_networks_and_vlans() {
    let with_vlan_20 = |vni| {
        vlan_with(
            "vni = 5010",
            &format!("vni = 5010\n[network.v.vlan.20]\nvni = {vni}"),
        )
    };
    accepted(&with_vlan_20(5020));
    faulty(
        &with_vlan_20(5010),
        "network.v.vlan.20.vni",
        "5010",
        "VNI 5010 is that of another network or VLAN",
    );
    let plain = vlan_with("", "") + "\n[network.p]\nbridge = \"br2\"\nvni = 5010\n";
    faulty(
        &plain,
        "network.p.vni",
        "5010",
        "VNI 5010 is that of another",
    );
    assert_eq!(refused(&plain).diagnostics()[0].related.len(), 1);
}
