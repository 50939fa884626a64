//! The file as typed: every key with its place, nothing cross-checked.
//!
//! These types are the only list of keys, types and limits. `shape` takes out of a document what
//! does not fit them before serde sees it, so every field may be absent, the required ones too.

mod host;
mod network;
mod portgroup;
mod segment;

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) use self::{
    host::{Host, Port, Receive},
    network::{Network, VlanIds},
    portgroup::{Allow, NativeMode, Portgroup},
    segment::{Ageing, Station, Suppress, Vlan},
};
use super::place::{Field, Named};

/// Returns the JSON Schema of the file.
pub fn schema() -> Schema {
    // Without references, `shape` needs no resolver and an editor shows each description in place.
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<Fabric>()
}

/// A vxnet fabric: the hypervisors and the virtual networks that they share.
///
/// One file, the same on every host.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Fabric {
    /// The UDP port of VXLAN, equal on all hosts.
    #[serde(default)]
    #[schemars(range(min = 1, max = 65_535), extend("default" = 4789, "examples" = [4789]))]
    pub(super) port: Field<u16>,
    /// The hypervisors by name: 1 to 31 letters, digits, `.`, `_` and `-`.
    #[schemars(extend("minProperties" = 1, "propertyNames" = name_schema()))]
    pub(super) host: Field<Named<Host>>,
    /// The virtual networks by name: 1 to 31 letters, digits, `.`, `_` and `-`.
    #[schemars(extend("minProperties" = 1, "propertyNames" = name_schema()))]
    pub(super) network: Field<Named<Network>>,
}

/// The characters of a link name, as `check` knows them, and at most 15 of them.
const LINK_NAME: &str = "^[A-Za-z0-9_][A-Za-z0-9._-]{0,14}$";

/// An Ethernet address.
const MAC: &str = "^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$";

/// Returns the schema of the name of a host, network or portgroup.
fn name_schema() -> Value {
    json!({ "pattern": "^[A-Za-z0-9_][A-Za-z0-9._-]{0,30}$" })
}
