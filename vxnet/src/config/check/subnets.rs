//! The subnets of a network, and the underlay addresses they must not hide.

use ipnet::IpNet;

use super::{addresses, hosts::Hosts};
use crate::config::{
    diagnostic::{Diagnostic, Findings, join, quoted},
    place::OneOrMany,
    raw,
};

/// The subnets of a network.
#[derive(Default)]
pub(super) struct Subnets {
    /// Those that could be read.
    pub(super) nets: Vec<IpNet>,
    /// Whether there may be others.
    pub(super) some_unread: bool,
}

impl Subnets {
    pub(super) fn check(
        raw: &raw::Network,
        network: &str,
        hosts: &Hosts<'_>,
        findings: &mut Findings,
    ) -> Self {
        let key = join(network, "subnet");
        let mut nets = Vec::new();
        let mut places = Vec::new();
        for (text, span) in raw.subnet.0.iter().flat_map(OneOrMany::texts) {
            match addresses::subnet(text) {
                Ok(net) => {
                    nets.push(net);
                    places.push(span);
                }
                Err(fault) => findings.add(fault.at(span, &key)),
            }
        }
        let some_unread = findings.may_be_unread(&key);

        for (net, place) in nets.iter().zip(&places) {
            if let Some((address, host)) = hosts.underlay_within(*net) {
                let message = format!(
                    "subnet {net} holds {address}, the underlay address of host {}: packets to it \
                     would be sent into the overlay that they carry",
                    quoted(host.name),
                );
                let hiding = Diagnostic::at(place.clone(), &key, message)
                    .help("choose a subnet apart from the underlay")
                    .related(host.place.clone(), "this host");
                findings.add(hiding);
            }
        }
        for (outer, inner) in addresses::nested(&nets) {
            let (first, second) = (outer.min(inner), outer.max(inner));
            let message = format!("subnet {} overlaps with {}", nets[second], nets[first]);
            let overlap = Diagnostic::at(places[second].clone(), &key, message)
                .help("list ranges that have no address in common")
                .related(places[first].clone(), "first used here");
            findings.add(overlap);
        }
        Self { nets, some_unread }
    }

    pub(super) fn any_ipv6(&self) -> bool {
        self.nets.iter().any(|net| matches!(net, IpNet::V6(_)))
    }
}
