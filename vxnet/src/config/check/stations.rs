//! Addresses whose place the user gives.

use std::collections::BTreeMap;

use vxnet_common::addr::Mac;

use super::{Unique, macs, names, presence::absence, segments::Scope};
use crate::{
    config::{
        diagnostic::{Diagnostic, Findings, join},
        place::{Field, Named},
        raw,
    },
    model,
};

/// Returns the stations of a segment, given under `key`.
pub(super) fn check(
    raw: &Field<Named<raw::Station>>,
    key: &str,
    scope: &Scope<'_, '_>,
    findings: &mut Findings,
) -> BTreeMap<Mac, model::Station> {
    let mut stations = BTreeMap::new();
    let mut seen = Unique::new();
    let all = raw.value().into_iter().flat_map(Named::in_file_order);
    for (text, raw) in all {
        let key = join(key, text.get_ref());
        let mac = match macs::station(text.get_ref()) {
            Ok(mac) => mac,
            Err(fault) => {
                findings.add(fault.at(text.span(), &key));
                continue;
            }
        };
        if let Some(first) = seen.claim(mac, text.span()) {
            let twice = Diagnostic::at(text.span(), &key, format!("{mac} has two places"))
                .help("give each address one place in a segment")
                .related(first, "first used here");
            findings.add(twice);
            continue;
        }
        if let Some(station) = station(raw, &key, scope, findings) {
            stations.insert(mac, station);
        }
    }
    stations
}

fn station(
    raw: &raw::Station,
    key: &str,
    scope: &Scope<'_, '_>,
    findings: &mut Findings,
) -> Option<model::Station> {
    let (host, port) = (raw.host.0.as_ref(), raw.port.0.as_ref());
    if let Some(host) = host {
        let name = host.get_ref();
        if let Some(fault) = absence(name, scope.path, scope.hosts, scope.present, findings) {
            findings.add(fault.at(host.span(), &join(key, "host")));
        }
    }
    if let Some(port) = port
        && let Err(fault) = names::own_link_name(port.get_ref(), "vnet0")
    {
        findings.add(fault.at(port.span(), &join(key, "port")));
    }
    Some(model::Station {
        host: host?.get_ref().clone(),
        port: port?.get_ref().clone(),
    })
}
