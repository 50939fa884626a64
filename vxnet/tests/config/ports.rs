//! What the file says of guests' links, and the link that groups are joined on.

use crate::fabric_file::{accepted, faulty, refused, vlan_with, with};

/// Returns the base file with other lines in the table of `vnet0`.
fn lines(lines: &str) -> String {
    vlan_with("portgroup = \"access\"", lines)
}

#[test]
fn a_port_has_a_portgroup_and_addresses() {
    let fabric = accepted(&lines(
        "portgroup = \"some\"\nmac = [\"52:54:00:00:00:0A\", \"52:54:00:00:00:0b\"]\n\
         ip = [\"192.168.20.16\", \"fd00::16\", \"fe80::1\"]",
    ));
    let rule = &fabric.hosts["h1"].ports["vnet0"];
    assert_eq!(rule.portgroup.as_deref(), Some("some"));
    let macs: Vec<_> = rule.macs.iter().map(ToString::to_string).collect();
    assert_eq!(macs, ["52:54:00:00:00:0a", "52:54:00:00:00:0b"]);
    assert_eq!(rule.addresses.len(), 3);
    let fabric = accepted(&lines("mac = \"52:54:00:00:00:01\"\nip = \"10.0.0.1\""));
    let rule = &fabric.hosts["h1"].ports["vnet0"];
    assert_eq!(
        (rule.macs.len(), rule.addresses.len(), &rule.portgroup),
        (1, 1, &None)
    );
}

#[test]
fn the_portgroup_of_a_port_is_in_a_network_of_its_host() {
    let key = "host.h1.port.vnet0.portgroup";
    let unknown = lines("portgroup = \"acess\"");
    faulty(
        &unknown,
        key,
        "\"acess\"",
        "no network of host `h1` has a portgroup `acess`",
    );
    assert!(
        refused(&unknown)
            .to_string()
            .contains("did you mean `access`?")
    );
    let elsewhere = vlan_with("vlans = [10", "hosts = [\"h2\"]\nvlans = [10")
        .replace("trunk = { v = \"enp5\" }\n", "");
    faulty(&elsewhere, key, "\"access\"", "no network of host `h1`");
    // One that cannot be read may be the one.
    let unread = vlan_with("[network.v.portgroup.access]\nvlan = 10\n", "").replace(
        "[network.v.portgroup.some]",
        "[network.v.portgroup]\naccess = 3\n[network.v.portgroup.some]",
    );
    faulty(
        &unread,
        "network.v.portgroup.access",
        "3",
        "expected a table",
    );
}

#[test]
fn addresses_of_a_port() {
    for mac in [
        "52:54:00:00:00",
        "52:54:00:00:00:0g",
        "01:00:5e:00:00:01",
        "ff:ff:ff:ff:ff:ff",
        "00:00:00:00:00:00",
        "",
    ] {
        let report = refused(&lines(&format!("mac = \"{mac}\"")));
        assert_eq!(report.diagnostics().len(), 1, "{report}");
        assert_eq!(report.diagnostics()[0].key, "host.h1.port.vnet0.mac");
        assert!(report.diagnostics()[0].help.is_some());
    }
    for ip in [
        "10.0.0.0/24",
        "10.0.0",
        "0.0.0.0",
        "127.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "ff02::1",
        "::ffff:10.0.0.1",
    ] {
        let report = refused(&lines(&format!("ip = [\"{ip}\"]")));
        assert_eq!(report.diagnostics().len(), 1, "{report}");
        assert_eq!(report.diagnostics()[0].key, "host.h1.port.vnet0.ip");
        assert!(report.diagnostics()[0].help.is_some());
    }
    faulty(
        &lines("mac = [\"52:54:00:00:00:0a\", \"52:54:00:00:00:0A\"]"),
        "host.h1.port.vnet0.mac",
        "\"52:54:00:00:00:0A\"",
        "listed twice",
    );
    faulty(
        &lines("ip = [\"fd00::1\", \"fd00:0::1\"]"),
        "host.h1.port.vnet0.ip",
        "\"fd00:0::1\"",
        "listed twice",
    );
    faulty(
        &lines("mac = []"),
        "host.h1.port.vnet0.mac",
        "[]",
        "an empty list",
    );
}

#[test]
fn a_port_is_a_guests_link() {
    for (link, message) in [
        ("eth0", "is an uplink of the host"),
        ("enp5", "is a trunk link of the host"),
        ("br1", "is a bridge of the host"),
        ("lo", "keeps for itself"),
        ("vxp-1", "keeps for itself"),
    ] {
        let text = vlan_with("port.vnet0", &format!("port.{link}"));
        faulty(&text, &format!("host.h1.port.{link}"), link, message);
    }
    let report = refused(&vlan_with("port.vnet0", "port.\"a b\""));
    assert_eq!(report.diagnostics().len(), 1, "{report}");
    faulty(
        &lines("portgrop = \"access\""),
        "host.h1.port.vnet0.portgrop",
        "portgrop",
        "unknown key",
    );
}

#[test]
fn groups_are_joined_on_an_uplink() {
    let text = |lines: &str| with("uplinks = [\"eth0\"]", lines);
    let link = |text: &str| accepted(text).hosts["h1"].multicast.clone();
    assert_eq!(link(&text("")), None);
    assert_eq!(link(&text("multicast = \"eth1\"")).as_deref(), Some("eth1"));
    let both = text("uplinks = [\"eth0\", \"eth1\"]\nmulticast = \"eth1\"");
    assert_eq!(link(&both).as_deref(), Some("eth1"));
    let key = "host.h1.multicast";
    let apart = text("uplinks = [\"eth0\"]\nmulticast = \"eth1\"");
    faulty(
        &apart,
        key,
        "\"eth1\"",
        "is not one of the uplinks of the host",
    );
    for (link, message) in [("lo", "keeps for itself"), ("a b", "holds a space")] {
        faulty(
            &text(&format!("multicast = \"{link}\"")),
            key,
            &format!("\"{link}\""),
            message,
        );
    }
    faulty(
        &text("multicast = \"br0\""),
        "network.n.bridge",
        "\"br0\"",
        "is the multicast link of host `h1`",
    );
    faulty(
        &text("uplinks = [\"eth0\", 3]\nmulticast = \"eth1\""),
        "host.h1.uplinks[1]",
        "3",
        "expected a string",
    );
}
