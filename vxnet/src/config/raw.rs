//! The file as typed: every key with its place, nothing cross-checked.
//!
//! These types are the only list of keys, types and limits. `shape` takes out of a document what
//! does not fit them before serde sees it, so every field may be absent, the required ones too.

use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::Deserialize;

use super::place::{Field, Named, Names, OneOrMany, Placed};

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

/// A hypervisor.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Host {
    /// The VTEP address, IPv4 or IPv6. It may sit on `lo`, a bond or a bridge.
    #[schemars(extend("examples" = ["172.31.0.121"]))]
    pub(super) underlay: Field<String>,
    /// The links to the underlay. By default those that the routes to the peers leave by.
    #[serde(default)]
    #[schemars(inner(regex(pattern = LINK_NAME)), extend("examples" = [["eth0"]]))]
    pub(super) uplinks: Field<Names>,
    /// Where the uplinks take VXLAN packets off the wire.
    #[serde(default)]
    #[schemars(extend("default" = "auto", "examples" = ["auto"]))]
    pub(super) receive: Field<Receive>,
}

/// Where an uplink takes VXLAN packets off the wire.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Receive {
    /// At XDP where the driver of the link supports it (`xdp-direct` on hardware), else at TC.
    Auto,
    /// At XDP where the driver supports it; all frames go on through GRO and TC.
    Xdp,
    /// As `xdp`, but what is not TCP goes straight to taps. The link must carry finished
    /// checksums, which a veth with checksum offload does not.
    XdpDirect,
    /// At TC, after the kernel has built an skb.
    Tc,
}

/// A virtual network: one bridge on each of its hosts, joined by one VNI.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Network {
    /// The bridge that guests are attached to, of the same name on every host.
    #[schemars(regex(pattern = LINK_NAME), extend("examples" = ["br0"]))]
    pub(super) bridge: Field<String>,
    /// The id of the network on the overlay.
    #[schemars(range(min = 1, max = 16_777_215), extend("examples" = [10]))]
    pub(super) vni: Field<u32>,
    /// The hosts that the network is present on. By default all of them.
    #[serde(default)]
    #[schemars(length(min = 1), extend("examples" = [["host1", "host2"]]))]
    pub(super) hosts: Field<Names>,
    /// The address range of the guests; a list for IPv4 and IPv6 together.
    #[serde(default)]
    #[schemars(extend("examples" = ["192.168.124.0/24"]))]
    pub(super) subnet: Field<OneOrMany>,
    /// The address that a host holds in the network, by host; a list for IPv4 and IPv6 together.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "host1": "192.168.124.1" }]))]
    pub(super) gateway: Field<Named<Placed<OneOrMany>>>,
    /// The MTU of the links of the network. By default what the underlay leaves room for.
    #[serde(default)]
    #[schemars(range(min = 576, max = 65_485), extend("examples" = [1450]))]
    pub(super) mtu: Field<u16>,
    /// How long an FDB entry lives without being seen: seconds, or a text such as `5m`.
    #[serde(default)]
    #[schemars(extend("default" = "300s", "examples" = ["300s"]))]
    pub(super) ageing: Field<Ageing>,
}

/// A time in seconds or with its unit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Ageing {
    Seconds(#[schemars(range(min = 1, max = 1_000_000))] u64),
    Text(#[schemars(regex(pattern = r"^[0-9]+[smhd]$"))] String),
}

/// The characters of a link name, as `check` knows them, and at most 15 of them.
const LINK_NAME: &str = "^[A-Za-z0-9_][A-Za-z0-9._-]{0,14}$";

fn name_schema() -> serde_json::Value {
    serde_json::json!({ "pattern": "^[A-Za-z0-9_][A-Za-z0-9._-]{0,30}$" })
}
