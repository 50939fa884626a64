//! Lists of VLANs, and which keys a network with them has.

use vxnet::model::Network;

use crate::fabric_file::{VLAN_BASE, accepted, faulty, network, refused, vlan_with, with};

/// Returns the base file with a list of VLANs that its other tables do not refer to.
fn listing(vlans: &str) -> String {
    let text = vlan_with("[10, \"20-22\"]", vlans);
    let (hosts, rest) = text.split_once("[network.v]").expect("the network");
    let (keys, _) = rest.split_once("[network.v.vlan.10]").expect("the tables");
    let hosts = hosts.replace("[host.h1.port.vnet0]\nportgroup = \"access\"\n", "");
    format!("{hosts}[network.v]{keys}")
}

fn vids(network: &Network) -> Vec<u16> {
    let vids = network.segments.keys().flatten();
    vids.map(|vid| vid.value()).collect()
}

#[test]
fn p10_lists_that_are_accepted() {
    for (list, expected) in [
        ("7", &[7][..]),
        ("[1, 4094]", &[1, 4094]),
        ("\"3, 4,5\"", &[3, 4, 5]),
        ("\"3,4-6\"", &[3, 4, 5, 6]),
        ("[\"1001\", \"1010-1012\"]", &[1001, 1010, 1011, 1012]),
        ("[1001, 1002]", &[1001, 1002]),
        ("[5, \"1 - 3\"]", &[1, 2, 3, 5]),
        ("\"9-9\"", &[9]),
    ] {
        let fabric = accepted(&listing(list));
        let network = &fabric.networks["v"];
        assert_eq!(vids(network), expected, "{list}");
        assert!(network.is_vlan_aware());
    }
    let all = accepted(&listing("\"1-4094\""));
    assert_eq!(all.networks["v"].segments.len(), 4094);
}

#[test]
fn p10_lists_that_are_refused() {
    let key = "network.v.vlans";
    for (list, message) in [
        ("0", "from 1 to 4094"),
        ("-1", "from 1 to 4094"),
        ("4095", "from 1 to 4094"),
        ("4096", "from 1 to 4094"),
        ("1.5", "found the float"),
        ("true", "found `true`"),
        ("[]", "found an empty list"),
        ("\"0\"", "VLAN id `0` is not from 1 to 4094"),
        ("\"4095\"", "VLAN id `4095` is not from 1 to 4094"),
        ("\"4090-4096\"", "VLAN id `4096` is not from 1 to 4094"),
        ("\"99999999999999999999\"", "is not from 1 to 4094"),
        ("\"invalid\"", "`invalid` is neither a VLAN id nor a range"),
        ("\"-1\"", "`-1` is neither"),
        ("\"+1\"", "`+1` is neither"),
        ("\"\"", "`` is neither"),
        ("\"1,,2\"", "`` is neither"),
        ("\"1,2,\"", "`` is neither"),
        ("\"1,2,-3-4\"", "`-3-4` is neither"),
        ("\"1-2-3\"", "`1-2-3` is neither"),
        ("\"4-3\"", "the range `4-3` runs backwards"),
        ("\"3,4-6,5\"", "VLAN 5 is listed twice"),
    ] {
        faulty(&listing(list), key, list, message);
    }
    faulty(
        &listing("[5, 4095]"),
        "network.v.vlans[1]",
        "4095",
        "from 1 to 4094",
    );
    let twice = listing("[5, \"4-6\"]");
    faulty(&twice, key, "\"4-6\"", "VLAN 5 is listed twice");
    let report = refused(&twice);
    assert_eq!(&twice[report.diagnostics()[0].related[0].span.clone()], "5");
    // Each wrong piece is told of.
    assert_eq!(
        refused(&listing("\"0, 7, x, 5000\"")).diagnostics().len(),
        3
    );
}

#[test]
fn a_network_has_a_vni_or_vlans() {
    faulty(
        &network("bridge = \"br1\""),
        "network.other.vni",
        "other",
        "missing key `vni` or `vlans`",
    );
    let both = network("bridge = \"br1\"\nvni = 77\nvlans = [5]");
    faulty(
        &both,
        "network.other.vni",
        "77",
        "the network has `vni` and `vlans`",
    );
    let report = refused(&both);
    assert_eq!(
        &both[report.diagnostics()[0].related[0].span.clone()],
        "[5]"
    );
    assert!(
        report.to_string().contains("`[network.other.vlan.5]`"),
        "{report}"
    );
    // A list that cannot be read is one, all the same.
    faulty(
        &network("bridge = \"br1\"\nvlans = 1.5"),
        "network.other.vlans",
        "1.5",
        "found the float",
    );
}

#[test]
fn a_faulty_list_is_the_only_fault_of_what_refers_to_it() {
    for list in ["[\"x\"]", "1.5", "[10, 4095]", "[\"5-6\", 5]"] {
        let report = refused(&vlan_with("[10, \"20-22\"]", list));
        assert_eq!(report.diagnostics().len(), 1, "{report}");
    }
}

#[test]
fn tables_of_vlans_are_named_after_one_of_the_network() {
    for (id, message) in [
        ("11", "VLAN 11 is not one of the network"),
        ("0", "`0` is not a VLAN id"),
        ("4095", "`4095` is not a VLAN id"),
        ("010", "`010` is not a VLAN id"),
        ("ten", "`ten` is not a VLAN id"),
    ] {
        let text = vlan_with("vlan.10]", &format!("vlan.{id}]"));
        faulty(&text, &format!("network.v.vlan.{id}"), id, message);
    }
    let plain = with("vni = 10", "vni = 10\nvlan.5.ageing = 3");
    faulty(&plain, "network.n.vlan", "5", "network `n` has no VLANs");
    let headed = format!("{}\n[network.n.vlan.5]\nvni = 3\n", with("", ""));
    faulty(&headed, "network.n.vlan", "5", "network `n` has no VLANs");
}

#[test]
fn a_network_with_vlans_has_no_addresses_yet() {
    let text = |line: &str| vlan_with("bridge = \"br1\"", &format!("bridge = \"br1\"\n{line}"));
    faulty(
        &text("subnet = \"10.0.0.0/24\""),
        "network.v.subnet",
        "\"10.0.0.0/24\"",
        "cannot have a subnet yet",
    );
    faulty(
        &text("gateway = { h1 = \"10.0.0.1\" }"),
        "network.v.gateway",
        "{ h1 = \"10.0.0.1\" }",
        "cannot have a gateway yet",
    );
}

#[test]
fn settings_of_a_segment_belong_to_a_vlan() {
    let text = |line: &str| vlan_with("bridge = \"br1\"", &format!("bridge = \"br1\"\n{line}"));
    for (key, value, at) in [
        ("flood", "\"239.0.0.1\"", "\"239.0.0.1\""),
        ("unknown-unicast", "false", "false"),
        ("broadcast", "true", "true"),
        ("multicast", "false", "false"),
        ("suppress", "true", "true"),
        (
            "fdb",
            "{ \"52:54:00:00:00:01\" = { host = \"h1\", port = \"vnet0\" } }",
            "\"52:54:00:00:00:01\"",
        ),
    ] {
        let text = text(&format!("{key} = {value}"));
        faulty(&text, &format!("network.v.{key}"), at, "each with its own");
        assert!(
            refused(&text).to_string().contains("`[network.v.vlan.10]`"),
            "{key}"
        );
    }
    faulty(
        &text("trunk-gateway = \"h1\""),
        "network.v.trunk-gateway",
        "trunk-gateway",
        "unknown key",
    );
    let fabric = accepted(&text("ageing = \"1m\"").replace("vni = 5010", "vni = 5010\nageing = 7"));
    let seconds = fabric.networks["v"]
        .segments
        .values()
        .map(|segment| segment.ageing.as_secs());
    assert_eq!(seconds.collect::<Vec<_>>(), [7, 60, 60, 60]);
}

#[test]
fn a_host_has_room_for_8191_segments() {
    let many = |last: u16| {
        format!(
            "{VLAN_BASE}\n[network.a]\nbridge = \"bra\"\nvlans = \"1-4094\"\n\
             [network.b]\nbridge = \"brb\"\nvlans = \"1-{last}\"\n"
        )
    };
    // The base file has four.
    accepted(&many(4093));
    faulty(
        &many(4094),
        "host.h1",
        "h1",
        "8192 networks and VLANs, and room for 8191",
    );
}

#[test]
fn attack29_more_vlans_than_memory() {
    let host = "[host.h1]\nunderlay = \"172.31.0.121\"\n";
    let networks = (0..16_000)
        .map(|index| format!("[network.n{index}]\nbridge=\"b{index}\"\nvlans=\"1-4094\"\n"));
    let text = host.to_owned() + &networks.collect::<String>();
    assert!(text.len() < 1 << 20, "it must not be refused for its size");
    let report = refused(&text).to_string();
    assert!(report.contains("more than 262144 VLANs"), "{report:.2000}");

    let groups = (0..20_000).map(|index| format!("portgroup.p{index}.vlans=\"1-4094\"\n"));
    let text = format!(
        "{host}[network.n]\nbridge=\"b\"\nvlans=\"1-4094\"\n{}",
        groups.collect::<String>()
    );
    assert!(text.len() < 1 << 20, "it must not be refused for its size");
    let report = refused(&text).to_string();
    assert!(report.contains("more than 262144 VLANs"), "{report:.2000}");

    let again = "1-4094,".repeat(140_000);
    refused(&listing(&format!("\"{again}\"")));
}
