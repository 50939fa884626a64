//! `[network.NAME.portgroup.NAME]`: a kind of port.

use schemars::JsonSchema;
use serde::Deserialize;

use super::VlanIds;
use crate::config::place::{Field, OneOrMany, Placed};

/// A kind of port.
///
/// In a network with `vlans` it has either `vlan`, an access port, or `vlans`, a trunk port.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend(
    "dependentRequired" = { "native": ["vlans"], "native-mode": ["native"] },
    "not" = { "required": ["vlan", "vlans"] }
))]
pub(in crate::config) struct Portgroup {
    /// The VLAN of an access port: its guest sees no tags.
    #[serde(default)]
    #[schemars(range(min = 1, max = 4094), extend("examples" = [1001]))]
    pub(in crate::config) vlan: Field<u16>,
    /// The VLANs of a trunk port: its guest sees tags.
    #[serde(default)]
    #[schemars(extend("examples" = [[1001, 1002]]))]
    pub(in crate::config) vlans: Field<OneOrMany<VlanIds>>,
    /// The VLAN of a trunk port's untagged frames; by default they are dropped.
    #[serde(default)]
    #[schemars(range(min = 1, max = 4094), extend("examples" = [1001]))]
    pub(in crate::config) native: Field<u16>,
    /// Whether frames of the native VLAN leave with a tag.
    #[serde(default)]
    #[schemars(extend("default" = "untagged", "examples" = ["tagged"]))]
    pub(in crate::config) native_mode: Field<NativeMode>,
    /// Whether ports that no rule names belong to it; one portgroup of a network at most.
    #[serde(default)]
    #[schemars(extend("default" = false, "examples" = [true]))]
    pub(in crate::config) default: Field<bool>,
    /// Whether its ports exchange nothing with other isolated ports.
    #[serde(default)]
    #[schemars(extend("default" = false, "examples" = [true]))]
    pub(in crate::config) isolated: Field<bool>,
    /// Whether only addresses with a static place may send.
    #[serde(default)]
    #[schemars(extend("default" = false, "examples" = [true]))]
    pub(in crate::config) locked: Field<bool>,
    /// What its guests may be, apart from ordinary ones.
    #[serde(default)]
    #[schemars(length(min = 1), extend("examples" = [["dhcp-server"]]))]
    pub(in crate::config) allow: Field<Vec<Placed<Allow>>>,
    /// How many broadcast, unknown-unicast and multicast frames a port may send a second. By
    /// default any number.
    #[serde(default)]
    #[schemars(range(min = 1, max = 10_000_000), extend("examples" = [1000]))]
    pub(in crate::config) bum_limit: Field<u32>,
    /// How many addresses a port may have in the FDB.
    #[serde(default)]
    #[schemars(range(min = 1, max = 65_536), extend("examples" = [16]))]
    pub(in crate::config) fdb_limit: Field<u32>,
}

/// How frames of the native VLAN leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum NativeMode {
    /// Without a tag.
    Untagged,
    /// With a tag, like those of the other VLANs.
    Tagged,
}

/// What a guest may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum Allow {
    /// A DHCP server.
    DhcpServer,
    /// An IPv6 router.
    Router,
}
