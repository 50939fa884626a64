//! Underlay addresses, and what a network is made of besides its addresses.

use std::time::Duration;

use crate::fabric_file::{accepted, faulty, network, refused, with};

#[test]
fn underlay_addresses() {
    for address in [
        "0.0.0.0",
        "0.1.2.3",
        "127.0.0.1",
        "224.0.0.1",
        "239.1.1.1",
        "255.255.255.255",
        "169.254.1.1",
        "::",
        "::1",
        "ff02::1",
        "fe80::1",
        "::ffff:172.31.0.122",
        "172.31.0.122/24",
        "172.31.0",
        "172.31.0.256",
        "172.31.000.122",
        "host2.example",
        "",
        "fe80::1%eth0",
    ] {
        let report = refused(&with("172.31.0.122", address));
        assert_eq!(report.diagnostics().len(), 1, "{address}: {report}");
        assert_eq!(report.diagnostics()[0].key, "host.h2.underlay");
    }
    let report = refused(&with("172.31.0.122", "172.31.0.121"));
    let [duplicate] = report.diagnostics() else {
        panic!("{report}")
    };
    assert_eq!(report.position(duplicate), Some((7, 12)));
    assert_eq!(duplicate.related[0].message, "first used here");
    assert!(
        report
            .to_string()
            .contains("3 | underlay = \"172.31.0.121\""),
        "{report}"
    );
}

#[test]
fn hosts_of_a_network_share_an_address_family() {
    let mixed = with("172.31.0.122", "2001:db8::122");
    faulty(&mixed, "network.n", "n", "cannot reach each other");
    // Apart they are fine.
    accepted(
        &mixed
            .replace("gateway = {", "hosts = [\"h1\"]\ngateway = {")
            .replace(", h2 = \"192.168.124.2\"", ""),
    );
}

#[test]
fn p16_ids_and_bridges_are_unique() {
    let duplicate = network("bridge = \"br0\"\nvni = 11");
    let report = refused(&duplicate);
    let [found] = report.diagnostics() else {
        panic!("{report}")
    };
    assert_eq!(found.key, "network.other.bridge");
    assert_eq!(&duplicate[found.related[0].span.clone()], "\"br0\"");
    faulty(
        &network("bridge = \"br1\"\nvni = 0xa"),
        "network.other.vni",
        "0xa",
        "VNI 10 is that of",
    );
    for vni in ["0", "-1", "16777216", "99999999999999999999999", "1.5"] {
        faulty(
            &network(&format!("bridge = \"br1\"\nvni = {vni}")),
            "network.other.vni",
            vni,
            "from 1 to 16777215",
        );
    }
    accepted(&network("bridge = \"br1\"\nvni = 16777215"));
}

#[test]
fn hosts_of_a_network_are_known() {
    let text = |hosts| network(&format!("bridge = \"br1\"\nvni = 11\nhosts = {hosts}"));
    faulty(
        &text("[\"h3\"]"),
        "network.other.hosts",
        "\"h3\"",
        "unknown host `h3`",
    );
    faulty(
        &text("[]"),
        "network.other.hosts",
        "[]",
        "found an empty list",
    );
    faulty(
        &text("[\"h1\", \"h1\"]"),
        "network.other.hosts",
        "\"h1\"",
        "listed twice",
    );
    assert_eq!(accepted(&text("[\"h2\"]")).networks["other"].hosts.len(), 1);
}

#[test]
fn p23_mtu_limits() {
    let text = |mtu| with("vni = 10", &format!("vni = 10\nmtu = {mtu}"));
    for mtu in [576, 1450, 8950, 65485] {
        assert_eq!(accepted(&text(mtu)).networks["n"].mtu, Some(mtu));
    }
    faulty(&text(575), "network.n.mtu", "575", "from 576 to 65485");
    faulty(
        &with("vni = 10", "vni = 10\nmtu = 65486"),
        "network.n.mtu",
        "65486",
        "from 576",
    );
    let over_ipv6 = |mtu| {
        text(mtu)
            .replace("172.31.0.121", "2001:db8::1")
            .replace("172.31.0.122", "2001:db8::2")
    };
    accepted(&over_ipv6(65465));
    faulty(
        &over_ipv6(65466),
        "network.n.mtu",
        "65466",
        "does not fit in an IPv6 packet",
    );
    let ipv6_inside = |mtu| {
        text(mtu).replace(
            "\"192.168.124.0/24\"",
            "[\"192.168.124.0/24\", \"fd00::/64\"]",
        )
    };
    accepted(&ipv6_inside(1280));
    faulty(
        &ipv6_inside(1279),
        "network.n.mtu",
        "1279",
        "too small for the IPv6 subnet",
    );
}

#[test]
fn ageing_limits() {
    let text = |ageing| with("vni = 10", &format!("vni = 10\nageing = {ageing}"));
    for (ageing, seconds) in [
        ("1", 1),
        ("300", 300),
        ("\"5m\"", 300),
        ("1000000", 1_000_000),
    ] {
        assert_eq!(
            accepted(&text(ageing)).networks["n"].segments[&None].ageing,
            Duration::from_secs(seconds)
        );
    }
    for ageing in [
        "0", "-1", "1000001", "\"0s\"", "\"5\"", "\"soon\"", "\"12d\"", "true", "1.0",
    ] {
        let report = refused(&text(ageing));
        assert_eq!(report.diagnostics().len(), 1, "{report}");
        assert_eq!(report.diagnostics()[0].key, "network.n.ageing");
    }
}
