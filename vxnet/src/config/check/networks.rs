//! The networks: ids, bridges, the hosts they are present on, MTU and ageing.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use vxnet_common::addr::Vni;

use super::{
    Unique, ageing,
    gateways::{self, Gateways},
    hosts::Hosts,
    names,
    presence::{self, Present},
    subnets::Subnets,
};
use crate::{
    config::{
        diagnostic::{Diagnostic, Fault, Findings, join, quoted},
        raw,
    },
    model::{self, AGEING},
};

/// The smallest MTU of a link that carries IPv6 (RFC 8200 section 5).
const IPV6_LEAST_MTU: u16 = 1280;

/// Returns the networks without a fault that leaves no value.
pub(super) fn check(
    raw: &raw::Fabric,
    hosts: &Hosts<'_>,
    findings: &mut Findings,
) -> BTreeMap<String, model::Network> {
    let mut networks = BTreeMap::new();
    let mut vnis = Unique::new();
    let mut bridges = Unique::new();
    let mut gateways = Gateways::new();
    for (name, raw) in raw
        .network
        .value()
        .into_iter()
        .flat_map(|all| all.in_file_order())
    {
        let path = join("network", name.get_ref());
        if let Err(fault) = names::fabric_name(name.get_ref()) {
            findings.add(fault.at(name.span(), &path));
        }
        let present = presence::check(raw, name, hosts, findings);
        let subnets = Subnets::check(raw, &path, hosts, findings);
        let held = gateways::check(raw, &path, &subnets, hosts, &present, findings);
        let bridge = bridge(raw, &path, &present, &mut bridges, findings);
        let vni = vni(raw, &path, &mut vnis, findings);
        let mtu = mtu(raw, &path, &subnets, &present, findings);
        let ageing = raw.ageing.0.as_ref().and_then(|text| {
            let fault = match ageing::ageing(text.get_ref()) {
                Ok(ageing) => return Some(ageing),
                Err(fault) => fault,
            };
            findings.add(fault.at(text.span(), &join(&path, "ageing")));
            None
        });
        if let (Some(bridge), Some(vni)) = (bridge, vni) {
            let network = model::Network {
                name: name.get_ref().clone(),
                bridge,
                vni,
                hosts: present.keys().map(|host| (*host).to_owned()).collect(),
                subnets: subnets.nets,
                gateways: to_model(&held),
                mtu,
                ageing: ageing.unwrap_or(AGEING),
            };
            networks.insert(network.name.clone(), network);
        }
        gateways.add(name.get_ref(), held);
    }
    gateways.report_overlaps(findings);
    networks
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
    let uplink = present.values().find_map(|host| {
        let (_, place) = host.uplinks.iter().find(|(uplink, _)| uplink == name)?;
        Some((host.name, place.clone()))
    });
    if let Some((host, place)) = uplink {
        let message = format!("{} is an uplink of host {}", quoted(name), quoted(host));
        let taken = Diagnostic::at(bridge.span(), &key, message)
            .help("give the bridge a name that no link of its hosts has, such as `br0`")
            .related(place, "the uplink");
        findings.add(taken);
    }
    Some(name.clone())
}

fn vni(
    raw: &raw::Network,
    network: &str,
    taken: &mut Unique<Vni>,
    findings: &mut Findings,
) -> Option<Vni> {
    let id = raw.vni.0.as_ref()?;
    let vni = Vni::new(*id.get_ref())?;
    if let Some(first) = taken.claim(vni, id.span()) {
        let message = format!("VNI {vni} is that of another network");
        let duplicate = Diagnostic::at(id.span(), &join(network, "vni"), message)
            .help("give each network its own VNI")
            .related(first, "first used here");
        findings.add(duplicate);
    }
    Some(vni)
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
    let over_ipv6 = present
        .values()
        .find_map(|host| host.underlay.as_ref())
        .is_some_and(|(address, _)| matches!(address, IpAddr::V6(_)));
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
