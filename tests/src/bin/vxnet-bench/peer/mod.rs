//! What switches the frames: vxnet and those it is compared with.

pub(crate) mod bridge;
pub(crate) mod brvx;
pub(crate) mod direct;
pub(crate) mod ovs;
pub(crate) mod vxnet;

use crate::station::{Address, Kind};

/// Where vxnet is told to take VXLAN off the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Receive {
    /// The default configuration.
    Auto,
    Tc,
    Xdp,
    XdpDirect,
}

impl Receive {
    /// The value of `receive` in the configuration file, and the name in tables.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Tc => "tc",
            Self::Xdp => "xdp",
            Self::XdpDirect => "xdp-direct",
        }
    }
}

/// Who switches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Peer {
    /// One veth between the stations: no switch.
    Direct,
    /// A Linux bridge on each host, no overlay.
    Bridge,
    /// A Linux bridge and the kernel's VXLAN device on each host.
    Brvx,
    /// Open vSwitch's userspace datapath over packet sockets.
    OvsSystem,
    /// Open vSwitch's userspace datapath over AF_XDP sockets.
    OvsAfXdp,
    Vxnet(Receive),
}

impl Peer {
    /// All peers that vxnet is compared with.
    pub(crate) const OTHERS: [Self; 5] = [
        Self::Direct,
        Self::Bridge,
        Self::Brvx,
        Self::OvsSystem,
        Self::OvsAfXdp,
    ];

    /// The name on the command line, in the JSON file and in tables.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bridge => "bridge",
            Self::Brvx => "brvx",
            Self::OvsSystem => "ovs-system",
            Self::OvsAfXdp => "ovs-afxdp",
            Self::Vxnet(_) => "vxnet",
        }
    }

    /// What it is, for people.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::Direct => "one veth between the guests, no switch, no router",
            Self::Bridge => "a plain Linux bridge on each host, no overlay",
            Self::Brvx => "Linux bridge + kernel VXLAN device, noudpcsum, no netfilter",
            Self::OvsSystem => "OVS userspace datapath, system (packet socket) ports",
            Self::OvsAfXdp => "OVS userspace datapath, AF_XDP ports, a polling thread per host",
            Self::Vxnet(_) => "the vxnet binary, default configuration but for `receive`",
        }
    }

    pub(crate) fn is_vxnet(self) -> bool {
        matches!(self, Self::Vxnet(_))
    }

    pub(crate) fn is_ovs(self) -> bool {
        matches!(self, Self::OvsSystem | Self::OvsAfXdp)
    }

    /// The address of a station of this peer; `routed` says whether a router is in the wire.
    pub(crate) fn address(self, kind: Kind, number: usize, routed: bool) -> Address {
        if self == Self::Bridge && routed {
            Address::routed(kind, number)
        } else {
            Address::bridged(kind, number)
        }
    }
}

/// The bridge of network `network` (from 1) on every host.
pub(crate) fn bridge_name(network: usize) -> String {
    format!("br{network}")
}

/// The link of a station's port in network `network` (from 1).
pub(crate) fn port_name(network: usize, kind: Kind) -> String {
    let letter = match kind {
        Kind::Veth => 'v',
        Kind::Tap => 't',
        Kind::Mute => 'm',
    };
    format!("vnet{network}{letter}")
}

/// The VNI of network `network` (from 1).
pub(crate) fn vni(network: usize) -> usize {
    network * 10
}
