//! What the user wants, checked: one fabric of hosts and the networks that span them.
//!
//! Everything here is pure data whose rules already hold. Nothing in this room, nor below it, may
//! know that the fabric came from a file: the same types can be fed by another source.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use ipnet::IpNet;
use vxnet_common::addr::{Mac, VlanId, Vni};

/// The UDP port that IANA assigned to VXLAN (RFC 7348 section 8).
pub const VXLAN_PORT: u16 = 4789;

/// How long an FDB entry lives without being seen, as in the Linux bridge.
pub const AGEING: Duration = Duration::from_mins(5);

/// All hypervisors and the networks that they share; the same on every host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fabric {
    /// The hypervisors, by name.
    pub hosts: BTreeMap<String, Host>,
    /// The virtual networks, by name.
    pub networks: BTreeMap<String, Network>,
    /// The UDP port of VXLAN, equal on all hosts.
    pub port: u16,
}

impl Fabric {
    /// Returns the networks present on a host, by name.
    pub fn networks_of<'a>(&'a self, host: &str) -> impl Iterator<Item = &'a Network> {
        self.networks
            .values()
            .filter(move |network| network.hosts.contains(host))
    }

    /// Returns the other hosts of a network, by name: where its flooded frames go.
    pub fn peers_of<'a>(
        &'a self,
        network: &'a Network,
        host: &str,
    ) -> impl Iterator<Item = &'a Host> {
        network
            .hosts
            .iter()
            .filter(move |name| *name != host)
            .filter_map(|name| self.hosts.get(name))
    }
}

/// A hypervisor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its name in the fabric.
    pub name: String,
    /// Its VTEP address: the source and destination of the outer packets.
    pub underlay: IpAddr,
    /// Its links to the underlay; empty stands for those that the routes to the peers leave by.
    pub uplinks: Vec<String>,
    /// Where its uplinks take VXLAN packets off the wire.
    pub receive: Receive,
    /// A socket of vxnet's may take the UDP port of VXLAN, for GRO.
    pub gro_socket: bool,
    /// The link that multicast groups of the underlay are joined on; `None` stands for its uplink.
    pub multicast: Option<String>,
    /// Its links to a physical switch, by the network whose VLANs they carry.
    pub trunks: BTreeMap<String, Trunk>,
    /// What is known of guests' links, by the link's name.
    pub ports: BTreeMap<String, PortRule>,
}

/// A host's link to a physical switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trunk {
    pub link: String,
    /// The VLAN of its untagged frames; without one, they are dropped.
    pub native: Option<VlanId>,
}

/// What the user says of one guest's link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortRule {
    /// The portgroup it belongs to, of the network that it is plugged into.
    pub portgroup: Option<String>,
    /// The only MAC addresses that may send; empty for any.
    pub macs: BTreeSet<Mac>,
    /// The only IP addresses that may send; empty for any.
    pub addresses: BTreeSet<IpAddr>,
}

/// Where an uplink takes VXLAN packets off the wire.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Receive {
    /// At XDP where the driver of the link supports it (directly on hardware), else at TC.
    #[default]
    Auto,
    /// At XDP where the driver supports it; all frames go on through GRO and TC.
    Xdp,
    /// As [`Receive::Xdp`], but what is not TCP goes straight to taps. The link must carry
    /// finished checksums.
    XdpDirect,
    /// At TC, after the kernel has built an skb.
    Tc,
}

/// A virtual network: one bridge on each of its hosts, and one segment, or one for each VLAN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name in the fabric.
    pub name: String,
    /// The bridge that libvirt puts the guests' links into, of the same name on every host.
    pub bridge: String,
    /// The names of the hosts it is present on.
    pub hosts: BTreeSet<String>,
    /// Its address ranges, with no host bits set and none inside another.
    pub subnets: Vec<IpNet>,
    /// The addresses a host holds on the bridge, each with the prefix length of its subnet.
    pub gateways: BTreeMap<String, Vec<IpNet>>,
    /// The MTU of its links; `None` stands for what the underlay leaves room for.
    pub mtu: Option<u16>,
    /// Its broadcast domains: one of no VLAN, or one for each of its VLANs.
    pub segments: BTreeMap<Option<VlanId>, Segment>,
    /// Kinds of ports, by name.
    pub portgroups: BTreeMap<String, Portgroup>,
    /// The portgroup of ports that no rule names.
    pub default_portgroup: Option<String>,
}

impl Network {
    /// Returns whether its frames may carry VLAN tags.
    pub fn is_vlan_aware(&self) -> bool {
        !self.segments.contains_key(&None)
    }

    /// Returns whether one of its segments is on the overlay.
    pub fn is_on_overlay(&self) -> bool {
        self.segments.values().any(|segment| segment.vni.is_some())
    }

    /// Returns the VLANs that a host's trunk link carries: not those that reach the physical switch
    /// through the overlay and another host.
    pub fn trunk_vlans(&self, host: &str) -> impl Iterator<Item = VlanId> {
        let is_here = move |segment: &Segment| {
            let gateway = segment.trunk_gateway.as_deref();
            gateway.is_none_or(|gateway| gateway == host)
        };
        self.segments
            .iter()
            .filter(move |(_, segment)| is_here(segment))
            .filter_map(|(vid, _)| *vid)
    }

    /// Returns the portgroup of a link that a rule may name.
    pub fn portgroup(&self, rule: Option<&PortRule>) -> Option<&Portgroup> {
        let named = rule.and_then(|rule| rule.portgroup.as_ref());
        self.portgroups
            .get(named.or(self.default_portgroup.as_ref())?)
    }
}

/// A broadcast domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its id on the overlay; a VLAN may have none, a network without VLANs has one.
    pub vni: Option<Vni>,
    /// How long an FDB entry lives without being seen.
    pub ageing: Duration,
    /// The multicast group of the underlay that flooded frames go to; without one, each host gets
    /// a copy (head-end replication).
    pub group: Option<IpAddr>,
    /// Which frames are flooded.
    pub flood: Flood,
    /// How ARP requests and neighbour solicitations are answered in place.
    pub suppress: Option<Suppress>,
    /// The one host whose trunk link carries this VLAN, where it is on the overlay too.
    pub trunk_gateway: Option<String>,
    /// Addresses whose place is known, by MAC address.
    pub stations: BTreeMap<Mac, Station>,
}

impl Segment {
    /// Returns a segment with the usual settings.
    pub fn new(vni: Option<Vni>) -> Self {
        Self {
            vni,
            ageing: AGEING,
            group: None,
            flood: Flood::default(),
            suppress: None,
            trunk_gateway: None,
            stations: BTreeMap::new(),
        }
    }

    /// Returns a segment with that VNI and the usual settings.
    pub fn on_overlay(vni: Vni) -> Self {
        Self::new(Some(vni))
    }
}

/// Which kinds of frames are flooded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flood {
    pub unknown_unicast: bool,
    pub broadcast: bool,
    pub multicast: bool,
}

impl Default for Flood {
    fn default() -> Self {
        Self {
            unknown_unicast: true,
            broadcast: true,
            multicast: true,
        }
    }
}

/// Answering ARP requests and neighbour solicitations in place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suppress {
    /// Addresses that are never answered for: virtual ones that move without telling.
    pub except: BTreeSet<IpAddr>,
}

/// Where an address is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Station {
    /// The host it is on.
    pub host: String,
    /// Its link there.
    pub port: String,
}

/// A kind of port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own, and any of them go together"
)]
pub struct Portgroup {
    /// The VLAN of untagged frames: that of an access port, or the native one of a trunk port.
    pub pvid: Option<VlanId>,
    /// Frames of that VLAN leave with a tag too.
    pub native_tagged: bool,
    /// The VLANs whose tagged frames the port takes and gets; empty for an access port.
    pub tagged: BTreeSet<VlanId>,
    /// Its ports exchange nothing with other isolated ports.
    pub isolated: bool,
    /// Only addresses with a static place may send.
    pub locked: bool,
    /// Its guests may be DHCP servers.
    pub dhcp_server: bool,
    /// Its guests may be IPv6 routers.
    pub router: bool,
    /// How many broadcast, unknown-unicast and multicast frames a second may come in; `None` for
    /// any number.
    pub bum_limit: Option<u32>,
    /// How many addresses a port may have; `None` for the usual limit.
    pub fdb_limit: Option<u32>,
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn host(name: &str, last: u8) -> (String, Host) {
        let underlay = IpAddr::V4(Ipv4Addr::new(172, 31, 0, last));
        let host = Host {
            name: name.into(),
            underlay,
            uplinks: Vec::new(),
            receive: Receive::Auto,
            gro_socket: true,
            multicast: None,
            trunks: BTreeMap::new(),
            ports: BTreeMap::new(),
        };
        (name.into(), host)
    }

    fn network(name: &str, vni: u32, hosts: &[&str]) -> (String, Network) {
        let network = Network {
            name: name.into(),
            bridge: format!("br{vni}"),
            hosts: hosts.iter().map(ToString::to_string).collect(),
            subnets: Vec::new(),
            gateways: BTreeMap::new(),
            mtu: None,
            segments: BTreeMap::from([(None, Segment::on_overlay(Vni::new(vni).expect("a VNI")))]),
            portgroups: BTreeMap::new(),
            default_portgroup: None,
        };
        (name.into(), network)
    }

    #[test]
    fn a_host_sees_its_networks_and_their_other_hosts() {
        let fabric = Fabric {
            hosts: BTreeMap::from([host("a", 1), host("b", 2), host("c", 3)]),
            networks: BTreeMap::from([
                network("blue", 1, &["a", "b", "c"]),
                network("red", 2, &["b", "c"]),
            ]),
            port: VXLAN_PORT,
        };
        let of_a: Vec<_> = fabric
            .networks_of("a")
            .map(|network| network.name.as_str())
            .collect();
        assert_eq!(of_a, ["blue"]);
        let peers: Vec<_> = fabric
            .peers_of(&fabric.networks["blue"], "b")
            .map(|host| host.name.as_str())
            .collect();
        assert_eq!(peers, ["a", "c"]);
        assert_eq!(fabric.networks_of("nobody").count(), 0);
    }
}
