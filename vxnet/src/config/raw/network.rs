//! `[network.NAME]`: a virtual network.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Ageing, LINK_NAME, MAC, Portgroup, Station, Suppress, Vlan, name_schema};
use crate::config::place::{Field, Named, Names, OneOrMany, Placed};

/// A virtual network: one bridge on each of its hosts, joined by one VNI, or divided into VLANs.
///
/// Of `vni` and `vlans` it has one. With `vni`, all keys but `vlans` and `vlan` may stand here.
/// With `vlans`, the settings of each VLAN stand in its own table `vlan.ID`; here only `ageing` may
/// be given, for all of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
// `shape` knows no `allOf`: `check` says the same in better words.
#[schemars(extend("allOf" = [{ "oneOf": [{ "required": ["vni"] }, { "required": ["vlans"] }] }]))]
pub(in crate::config) struct Network {
    /// The bridge that guests are attached to, of the same name on every host.
    #[schemars(regex(pattern = LINK_NAME), extend("examples" = ["br0"]))]
    pub(in crate::config) bridge: Field<String>,
    /// The id of the network on the overlay, for a network without VLANs.
    #[serde(default)]
    #[schemars(range(min = 1, max = 16_777_215), extend("examples" = [10]))]
    pub(in crate::config) vni: Field<u32>,
    /// The VLANs that its frames may be tagged with: ids, and texts of ids and ranges.
    #[serde(default)]
    #[schemars(extend("examples" = [[1001, 1002]]))]
    pub(in crate::config) vlans: Field<OneOrMany<VlanIds>>,
    /// The settings of a VLAN, by its id.
    #[serde(default)]
    #[schemars(extend("propertyNames" = json!({ "pattern": "^[1-9][0-9]{0,3}$" })))]
    pub(in crate::config) vlan: Field<Named<Vlan>>,
    /// Kinds of ports, by name: 1 to 31 letters, digits, `.`, `_` and `-`.
    #[serde(default)]
    #[schemars(extend("propertyNames" = name_schema()))]
    pub(in crate::config) portgroup: Field<Named<Portgroup>>,
    /// The hosts that the network is present on. By default all of them.
    #[serde(default)]
    #[schemars(length(min = 1), extend("examples" = [["host1", "host2"]]))]
    pub(in crate::config) hosts: Field<Names>,
    /// The address range of the guests; a list for IPv4 and IPv6 together.
    #[serde(default)]
    #[schemars(extend("examples" = ["192.168.124.0/24"]))]
    pub(in crate::config) subnet: Field<OneOrMany>,
    /// The address that a host holds in the network, by host; a list for IPv4 and IPv6 together.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "host1": "192.168.124.1" }]))]
    pub(in crate::config) gateway: Field<Named<Placed<OneOrMany>>>,
    /// The MTU of the links of the network. By default what the underlay leaves room for.
    #[serde(default)]
    #[schemars(range(min = 576, max = 65_485), extend("examples" = [1450]))]
    pub(in crate::config) mtu: Field<u16>,
    /// How long an FDB entry lives without being seen: seconds, or a text such as `5m`.
    #[serde(default)]
    #[schemars(extend("default" = "300s", "examples" = ["300s"]))]
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
    /// Addresses whose place is known, by MAC address.
    #[serde(default)]
    #[schemars(extend("propertyNames" = json!({ "pattern": MAC })))]
    pub(in crate::config) fdb: Field<Named<Station>>,
}

/// One VLAN id, or a text of ids and ranges.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum VlanIds {
    Id(#[schemars(range(min = 1, max = 4094))] u16),
    Text(
        #[schemars(regex(pattern = "^ *[0-9]+ *(- *[0-9]+ *)?(, *[0-9]+ *(- *[0-9]+ *)?)*$"))]
        String,
    ),
}
