//! The underlay: uplinks and the router that every packet between hypervisors crosses.
//!
//! A router is in the wire because a plain veth pair lies: it hands over socket ownership and so
//! reorders GRO, and it lets no next hop change. Each hypervisor has a subnet of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;

use crate::netns::Netns;
use crate::scope::Scope;

/// The address family of the outer header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

/// What the wire between hypervisor and router carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// Frames of MTU size with complete checksums, merged again by GRO: a plain NIC.
    Mtu,
    /// Encapsulated super-packets as they are: a NIC with perfect tunnel offloads.
    Gso,
}

/// The subnet that joins hypervisor `hypervisor` to router `router` (both counted from 1).
#[derive(Debug, Clone, Copy)]
pub struct Subnet {
    pub hypervisor: usize,
    pub router: usize,
}

impl Subnet {
    fn v4(self, host: u8) -> Ipv4Addr {
        let [_, third] = u16::try_from(self.third())
            .expect("labs are small")
            .to_be_bytes();
        Ipv4Addr::new(10, 77, third, host)
    }

    fn v6(self, host: u16) -> Ipv6Addr {
        let third = u16::try_from(self.third()).expect("labs are small");
        Ipv6Addr::new(0xfd77, third, 0, 0, 0, 0, 0, host)
    }

    /// Router 1 has 10.77.N.0/24, router 2 has 10.77.(100 + N).0/24.
    fn third(self) -> usize {
        (self.router - 1) * 100 + self.hypervisor
    }

    pub fn hypervisor_address(self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.v4(2).into(),
            Family::V6 => self.v6(2).into(),
        }
    }

    pub fn router_address(self, family: Family) -> IpAddr {
        match family {
            Family::V4 => self.v4(1).into(),
            Family::V6 => self.v6(1).into(),
        }
    }
}

/// Creates a router namespace that forwards both families.
pub fn router(scope: &Scope, role: &str) -> Result<Netns> {
    let netns = Netns::create(scope, role)?;
    netns.sysctl("net.ipv4.ip_forward", "1")?;
    netns.sysctl("net.ipv6.conf.all.forwarding", "1")?;
    Ok(netns)
}

/// Joins a hypervisor to a router: `link` on the hypervisor's side, `hvN` on the router's.
pub fn connect(
    hypervisor: &Netns,
    router: &Netns,
    subnet: Subnet,
    link: &str,
    wire: Wire,
    mtu: u32,
) -> Result<()> {
    let far = format!("hv{}", subnet.hypervisor);
    hypervisor.ip(&format!(
        "link add {link} mtu {mtu} type veth peer name {far} mtu {mtu} netns {router}"
    ))?;
    for (netns, device) in [(hypervisor, link), (router, far.as_str())] {
        plain_nic(netns, device, wire)?;
    }
    for family in [Family::V4, Family::V6] {
        let (inner, outer) = (
            subnet.hypervisor_address(family),
            subnet.router_address(family),
        );
        let (length, options) = match family {
            Family::V4 => (24, ""),
            Family::V6 => (64, "nodad"),
        };
        hypervisor.ip(&format!(
            "address add {inner}/{length} dev {link} {options}"
        ))?;
        router.ip(&format!("address add {outer}/{length} dev {far} {options}"))?;
    }
    router.ip(&format!("link set {far} up"))?;
    hypervisor.ip(&format!("link set {link} up"))?;
    Ok(())
}

/// Sends everything that leaves `hypervisor` through the router of `subnet`.
pub fn route_through(hypervisor: &Netns, subnet: Subnet, link: &str) -> Result<()> {
    for (family, flag) in [(Family::V4, "-4"), (Family::V6, "-6")] {
        let hop = subnet.router_address(family);
        hypervisor.ip(&format!(
            "{flag} route replace default via {hop} dev {link}"
        ))?;
    }
    Ok(())
}

/// Takes from a veth what a plain NIC has not, according to `wire`.
pub fn plain_nic(netns: &Netns, device: &str, wire: Wire) -> Result<()> {
    let features = match wire {
        Wire::Mtu => {
            "tso off gso off tx off tx-udp_tnl-segmentation off tx-udp_tnl-csum-segmentation off \
             gro on"
        }
        Wire::Gso => "gro on",
    };
    netns
        .line(&format!("ethtool -K {device} {features}"))
        .run()?;
    Ok(())
}
