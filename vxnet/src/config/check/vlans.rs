//! Lists of VLANs, and whether a network has any.

use std::{collections::BTreeMap, ops::Range};

use toml::Spanned;
use vxnet_common::addr::VlanId;

use crate::config::{
    diagnostic::{Diagnostic, Fault, Findings, join, quoted},
    place::OneOrMany,
    raw::{self, VlanIds},
};

/// How many VLANs all lists of a file may name together. Without a limit a file of 1 MiB could ask
/// for 4094 of them in each of 16 000 networks.
const MOST_NAMED: usize = 1 << 18;

/// What to write where a VLAN id is expected.
const IDS: &str = "write ids from 1 to 4094 and ranges of them, such as `[3, \"4-6\"]`";

/// How many more VLANs the lists of a file may name.
pub(super) struct Allowance {
    left: usize,
}

impl Allowance {
    pub(super) fn new() -> Self {
        Self { left: MOST_NAMED }
    }

    /// Takes one, unless there is none left.
    fn take(&mut self) -> bool {
        let left = self.left.checked_sub(1);
        self.left = left.unwrap_or(0);
        left.is_some()
    }
}

/// The VLANs of a list.
#[derive(Debug, Default)]
pub(super) struct Vlans {
    /// Those that could be read, and where they stand.
    places: BTreeMap<VlanId, Range<usize>>,
    /// Whether there may be others.
    some_unread: bool,
}

impl Vlans {
    pub(super) fn read(
        list: &Spanned<OneOrMany<VlanIds>>,
        key: &str,
        allowance: &mut Allowance,
        findings: &mut Findings,
    ) -> Self {
        let mut vlans = Self::default();
        for (item, place) in OneOrMany::items(list) {
            let ranges = match item {
                VlanIds::Id(id) => vec![
                    VlanId::new(*id)
                        .map(|id| (id, id))
                        .ok_or_else(|| outside(id)),
                ],
                VlanIds::Text(text) => text
                    .split(',')
                    .map(|piece| range(piece.trim_matches(' ')))
                    .collect(),
            };
            for range in ranges {
                match range {
                    Ok(range) => vlans.add(range, &place, key, allowance, findings),
                    Err(fault) => findings.add(fault.at(place.clone(), key)),
                }
            }
        }
        vlans.some_unread |= findings.may_be_unread(key);
        vlans
    }

    /// Adds a range up to the first VLAN that is there already.
    fn add(
        &mut self,
        (first, last): (VlanId, VlanId),
        place: &Range<usize>,
        key: &str,
        allowance: &mut Allowance,
        findings: &mut Findings,
    ) {
        for id in (first.value()..=last.value()).filter_map(VlanId::new) {
            if let Some(first) = self.places.get(&id) {
                let message = format!("VLAN {id} is listed twice");
                let twice = Diagnostic::at(place.clone(), key, message).help("list each VLAN once");
                findings.add(if first == place {
                    twice
                } else {
                    twice.related(first.clone(), "first used here")
                });
                return;
            }
            if !allowance.take() {
                let message = format!("the lists of the file name more than {MOST_NAMED} VLANs");
                let help = "list only the VLANs that are used";
                findings.add(Diagnostic::at(place.clone(), key, message).help(help));
                self.some_unread = true;
                return;
            }
            self.places.insert(id, place.clone());
        }
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = VlanId> {
        self.places.keys().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Returns where a VLAN is listed.
    pub(super) fn place(&self, id: VlanId) -> Option<Range<usize>> {
        self.places.get(&id).cloned()
    }

    /// Returns what is wrong if a VLAN of a network is not in its list.
    pub(super) fn absence(&self, id: VlanId) -> Option<Fault> {
        let is_known = self.places.contains_key(&id) || self.some_unread;
        (!is_known).then(|| {
            Fault::new(
                format!("VLAN {id} is not one of the network"),
                "add it to `vlans` of the network, or write another",
            )
        })
    }
}

/// Reads an id or a range of a text.
fn range(piece: &str) -> Result<(VlanId, VlanId), Fault> {
    let Some((first, last)) = piece.split_once('-') else {
        return number(piece, piece).map(|id| (id, id));
    };
    let (first, last) = (
        number(first.trim_matches(' '), piece)?,
        number(last.trim_matches(' '), piece)?,
    );
    if first > last {
        return Err(Fault::new(
            format!("the range {} runs backwards", quoted(piece)),
            format!("write `{last}-{first}`"),
        ));
    }
    Ok((first, last))
}

fn number(text: &str, piece: &str) -> Result<VlanId, Fault> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = format!("{} is neither a VLAN id nor a range of them", quoted(piece));
        return Err(Fault::new(message, IDS));
    }
    let id = text.parse().ok().and_then(VlanId::new);
    id.ok_or_else(|| outside(&text))
}

fn outside(id: &impl ToString) -> Fault {
    let message = format!("VLAN id {} is not from 1 to 4094", quoted(&id.to_string()));
    Fault::new(message, IDS)
}

/// Whether frames of a network may carry VLAN tags.
#[derive(Debug)]
pub(super) enum Kind {
    /// It is one segment.
    Plain,
    /// Each of its VLANs is one.
    VlanAware(Vlans),
    /// The file does not say, or says both.
    Unknown,
}

impl Kind {
    pub(super) fn check(
        raw: &raw::Network,
        name: &Spanned<String>,
        network: &str,
        allowance: &mut Allowance,
        findings: &mut Findings,
    ) -> Self {
        let (vni_key, vlans_key) = (join(network, "vni"), join(network, "vlans"));
        let list = raw.vlans.0.as_ref();
        let vlans = list.map(|list| Vlans::read(list, &vlans_key, allowance, findings));
        match (&raw.vni.0, vlans, list) {
            (Some(vni), Some(vlans), Some(list)) => {
                let first = vlans
                    .ids()
                    .next()
                    .map_or("ID".to_owned(), |id| id.to_string());
                let help = format!(
                    "take `vlans` out; or give the VNI to one of the VLANs, in `[{network}.vlan.{first}]`"
                );
                let both =
                    Diagnostic::at(vni.span(), &vni_key, "the network has `vni` and `vlans`")
                        .help(help)
                        .related(list.span(), "the VLANs");
                findings.add(both);
                Self::Unknown
            }
            (None, Some(vlans), _) if !findings.may_be_unread(&vni_key) => Self::VlanAware(vlans),
            (Some(_), None, _) if !findings.may_be_unread(&vlans_key) => Self::Plain,
            (None, None, _)
                if !findings.may_be_unread(&vni_key) && !findings.may_be_unread(&vlans_key) =>
            {
                let missing = Fault::new(
                    "missing key `vni` or `vlans`",
                    "add `vni = 10`, the id of the network on the overlay, or a list such as \
                     `vlans = [1001, 1002]`",
                );
                findings.add(missing.at(name.span(), &vni_key));
                Self::Unknown
            }
            _ => Self::Unknown,
        }
    }

    /// Returns the VLANs of a network that has any.
    pub(super) fn vlans(&self) -> Option<&Vlans> {
        match self {
            Self::VlanAware(vlans) => Some(vlans),
            Self::Plain | Self::Unknown => None,
        }
    }

    /// Returns how many segments it makes.
    pub(super) fn segment_count(&self) -> usize {
        self.vlans().map_or(1, Vlans::len)
    }
}
