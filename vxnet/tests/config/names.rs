//! Names of hosts, networks and links.

use crate::fabric_file::{BASE, accepted, faulty, refused, with};

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
