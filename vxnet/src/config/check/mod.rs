//! What the fields of a file mean, alone and together: raw tables in, the model out.
//!
//! A value at fault is reported once and left out; what depends on it is then not judged, so that
//! one mistake makes one diagnostic.

mod addresses;
mod ageing;
mod gateways;
mod hosts;
mod links;
mod macs;
mod names;
mod networks;
mod portgroups;
mod ports;
mod presence;
mod segments;
mod stations;
mod subnets;
mod trunks;
mod vlans;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use vxnet_common::map::MAX_SEGMENTS;

use self::{hosts::Hosts, networks::Known};
use super::{
    diagnostic::{Diagnostic, Findings, join},
    raw,
};
use crate::model::{self, VXLAN_PORT};

/// How many (network, host) pairs a fabric may have. Without a limit a file of 1 MiB could ask for
/// 16 000 networks on each of 16 000 hosts.
const MAX_PRESENCES: usize = 1 << 20;

/// Returns the fabric, or `None` if the file is too faulty to make one; the caller refuses it if
/// there is any finding.
pub(super) fn fabric(raw: &raw::Fabric, findings: &mut Findings) -> Option<model::Fabric> {
    let hosts = Hosts::check(raw, findings);
    let presences = presences(raw, hosts.len());
    if presences > MAX_PRESENCES {
        let message =
            format!("the networks are on {presences} hosts, added up: more than vxnet can serve");
        let help = format!(
            "keep it below {MAX_PRESENCES}: list the `hosts` of networks that not all are in"
        );
        findings.add(Diagnostic::of_file(message).help(help));
        return None;
    }
    let (networks, known) = networks::check(raw, &hosts, findings);
    trunks::check(&hosts, &networks, &known, findings);
    report_crowded(&hosts, &known, findings);
    let ports = ports::check(raw, &hosts, &known, findings);
    drop(known);
    Some(model::Fabric {
        hosts: hosts.into_model(ports),
        networks,
        port: raw.port.value().copied().unwrap_or(VXLAN_PORT),
    })
}

/// Returns on how many hosts all networks are, added up; one that lists none is on all.
fn presences(raw: &raw::Fabric, hosts: usize) -> usize {
    let Some(networks) = raw.network.value() else {
        return 0;
    };
    let networks = networks.in_file_order();
    let each = networks
        .iter()
        .map(|(_, network)| network.hosts.value().map_or(hosts, Vec::len));
    each.sum()
}

/// Reports the first host with more segments than its tables hold.
fn report_crowded(hosts: &Hosts<'_>, known: &Known<'_, '_>, findings: &mut Findings) {
    let mut counts = BTreeMap::<_, usize>::new();
    for network in known.networks.values() {
        for host in network.present.keys() {
            *counts.entry(*host).or_default() += network.kind.segment_count();
        }
    }
    let most = MAX_SEGMENTS as usize - 1;
    let Some((host, count)) = counts.into_iter().find(|(_, count)| *count > most) else {
        return;
    };
    if let Ok(host) = hosts.find(host) {
        let message = format!("the host has {count} networks and VLANs, and room for {most}");
        let crowded = Diagnostic::at(host.place.clone(), &join("host", host.name), message)
            .help("list only the VLANs that are used, or take the host out of some networks");
        findings.add(crowded);
    }
}

/// Who was first to use a value that must be unique.
struct Unique<T>(BTreeMap<T, Range<usize>>);

impl<T: Ord> Unique<T> {
    fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Claims a value, or returns the place of the first who did.
    fn claim(&mut self, value: T, span: Range<usize>) -> Option<Range<usize>> {
        if let Some(first) = self.0.get(&value) {
            return Some(first.clone());
        }
        self.0.insert(value, span);
        None
    }

    /// Claims a value of a list, or reports that it is there already.
    fn claim_once(&mut self, value: T, span: Range<usize>, key: &str, findings: &mut Findings) {
        if let Some(first) = self.claim(value, span.clone()) {
            let twice = Diagnostic::at(span, key, "the value is listed twice")
                .help("list each value once")
                .related(first, "first used here");
            findings.add(twice);
        }
    }

    /// Returns the claimed values.
    fn into_set(self) -> BTreeSet<T> {
        self.0.into_keys().collect()
    }
}
