//! What a network without VLANs and a VLAN have in common: the settings of a segment.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{LINK_NAME, MAC};
use crate::config::place::{Field, Named, Names, ShortOrTable};

/// The settings of a VLAN.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("dependentRequired" = { "flood": ["vni"], "trunk-gateway": ["vni"] }))]
pub(in crate::config) struct Vlan {
    /// The id of the VLAN on the overlay. By default it is not on the overlay.
    #[serde(default)]
    #[schemars(range(min = 1, max = 16_777_215), extend("examples" = [5001]))]
    pub(in crate::config) vni: Field<u32>,
    /// How long an FDB entry lives without being seen. By default as in the network.
    #[serde(default)]
    #[schemars(extend("examples" = ["300s"]))]
    pub(in crate::config) ageing: Field<Ageing>,
    /// The multicast group of the underlay that flooded frames go to. By default each host gets a
    /// copy of its own.
    #[serde(default)]
    #[schemars(extend("examples" = ["239.0.0.10"]))]
    pub(in crate::config) flood: Field<String>,
    /// Whether frames to an unknown address are flooded.
    #[serde(default)]
    #[schemars(extend("default" = true, "examples" = [false]))]
    pub(in crate::config) unknown_unicast: Field<bool>,
    /// Whether broadcast frames are flooded.
    #[serde(default)]
    #[schemars(extend("default" = true, "examples" = [false]))]
    pub(in crate::config) broadcast: Field<bool>,
    /// Whether multicast frames are flooded.
    #[serde(default)]
    #[schemars(extend("default" = true, "examples" = [false]))]
    pub(in crate::config) multicast: Field<bool>,
    /// Whether ARP requests and IPv6 neighbour solicitations are answered in place.
    #[serde(default)]
    #[schemars(extend("default" = false, "examples" = [true]))]
    pub(in crate::config) suppress: Field<Suppress>,
    /// The one host whose trunk link carries this VLAN, where that and the overlay would make a
    /// loop.
    #[serde(default)]
    #[schemars(extend("examples" = ["host1"]))]
    pub(in crate::config) trunk_gateway: Field<String>,
    /// Addresses whose place is known, by MAC address.
    #[serde(default)]
    #[schemars(extend("propertyNames" = json!({ "pattern": MAC })))]
    pub(in crate::config) fdb: Field<Named<Station>>,
}

/// A time in seconds or with its unit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum Ageing {
    Seconds(#[schemars(range(min = 1, max = 1_000_000))] u64),
    Text(#[schemars(regex(pattern = r"^[0-9]+[smhd]$"))] String),
}

/// Whether to answer in place, or for which addresses not to.
pub(in crate::config) type Suppress = ShortOrTable<bool, SuppressTable>;

/// Answering in place, with exceptions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct SuppressTable {
    /// Addresses that are never answered for: virtual ones that move without telling.
    #[schemars(length(min = 1), extend("examples" = [["192.168.124.5"]]))]
    pub(in crate::config) except: Field<Names>,
}

/// The place of an address.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Station {
    /// The host it is on.
    #[schemars(extend("examples" = ["host1"]))]
    pub(in crate::config) host: Field<String>,
    /// Its link there.
    #[schemars(regex(pattern = LINK_NAME), extend("examples" = ["vnet0"]))]
    pub(in crate::config) port: Field<String>,
}
