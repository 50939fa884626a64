//! Portgroups: which VLANs their ports have, and what their guests may do.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use vxnet_common::addr::VlanId;

use super::{
    Unique, names,
    vlans::{Allowance, Kind, Vlans},
};
use crate::{
    config::{
        diagnostic::{Diagnostic, Fault, Findings, join, quoted},
        place::{Field, Named, Placed},
        raw::{self, Allow, NativeMode},
    },
    model,
};

/// The portgroups of a network.
#[derive(Debug, Default)]
pub(super) struct Portgroups {
    pub(super) by_name: BTreeMap<String, model::Portgroup>,
    pub(super) default: Option<String>,
}

/// Returns the portgroups of a network.
pub(super) fn check(
    raw: &raw::Network,
    network: &str,
    kind: &Kind,
    allowance: &mut Allowance,
    findings: &mut Findings,
) -> Portgroups {
    let mut portgroups = Portgroups::default();
    let mut defaults = Unique::new();
    let all = raw
        .portgroup
        .value()
        .into_iter()
        .flat_map(Named::in_file_order);
    for (name, raw) in all {
        let path = join(&join(network, "portgroup"), name.get_ref());
        if let Err(fault) = names::fabric_name(name.get_ref()) {
            findings.add(fault.at(name.span(), &path));
        }
        let mut portgroup = model::Portgroup {
            isolated: is_set(&raw.isolated),
            locked: is_set(&raw.locked),
            bum_limit: raw.bum_limit.value().copied(),
            fdb_limit: raw.fdb_limit.value().copied(),
            ..model::Portgroup::default()
        };
        let allowed = allowed(raw, &path, findings);
        portgroup.dhcp_server = allowed.contains(&Allow::DhcpServer);
        portgroup.router = allowed.contains(&Allow::Router);
        match kind {
            Kind::Plain => report_vlan_keys(raw, &path, findings),
            Kind::VlanAware(_) | Kind::Unknown => {
                let vlans = kind.vlans();
                set_vlans(&mut portgroup, raw, name, &path, vlans, allowance, findings);
            }
        }
        if let Some(default) = raw.default.0.as_ref().filter(|default| *default.get_ref()) {
            if let Some(first) = defaults.claim((), default.span()) {
                let message = "another portgroup of the network is the default";
                let second = Diagnostic::at(default.span(), &join(&path, "default"), message)
                    .help("mark one portgroup of a network at most")
                    .related(first, "first used here");
                findings.add(second);
            } else {
                portgroups.default = Some(name.get_ref().clone());
            }
        }
        portgroups.by_name.insert(name.get_ref().clone(), portgroup);
    }
    portgroups
}

fn is_set(field: &Field<bool>) -> bool {
    field.value().copied().unwrap_or(false)
}

fn allowed(raw: &raw::Portgroup, path: &str, findings: &mut Findings) -> BTreeSet<Allow> {
    let key = join(path, "allow");
    let mut seen = Unique::new();
    for Placed(allow) in raw.allow.value().into_iter().flatten() {
        seen.claim_once(*allow.get_ref(), allow.span(), &key, findings);
    }
    seen.into_set()
}

/// Reports the first key about VLANs of a portgroup in a network without any.
fn report_vlan_keys(raw: &raw::Portgroup, path: &str, findings: &mut Findings) {
    let found = [
        ("vlan", raw.vlan.0.as_ref().map(Spanned::span)),
        ("vlans", raw.vlans.0.as_ref().map(Spanned::span)),
        ("native", raw.native.0.as_ref().map(Spanned::span)),
        ("native-mode", raw.native_mode.0.as_ref().map(Spanned::span)),
    ];
    let of_place = |(key, place): (_, Option<std::ops::Range<usize>>)| Some((place?, key));
    let first = found.into_iter().filter_map(of_place);
    if let Some((place, key)) = first.min_by_key(|(place, _)| place.start) {
        let message = format!("the portgroup has `{key}` and its network no VLANs");
        let help = format!("take `{key}` out, or give the network `vlans` in place of `vni`");
        findings.add(Fault::new(message, help).at(place, &join(path, key)));
    }
}

/// `vlans` are those of the network, if it is known to have any.
fn set_vlans(
    portgroup: &mut model::Portgroup,
    raw: &raw::Portgroup,
    name: &Spanned<String>,
    path: &str,
    vlans: Option<&Vlans>,
    allowance: &mut Allowance,
    findings: &mut Findings,
) {
    let key = join(path, "vlans");
    let list = raw.vlans.0.as_ref();
    let tagged = list.map(|list| Vlans::read(list, &key, allowance, findings));
    let one_of = |id, findings: &mut Findings, place, key: &str| {
        if let Some(fault) = vlans.and_then(|vlans| vlans.absence(id)) {
            findings.add(fault.at(place, &join(path, key)));
        }
    };
    match (&raw.vlan.0, tagged) {
        (Some(vlan), Some(_)) => {
            let both = Fault::new(
                "the portgroup has `vlan` and `vlans`",
                "keep `vlan` for an access port or `vlans` for a trunk port; the VLAN of a trunk \
                 port's untagged frames is `native`",
            );
            findings.add(both.at(vlan.span(), &join(path, "vlan")));
        }
        (Some(vlan), None) => {
            portgroup.pvid = VlanId::new(*vlan.get_ref());
            if let Some(id) = portgroup.pvid {
                one_of(id, findings, vlan.span(), "vlan");
            }
        }
        (None, Some(tagged)) => {
            for id in tagged.ids() {
                if let Some(place) = tagged.place(id) {
                    one_of(id, findings, place, "vlans");
                }
            }
            set_native(portgroup, raw, path, &tagged, findings);
            if let (Some(pvid), Some(native)) = (portgroup.pvid, &raw.native.0) {
                one_of(pvid, findings, native.span(), "native");
            }
            // As in Open vSwitch: the guest may also tag what it could send without a tag.
            portgroup.tagged = tagged.ids().chain(portgroup.pvid).collect();
        }
        (None, None) => {
            let is_read =
                !findings.may_be_unread(&join(path, "vlan")) && !findings.may_be_unread(&key);
            if vlans.is_some() && is_read {
                let missing = Fault::new(
                    "missing key `vlan` or `vlans`",
                    "add `vlan = 1001` for an access port, or a list such as `vlans = [1001, 1002]` \
                     for a trunk port",
                );
                findings.add(missing.at(name.span(), &join(path, "vlan")));
            }
        }
    }
    report_native_alone(raw, path, findings);
}

fn set_native(
    portgroup: &mut model::Portgroup,
    raw: &raw::Portgroup,
    path: &str,
    tagged: &Vlans,
    findings: &mut Findings,
) {
    let Some(native) = &raw.native.0 else { return };
    let Some(id) = VlanId::new(*native.get_ref()) else {
        return;
    };
    portgroup.pvid = Some(id);
    portgroup.native_tagged = raw.native_mode.value() == Some(&NativeMode::Tagged);
    // A VLAN leaves with a tag or without one.
    let is_untagged =
        !portgroup.native_tagged && !findings.may_be_unread(&join(path, "native-mode"));
    if let Some(place) = tagged.place(id).filter(|_| is_untagged) {
        let message = format!("VLAN {id} is listed as tagged and leaves untagged, as `native`");
        let both = Diagnostic::at(place, &join(path, "vlans"), message)
            .help("take it out of `vlans`, or add `native-mode = \"tagged\"`")
            .related(native.span(), "the native VLAN");
        findings.add(both);
    }
}

/// Reports what tells of a native VLAN where there is none.
fn report_native_alone(raw: &raw::Portgroup, path: &str, findings: &mut Findings) {
    let is_absent = |key| !findings.may_be_unread(&join(path, key));
    let fault = match (&raw.native.0, &raw.native_mode.0) {
        (Some(native), _) if raw.vlans.0.is_none() && is_absent("vlans") => Fault::new(
            format!("native VLAN {} of a port without `vlans`", native.get_ref()),
            format!(
                "write `vlan = {}` alone, or add the VLANs with tags as `vlans`",
                native.get_ref()
            ),
        )
        .at(native.span(), &join(path, "native")),
        (None, Some(mode)) if is_absent("native") => Fault::new(
            "`native-mode` without `native`",
            format!(
                "add `native`, the VLAN of {} frames, or take it out",
                quoted("untagged")
            ),
        )
        .at(mode.span(), &join(path, "native-mode")),
        _ => return,
    };
    findings.add(fault);
}
