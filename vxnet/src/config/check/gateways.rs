//! The addresses that hosts hold in the networks.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::Range,
};

use ipnet::IpNet;

use super::{
    Unique, addresses,
    hosts::Hosts,
    presence::{Present, absence},
    subnets::Subnets,
};
use crate::config::{
    diagnostic::{Diagnostic, Fault, Findings, join, quoted},
    place::{OneOrMany, Placed},
    raw,
};

/// An address that a host holds, with the prefix length of its subnet, and where it stands.
type Held = (IpNet, Range<usize>);

/// The addresses that hosts hold in one network, by host.
pub(super) type OfNetwork<'r> = BTreeMap<&'r str, Vec<Held>>;

/// Returns the gateway addresses of a network that can be used.
pub(super) fn check<'r>(
    raw: &'r raw::Network,
    network: &str,
    subnets: &Subnets,
    hosts: &Hosts<'_>,
    present: &Present<'_, '_>,
    findings: &mut Findings,
) -> OfNetwork<'r> {
    let mut held = OfNetwork::new();
    let Some(gateways) = &raw.gateway.0 else {
        return held;
    };
    let key = join(network, "gateway");
    let has_subnet = !subnets.nets.is_empty();
    if !has_subnet && !subnets.some_unread {
        let without = Fault::new(
            "the network has a gateway and no subnet",
            "add `subnet = \"192.168.124.0/24\"`, the range that the gateway is in",
        );
        findings.add(without.at(gateways.span(), &key));
    }
    let mut taken = Unique::new();
    for (host, Placed(texts)) in gateways.get_ref().in_file_order() {
        let key = join(&key, host.get_ref());
        if let Some(fault) = absence(host.get_ref(), network, hosts, present, findings) {
            findings.add(fault.at(host.span(), &key));
        }
        for (text, span) in OneOrMany::texts(texts) {
            let all_known = has_subnet && !subnets.some_unread;
            match addresses::gateway(text, &subnets.nets, all_known) {
                Err(fault) => findings.add(fault.at(span, &key)),
                Ok(None) => {}
                Ok(Some(address)) => {
                    if let Some(first) = taken.claim(address.addr(), span.clone()) {
                        findings.add(shared(
                            address.addr(),
                            first,
                            Diagnostic::at(span.clone(), &key, ""),
                        ));
                    }
                    held.entry(host.get_ref().as_str())
                        .or_default()
                        .push((address, span));
                }
            }
        }
    }
    held
}

fn shared(address: IpAddr, first: Range<usize>, at: Diagnostic) -> Diagnostic {
    at.message(format!("gateway {address} is held twice"))
        .help(
            "give each host its own address: the same one on several hosts (anycast) is not \
             supported yet",
        )
        .related(first, "first used here")
}

/// The addresses that hosts hold in all networks, by host.
pub(super) struct Gateways<'r>(BTreeMap<&'r str, Vec<(&'r str, Held)>>);

impl<'r> Gateways<'r> {
    pub(super) fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(super) fn add(&mut self, network: &'r str, held: OfNetwork<'r>) {
        for (host, addresses) in held {
            let of_host = self.0.entry(host).or_default();
            of_host.extend(addresses.into_iter().map(|address| (network, address)));
        }
    }

    /// Reports hosts that hold addresses in overlapping subnets of two networks: the host would not
    /// know which of them a guest is in. Elsewhere the subnets of two networks may overlap.
    pub(super) fn report_overlaps(&self, findings: &mut Findings) {
        // One diagnostic for two networks is enough, however many hosts they share.
        let mut reported = BTreeSet::new();
        for (host, held) in &self.0 {
            let subnets: Vec<_> = held
                .iter()
                .map(|(_, (address, _))| address.trunc())
                .collect();
            for (outer, inner) in addresses::nested(&subnets) {
                let (first, second) = (outer.min(inner), outer.max(inner));
                let (first_network, (_, first_place)) = &held[first];
                let (network, (address, place)) = &held[second];
                if first_network == network || !reported.insert((*first_network, *network)) {
                    continue;
                }
                let message = format!(
                    "host {} would hold {address} here and an address of {} in network {}: the \
                     subnets overlap",
                    quoted(host),
                    subnets[first],
                    quoted(first_network),
                );
                let key = join(&join(&join("network", network), "gateway"), host);
                let overlap = Diagnostic::at(place.clone(), &key, message)
                    .help("choose another subnet, or take the host's gateway out of one network")
                    .related(first_place.clone(), "the other address");
                findings.add(overlap);
            }
        }
    }
}
