//! What vxnet finds on a host and builds upon, but does not own.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use vxnet_common::addr::Mac;

use super::{Hook, Id, Links, Program, Spec, State};

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
    pub links: Links,
    /// By peer: ifindex of the link that the route leaves by.
    pub routes: BTreeMap<IpAddr, u32>,
    /// By peer: MTU of the path, where a route or a router on the way has told one.
    pub route_mtu: BTreeMap<IpAddr, u32>,
    /// Bridges of ours that are in no network any more, and had guests then.
    pub left: BTreeSet<u32>,
    /// Links whose driver refused XDP.
    pub xdp_refused: BTreeSet<u32>,
    /// The UDP port that somebody else had when [`super::GRO_SOCKET`] wanted it.
    pub port_taken: Option<u16>,
    /// The kernel makes no VXLAN devices.
    pub no_vxlan: bool,
    /// Why there can be no detour, if the kernel refused a namespace for it.
    pub no_room: Option<String>,
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
    /// Ifindex of the link that this one sits on.
    pub lower: Option<u32>,
    /// Made by vxnet.
    pub is_ours: bool,
}

/// Kinds of link that take frames for their own addresses from the link below.
const SHARING: &[&str] = &["macvlan", "macvtap", "ipvlan", "ipvtap"];

impl Facts {
    /// Returns the link of that name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.named(name)
    }

    /// Returns the ports of a bridge.
    pub fn ports_of(&self, bridge: u32) -> impl Iterator<Item = &Link> {
        self.links.ports_of(bridge)
    }

    /// Returns the bridges of ours that have guests. They stay, in a network or not.
    pub fn kept_bridges(&self) -> impl Iterator<Item = &Link> {
        self.links.values().filter(|link| {
            link.kind == "bridge"
                && (link.is_ours || self.left.contains(&link.ifindex))
                && self.ports_of(link.ifindex).any(|port| !port.is_ours)
        })
    }

    /// Returns whether XDP may strip frames on a link: only where nobody but the host itself takes
    /// frames from it. A bridge or a bond above it, or a macvlan, would take what XDP stripped for
    /// its own if TC were missing.
    pub fn may_run_xdp(&self, link: &Link) -> bool {
        let shares = |upper: &Link| {
            upper.lower == Some(link.ifindex) && SHARING.contains(&upper.kind.as_str())
        };
        link.is_ethernet
            && link.master.is_none()
            && !self.xdp_refused.contains(&link.ifindex)
            && !self.links.values().any(shares)
    }
}

impl Observed {
    /// Returns whether a program of ours runs there. One that has lost its link is only a pin.
    pub fn runs(&self, ifindex: u32, hook: Hook) -> bool {
        let found = self.state.get(&Id::Program(ifindex, hook));
        matches!(found, Some(Spec::Program(program)) if *program != Program::PIN)
    }
}
