//! Portgroups: their VLANs, and what their guests may do.

use vxnet::model::Portgroup;
use vxnet_common::addr::VlanId;

use crate::fabric_file::{accepted, faulty, refused, vlan_with, with};

/// Returns the base file with other lines in the portgroup `some`.
fn lines(lines: &str) -> String {
    vlan_with("vlans = [\"20-22\"]", lines)
}

fn portgroup(text: &str) -> Portgroup {
    accepted(&lines(text)).networks["v"].portgroups["some"].clone()
}

fn tagged(portgroup: &Portgroup) -> Vec<u16> {
    portgroup.tagged.iter().map(|vid| vid.value()).collect()
}

#[test]
fn access_and_trunk_ports() {
    let access = portgroup("vlan = 21");
    assert_eq!((access.pvid, tagged(&access)), (VlanId::new(21), vec![]));
    let trunk = portgroup("vlans = [10, \"21-22\"]");
    assert_eq!((trunk.pvid, tagged(&trunk)), (None, vec![10, 21, 22]));
    let untagged = portgroup("vlans = [21, 22]\nnative = 10");
    assert_eq!(
        (untagged.pvid, untagged.native_tagged),
        (VlanId::new(10), false)
    );
    assert_eq!(
        tagged(&untagged),
        [10, 21, 22],
        "the native VLAN is one of them"
    );
    let same = portgroup("vlans = [21, 22]\nnative = 10\nnative-mode = \"untagged\"");
    assert_eq!(same, untagged);
    let both = portgroup("vlans = [10, 21, 22]\nnative = 10\nnative-mode = \"tagged\"");
    assert_eq!((both.pvid, both.native_tagged), (VlanId::new(10), true));
    assert_eq!(tagged(&both), [10, 21, 22]);
}

#[test]
fn p10_a_vlan_is_not_both_tagged_and_untagged() {
    let key = "network.v.portgroup.some.vlans";
    for mode in ["", "\nnative-mode = \"untagged\""] {
        let text = lines(&format!("vlans = [10, \"20-22\"]\nnative = 21{mode}"));
        faulty(
            &text,
            key,
            "\"20-22\"",
            "VLAN 21 is listed as tagged and leaves untagged",
        );
        assert!(
            refused(&text)
                .to_string()
                .contains("native-mode = \"tagged\"")
        );
    }
    // A mode that cannot be read may be the right one.
    faulty(
        &lines("vlans = [21]\nnative = 21\nnative-mode = \"both\""),
        "network.v.portgroup.some.native-mode",
        "\"both\"",
        "expected \"untagged\" or \"tagged\"",
    );
}

#[test]
fn p10_vlans_of_a_portgroup() {
    let at = |key: &str| format!("network.v.portgroup.some.{key}");
    for vlan in ["0", "-1", "4095", "4096", "\"invalid\"", "\"20\"", "[20]"] {
        let message = "expected an integer from 1 to 4094";
        faulty(
            &lines(&format!("vlan = {vlan}")),
            &at("vlan"),
            vlan,
            message,
        );
    }
    for (list, message) in [
        ("\"20,21,-3-4\"", "`-3-4` is neither"),
        ("\"22-20\"", "runs backwards"),
        ("\"20,20\"", "VLAN 20 is listed twice"),
        ("\"4096\"", "from 1 to 4094"),
        ("-1", "from 1 to 4094"),
        ("[]", "an empty list"),
        ("11", "VLAN 11 is not one of the network"),
        ("\"20-22, 23\"", "VLAN 23 is not one of the network"),
    ] {
        faulty(
            &lines(&format!("vlans = {list}")),
            &at("vlans"),
            list,
            message,
        );
    }
    faulty(
        &lines("vlan = 11"),
        &at("vlan"),
        "11",
        "VLAN 11 is not one of the network",
    );
    faulty(
        &lines("vlans = [20]\nnative = 11"),
        &at("native"),
        "11",
        "VLAN 11 is not one of the network",
    );
}

#[test]
fn a_portgroup_has_a_vlan_or_vlans() {
    let at = |key: &str| format!("network.v.portgroup.some.{key}");
    faulty(
        &lines("isolated = true"),
        &at("vlan"),
        "some",
        "missing key `vlan` or `vlans`",
    );
    faulty(
        &lines("vlan = 21\nvlans = [20]"),
        &at("vlan"),
        "21",
        "the portgroup has `vlan` and `vlans`",
    );
    faulty(
        &lines("vlan = 21\nnative = 20"),
        &at("native"),
        "20",
        "native VLAN 20 of a port without `vlans`",
    );
    faulty(
        &lines("vlans = [20]\nnative-mode = \"tagged\""),
        &at("native-mode"),
        "\"tagged\"",
        "`native-mode` without `native`",
    );
}

#[test]
fn a_portgroup_of_a_network_without_vlans_has_none() {
    let text = |lines: &str| format!("{}\n[network.n.portgroup.p]\n{lines}\n", with("", ""));
    accepted(&text("isolated = true"));
    for (key, value) in [
        ("vlan", "10"),
        ("vlans", "[10]"),
        ("native", "10"),
        ("native-mode", "\"tagged\""),
    ] {
        faulty(
            &text(&format!("{key} = {value}")),
            &format!("network.n.portgroup.p.{key}"),
            value,
            "its network no VLANs",
        );
    }
    let all = text("vlans = [10]\nnative = 11\nnative-mode = \"tagged\"");
    faulty(
        &all,
        "network.n.portgroup.p.vlans",
        "[10]",
        "its network no VLANs",
    );
}

#[test]
fn one_portgroup_is_the_default() {
    let text = |first, second| {
        vlan_with("vlan = 10", &format!("vlan = 10\ndefault = {first}"))
            .replace("[\"20-22\"]", &format!("[\"20-22\"]\ndefault = {second}"))
    };
    let default = |text: &str| accepted(text).networks["v"].default_portgroup.clone();
    assert_eq!(default(&text(true, false)).as_deref(), Some("access"));
    assert_eq!(default(&text(false, true)).as_deref(), Some("some"));
    assert_eq!(default(&text(false, false)), None);
    let twice = text(true, true);
    faulty(
        &twice,
        "network.v.portgroup.some.default",
        "true",
        "another portgroup of the network is the default",
    );
    assert_eq!(refused(&twice).diagnostics()[0].related.len(), 1);
}

#[test]
fn what_guests_may_do() {
    let portgroup = portgroup(
        "vlan = 20\nisolated = true\nlocked = true\nallow = [\"router\", \"dhcp-server\"]\n\
         bum-limit = 10000000\nfdb-limit = 65536",
    );
    let expected = Portgroup {
        pvid: VlanId::new(20),
        isolated: true,
        locked: true,
        dhcp_server: true,
        router: true,
        bum_limit: Some(10_000_000),
        fdb_limit: Some(65_536),
        ..Portgroup::default()
    };
    assert_eq!(portgroup, expected);
    let router = self::portgroup("vlan = 20\nallow = [\"router\"]");
    assert_eq!((router.router, router.dhcp_server), (true, false));
    assert!(self::portgroup("vlan = 20\nallow = [\"dhcp-server\"]").dhcp_server);
    let usual = self::portgroup("vlan = 20");
    assert_eq!(
        (usual.isolated, usual.locked, usual.bum_limit),
        (false, false, None)
    );
}

#[test]
fn limits_of_a_portgroup() {
    for (key, value, at, message) in [
        ("bum-limit", "0", "0", "from 1 to 10000000"),
        ("bum-limit", "10000001", "10000001", "from 1 to 10000000"),
        ("fdb-limit", "0", "0", "from 1 to 65536"),
        ("fdb-limit", "65537", "65537", "from 1 to 65536"),
        ("isolated", "1", "1", "expected true or false, found `1`"),
        ("locked", "\"yes\"", "\"yes\"", "expected true or false"),
        ("default", "1", "1", "expected true or false"),
        ("allow", "[]", "[]", "an empty list"),
        (
            "allow[0]",
            "[\"all\"]",
            "\"all\"",
            "expected \"dhcp-server\" or \"router\"",
        ),
        ("allow", "\"router\"", "\"router\"", "expected a list"),
    ] {
        let name = key.trim_end_matches("[0]");
        let text = lines(&format!("vlan = 20\n{name} = {value}"));
        faulty(
            &text,
            &format!("network.v.portgroup.some.{key}"),
            at,
            message,
        );
    }
    faulty(
        &lines("vlan = 20\nallow = [\"router\", \"router\"]"),
        "network.v.portgroup.some.allow",
        "\"router\"",
        "listed twice",
    );
}

#[test]
fn names_of_portgroups() {
    for name in ["", "a b", "-a", "a/b", "abcdefghijklmnopqrstuvwxyz-01234"] {
        let text = vlan_with("portgroup.some", &format!("portgroup.\"{name}\""));
        let report = refused(&text);
        assert_eq!(report.diagnostics().len(), 1, "{report}");
    }
}
