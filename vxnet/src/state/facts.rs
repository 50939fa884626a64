//! What vxnet finds on a host and builds upon, but does not own.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use vxnet_common::addr::Mac;

use super::{Hook, State};

/// One look at a host.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    pub facts: Facts,
    /// What vxnet holds in the kernel.
    pub state: State,
}

/// The links, routes and abilities of a host.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// By ifindex.
    pub links: BTreeMap<u32, Link>,
    /// By peer: ifindex of the link that the route leaves by.
    pub routes: BTreeMap<IpAddr, u32>,
    /// Links whose driver refused XDP.
    pub xdp_refused: BTreeSet<u32>,
    /// Tags of the programs that this version of vxnet brings, by name.
    pub programs: BTreeMap<&'static str, u64>,
    /// The kernel can tell the bridge of a port in nftables (`meta ibrname`).
    pub can_match_bridge: bool,
}

/// A network link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    pub ifindex: u32,
    pub name: String,
    /// The kernel's name of the link type ("bridge", "veth", "tun"), empty for hardware.
    pub kind: String,
    /// Ifindex of the bridge, bond or the like that the link is a port of.
    pub master: Option<u32>,
    pub mtu: u32,
    pub mac: Mac,
    pub up: bool,
    pub is_ethernet: bool,
    pub addresses: Vec<IpNet>,
    /// Made by vxnet.
    pub is_ours: bool,
}

impl Facts {
    /// Returns the link of that name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }

    /// Returns the ports of a bridge.
    pub fn ports_of(&self, bridge: u32) -> impl Iterator<Item = &Link> {
        self.links
            .values()
            .filter(move |link| link.master == Some(bridge))
    }

    /// Returns whether XDP can be tried on a link: a frame stripped on the port of a bridge or a
    /// bond would be forwarded by it if TC were missing.
    pub fn may_run_xdp(&self, link: &Link) -> bool {
        link.is_ethernet && link.master.is_none() && !self.xdp_refused.contains(&link.ifindex)
    }
}

impl Observed {
    /// Returns whether a program of ours runs there.
    pub fn runs(&self, ifindex: u32, hook: Hook) -> bool {
        self.state.contains_key(&super::Id::Program(ifindex, hook))
    }
}
