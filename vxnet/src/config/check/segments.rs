//! The segments of a network: one, or one for each of its VLANs.

mod keys;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::Range,
    time::Duration,
};

use vxnet_common::addr::{VlanId, Vni};

use self::keys::Keys;
use super::{
    Unique, addresses, ageing,
    hosts::{Host, Hosts},
    presence::{Present, is_over_ipv6},
    stations, trunks,
    vlans::{Kind, Vlans},
};
use crate::{
    config::{
        diagnostic::{Diagnostic, Fault, Findings, join, quoted},
        place::{Field, Named, Placed, ShortOrTable},
        raw,
    },
    model::{AGEING, Flood, Segment, Suppress},
};

/// The segments of a network, by VLAN.
pub(super) type Segments = BTreeMap<Option<VlanId>, Segment>;

/// What the segments of a network have in common.
pub(super) struct Scope<'n, 'a> {
    pub(super) name: &'n str,
    /// The path of its table.
    pub(super) path: &'n str,
    pub(super) hosts: &'n Hosts<'a>,
    pub(super) present: &'n Present<'n, 'a>,
}

/// Returns the segments of a network, as far as it is known which it has.
pub(super) fn check(
    raw: &raw::Network,
    kind: &Kind,
    scope: &Scope<'_, '_>,
    vnis: &mut Unique<Vni>,
    findings: &mut Findings,
) -> Segments {
    match kind {
        Kind::Unknown => Segments::new(),
        Kind::Plain => {
            report_vlan_tables(raw, scope, findings);
            let segment = segment(&raw.into(), scope.path, scope, AGEING, &[], vnis, findings);
            BTreeMap::from([(None, segment)])
        }
        Kind::VlanAware(vlans) => {
            Keys::from(raw).report_misplaced(vlans, scope.path, findings);
            of_vlans(raw, vlans, scope, vnis, findings)
        }
    }
}

fn of_vlans(
    raw: &raw::Network,
    vlans: &Vlans,
    scope: &Scope<'_, '_>,
    vnis: &mut Unique<Vni>,
    findings: &mut Findings,
) -> Segments {
    let ageing = ageing(&raw.ageing, scope.path, findings).unwrap_or(AGEING);
    let usual = |id| {
        let segment = Segment {
            ageing,
            ..Segment::new(None)
        };
        (Some(id), segment)
    };
    let mut segments: Segments = vlans.ids().map(usual).collect();
    let on_trunk: Vec<_> = scope
        .present
        .values()
        .copied()
        .filter(|host| host.trunks.contains_key(scope.name))
        .collect();
    let tables = raw.vlan.value().into_iter().flat_map(Named::in_file_order);
    for (text, raw) in tables {
        let path = join(&join(scope.path, "vlan"), text.get_ref());
        let id = match vlan_id(text.get_ref()) {
            Ok(id) => id,
            Err(fault) => {
                findings.add(fault.at(text.span(), &path));
                continue;
            }
        };
        if let Some(fault) = vlans.absence(id) {
            findings.add(fault.at(text.span(), &path));
            continue;
        }
        let segment = segment(&raw.into(), &path, scope, ageing, &on_trunk, vnis, findings);
        segments.insert(Some(id), segment);
    }
    segments
}

/// Reads the id that a table is named after.
fn vlan_id(text: &str) -> Result<VlanId, Fault> {
    let id = text.parse().ok().and_then(VlanId::new);
    // One way of writing each, so that a VLAN has one table.
    id.filter(|id| id.to_string() == text).ok_or_else(|| {
        Fault::new(
            format!("{} is not a VLAN id", quoted(text)),
            "name the table after an id from 1 to 4094",
        )
    })
}

fn segment(
    keys: &Keys<'_>,
    path: &str,
    scope: &Scope<'_, '_>,
    usual_ageing: Duration,
    on_trunk: &[&Host<'_>],
    vnis: &mut Unique<Vni>,
    findings: &mut Findings,
) -> Segment {
    let on = |field: &Field<bool>| field.value().copied().unwrap_or(true);
    Segment {
        vni: vni(keys, path, vnis, findings),
        ageing: ageing(keys.ageing, path, findings).unwrap_or(usual_ageing),
        group: group(keys, path, scope, findings),
        flood: Flood {
            unknown_unicast: on(keys.unknown_unicast),
            broadcast: on(keys.broadcast),
            multicast: on(keys.multicast),
        },
        suppress: suppress(keys, path, findings),
        trunk_gateway: trunks::gateway(
            keys.trunk_gateway,
            keys.vni.0.as_ref(),
            path,
            scope.name,
            on_trunk,
            findings,
        ),
        stations: stations::check(keys.fdb, &join(path, "fdb"), scope, findings),
    }
}

fn vni(
    keys: &Keys<'_>,
    path: &str,
    taken: &mut Unique<Vni>,
    findings: &mut Findings,
) -> Option<Vni> {
    let id = keys.vni.0.as_ref()?;
    let vni = Vni::new(*id.get_ref())?;
    if let Some(first) = taken.claim(vni, id.span()) {
        let message = format!("VNI {vni} is that of another network or VLAN");
        let duplicate = Diagnostic::at(id.span(), &join(path, "vni"), message)
            .help("give each network, and each VLAN on the overlay, its own VNI")
            .related(first, "first used here");
        findings.add(duplicate);
    }
    Some(vni)
}

fn ageing(raw: &Field<raw::Ageing>, path: &str, findings: &mut Findings) -> Option<Duration> {
    let text = raw.0.as_ref()?;
    match ageing::ageing(text.get_ref()) {
        Ok(ageing) => Some(ageing),
        Err(fault) => {
            findings.add(fault.at(text.span(), &join(path, "ageing")));
            None
        }
    }
}

fn group(
    keys: &Keys<'_>,
    path: &str,
    scope: &Scope<'_, '_>,
    findings: &mut Findings,
) -> Option<IpAddr> {
    let text = keys.flood.0.as_ref()?;
    let key = join(path, "flood");
    let checked = addresses::group(text.get_ref()).and_then(|group| {
        if keys.vni.0.is_none() && !findings.may_be_unread(&join(path, "vni")) {
            return Err(Fault::new(
                "the VLAN has a multicast group and no VNI",
                "add `vni = 5001`, an id of its own on the overlay, or take `flood` out",
            ));
        }
        match is_over_ipv6(scope.present) {
            Some(over_ipv6) if over_ipv6 != group.is_ipv6() => {
                let (of_group, of_hosts, example) = if over_ipv6 {
                    ("IPv4", "IPv6", "ff08::10")
                } else {
                    ("IPv6", "IPv4", "239.0.0.10")
                };
                Err(Fault::new(
                    format!("{group} is {of_group}, and the underlay of the hosts is {of_hosts}"),
                    format!("write a group such as `{example}`"),
                ))
            }
            _ => Ok(group),
        }
    });
    match checked {
        Ok(group) => Some(group),
        Err(fault) => {
            findings.add(fault.at(text.span(), &key));
            None
        }
    }
}

fn suppress(keys: &Keys<'_>, path: &str, findings: &mut Findings) -> Option<Suppress> {
    let texts = match keys.suppress.value()? {
        ShortOrTable::Short(on) => return on.then(Suppress::default),
        ShortOrTable::Table(table) => table.except.value(),
    };
    let key = join(&join(path, "suppress"), "except");
    let texts = texts.into_iter().flatten();
    let texts = texts.map(|Placed(text)| (text.get_ref().as_str(), text.span()));
    Some(Suppress {
        except: addresses_of_guests(texts, &key, findings),
    })
}

/// Reads a list of guests' addresses.
pub(super) fn addresses_of_guests<'r>(
    texts: impl Iterator<Item = (&'r str, Range<usize>)>,
    key: &str,
    findings: &mut Findings,
) -> BTreeSet<IpAddr> {
    let mut seen = Unique::new();
    for (text, place) in texts {
        match addresses::guest(text) {
            Err(fault) => findings.add(fault.at(place, key)),
            Ok(address) => seen.claim_once(address, place, key, findings),
        }
    }
    seen.into_set()
}

/// Reports the tables of VLANs under a network that has none.
fn report_vlan_tables(raw: &raw::Network, scope: &Scope<'_, '_>, findings: &mut Findings) {
    if let Some(place) = Named::place(&raw.vlan) {
        let needless = Fault::new(
            format!("network {} has no VLANs", quoted(scope.name)),
            "write what is in the table into that of the network, or list its VLANs in `vlans`",
        );
        findings.add(needless.at(place, &join(scope.path, "vlan")));
    }
}
