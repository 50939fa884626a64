//! Subnets and gateways of the fabric file, alone and between networks.

use vxnet::config::{Report, parse};

const HOSTS: &str = r#"
[host.h1]
underlay = "172.31.0.121"
[host.h2]
underlay = "172.31.0.122"
[host.h3]
underlay = "172.31.0.123"
"#;

/// Returns the report on networks of the given contents, or `None` if they are accepted.
fn report(networks: &[&str]) -> Option<Report> {
    let networks = networks.iter().enumerate().map(|(index, content)| {
        format!(
            "[network.n{index}]\nbridge = \"br{index}\"\nvni = {}\n{content}\n",
            index + 1
        )
    });
    parse(
        "fabric.toml",
        &(HOSTS.to_owned() + &networks.collect::<String>()),
    )
    .err()
}

fn accepted(networks: &[&str]) {
    if let Some(report) = report(networks) {
        panic!("refused:\n{report}\n{networks:?}");
    }
}

fn refused(networks: &[&str], key: &str, message: &str) {
    let report = report(networks).unwrap_or_else(|| panic!("accepted: {networks:?}"));
    let [found] = report.diagnostics() else {
        panic!("not one error:\n{report}")
    };
    assert_eq!(found.key, key, "{report}");
    assert!(
        found.message.contains(message),
        "{message:?} is not in:\n{report}"
    );
    assert!(
        found.help.as_ref().is_some_and(|help| !help.is_empty()),
        "no hint:\n{report}"
    );
}

#[test]
fn subnets() {
    let subnet = |text: &str| format!("subnet = \"{text}\"");
    for text in [
        "10.0.0.0/8",
        "192.168.0.0/30",
        "fd00::/64",
        "fd00::/126",
        "2001:db8::/32",
    ] {
        accepted(&[&subnet(text)]);
    }
    for (text, message) in [
        ("192.168.124.1/24", "is an address inside a subnet"),
        ("fd00::1/64", "is an address inside a subnet"),
        ("192.168.124.0", "no prefix length"),
        ("192.168.124.0/33", "is not a subnet"),
        ("192.168.124.0/", "is not a subnet"),
        ("", "is not a subnet"),
        ("192.168.124.1/32", "no room for guests"),
        ("192.168.124.0/31", "no room for guests"),
        ("fd00::/127", "no room for guests"),
        ("fd00::1/128", "no room for guests"),
        ("0.0.0.0/0", "this network"),
        ("127.0.0.0/8", "loopback"),
        ("127.3.0.0/16", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("255.255.255.0/24", "reserved"),
        ("fe80::/64", "link-local"),
        ("ff00::/8", "multicast"),
        ("::ffff:10.0.0.0/104", "IPv4-mapped"),
    ] {
        refused(&[&subnet(text)], "network.n0.subnet", message);
    }
}

#[test]
fn a_subnet_list_does_not_overlap_itself() {
    accepted(&["subnet = [\"10.0.0.0/24\", \"10.0.1.0/24\", \"fd00::/64\"]"]);
    let overlap = "overlaps with";
    refused(
        &["subnet = [\"10.0.0.0/24\", \"10.0.0.0/24\"]"],
        "network.n0.subnet",
        overlap,
    );
    refused(
        &["subnet = [\"10.0.0.0/24\", \"10.0.0.0/8\"]"],
        "network.n0.subnet",
        overlap,
    );
}

#[test]
fn a_subnet_does_not_hide_the_underlay() {
    refused(
        &["subnet = \"172.31.0.0/24\""],
        "network.n0.subnet",
        "the underlay address of host",
    );
    // Nor that of a host without the network, which its hosts may have to reach for another.
    refused(
        &["subnet = \"172.31.0.120/30\"\nhosts = [\"h1\", \"h2\"]"],
        "network.n0.subnet",
        "underlay",
    );
    accepted(&["subnet = \"172.31.0.124/30\""]);
}

#[test]
fn gateways() {
    let text =
        |gateway: &str| format!("subnet = \"192.168.124.0/24\"\ngateway = {{ h1 = {gateway} }}");
    accepted(&[&text("\"192.168.124.1\"")]);
    accepted(&[&text("\"192.168.124.254\"")]);
    accepted(&[&text("[\"192.168.124.1\"]")]);
    for (gateway, message) in [
        ("\"192.168.125.1\"", "outside the subnet"),
        ("\"fd00::1\"", "outside the subnet"),
        ("\"192.168.124.0\"", "the network address"),
        ("\"192.168.124.255\"", "the broadcast address"),
        ("\"192.168.124.1/24\"", "has a prefix length"),
        ("\"gw\"", "is not an IP address"),
        ("\"\"", "is not an IP address"),
        ("1", "expected a string"),
        ("[]", "empty list"),
        ("[\"192.168.124.1\", \"192.168.124.1\"]", "held twice"),
    ] {
        refused(&[&text(gateway)], "network.n0.gateway.h1", message);
    }
    // The lowest address of an IPv6 subnet is the anycast address of all its routers.
    let v6 = "subnet = \"fd00::/64\"\ngateway = { h1 = \"fd00::\" }";
    refused(&[v6], "network.n0.gateway.h1", "the network address");
    accepted(&["subnet = \"fd00::/64\"\ngateway = { h1 = \"fd00::ffff:ffff:ffff:ffff\" }"]);
}

#[test]
fn gateways_belong_to_hosts_of_the_network() {
    let text = |gateway: &str| {
        format!("subnet = \"10.0.0.0/24\"\nhosts = [\"h1\", \"h2\"]\ngateway = {gateway}")
    };
    refused(
        &[&text("{ h9 = \"10.0.0.1\" }")],
        "network.n0.gateway.h9",
        "unknown host `h9`",
    );
    refused(
        &[&text("{ h3 = \"10.0.0.1\" }")],
        "network.n0.gateway.h3",
        "not one of the hosts",
    );
    let twice = text("{ h1 = \"10.0.0.1\", h2 = \"10.0.0.1\" }");
    refused(&[&twice], "network.n0.gateway.h2", "10.0.0.1 is held twice");
    refused(
        &["gateway = { h1 = \"10.0.0.1\" }"],
        "network.n0.gateway",
        "no subnet",
    );
}

#[test]
fn subnets_of_networks_overlap_only_where_no_host_is_in_both() {
    let gateway = |host: &str, subnet: &str, address: &str| {
        format!("subnet = \"{subnet}\"\ngateway = {{ {host} = \"{address}\" }}")
    };
    let of_h1 = gateway("h1", "10.0.0.0/8", "10.0.0.1");
    accepted(&[&of_h1, "subnet = \"10.0.0.0/24\""]);
    accepted(&[&of_h1, &gateway("h2", "10.0.0.0/8", "10.0.0.1")]);
    accepted(&[&of_h1, &gateway("h1", "11.0.0.0/8", "11.0.0.1")]);
    for (subnet, address) in [
        ("10.0.0.0/8", "10.0.0.2"),
        ("10.7.0.0/16", "10.7.0.1"),
        ("8.0.0.0/5", "9.0.0.1"),
    ] {
        let both = gateway("h1", subnet, address);
        refused(
            &[&of_h1, &both],
            "network.n1.gateway.h1",
            "the subnets overlap",
        );
    }
    // Of two subnets only those overlap that the host holds an address in.
    accepted(&[
        &of_h1,
        "subnet = [\"10.1.0.0/16\", \"192.168.0.0/24\"]\ngateway = { h1 = \"192.168.0.1\" }",
    ]);
}
