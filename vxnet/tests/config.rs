//! The rules of the fabric file: what is accepted, what is refused, and where the blame is put.

use std::{net::IpAddr, time::Duration};

use vxnet::{
    config::{Report, parse},
    model::{Fabric, Receive},
};

const TWO_HOSTS: &str = include_str!("../../examples/two-hosts.toml");
const TWO_NETWORKS: &str = include_str!("../../examples/two-networks.toml");
const IPV6_UNDERLAY: &str = include_str!("../../examples/ipv6-underlay.toml");

/// Two hosts and the network `n`, to be changed by the tests.
const BASE: &str = r#"
[host.h1]
underlay = "172.31.0.121"
uplinks = ["eth0"]

[host.h2]
underlay = "172.31.0.122"

[network.n]
bridge = "br0"
vni = 10
subnet = "192.168.124.0/24"
gateway = { h1 = "192.168.124.1", h2 = "192.168.124.2" }
"#;

fn accepted(text: &str) -> Fabric {
    parse("fabric.toml", text).unwrap_or_else(|report| panic!("refused:\n{report}\n{text}"))
}

fn refused(text: &str) -> Report {
    match parse("fabric.toml", text) {
        Ok(fabric) => panic!("accepted: {fabric:?}\n{text}"),
        Err(report) => report,
    }
}

/// Returns the base file with one text replaced by another.
fn with(old: &str, new: &str) -> String {
    assert!(BASE.contains(old), "{old} is not in the base file");
    BASE.replacen(old, new, 1)
}

/// Expects a file to have exactly one fault, at the text `at`.
fn faulty(text: &str, key: &str, at: &str, message: &str) {
    let report = refused(text);
    let [found] = report.diagnostics() else {
        panic!("not one error:\n{report}")
    };
    let span = found.span.clone().expect("a place");
    assert_eq!(found.key, key, "{report}");
    assert_eq!(&text[span], at, "{report}");
    assert!(
        found.message.contains(message),
        "{message:?} is not in:\n{report}"
    );
    assert!(
        found.help.as_ref().is_some_and(|help| !help.is_empty()),
        "no hint:\n{report}"
    );
}

fn network(text: &str) -> String {
    format!("{BASE}\n[network.other]\n{text}\n")
}

#[test]
fn the_examples_are_accepted() {
    let fabric = accepted(TWO_HOSTS);
    assert_eq!(fabric.port, 4789);
    assert_eq!(
        fabric.hosts["host1"].underlay,
        "172.31.0.121".parse::<IpAddr>().expect("an address")
    );
    assert_eq!(fabric.hosts["host2"].receive, Receive::Auto);
    assert!(fabric.hosts["host2"].uplinks.is_empty());
    let network = &fabric.networks["br0-vxlan"];
    assert_eq!((network.bridge.as_str(), network.vni.value()), ("br0", 10));
    assert_eq!(network.hosts.iter().collect::<Vec<_>>(), ["host1", "host2"]);
    assert_eq!(
        network.subnets,
        ["192.168.124.0/24".parse().expect("a subnet")]
    );
    assert_eq!(
        network.gateways["host2"],
        ["192.168.124.2/24".parse().expect("an address")]
    );
    assert_eq!(
        (network.mtu, network.ageing),
        (None, Duration::from_mins(5))
    );

    let fabric = accepted(TWO_NETWORKS);
    assert_eq!(fabric.hosts["host1"].uplinks, ["eth0", "eth1"]);
    assert_eq!(fabric.hosts["host3"].receive, Receive::Tc);
    let (lab, office) = (&fabric.networks["lab"], &fabric.networks["office"]);
    assert_eq!((lab.mtu, lab.ageing), (Some(1400), Duration::from_mins(10)));
    assert_eq!(lab.hosts.iter().collect::<Vec<_>>(), ["host2", "host3"]);
    assert_eq!(
        office.gateways["host1"][1],
        "fd00:124::1/64".parse().expect("an address")
    );

    let fabric = accepted(IPV6_UNDERLAY);
    assert!(fabric.hosts.values().all(|host| host.underlay.is_ipv6()));
}

#[test]
fn keys_and_types() {
    faulty(
        &format!("prot = 1\n{BASE}"),
        "prot",
        "prot",
        "unknown key `prot`",
    );
    faulty(
        &with("uplinks", "uplink"),
        "host.h1.uplink",
        "uplink",
        "unknown key",
    );
    faulty(&format!("port = 0\n{BASE}"), "port", "0", "from 1 to 65535");
    faulty(
        &format!("port = 65536\n{BASE}"),
        "port",
        "65536",
        "from 1 to 65535",
    );
    faulty(
        &format!("port = -1\n{BASE}"),
        "port",
        "-1",
        "from 1 to 65535",
    );
    faulty(
        &format!("port = \"x\"\n{BASE}"),
        "port",
        "\"x\"",
        "found the string `x`",
    );
    faulty(
        &with("[\"eth0\"]", "\"eth0\""),
        "host.h1.uplinks",
        "\"eth0\"",
        "expected a list",
    );
    faulty(
        &with("\"eth0\"", "3"),
        "host.h1.uplinks[0]",
        "3",
        "expected a string",
    );
    faulty(
        &with("bridge = \"br0\"\n", ""),
        "network.n.bridge",
        "n",
        "missing key `bridge`",
    );
    faulty(
        &with("vni = 10\n", ""),
        "network.n.vni",
        "n",
        "missing key `vni`",
    );
    faulty(
        &with("underlay = \"172.31.0.122\"", ""),
        "host.h2.underlay",
        "h2",
        "missing key",
    );
    faulty(
        &with("uplinks = [\"eth0\"]", "receive = \"xpd\""),
        "host.h1.receive",
        "\"xpd\"",
        "\"xdp\"",
    );
    let fabric = accepted(&with("uplinks = [\"eth0\"]", "receive = \"xdp\""));
    assert_eq!(fabric.hosts["h1"].receive, Receive::Xdp);
    assert_eq!(accepted(&format!("port = 8472\n{BASE}")).port, 8472);
}

#[test]
fn an_unknown_key_is_told_its_likely_meaning() {
    let report = refused(&with("uplinks", "uplnks"));
    assert_eq!(
        report.diagnostics()[0].help.as_deref(),
        Some("did you mean `uplinks`?")
    );
}

#[test]
fn no_hosts_or_networks() {
    let report = refused("");
    let messages: Vec<_> = report
        .diagnostics()
        .iter()
        .map(|found| &found.message)
        .collect();
    assert_eq!(
        messages,
        ["the file has no host", "the file has no network"]
    );
    let report = refused("[host]\n[network]\n");
    let keys: Vec<_> = report
        .diagnostics()
        .iter()
        .map(|found| &found.key)
        .collect();
    assert_eq!(keys, ["host", "network"], "{report}");
    let report = refused("host = {}\nnetwork = 3\n");
    assert_eq!(report.diagnostics().len(), 2, "{report}");
}

#[test]
fn names_of_hosts_and_networks() {
    for name in [
        "a b",
        "a/b",
        "",
        "-a",
        ".a",
        "a\\nb",
        "a%s",
        "ä",
        "abcdefghijklmnopqrstuvwxyz-01234",
    ] {
        let text = BASE.replace("[network.n]", &format!("[network.\"{name}\"]"));
        let report = refused(&text);
        assert_eq!(report.diagnostics().len(), 1, "{report}");
        let text = BASE
            .replace("[host.h2]", &format!("[host.\"{name}\"]"))
            .replace(
                "h2 = \"192.168.124.2\"",
                &format!("\"{name}\" = \"192.168.124.2\""),
            );
        let report = refused(&text);
        assert_eq!(report.diagnostics().len(), 1, "{report}");
    }
    accepted(&BASE.replace("[network.n]", "[network.\"Lab_1.x-2\"]"));
    accepted(&BASE.replace("[network.n]", "[network.abcdefghijklmnopqrstuvwxyz-0123]"));
}

#[test]
fn names_of_bridges_and_uplinks() {
    for name in [
        "",
        ".",
        "..",
        "a/b",
        "a b",
        "a:1",
        "vx%d",
        "a\\n",
        "a\\u0000",
        "0123456789abcdef",
        "lo",
    ] {
        let report = refused(&with("\"br0\"", &format!("\"{name}\"")));
        assert_eq!(report.diagnostics().len(), 1, "{report}");
        assert_eq!(report.diagnostics()[0].key, "network.n.bridge");
        if name != "lo" {
            let report = refused(&with("\"eth0\"", &format!("\"{name}\"")));
            assert_eq!(report.diagnostics().len(), 1, "{report}");
            assert_eq!(report.diagnostics()[0].key, "host.h1.uplinks");
        }
    }
    accepted(&with("\"br0\"", "\"0123456789abcde\""));
    faulty(
        &with("\"br0\"", "\"eth0\""),
        "network.n.bridge",
        "\"eth0\"",
        "is an uplink of host `h1`",
    );
    faulty(
        &with("[\"eth0\"]", "[\"eth0\", \"eth0\"]"),
        "host.h1.uplinks",
        "\"eth0\"",
        "listed twice",
    );
    // On a host without the network the name is free.
    let elsewhere = with("\"br0\"", "\"eth0\"").replace(
        "gateway = { h1 = \"192.168.124.1\", ",
        "hosts = [\"h2\"]\ngateway = { ",
    );
    accepted(&elsewhere);
}

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
fn ids_and_bridges_are_unique() {
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
fn mtu_limits() {
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
            accepted(&text(ageing)).networks["n"].ageing,
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

#[test]
fn all_errors_are_reported_at_once() {
    let text = "prot = 1\nport = 0\n[host.h1]\nunderlay = 5\nx = 1\ny = 2\n[host.h2]\nunderlay = \"a\"\n\
        [network.n]\nbridge = \"a/b\"\nvni = 0\nsubnet = \"10.0.0.1/8\"\ngateway = { h3 = \"b\" }\nmtu = \"c\"\n";
    let report = refused(text);
    let lines: Vec<_> = report
        .diagnostics()
        .iter()
        .filter_map(|found| Some(report.position(found)?.0))
        .collect();
    assert_eq!(
        lines,
        [1, 2, 4, 5, 6, 8, 10, 11, 12, 13, 13, 14],
        "{report}"
    );
}

#[test]
fn one_mistake_makes_one_error() {
    // What depends on a faulty value is not judged as well.
    faulty(
        &with("\"172.31.0.122\"", "3"),
        "host.h2.underlay",
        "3",
        "expected a string",
    );
    faulty(
        &with("\"192.168.124.0/24\"", "3"),
        "network.n.subnet",
        "3",
        "expected a string",
    );
    faulty(
        &with("192.168.124.0/24", "192.168.124.0"),
        "network.n.subnet",
        "\"192.168.124.0\"",
        "no prefix length",
    );
    faulty(
        &format!(
            "{}\n[host]\nh2 = 3\n",
            BASE.replace("[host.h2]\nunderlay = \"172.31.0.122\"\n", "")
        ),
        "host.h2",
        "3",
        "expected a table",
    );
    faulty(
        &with("gateway = {", "hosts = [\"h1\", 2]\ngateway = {"),
        "network.n.hosts[1]",
        "2",
        "expected a string",
    );
}

#[test]
fn a_syntax_error_hides_no_other() {
    let text = with("vni = 10", "vni = ").replace("172.31.0.121", "172.31.0.300");
    let report = refused(&text);
    let lines: Vec<_> = report
        .diagnostics()
        .iter()
        .map(|found| report.position(found))
        .collect();
    assert_eq!(lines, [Some((3, 12)), Some((11, 7))], "{report}");
}
