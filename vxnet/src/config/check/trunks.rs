//! The links to a physical switch: of the host they stand under, and of the network they carry.

use std::{collections::BTreeMap, ops::Range};

use toml::Spanned;
use vxnet_common::addr::VlanId;

use super::{
    hosts::{Host, Hosts},
    links::{Links, Role},
    names,
    networks::Known,
    vlans::Kind,
};
use crate::{
    config::{
        diagnostic::{Diagnostic, Fault, Findings, join, quoted},
        place::{Placed, ShortOrTable},
        raw,
        shape::nearest,
    },
    model,
};

/// The trunks of a host, by the network whose VLANs they carry.
pub(super) type Trunks<'a> = BTreeMap<&'a str, Trunk<'a>>;

/// A trunk as far as it could be understood.
pub(super) struct Trunk<'a> {
    /// Where the network is named.
    pub(super) place: Range<usize>,
    link: Option<&'a str>,
    native: Option<(VlanId, Range<usize>)>,
}

/// Returns the trunks of a host, each on a link of its own.
pub(super) fn read<'a>(
    raw: &'a raw::Host,
    host: &str,
    links: &mut Links<'a>,
    findings: &mut Findings,
) -> Trunks<'a> {
    let key = join(host, "trunk");
    let all = raw.trunk.value().into_iter();
    let read = all
        .flat_map(|all| all.in_file_order())
        .map(|(network, Placed(trunk))| {
            let key = join(&key, network.get_ref());
            let (text, key, native) = match trunk.get_ref() {
                ShortOrTable::Short(link) => (Some((link, trunk.span())), key, None),
                ShortOrTable::Table(table) => {
                    let text = table
                        .link
                        .0
                        .as_ref()
                        .map(|link| (link.get_ref(), link.span()));
                    (text, join(&key, "link"), table.native.0.as_ref())
                }
            };
            let trunk = Trunk {
                place: network.span(),
                link: text.and_then(|(text, place)| link(text, place, &key, links, findings)),
                native: native.and_then(|id| Some((VlanId::new(*id.get_ref())?, id.span()))),
            };
            (network.get_ref().as_str(), trunk)
        });
    read.collect()
}

fn link<'a>(
    name: &'a str,
    place: Range<usize>,
    key: &str,
    links: &mut Links<'a>,
    findings: &mut Findings,
) -> Option<&'a str> {
    if let Err(fault) = names::own_link_name(name, "enp5s0f0") {
        findings.add(fault.at(place, key));
        return None;
    }
    if let Some((role, first)) = links.claim(name, Role::Trunk, place.clone()) {
        let message = format!(
            "{} is {} of the host already",
            quoted(name),
            role.describe()
        );
        let taken = Diagnostic::at(place, key, message)
            .help("give each trunk a link that serves nothing else")
            .related(first, "first used here");
        findings.add(taken);
    }
    Some(name)
}

/// Checks the trunks of all hosts against the networks that they carry.
pub(super) fn check(
    hosts: &Hosts<'_>,
    networks: &BTreeMap<String, model::Network>,
    known: &Known<'_, '_>,
    findings: &mut Findings,
) {
    for host in hosts.iter() {
        let key = join(&join("host", host.name), "trunk");
        for (network, trunk) in &host.trunks {
            let fault = misplaced(host, network, known, findings);
            if let Some(fault) = fault {
                findings.add(fault.at(trunk.place.clone(), &join(&key, network)));
                continue;
            }
            let vlans = known
                .networks
                .get(*network)
                .and_then(|network| network.kind.vlans());
            let (Some(vlans), Some((native, place))) = (vlans, &trunk.native) else {
                continue;
            };
            let of_other = || carried_elsewhere(*native, networks.get(*network)?, host.name);
            if let Some(fault) = vlans.absence(*native).or_else(of_other) {
                let key = join(&join(&key, network), "native");
                findings.add(fault.at(place.clone(), &key));
            }
        }
    }
}

/// Returns what is wrong if the trunk of another host carries a VLAN.
fn carried_elsewhere(vlan: VlanId, network: &model::Network, host: &str) -> Option<Fault> {
    let gateway = network.segments.get(&Some(vlan))?.trunk_gateway.as_ref()?;
    (gateway != host).then(|| {
        Fault::new(
            format!(
                "VLAN {vlan} is carried by the trunk of host {} alone",
                quoted(gateway)
            ),
            "take `native` out, or write a VLAN that this trunk carries",
        )
    })
}

/// Returns what is wrong if a host cannot have a trunk into a network.
fn misplaced(
    host: &Host<'_>,
    name: &str,
    known: &Known<'_, '_>,
    findings: &Findings,
) -> Option<Fault> {
    let path = join("network", name);
    let Some(network) = known.networks.get(name) else {
        if findings.may_be_unread(&path) {
            return None;
        }
        let names: Vec<_> = known.networks.keys().copied().collect();
        let help = match nearest(name, &names) {
            Some(near) => format!("did you mean {}?", quoted(near)),
            None => format!("add a table `[{path}]`"),
        };
        return Some(Fault::new(
            format!("unknown network {}", quoted(name)),
            help,
        ));
    };
    if matches!(network.kind, Kind::Plain) {
        let message = format!("network {} has no VLANs for a trunk to carry", quoted(name));
        let help = format!(
            "give it `vlans` in place of `vni`, or take the trunk out of `[{}]`",
            join("host", host.name)
        );
        return Some(Fault::new(message, help));
    }
    if network.present.contains_key(host.name) || findings.may_be_unread(&join(&path, "hosts")) {
        return None;
    }
    Some(Fault::new(
        format!(
            "network {} is not on host {}",
            quoted(name),
            quoted(host.name)
        ),
        "add the host to `hosts` of the network, or take the trunk out",
    ))
}

/// Returns the one host whose trunk carries a VLAN that is on the overlay too.
///
/// A frame from one trunk would come back by another, over the physical switch: a loop, unless all
/// hosts but one leave their trunk out.
pub(super) fn gateway(
    gateway: Option<&Spanned<String>>,
    vni: Option<&Spanned<u32>>,
    vlan: &str,
    network: &str,
    on_trunk: &[&Host<'_>],
    findings: &mut Findings,
) -> Option<String> {
    let key = join(vlan, "trunk-gateway");
    let place = |host: &Host<'_>| host.trunks.get(network).map(|trunk| trunk.place.clone());
    match (gateway, vni, on_trunk) {
        (None, Some(vni), [first, second, ..]) if !findings.may_be_unread(&key) => {
            let message = format!(
                "the VLAN is on the overlay and on the trunks of hosts {} and {}: a loop",
                quoted(first.name),
                quoted(second.name),
            );
            let mut looping = Diagnostic::at(vni.span(), &key, message).help(format!(
                "name the one host whose trunk carries it: `trunk-gateway = \"{}\"`",
                first.name
            ));
            for host in [first, second] {
                if let Some(place) = place(host) {
                    looping = looping.related(place, "a trunk");
                }
            }
            findings.add(looping);
            None
        }
        (Some(gateway), None, _) => {
            if !findings.may_be_unread(&join(vlan, "vni")) {
                let needless = Fault::new(
                    "the VLAN has a trunk gateway and no VNI",
                    "take `trunk-gateway` out: without a VNI, every trunk carries the VLAN",
                );
                findings.add(needless.at(gateway.span(), &key));
            }
            None
        }
        (Some(gateway), Some(_), _) => {
            let host = gateway.get_ref();
            if on_trunk.iter().any(|on_trunk| on_trunk.name == host) {
                return Some(host.clone());
            }
            let trunk = join(&join("host", host), "trunk");
            if !findings.may_be_unread(&trunk) && !findings.may_be_unread(&join(&trunk, network)) {
                let message = format!("host {} has no trunk into the network", quoted(host));
                let names: Vec<_> = on_trunk.iter().map(|host| quoted(host.name)).collect();
                let help = if names.is_empty() {
                    "take `trunk-gateway` out: no host has a trunk into the network".to_owned()
                } else {
                    format!("name a host with a trunk: {}", names.join(", "))
                };
                findings.add(Fault::new(message, help).at(gateway.span(), &key));
            }
            None
        }
        _ => None,
    }
}

pub(super) fn to_model(trunks: Trunks<'_>) -> BTreeMap<String, model::Trunk> {
    let checked = trunks.into_iter().filter_map(|(network, trunk)| {
        let checked = model::Trunk {
            link: trunk.link?.to_owned(),
            native: trunk.native.map(|(native, _)| native),
        };
        Some((network.to_owned(), checked))
    });
    checked.collect()
}
