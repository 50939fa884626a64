//! What the file says of guests' links.

use std::{collections::BTreeSet, net::IpAddr};

use toml::Spanned;
use vxnet_common::addr::Mac;

use super::{
    Unique,
    hosts::{Host, Hosts, Rules},
    macs, names,
    networks::Known,
    segments::addresses_of_guests,
};
use crate::{
    config::{
        diagnostic::{Diagnostic, Fault, Findings, join, quoted},
        place::{Named, OneOrMany},
        raw,
        shape::nearest,
    },
    model,
};

/// Returns the rules of all hosts.
pub(super) fn check(
    raw: &raw::Fabric,
    hosts: &Hosts<'_>,
    known: &Known<'_, '_>,
    findings: &mut Findings,
) -> Rules {
    let mut rules = Rules::new();
    let all = raw.host.value().into_iter().flat_map(Named::in_file_order);
    for (name, raw) in all {
        let Ok(host) = hosts.find(name.get_ref()) else {
            continue;
        };
        let key = join(&join("host", host.name), "port");
        let ports = raw.port.value().into_iter().flat_map(Named::in_file_order);
        let ports = ports.map(|(link, raw)| {
            let key = join(&key, link.get_ref());
            check_link(link, &key, host, known, findings);
            let rule = model::PortRule {
                portgroup: portgroup(raw, &key, host, known, findings),
                macs: macs(raw, &key, findings),
                addresses: ips(raw, &key, findings),
            };
            (link.get_ref().clone(), rule)
        });
        rules.insert(host.name.to_owned(), ports.collect());
    }
    rules
}

fn check_link(
    link: &Spanned<String>,
    key: &str,
    host: &Host<'_>,
    known: &Known<'_, '_>,
    findings: &mut Findings,
) {
    let name = link.get_ref();
    if let Err(fault) = names::own_link_name(name, "vnet0") {
        findings.add(fault.at(link.span(), key));
        return;
    }
    let bridge = || Some(("a bridge", known.bridge_on(name, host.name)?));
    let role = host
        .links
        .find(name)
        .map(|(role, place)| (role.describe(), place));
    if let Some((role, first)) = role.or_else(bridge) {
        let message = format!("{} is {role} of the host, no guest's link", quoted(name));
        let taken = Diagnostic::at(link.span(), key, message)
            .help("name the table after a guest's link, such as `vnet0`")
            .related(first, "used here");
        findings.add(taken);
    }
}

fn portgroup(
    raw: &raw::Port,
    key: &str,
    host: &Host<'_>,
    known: &Known<'_, '_>,
    findings: &mut Findings,
) -> Option<String> {
    let name = raw.portgroup.0.as_ref()?;
    let mut portgroups = BTreeSet::new();
    for (network, known) in &known.networks {
        if !known.present.contains_key(host.name) {
            continue;
        }
        let path = join("network", network);
        let all = join(&path, "portgroup");
        if known.portgroups.contains(name.get_ref().as_str())
            || findings.may_be_unread(&path)
            || findings.may_be_unread(&all)
            || findings.may_be_unread(&join(&all, name.get_ref()))
        {
            return Some(name.get_ref().clone());
        }
        portgroups.extend(&known.portgroups);
    }
    let message = format!(
        "no network of host {} has a portgroup {}",
        quoted(host.name),
        quoted(name.get_ref())
    );
    let portgroups: Vec<&str> = portgroups.into_iter().collect();
    let help = match nearest(name.get_ref(), &portgroups) {
        Some(near) => format!("did you mean {}?", quoted(near)),
        None => format!(
            "add a table `[network.NAME.{}]`",
            join("portgroup", name.get_ref())
        ),
    };
    findings.add(Fault::new(message, help).at(name.span(), &join(key, "portgroup")));
    None
}

fn macs(raw: &raw::Port, key: &str, findings: &mut Findings) -> BTreeSet<Mac> {
    let key = join(key, "mac");
    let mut seen = Unique::new();
    for (text, place) in raw.mac.0.iter().flat_map(OneOrMany::texts) {
        match macs::station(text) {
            Err(fault) => findings.add(fault.at(place, &key)),
            Ok(mac) => seen.claim_once(mac, place, &key, findings),
        }
    }
    seen.into_set()
}

fn ips(raw: &raw::Port, key: &str, findings: &mut Findings) -> BTreeSet<IpAddr> {
    let texts = raw.ip.0.iter().flat_map(OneOrMany::texts);
    addresses_of_guests(texts, &join(key, "ip"), findings)
}
