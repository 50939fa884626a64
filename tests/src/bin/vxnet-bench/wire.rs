//! The wire between two hosts.

use std::net::Ipv4Addr;

use anyhow::Result;
use vxnet_tests::netns::Netns;
use vxnet_tests::scope::Scope;

use crate::shell::Shell;

/// The link of every host towards the wire.
pub(crate) const UPLINK: &str = "eth0";
/// The MTU of the wire.
pub(crate) const MTU: u32 = 1500;
/// The MTU of all guests, also of those whose frames are not encapsulated.
pub(crate) const GUEST_MTU: u32 = 1450;

/// What the wire carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Wire {
    /// Through a router; frames of MTU size with complete checksums, merged by GRO: a plain NIC.
    Mtu,
    /// Through a router; super-packets as they are: a NIC with perfect tunnel offloads.
    Gso,
    /// As `Mtu`, without the router: only for frames that GRO leaves alone.
    Straight,
}

impl Wire {
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Mtu => "mtu",
            Self::Gso => "gso",
            Self::Straight => "straight",
        }
    }

    /// What `ethtool -K` is told for every link of the wire.
    pub(crate) fn features(self) -> &'static str {
        match self {
            Self::Mtu | Self::Straight => {
                "tso off gso off tx off tx-udp_tnl-segmentation off \
                 tx-udp_tnl-csum-segmentation off gro on"
            }
            Self::Gso => "gro on",
        }
    }

    pub(crate) fn is_routed(self) -> bool {
        self != Self::Straight
    }
}

/// The hosts and what joins them.
#[derive(Debug)]
pub(crate) struct Underlay {
    pub(crate) hosts: Vec<Netns>,
    pub(crate) router: Option<Netns>,
}

impl Underlay {
    /// Makes hosts and wire; the links have no addresses yet.
    pub(crate) fn make(scope: &Scope, shell: &Shell, wire: Wire, hosts: usize) -> Result<Self> {
        let hosts: Vec<Netns> = (1..=hosts)
            .map(|number| Netns::create(scope, &format!("hv{number}")))
            .collect::<Result<_>>()?;
        if let ([first, second], false) = (&hosts[..], wire.is_routed()) {
            join(shell, (first, UPLINK), (second, UPLINK), wire)?;
            return Ok(Self {
                hosts,
                router: None,
            });
        }
        let router = Netns::create(scope, "router")?;
        shell.sysctl(&router, "net.ipv4.ip_forward", "1")?;
        for (index, host) in hosts.iter().enumerate() {
            join(
                shell,
                (host, UPLINK),
                (&router, &router_link(index + 1)),
                wire,
            )?;
        }
        Ok(Self {
            hosts,
            router: Some(router),
        })
    }

    /// Gives the hosts their addresses, on `link`, and routes to each other.
    pub(crate) fn address(&self, shell: &Shell, link: &str) -> Result<()> {
        for (index, host) in self.hosts.iter().enumerate() {
            let number = index + 1;
            let address = self.vtep(number);
            shell.ip(host, &format!("address add {address}/24 dev {link}"))?;
            if let Some(router) = &self.router {
                let hop = hop(number);
                let far = router_link(number);
                shell.ip(router, &format!("address add {hop}/24 dev {far}"))?;
                shell.ip(host, &format!("route add default via {hop} dev {link}"))?;
            }
        }
        Ok(())
    }

    /// The underlay address of host `number` (from 1).
    pub(crate) fn vtep(&self, number: usize) -> Ipv4Addr {
        let number = octet(number);
        if self.router.is_some() {
            Ipv4Addr::new(10, 77, number, 2)
        } else {
            Ipv4Addr::new(10, 77, 0, number)
        }
    }
}

/// The router's link towards host `number`.
pub(crate) fn router_link(number: usize) -> String {
    format!("hv{number}")
}

/// The router's address on its link towards host `number`.
pub(crate) fn hop(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, octet(number), 1)
}

/// Joins two namespaces by a veth pair that behaves like NICs of that wire.
pub(crate) fn join(
    shell: &Shell,
    near: (&Netns, &str),
    far: (&Netns, &str),
    wire: Wire,
) -> Result<()> {
    shell.ip(
        near.0,
        &format!(
            "link add {} mtu {MTU} type veth peer name {} mtu {MTU} netns {}",
            near.1, far.1, far.0
        ),
    )?;
    for (netns, link) in [near, far] {
        shell.run(netns, &format!("ethtool -K {link} {}", wire.features()))?;
        shell.ip(netns, &format!("link set {link} up"))?;
    }
    Ok(())
}

/// A small number as a byte of an address.
pub(crate) fn octet(number: usize) -> u8 {
    u8::try_from(number).unwrap_or(u8::MAX)
}
