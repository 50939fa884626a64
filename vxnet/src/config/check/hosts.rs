//! The hosts: their names, underlay addresses, and links to the outside.

use std::{collections::BTreeMap, net::IpAddr, ops::Range};

use ipnet::IpNet;

use super::{
    Unique, addresses,
    links::{Links, Role},
    names,
    trunks::{self, Trunks},
};
use crate::{
    config::{
        diagnostic::{Diagnostic, Findings, join, quoted},
        place::{Names, Placed},
        raw,
        shape::nearest,
    },
    model,
};

/// What is known of guests' links, by host and link.
pub(super) type Rules = BTreeMap<String, BTreeMap<String, model::PortRule>>;

/// The hosts of a file, those with faults included: a network may name them all the same.
pub(super) struct Hosts<'a> {
    by_name: BTreeMap<&'a str, Host<'a>>,
    by_underlay: BTreeMap<IpAddr, &'a str>,
}

/// A host as far as it could be understood.
pub(super) struct Host<'a> {
    pub(super) name: &'a str,
    /// Where its name stands.
    pub(super) place: Range<usize>,
    /// Its VTEP address and where that stands.
    pub(super) underlay: Option<(IpAddr, Range<usize>)>,
    /// Its links to the outside.
    pub(super) links: Links<'a>,
    /// Those to a physical switch.
    pub(super) trunks: Trunks<'a>,
    uplinks: Vec<&'a str>,
    multicast: Option<&'a str>,
    receive: model::Receive,
    gro_socket: bool,
}

impl<'a> Hosts<'a> {
    pub(super) fn check(raw: &'a raw::Fabric, findings: &mut Findings) -> Self {
        let mut by_name = BTreeMap::new();
        let mut underlays = Unique::new();
        for (name, raw) in raw
            .host
            .value()
            .into_iter()
            .flat_map(|hosts| hosts.in_file_order())
        {
            let key = join("host", name.get_ref());
            if let Err(fault) = names::fabric_name(name.get_ref()) {
                findings.add(fault.at(name.span(), &key));
            }
            let mut links = Links::new();
            let host = Host {
                name: name.get_ref(),
                place: name.span(),
                underlay: underlay(raw, &key, &mut underlays, findings),
                uplinks: uplinks(raw.uplinks.value(), &key, &mut links, findings),
                multicast: multicast(raw, &key, &mut links, findings),
                trunks: trunks::read(raw, &key, &mut links, findings),
                links,
                receive: raw
                    .receive
                    .value()
                    .map_or_else(Default::default, |receive| (*receive).into()),
                gro_socket: raw.gro_socket.value().is_none_or(|wanted| *wanted),
            };
            by_name.insert(host.name, host);
        }
        let underlay_of = |host: &Host<'a>| Some((host.underlay.as_ref()?.0, host.name));
        let by_underlay = by_name.values().filter_map(underlay_of).collect();
        Self {
            by_name,
            by_underlay,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Returns the host of that name, or what to write instead.
    pub(super) fn find(&self, name: &str) -> Result<&Host<'a>, String> {
        self.by_name.get(name).ok_or_else(|| {
            let known: Vec<_> = self.by_name.keys().copied().collect();
            match nearest(name, &known) {
                Some(near) => format!("did you mean {}?", quoted(near)),
                None => format!("add a table `[{}]`", join("host", name)),
            }
        })
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Host<'a>> {
        self.by_name.values()
    }

    /// Returns a host whose underlay address lies in a subnet.
    pub(super) fn underlay_within(&self, subnet: IpNet) -> Option<(IpAddr, &Host<'a>)> {
        let mut within = self
            .by_underlay
            .range(subnet.network()..=subnet.broadcast());
        let (address, name) = within.next()?;
        Some((*address, self.by_name.get(name)?))
    }

    pub(super) fn into_model(self, mut ports: Rules) -> BTreeMap<String, model::Host> {
        let checked = self.by_name.into_values().filter_map(|host| {
            let checked = model::Host {
                name: host.name.to_owned(),
                underlay: host.underlay?.0,
                uplinks: host.uplinks.into_iter().map(str::to_owned).collect(),
                receive: host.receive,
                gro_socket: host.gro_socket,
                multicast: host.multicast.map(str::to_owned),
                trunks: trunks::to_model(host.trunks),
                ports: ports.remove(host.name).unwrap_or_default(),
            };
            Some((checked.name.clone(), checked))
        });
        checked.collect()
    }
}

impl From<raw::Receive> for model::Receive {
    fn from(receive: raw::Receive) -> Self {
        match receive {
            raw::Receive::Auto => Self::Auto,
            raw::Receive::Xdp => Self::Xdp,
            raw::Receive::XdpDirect => Self::XdpDirect,
            raw::Receive::Tc => Self::Tc,
        }
    }
}

fn underlay(
    raw: &raw::Host,
    host: &str,
    taken: &mut Unique<IpAddr>,
    findings: &mut Findings,
) -> Option<(IpAddr, Range<usize>)> {
    let text = raw.underlay.0.as_ref()?;
    let key = join(host, "underlay");
    match addresses::underlay(text.get_ref()) {
        Err(fault) => {
            findings.add(fault.at(text.span(), &key));
            None
        }
        Ok(address) => {
            if let Some(first) = taken.claim(address, text.span()) {
                let message = format!("underlay address {address} is that of another host");
                let duplicate = Diagnostic::at(text.span(), &key, message)
                    .help("give each host the address of its own VTEP")
                    .related(first, "first used here");
                findings.add(duplicate);
            }
            Some((address, text.span()))
        }
    }
}

fn uplinks<'a>(
    raw: Option<&'a Names>,
    host: &str,
    links: &mut Links<'a>,
    findings: &mut Findings,
) -> Vec<&'a str> {
    let key = join(host, "uplinks");
    let mut uplinks = Vec::new();
    for Placed(uplink) in raw.into_iter().flatten() {
        let (name, span) = (uplink.get_ref().as_str(), uplink.span());
        if let Err(fault) = names::link_name(name) {
            findings.add(fault.at(span, &key));
        } else if let Some((_, first)) = links.claim(name, Role::Uplink, span.clone()) {
            let message = format!("uplink {} is listed twice", quoted(name));
            let duplicate = Diagnostic::at(span, &key, message)
                .help("list each uplink once")
                .related(first, "first used here");
            findings.add(duplicate);
        } else {
            uplinks.push(name);
        }
    }
    uplinks
}

fn multicast<'a>(
    raw: &'a raw::Host,
    host: &str,
    links: &mut Links<'a>,
    findings: &mut Findings,
) -> Option<&'a str> {
    let link = raw.multicast.0.as_ref()?;
    let (name, span, key) = (
        link.get_ref().as_str(),
        link.span(),
        join(host, "multicast"),
    );
    if let Err(fault) = names::own_link_name(name, "eth1") {
        findings.add(fault.at(span, &key));
        return None;
    }
    let is_uplink = links.claim(name, Role::Multicast, span.clone()).is_some();
    let uplinks = raw.uplinks.0.as_ref();
    if let Some(uplinks) = uplinks.filter(|_| !is_uplink)
        && !findings.may_be_unread(&join(host, "uplinks"))
    {
        let message = format!("{} is not one of the uplinks of the host", quoted(name));
        let apart = Diagnostic::at(span, &key, message)
            .help("add it to `uplinks`, or name one of those: what a group receives comes in there")
            .related(uplinks.span(), "the uplinks");
        findings.add(apart);
    }
    Some(name)
}
