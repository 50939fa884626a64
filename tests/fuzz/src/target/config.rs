//! The fabric's file: any text is refused with a report, or makes a fabric whose rules hold.

use std::collections::BTreeSet;

use crate::{
    config::{Report, parse},
    model::{Fabric, Network},
};

pub(super) fn target(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    match parse("fabric.toml", text) {
        Ok(fabric) => sound(&fabric),
        Err(report) => told(&report, text),
    }
}

/// Checks that every finding stands somewhere in the file.
fn told(report: &Report, text: &str) {
    assert!(!report.diagnostics().is_empty(), "refused without a reason");
    for diagnostic in report.diagnostics() {
        if let Some((line, column)) = report.position(diagnostic) {
            assert!(line >= 1 && line <= text.lines().count() + 1, "line {line}");
            assert!(column >= 1, "column {column}");
        }
    }
    for shown in [
        report.render(false),
        report.render(true),
        report.to_string(),
    ] {
        assert!(shown.contains("fabric.toml"), "{shown}");
    }
    assert!(!report.render(false).contains('\u{1b}'), "colour");
}

fn sound(fabric: &Fabric) {
    let hosts = fabric.hosts.values();
    distinct(hosts.clone().map(|host| host.underlay), "underlay address");
    let families: BTreeSet<_> = hosts.map(|host| host.underlay.is_ipv4()).collect();
    assert!(families.len() <= 1, "an underlay of both families");
    let networks = fabric.networks.values();
    distinct(networks.clone().map(|network| &network.bridge), "bridge");
    let segments = networks.flat_map(|network| network.segments.values());
    distinct(segments.filter_map(|segment| segment.vni), "VNI");
    for (name, host) in &fabric.hosts {
        assert_eq!(*name, host.name);
        for network in host.trunks.keys() {
            assert!(fabric.networks[network].is_vlan_aware());
        }
    }
    for (name, network) in &fabric.networks {
        assert_eq!(*name, network.name);
        of_network(fabric, network);
    }
}

fn of_network(fabric: &Fabric, network: &Network) {
    assert!(!network.bridge.is_empty() && network.bridge.len() < 16);
    assert!(!network.hosts.is_empty(), "nowhere");
    let is_host = |host: &String| fabric.hosts.contains_key(host);
    assert!(network.hosts.iter().all(is_host));
    for (host, gateways) in &network.gateways {
        assert!(network.hosts.contains(host), "{host} has no part in it");
        for gateway in gateways {
            let mut subnets = network.subnets.iter();
            let is_inside = subnets.any(|subnet| subnet.contains(&gateway.addr()));
            assert!(is_inside, "{gateway}");
        }
    }
    assert!(!network.segments.is_empty());
    assert!(network.is_vlan_aware() || network.segments.len() == 1);
    for (vid, segment) in &network.segments {
        assert!(vid.is_some() || segment.vni.is_some());
        assert!(segment.group.is_none_or(|group| group.is_multicast()));
        assert!(segment.trunk_gateway.as_ref().is_none_or(is_host));
        for (mac, station) in &segment.stations {
            assert!(!mac.is_group() && is_host(&station.host));
        }
    }
    let default = network.default_portgroup.as_ref();
    assert!(default.is_none_or(|name| network.portgroups.contains_key(name)));
    for group in network.portgroups.values() {
        for vid in group.pvid.iter().chain(&group.tagged) {
            assert!(network.segments.contains_key(&Some(*vid)), "VLAN {vid}");
        }
    }
}

/// Checks that no value comes twice.
fn distinct<T: Ord>(values: impl Iterator<Item = T>, what: &str) {
    let mut seen = BTreeSet::new();
    for value in values {
        assert!(seen.insert(value), "the same {what} twice");
    }
}
