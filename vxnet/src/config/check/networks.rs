//! The networks: their kind, bridges, the hosts they are present on, and MTU.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use ipnet::IpNet;
use toml::Spanned;

use super::{
    Unique,
    gateways::{self, Gateways},
    hosts::Hosts,
    names, portgroups,
    presence::{self, Present, is_over_ipv6},
    segments::{self, Scope},
    subnets::Subnets,
    vlans::{Allowance, Kind},
};
use crate::{
    config::{
        diagnostic::{Diagnostic, Fault, Findings, join, quoted},
        place::Named,
        raw,
    },
    model,
};

/// The smallest MTU of a link that carries IPv6 (RFC 8200 section 5).
const IPV6_LEAST_MTU: u16 = 1280;

/// What hosts refer to: the networks, those with faults included.
pub(super) struct Known<'h, 'a> {
    pub(super) networks: BTreeMap<&'a str, KnownNetwork<'h, 'a>>,
    /// The network of a bridge, and where it is named.
    bridges: BTreeMap<&'a str, (&'a str, Range<usize>)>,
}

/// A network as far as hosts refer to it.
pub(super) struct KnownNetwork<'h, 'a> {
    pub(super) kind: Kind,
    pub(super) present: Present<'h, 'a>,
    pub(super) portgroups: BTreeSet<&'a str>,
}

impl Known<'_, '_> {
    /// Returns where a link is named as a bridge that a host has.
    pub(super) fn bridge_on(&self, link: &str, host: &str) -> Option<Range<usize>> {
        let (network, place) = self.bridges.get(link)?;
        let is_on = self.networks.get(network)?.present.contains_key(host);
        is_on.then(|| place.clone())
    }
}

/// Returns the networks without a fault that leaves no value, and all that hosts may refer to.
pub(super) fn check<'h, 'a>(
    raw: &'a raw::Fabric,
    hosts: &'h Hosts<'a>,
    findings: &mut Findings,
) -> (BTreeMap<String, model::Network>, Known<'h, 'a>) {
    let mut networks = BTreeMap::new();
    let mut known = Known {
        networks: BTreeMap::new(),
        bridges: BTreeMap::new(),
    };
    let mut vnis = Unique::new();
    let mut bridges = Unique::new();
    let mut gateways = Gateways::new();
    let mut allowance = Allowance::new();
    let all = raw
        .network
        .value()
        .into_iter()
        .flat_map(Named::in_file_order);
    for (name, raw) in all {
        let path = join("network", name.get_ref());
        if let Err(fault) = names::fabric_name(name.get_ref()) {
            findings.add(fault.at(name.span(), &path));
        }
        let present = presence::check(raw, name, hosts, findings);
        let kind = Kind::check(raw, name, &path, &mut allowance, findings);
        let (subnets, held) = if kind.vlans().is_some() {
            report_addresses(raw, &path, findings);
            (Subnets::default(), gateways::OfNetwork::new())
        } else {
            let subnets = Subnets::check(raw, &path, hosts, findings);
            let held = gateways::check(raw, &path, &subnets, hosts, &present, findings);
            (subnets, held)
        };
        let bridge = bridge(raw, &path, &present, &mut bridges, findings);
        let scope = Scope {
            name: name.get_ref(),
            path: &path,
            hosts,
            present: &present,
        };
        let segments = segments::check(raw, &kind, &scope, &mut vnis, findings);
        let portgroups = portgroups::check(raw, &path, &kind, &mut allowance, findings);
        let mtu = mtu(raw, &path, &subnets, &present, findings);
        if let Some(bridge) = bridge {
            let network = model::Network {
                name: name.get_ref().clone(),
                bridge,
                hosts: present.keys().map(|host| (*host).to_owned()).collect(),
                subnets: subnets.nets,
                gateways: to_model(&held),
                mtu,
                segments,
                portgroups: portgroups.by_name,
                default_portgroup: portgroups.default,
            };
            networks.insert(network.name.clone(), network);
        }
        gateways.add(name.get_ref(), held);
        if let Some(bridge) = &raw.bridge.0 {
            let first = (name.get_ref().as_str(), bridge.span());
            known.bridges.entry(bridge.get_ref()).or_insert(first);
        }
        let portgroups = raw
            .portgroup
            .value()
            .into_iter()
            .flat_map(Named::in_file_order);
        let network = KnownNetwork {
            kind,
            present,
            portgroups: portgroups
                .map(|(name, _)| name.get_ref().as_str())
                .collect(),
        };
        known.networks.insert(name.get_ref(), network);
    }
    gateways.report_overlaps(findings);
    (networks, known)
}

/// Reports addresses of a network with VLANs, whose segments cannot have any yet.
fn report_addresses(raw: &raw::Network, network: &str, findings: &mut Findings) {
    let places = [
        ("subnet", raw.subnet.0.as_ref().map(Spanned::span)),
        ("gateway", raw.gateway.0.as_ref().map(Spanned::span)),
    ];
    for (key, place) in places {
        if let Some(place) = place {
            let message = format!("the network has VLANs, which cannot have a {key} yet");
            let help = format!("take `{key}` out: a network of its own, with `vni`, can have it");
            findings.add(Fault::new(message, help).at(place, &join(network, key)));
        }
    }
}

fn to_model(held: &gateways::OfNetwork<'_>) -> BTreeMap<String, Vec<IpNet>> {
    let addresses = |held: &[(IpNet, _)]| held.iter().map(|(address, _)| *address).collect();
    held.iter()
        .map(|(host, held)| ((*host).to_owned(), addresses(held)))
        .collect()
}

fn bridge<'r>(
    raw: &'r raw::Network,
    network: &str,
    present: &Present<'_, '_>,
    taken: &mut Unique<&'r str>,
    findings: &mut Findings,
) -> Option<String> {
    let bridge = raw.bridge.0.as_ref()?;
    let (name, key) = (bridge.get_ref(), join(network, "bridge"));
    if let Err(fault) = names::bridge_name(name) {
        findings.add(fault.at(bridge.span(), &key));
        return None;
    }
    if let Some(first) = taken.claim(name, bridge.span()) {
        let message = format!("bridge {} is that of another network", quoted(name));
        let duplicate = Diagnostic::at(bridge.span(), &key, message)
            .help("give each network its own bridge")
            .related(first, "first used here");
        findings.add(duplicate);
    }
    let taken = present.values().find_map(|host| {
        let (role, place) = host.links.find(name)?;
        Some((host.name, role.describe(), place))
    });
    if let Some((host, role, place)) = taken {
        let message = format!("{} is {role} of host {}", quoted(name), quoted(host));
        let taken = Diagnostic::at(bridge.span(), &key, message)
            .help("give the bridge a name that no link of its hosts has, such as `br0`")
            .related(place, role);
        findings.add(taken);
    }
    Some(name.clone())
}

fn mtu(
    raw: &raw::Network,
    network: &str,
    subnets: &Subnets,
    present: &Present<'_, '_>,
    findings: &mut Findings,
) -> Option<u16> {
    let mtu = raw.mtu.0.as_ref()?;
    let value = *mtu.get_ref();
    let over_ipv6 = is_over_ipv6(present) == Some(true);
    // The largest packet of the underlay less the inner Ethernet, VXLAN, UDP and IP headers.
    let (most, family) = if over_ipv6 {
        (u16::MAX - 70, "IPv6")
    } else {
        (u16::MAX - 50, "IPv4")
    };
    if value > most {
        let message = format!("MTU {value} does not fit in an {family} packet of the underlay");
        let help = format!("write at most {most}, or leave the key out");
        findings.add(Fault::new(message, help).at(mtu.span(), &join(network, "mtu")));
    } else if value < IPV6_LEAST_MTU && subnets.any_ipv6() {
        let message = format!("MTU {value} is too small for the IPv6 subnet of the network");
        let help = format!("write at least {IPV6_LEAST_MTU}, or leave the key out");
        findings.add(Fault::new(message, help).at(mtu.span(), &join(network, "mtu")));
    }
    Some(value)
}
