//! Guests: a namespace with one NIC, plugged into a hypervisor's bridge as libvirt would do it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;

use crate::hypervisor::{Hypervisor, Kind};
use crate::netns::Netns;
use crate::network::{Network, guest_mac, guest_v4, guest_v6, mac_text};
use crate::scope::Scope;
use crate::tap::{self, Cable};
use crate::underlay::Family;

/// How the guest is joined to the bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// A container's port.
    Veth,
    /// A virtual machine's port.
    Tap,
}

/// A guest and its port.
#[derive(Debug)]
pub struct Guest {
    /// Network, hypervisor and index, as in `blue1.2`.
    pub name: String,
    pub network: String,
    /// The number of the hypervisor the guest is on.
    pub hypervisor: usize,
    pub netns: Netns,
    pub kind: Port,
    /// The link in the hypervisor's namespace.
    pub port: String,
    pub mac: [u8; 6],
    pub v4: Ipv4Addr,
    pub v6: Ipv6Addr,
    cable: Option<Cable>,
}

/// Where a guest is to be plugged in.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub hypervisor: &'a Hypervisor,
    pub network: &'a Network,
    /// The guest's index (from 1) in this network on this hypervisor.
    pub index: usize,
    pub port: &'a str,
    pub mtu: u32,
}

impl Guest {
    /// Makes the guest and puts its port into the network's bridge.
    pub fn plug(scope: &Scope, kind: Port, place: Place<'_>) -> Result<Self> {
        let Place {
            hypervisor: on,
            network,
            index,
            port,
            mtu,
        } = place;
        let (hypervisor, number) = (&on.netns, on.number);
        let netns = Netns::create(scope, &format!("{}{number}{index}", network.name))?;
        let mut guest = Self {
            name: format!("{}{number}.{index}", network.name),
            network: network.name.clone(),
            hypervisor: number,
            netns,
            kind,
            port: port.to_owned(),
            mac: guest_mac(network.vni, number, index),
            v4: guest_v4(number, index),
            v6: guest_v6(number, index),
            cable: None,
        };
        let netns = &guest.netns;
        match kind {
            Port::Veth => {
                hypervisor.ip(&format!(
                    "link add {port} type veth peer name eth0 netns {netns}"
                ))?;
            }
            Port::Tap => {
                let ends = (tap::open(hypervisor, port)?, tap::open(netns, "eth0")?);
                guest.cable = Some(Cable::join(ends.0, ends.1)?);
            }
        }
        let mac = mac_text(guest.mac);
        netns.ip(&format!("link set eth0 address {mac} mtu {mtu} up"))?;
        netns.ip(&format!("address add {}/24 dev eth0", guest.v4))?;
        netns.ip(&format!("address add {}/64 dev eth0 nodad", guest.v6))?;
        // libvirt gives a tap the guest's MAC with fe as its first byte, so that the bridge never
        // takes it over.
        let port_mac = mac_text([
            0xfe,
            guest.mac[1],
            guest.mac[2],
            guest.mac[3],
            guest.mac[4],
            guest.mac[5],
        ]);
        hypervisor.ip(&format!("link set {port} address {port_mac} mtu {mtu}"))?;
        if on.kind == Kind::OpenVswitch {
            // Its userspace datapath takes neither super-packets nor unfinished checksums.
            netns.line("ethtool -K eth0 tx off tso off").run()?;
        }
        on.attach(port, network)?;
        Ok(guest)
    }

    /// The address of `family`.
    pub fn address(&self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.v4.into(),
            Family::V6 => self.v6.into(),
        }
    }

    /// Takes away what the guest's kernel sends on its own: all but ARP for what others ask of it.
    pub fn silence(&self) -> Result<()> {
        self.netns.sysctl("net.ipv6.conf.eth0.disable_ipv6", "1")
    }

    /// The cable of a guest behind a tap.
    pub fn cable(&self) -> Option<&Cable> {
        self.cable.as_ref()
    }
}
