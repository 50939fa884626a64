//! `[host.NAME]`: a hypervisor, its links to the outside and those of its guests.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{LINK_NAME, name_schema};
use crate::config::place::{Field, Named, Names, OneOrMany, Placed, ShortOrTable};

/// A hypervisor.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::config) struct Host {
    /// The VTEP address, IPv4 or IPv6. It may sit on `lo`, a bond or a bridge.
    #[schemars(extend("examples" = ["172.31.0.121"]))]
    pub(in crate::config) underlay: Field<String>,
    /// The links to the underlay. By default those that the routes to the peers leave by.
    #[serde(default)]
    #[schemars(inner(regex(pattern = LINK_NAME)), extend("examples" = [["eth0"]]))]
    pub(in crate::config) uplinks: Field<Names>,
    /// Where the uplinks take VXLAN packets off the wire.
    #[serde(default)]
    #[schemars(extend("default" = "auto", "examples" = ["auto"]))]
    pub(in crate::config) receive: Field<Receive>,
    /// Whether a VXLAN device of vxnet's may take the UDP port, so that the kernel joins TCP segments
    /// where uplinks receive at TC. `false` leaves the port to a VXLAN device of somebody else's.
    #[serde(default)]
    #[schemars(extend("default" = true, "examples" = [false]))]
    pub(in crate::config) gro_socket: Field<bool>,
    /// The link that multicast groups of the underlay are joined on. By default the uplink.
    #[serde(default)]
    #[schemars(regex(pattern = LINK_NAME), extend("examples" = ["eth1"]))]
    pub(in crate::config) multicast: Field<String>,
    /// The links to a physical switch, by the network whose VLANs they carry.
    #[serde(default)]
    #[schemars(extend(
        "examples" = [{ "office": "enp5s0f0" }],
        "propertyNames" = name_schema()
    ))]
    pub(in crate::config) trunk: Field<Named<Placed<Trunk>>>,
    /// What is known of guests' links, by the link's name.
    #[serde(default)]
    #[schemars(extend("propertyNames" = json!({ "pattern": LINK_NAME })))]
    pub(in crate::config) port: Field<Named<Port>>,
}

/// Where an uplink takes VXLAN packets off the wire.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum Receive {
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

/// A link to a physical switch: its name, or more than that.
pub(in crate::config) type Trunk = ShortOrTable<String, TrunkTable>;

/// A link to a physical switch.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct TrunkTable {
    /// The link.
    #[schemars(regex(pattern = LINK_NAME), extend("examples" = ["enp5s0f0"]))]
    pub(in crate::config) link: Field<String>,
    /// The VLAN of its untagged frames; by default they are dropped.
    #[serde(default)]
    #[schemars(range(min = 1, max = 4094), extend("examples" = [1]))]
    pub(in crate::config) native: Field<u16>,
}

/// What is known of a guest's link.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Port {
    /// The portgroup it belongs to. By default that which is marked `default` in its network.
    #[serde(default)]
    #[schemars(extend("examples" = ["vlan-1001"]))]
    pub(in crate::config) portgroup: Field<String>,
    /// The only MAC address that may send, or a list of them. By default any may.
    #[serde(default)]
    #[schemars(extend("examples" = ["52:54:00:00:00:01"]))]
    pub(in crate::config) mac: Field<OneOrMany>,
    /// The only IP address that may send, or a list of them. By default any may.
    #[serde(default)]
    #[schemars(extend("examples" = ["192.168.124.16"]))]
    pub(in crate::config) ip: Field<OneOrMany>,
}
