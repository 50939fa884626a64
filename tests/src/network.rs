//! The networks of a lab and the addresses in them.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Outer headers on an IPv4 and an IPv6 underlay (RFC 7348 section 4.3).
pub const OVERHEAD_V4: u32 = 50;
pub const OVERHEAD_V6: u32 = 70;

/// One network: what the configuration file says of it, and how its guests are numbered.
#[derive(Debug, Clone)]
pub struct Network {
    pub name: String,
    pub vni: u32,
    pub bridge: String,
    pub ageing_s: u32,
    /// Numbers of the hypervisors on which the host has a gateway address.
    pub gateways: Vec<usize>,
    /// The numbers of the hypervisors that take part; empty means all.
    pub hosts: Vec<usize>,
    /// Its VLANs; with any, it is VLAN-aware, and `vni` only numbers its guests.
    pub vlans: Vec<u16>,
    /// The multicast group that floods go to, on the shared link.
    pub group: Option<IpAddr>,
    /// Further lines for the network's section of the configuration file.
    pub extra: String,
    /// Sections below the network's own.
    sections: String,
}

impl Network {
    pub fn new(name: &str, vni: u32) -> Self {
        Self {
            name: name.to_owned(),
            vni,
            bridge: format!("br-{name}"),
            ageing_s: 300,
            gateways: Vec::new(),
            hosts: Vec::new(),
            vlans: Vec::new(),
            group: None,
            extra: String::new(),
            sections: String::new(),
        }
    }

    /// A VLAN-aware network; `number` tells its guests' addresses from those of other networks.
    pub fn of_vlans(name: &str, number: u32, vlans: &[u16]) -> Self {
        Self {
            vlans: vlans.to_vec(),
            ..Self::new(name, number)
        }
    }

    /// Adds a portgroup with these lines.
    #[must_use]
    pub fn portgroup(self, name: &str, lines: &str) -> Self {
        self.section(&format!("portgroup.{name}"), lines)
    }

    /// Adds lines about one VLAN.
    #[must_use]
    pub fn vlan(self, vid: u16, lines: &str) -> Self {
        self.section(&format!("vlan.{vid}"), lines)
    }

    fn section(mut self, name: &str, lines: &str) -> Self {
        let network = &self.name;
        writeln!(self.sections, "[network.{network}.{name}]\n{lines}").expect("a String grows");
        self
    }

    #[must_use]
    pub fn ageing(mut self, seconds: u32) -> Self {
        self.ageing_s = seconds;
        self
    }

    /// Gives the host of each of these hypervisors an address in the network.
    #[must_use]
    pub fn gateways(mut self, hypervisors: &[usize]) -> Self {
        self.gateways = hypervisors.to_vec();
        self
    }

    /// Restricts the network to these hypervisors.
    #[must_use]
    pub fn hosts(mut self, hypervisors: &[usize]) -> Self {
        self.hosts = hypervisors.to_vec();
        self
    }

    /// Tells whether hypervisor `number` takes part.
    pub fn is_on(&self, number: usize) -> bool {
        self.hosts.is_empty() || self.hosts.contains(&number)
    }

    /// Floods to a multicast group, in a lab whose hypervisors share a link.
    #[must_use]
    pub fn group(mut self, group: impl Into<IpAddr>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Adds lines to the network's section of the configuration file.
    #[must_use]
    pub fn extra(mut self, lines: &str) -> Self {
        self.extra.push_str(lines);
        self.extra.push('\n');
        self
    }

    /// The device name of this network's VXLAN link on a kernel peer.
    pub fn kernel_device(&self) -> String {
        format!("vx{}", self.vni)
    }

    /// The section of this network in the configuration file.
    pub fn toml(&self) -> String {
        let mut text = format!(
            "[network.{}]\nbridge = \"{}\"\nageing = \"{}s\"\n",
            self.name, self.bridge, self.ageing_s
        );
        if self.vlans.is_empty() {
            writeln!(text, "vni = {}", self.vni).expect("a String grows");
        } else {
            writeln!(text, "vlans = {:?}", self.vlans).expect("a String grows");
        }
        if let Some(group) = self.group {
            writeln!(text, "flood = \"{group}\"").expect("a String grows");
        }
        if !self.hosts.is_empty() {
            let names: Vec<_> = self
                .hosts
                .iter()
                .map(|number| format!("\"hv{number}\""))
                .collect();
            writeln!(text, "hosts = [{}]", names.join(", ")).expect("a String grows");
        }
        if !self.gateways.is_empty() {
            let entries: Vec<_> = self
                .gateways
                .iter()
                .map(|&number| format!("hv{number} = \"{}\"", gateway_v4(number)))
                .collect();
            text.push_str("subnet = \"192.168.50.0/24\"\n");
            writeln!(text, "gateway = {{ {} }}", entries.join(", ")).expect("a String grows");
        }
        text.push_str(&self.extra);
        text.push_str(&self.sections);
        text
    }
}

/// The host's address on hypervisor `number`; the same in every network.
pub fn gateway_v4(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 50, octet(number))
}

/// The IPv4 address of the `index`-th guest (from 1) of a network on hypervisor `number`. Guests of
/// different networks have the same addresses on purpose.
pub fn guest_v4(number: usize, index: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 50, octet(number * 10 + index))
}

/// The IPv6 address that goes with [`guest_v4`].
pub fn guest_v6(number: usize, index: usize) -> Ipv6Addr {
    Ipv6Addr::new(
        0xfd50,
        0,
        0,
        0,
        0,
        0,
        u16::from(octet(number)),
        u16::from(octet(index)),
    )
}

/// The MAC of a guest; unique across networks.
pub fn guest_mac(vni: u32, number: usize, index: usize) -> [u8; 6] {
    let [_, _, high, low] = vni.to_be_bytes();
    [0x52, 0x54, high, low, octet(number), octet(index)]
}

/// `aa:bb:cc:dd:ee:ff`
pub fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

fn octet(number: usize) -> u8 {
    u8::try_from(number).expect("labs are small")
}
