//! A fabric file for the tests to change, and what they expect of the result.

use vxnet::{
    config::{Report, parse},
    model::Fabric,
};

/// Two hosts and the network `n`, to be changed by the tests.
pub(crate) const BASE: &str = r#"
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

/// Two hosts, one with a trunk, and the network `v` with VLANs, to be changed by the tests.
pub(crate) const VLAN_BASE: &str = r#"
[host.h1]
underlay = "172.31.0.121"
uplinks = ["eth0"]
trunk = { v = "enp5" }

[host.h1.port.vnet0]
portgroup = "access"

[host.h2]
underlay = "172.31.0.122"

[network.v]
bridge = "br1"
vlans = [10, "20-22"]

[network.v.vlan.10]
vni = 5010

[network.v.portgroup.access]
vlan = 10

[network.v.portgroup.some]
vlans = ["20-22"]
"#;

pub(crate) fn accepted(text: &str) -> Fabric {
    parse("fabric.toml", text).unwrap_or_else(|report| panic!("refused:\n{report}\n{text}"))
}

pub(crate) fn refused(text: &str) -> Report {
    match parse("fabric.toml", text) {
        Ok(fabric) => panic!("accepted: {fabric:?}\n{text}"),
        Err(report) => report,
    }
}

/// Returns the base file with one text replaced by another.
pub(crate) fn with(old: &str, new: &str) -> String {
    assert!(BASE.contains(old), "{old} is not in the base file");
    BASE.replacen(old, new, 1)
}

/// Returns the base file with VLANs with one text replaced by another.
pub(crate) fn vlan_with(old: &str, new: &str) -> String {
    assert!(VLAN_BASE.contains(old), "{old} is not in the base file");
    VLAN_BASE.replacen(old, new, 1)
}

/// Expects a file to have exactly one fault, at the text `at`.
pub(crate) fn faulty(text: &str, key: &str, at: &str, message: &str) {
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

pub(crate) fn network(text: &str) -> String {
    format!("{BASE}\n[network.other]\n{text}\n")
}
