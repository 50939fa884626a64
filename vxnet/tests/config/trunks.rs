//! Links to a physical switch, on their host and into their network, and what makes no loop.

use vxnet_common::addr::VlanId;

use crate::fabric_file::{VLAN_BASE, accepted, faulty, refused, vlan_with};

const TRUNK: &str = "{ v = \"enp5\" }";

fn trunk(trunk: &str) -> String {
    vlan_with(TRUNK, trunk)
}

/// Returns the base file with a second trunk, and lines in the table of VLAN 10.
fn two_trunks(lines: &str) -> String {
    trunk(TRUNK)
        .replace(
            "\"172.31.0.122\"",
            "\"172.31.0.122\"\ntrunk = { v = \"enp6\" }",
        )
        .replace("vni = 5010", lines)
}

#[test]
fn a_trunk_is_a_link_or_a_table() {
    let fabric = accepted(VLAN_BASE);
    let short = &fabric.hosts["h1"].trunks["v"];
    assert_eq!((short.link.as_str(), short.native), ("enp5", None));
    let fabric = accepted(&trunk("{ v = { link = \"enp5\", native = 20 } }"));
    let long = &fabric.hosts["h1"].trunks["v"];
    assert_eq!((long.link.as_str(), long.native), ("enp5", VlanId::new(20)));
    // As a table of its own.
    accepted(&format!(
        "{}\n[host.h1.trunk.v]\nlink = \"enp5\"\nnative = 20\n",
        trunk("{}").replace("trunk = {}\n", "")
    ));
}

#[test]
fn a_trunk_is_of_the_right_shape() {
    let key = "host.h1.trunk.v";
    faulty(
        &trunk("{ v = 3 }"),
        key,
        "3",
        "expected a string or a table",
    );
    faulty(
        &trunk("{ v = { native = 20 } }"),
        &format!("{key}.link"),
        "v",
        "missing key `link`",
    );
    for native in ["0", "4095", "-1"] {
        faulty(
            &trunk(&format!(
                "{{ v = {{ link = \"enp5\", native = {native} }} }}"
            )),
            &format!("{key}.native"),
            native,
            "from 1 to 4094",
        );
    }
    faulty(
        &trunk("{ v = { link = \"enp5\", nativ = 20 } }"),
        &format!("{key}.nativ"),
        "nativ",
        "unknown key",
    );
}

#[test]
fn a_trunk_is_a_link_that_serves_nothing_else() {
    let key = "host.h1.trunk.v";
    for (name, message) in [
        ("eth0", "`eth0` is an uplink of the host already"),
        ("lo", "keeps for itself"),
        ("vx-detour", "keeps for itself"),
        ("a/b", "the name"),
        ("0123456789abcdef", "16 bytes long"),
    ] {
        let text = trunk(&format!("{{ v = \"{name}\" }}"));
        faulty(&text, key, &format!("\"{name}\""), message);
    }
    let two =
        trunk("{ v = \"enp5\", w = \"enp5\" }") + "\n[network.w]\nbridge = \"br2\"\nvlans = [5]\n";
    faulty(
        &two,
        "host.h1.trunk.w",
        "\"enp5\"",
        "is a trunk link of the host already",
    );
    let report = refused(&two);
    assert_eq!(
        &two[report.diagnostics()[0].related[0].span.clone()],
        "\"enp5\""
    );
    faulty(
        &vlan_with("\"br1\"", "\"enp5\""),
        "network.v.bridge",
        "\"enp5\"",
        "is a trunk link of host `h1`",
    );
    let group = vlan_with("uplinks = [\"eth0\"]", "multicast = \"enp5\"");
    faulty(
        &group,
        key,
        "\"enp5\"",
        "is the multicast link of the host already",
    );
}

#[test]
fn a_trunk_goes_into_a_network_of_its_host_with_vlans() {
    faulty(
        &trunk("{ w = \"enp5\" }"),
        "host.h1.trunk.w",
        "w",
        "unknown network `w`",
    );
    let near = vlan_with("trunk = { v", "trunk = { offices").replace("network.v", "network.office");
    assert!(
        refused(&near)
            .to_string()
            .contains("did you mean `office`?")
    );
    let plain =
        trunk("{ v = \"enp5\", p = \"enp6\" }") + "\n[network.p]\nbridge = \"br2\"\nvni = 7\n";
    faulty(
        &plain,
        "host.h1.trunk.p",
        "p",
        "has no VLANs for a trunk to carry",
    );
    let absent = vlan_with("vlans = [10", "hosts = [\"h2\"]\nvlans = [10")
        .replace("[host.h1.port.vnet0]\nportgroup = \"access\"\n", "");
    faulty(
        &absent,
        "host.h1.trunk.v",
        "v",
        "network `v` is not on host `h1`",
    );
    // A network that cannot be read may be the one.
    let report = refused(&(trunk("{ v = \"enp5\", w = \"enp6\" }") + "\n[network]\nw = 3\n"));
    assert_eq!(report.diagnostics().len(), 1, "{report}");
}

#[test]
fn a_native_vlan_is_one_that_the_trunk_carries() {
    let native = trunk("{ v = { link = \"enp5\", native = 11 } }");
    faulty(
        &native,
        "host.h1.trunk.v.native",
        "11",
        "VLAN 11 is not one of the network",
    );
    let elsewhere = two_trunks("vni = 5010\ntrunk-gateway = \"h1\"").replace(
        "{ v = \"enp6\" }",
        "{ v = { link = \"enp6\", native = 10 } }",
    );
    faulty(
        &elsewhere,
        "host.h2.trunk.v.native",
        "10",
        "VLAN 10 is carried by the trunk of host `h1` alone",
    );
    accepted(&elsewhere.replace("trunk-gateway = \"h1\"", "trunk-gateway = \"h2\""));
}

#[test]
fn a_vlan_on_the_overlay_and_two_trunks_has_a_trunk_gateway() {
    let looping = two_trunks("vni = 5010");
    faulty(
        &looping,
        "network.v.vlan.10.trunk-gateway",
        "5010",
        "on the overlay and on the trunks of hosts `h1` and `h2`: a loop",
    );
    let report = refused(&looping);
    let [found] = report.diagnostics() else {
        panic!("{report}")
    };
    let trunks: Vec<_> = found
        .related
        .iter()
        .map(|related| looping[..related.span.start].lines().count())
        .collect();
    assert_eq!(trunks, [5, 12], "both trunks are shown:\n{report}");
    assert!(
        report.to_string().contains("`trunk-gateway = \"h1\"`"),
        "{report}"
    );

    let fabric = accepted(&two_trunks("vni = 5010\ntrunk-gateway = \"h2\""));
    let segment = &fabric.networks["v"].segments[&VlanId::new(10)];
    assert_eq!(segment.trunk_gateway.as_deref(), Some("h2"));
    // Without the overlay, or with one trunk, there is no loop.
    accepted(&two_trunks("ageing = 5"));
    accepted(VLAN_BASE);
    accepted(&vlan_with(
        "vni = 5010",
        "vni = 5010\ntrunk-gateway = \"h1\"",
    ));
}

#[test]
fn a_trunk_gateway_has_a_trunk_and_a_vni() {
    let key = "network.v.vlan.10.trunk-gateway";
    for (lines, message) in [
        ("trunk-gateway = \"h1\"", "a trunk gateway and no VNI"),
        (
            "vni = 5010\ntrunk-gateway = \"h3\"",
            "host `h3` has no trunk into the network",
        ),
    ] {
        let host = &lines[lines.len() - 4..];
        faulty(&two_trunks(lines), key, host, message);
    }
    faulty(
        &vlan_with("vni = 5010", "vni = 5010\ntrunk-gateway = \"h2\""),
        key,
        "\"h2\"",
        "host `h2` has no trunk into the network",
    );
    // One mistake makes one error.
    faulty(
        &two_trunks("vni = 5010\ntrunk-gateway = 3"),
        key,
        "3",
        "expected a string",
    );
    faulty(
        &two_trunks("vni = 0\ntrunk-gateway = \"h1\""),
        "network.v.vlan.10.vni",
        "0",
        "from 1 to 16777215",
    );
}
