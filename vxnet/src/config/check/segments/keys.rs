//! The settings of one segment, wherever they stand.

use toml::Spanned;

use crate::config::{
    check::vlans::Vlans,
    diagnostic::{Fault, Findings, join},
    place::{Field, Named},
    raw,
};

/// The keys of one segment, which stand under the network or under one of its VLANs.
pub(super) struct Keys<'r> {
    pub(super) vni: &'r Field<u32>,
    pub(super) ageing: &'r Field<raw::Ageing>,
    pub(super) flood: &'r Field<String>,
    pub(super) unknown_unicast: &'r Field<bool>,
    pub(super) broadcast: &'r Field<bool>,
    pub(super) multicast: &'r Field<bool>,
    pub(super) suppress: &'r Field<raw::Suppress>,
    pub(super) trunk_gateway: Option<&'r Spanned<String>>,
    pub(super) fdb: &'r Field<Named<raw::Station>>,
}

impl<'r> From<&'r raw::Network> for Keys<'r> {
    fn from(raw: &'r raw::Network) -> Self {
        Self {
            vni: &raw.vni,
            ageing: &raw.ageing,
            flood: &raw.flood,
            unknown_unicast: &raw.unknown_unicast,
            broadcast: &raw.broadcast,
            multicast: &raw.multicast,
            suppress: &raw.suppress,
            trunk_gateway: None,
            fdb: &raw.fdb,
        }
    }
}

impl<'r> From<&'r raw::Vlan> for Keys<'r> {
    fn from(raw: &'r raw::Vlan) -> Self {
        Self {
            vni: &raw.vni,
            ageing: &raw.ageing,
            flood: &raw.flood,
            unknown_unicast: &raw.unknown_unicast,
            broadcast: &raw.broadcast,
            multicast: &raw.multicast,
            suppress: &raw.suppress,
            trunk_gateway: raw.trunk_gateway.0.as_ref(),
            fdb: &raw.fdb,
        }
    }
}

impl Keys<'_> {
    /// Reports the settings of a segment that stand under a network which has several.
    pub(super) fn report_misplaced(self, vlans: &Vlans, network: &str, findings: &mut Findings) {
        let place = |field: &Field<bool>| field.0.as_ref().map(Spanned::span);
        let first = vlans
            .ids()
            .next()
            .map_or("ID".to_owned(), |id| id.to_string());
        for (key, place) in [
            ("flood", self.flood.0.as_ref().map(Spanned::span)),
            ("unknown-unicast", place(self.unknown_unicast)),
            ("broadcast", place(self.broadcast)),
            ("multicast", place(self.multicast)),
            ("suppress", self.suppress.0.as_ref().map(Spanned::span)),
            ("fdb", Named::place(self.fdb)),
        ] {
            if let Some(place) = place {
                let message = format!("the network has VLANs, each with its own `{key}`");
                let help =
                    format!("write it in a VLAN's table, such as `[{network}.vlan.{first}]`");
                findings.add(Fault::new(message, help).at(place, &join(network, key)));
            }
        }
    }
}
