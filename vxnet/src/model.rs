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
use vxnet_common::addr::Vni;

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

/// A virtual network: one bridge on each of its hosts, joined by one VNI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name in the fabric.
    pub name: String,
    /// The bridge that libvirt puts the guests' links into, of the same name on every host.
    pub bridge: String,
    /// Its id on the overlay.
    pub vni: Vni,
    /// The names of the hosts it is present on.
    pub hosts: BTreeSet<String>,
    /// Its address ranges, with no host bits set and none inside another.
    pub subnets: Vec<IpNet>,
    /// The addresses a host holds on the bridge, each with the prefix length of its subnet.
    pub gateways: BTreeMap<String, Vec<IpNet>>,
    /// The MTU of its links; `None` stands for what the underlay leaves room for.
    pub mtu: Option<u16>,
    /// How long an FDB entry lives without being seen.
    pub ageing: Duration,
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
        };
        (name.into(), host)
    }

    fn network(name: &str, vni: u32, hosts: &[&str]) -> (String, Network) {
        let network = Network {
            name: name.into(),
            bridge: format!("br{vni}"),
            vni: Vni::new(vni).expect("a valid VNI"),
            hosts: hosts.iter().map(ToString::to_string).collect(),
            subnets: Vec::new(),
            gateways: BTreeMap::new(),
            mtu: None,
            ageing: AGEING,
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
