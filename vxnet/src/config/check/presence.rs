//! Which hosts a network is present on.

use std::collections::BTreeMap;

use toml::Spanned;

use super::{
    Unique,
    hosts::{Host, Hosts},
};
use crate::config::{
    diagnostic::{Diagnostic, Fault, Findings, join, quoted},
    place::Placed,
    raw,
};

/// The hosts of a network, by name.
pub(super) type Present<'h, 'a> = BTreeMap<&'a str, &'h Host<'a>>;

pub(super) fn check<'h, 'a>(
    raw: &raw::Network,
    name: &Spanned<String>,
    hosts: &'h Hosts<'a>,
    findings: &mut Findings,
) -> Present<'h, 'a> {
    let network = join("network", name.get_ref());
    let present = listed(raw, &network, hosts, findings);
    if let Some(mixed) = mixed_families(&present, Diagnostic::at(name.span(), &network, "")) {
        findings.add(mixed);
    }
    present
}

fn listed<'h, 'a>(
    raw: &raw::Network,
    network: &str,
    hosts: &'h Hosts<'a>,
    findings: &mut Findings,
) -> Present<'h, 'a> {
    let Some(names) = raw.hosts.value() else {
        return hosts.iter().map(|host| (host.name, host)).collect();
    };
    let key = join(network, "hosts");
    let mut seen = Unique::new();
    let mut present = Present::new();
    for Placed(name) in names {
        if let Some(first) = seen.claim(name.get_ref(), name.span()) {
            let message = format!("host {} is listed twice", quoted(name.get_ref()));
            let duplicate = Diagnostic::at(name.span(), &key, message)
                .help("list each host once")
                .related(first, "first used here");
            findings.add(duplicate);
            continue;
        }
        match hosts.find(name.get_ref()) {
            Ok(host) => {
                present.insert(host.name, host);
            }
            Err(_) if findings.may_be_unread(&join("host", name.get_ref())) => {}
            Err(help) => {
                let message = format!("unknown host {}", quoted(name.get_ref()));
                findings.add(Fault::new(message, help).at(name.span(), &key));
            }
        }
    }
    present
}

/// Returns what is wrong if a host is not one of those of a network.
pub(super) fn absence(
    host: &str,
    network: &str,
    hosts: &Hosts<'_>,
    present: &Present<'_, '_>,
    findings: &Findings,
) -> Option<Fault> {
    if present.contains_key(host) {
        return None;
    }
    match hosts.find(host) {
        Err(_) if findings.may_be_unread(&join("host", host)) => None,
        Err(help) => Some(Fault::new(format!("unknown host {}", quoted(host)), help)),
        Ok(_) if findings.may_be_unread(&join(network, "hosts")) => None,
        Ok(_) => Some(Fault::new(
            format!(
                "host {} is not one of the hosts of the network",
                quoted(host)
            ),
            "add it to `hosts` of the network, or name another host",
        )),
    }
}

/// Returns whether the hosts of a network reach each other over IPv6, as far as that is known.
pub(super) fn is_over_ipv6(present: &Present<'_, '_>) -> Option<bool> {
    let (address, _) = present.values().find_map(|host| host.underlay.as_ref())?;
    Some(address.is_ipv6())
}

/// Returns what is wrong if the hosts of a network cannot send to each other.
fn mixed_families(present: &Present<'_, '_>, at: Diagnostic) -> Option<Diagnostic> {
    let of_family = |is_v4: bool| {
        present.values().find_map(|host| {
            let (address, place) = host.underlay.as_ref()?;
            (address.is_ipv4() == is_v4).then_some((host.name, address, place))
        })
    };
    let (v4_host, v4, v4_place) = of_family(true)?;
    let (v6_host, v6, v6_place) = of_family(false)?;
    let message = format!(
        "hosts {} ({v4}) and {} ({v6}) cannot reach each other: one underlay address is IPv4 and \
         the other IPv6",
        quoted(v4_host),
        quoted(v6_host),
    );
    let mixed = at
        .message(message)
        .help("give all hosts of a network an underlay address of the same family")
        .related(v4_place.clone(), "IPv4")
        .related(v6_place.clone(), "IPv6");
    Some(mixed)
}
