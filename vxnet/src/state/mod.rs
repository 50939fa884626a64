//! What the kernel holds for vxnet, or should hold: desired and observed state are one type.
//!
//! Pure data. An [`Id`] names a thing, a [`Spec`] says how it is; the order of the ids is the order
//! in which things are made, and in reverse that in which they go.

mod facts;
mod links;
mod slots;

use std::{collections::BTreeMap, fmt, net::IpAddr};

use ipnet::IpNet;
use vxnet_common::{
    addr::{Mac, VtepAddr},
    map::{
        allowed::AllowedKey,
        fdb::{FdbEntry, FdbKey},
        local::Local,
        neighbour::NeighbourKey,
        port::{Port, PortVlans},
        segment::{FloodKey, Segment},
        vlan::VlanKey,
        vtep::Vtep,
    },
};

pub use self::{
    facts::{Facts, Link, Observed},
    links::Links,
    slots::allocate,
};

/// Everything that vxnet holds in the kernel of one host.
pub type State = BTreeMap<Id, Spec>;

/// Where a program runs on a link. TC comes first: XDP may only strip what TC will take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    TcIngress,
    TcEgress,
    Xdp,
}

impl Hook {
    /// Returns the name that pins and messages use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::TcIngress => "tc-ingress",
            Self::TcEgress => "tc-egress",
            Self::Xdp => "xdp",
        }
    }

    /// Returns the hook of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::TcIngress, Self::TcEgress, Self::Xdp]
            .into_iter()
            .find(|hook| hook.name() == name)
    }
}

/// What a thing is called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Id {
    /// A kernel parameter, by its path below `/proc/sys`.
    Sysctl(String),
    /// The packet filter that keeps the kernel bridge from forwarding.
    Guard,
    /// A bridge device, by name.
    Bridge(String),
    /// The always-up port of a bridge, by its own name.
    Anchor(String),
    /// The way through a namespace of vxnet's in which the kernel takes VXLAN off.
    Detour,
    /// The idle VXLAN device whose socket makes GRO join VXLAN packets.
    GroSocket,
    /// A link to a physical switch, by name: it takes frames for every address and VLAN.
    Trunk(String),
    /// That the kernel keeps a multicast group of the underlay joined on a link.
    Membership(String, IpAddr),
    /// The MTU of a guest's tap, by the link's name.
    PortMtu(String),
    /// An address of the host on a bridge.
    Address(String, IpNet),
    /// The row of `LOCAL`.
    Local,
    /// A row of `VTEPS`.
    Vtep(u32),
    /// A row of `VTEP_SLOTS`.
    VtepSlot(VtepAddr),
    /// A row of `PORT_VLANS`. It and the next come before the row that sends the programs to them.
    PortVlans(u32),
    /// A row of `ALLOWED`.
    Allowed(AllowedKey),
    /// A row of `PORTS`.
    Port(u32),
    /// A row of `RESERVED`.
    Reserved(NeighbourKey),
    /// A row of `FDB` that the daemon writes.
    Fdb(FdbKey),
    /// Learned and manual rows of `FDB` whose place has left their segment: never desired, so that
    /// they go with the next round, in one pass over the table however many ports have moved.
    Strays,
    /// A row of `FLOOD`.
    Flood(FloodKey),
    /// A row of `SEGMENTS`.
    Segment(u32),
    /// A row of `VNIS`.
    Vni(u32),
    /// A row of `VLANS`.
    Vlan(VlanKey),
    /// A row of `PORT_SLOTS`, by ifindex.
    PortSlot(u32),
    /// A program on a link, by ifindex.
    Program(u32, Hook),
}

/// How a thing is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    Sysctl(String),
    Guard(Guard),
    Bridge(Bridge),
    /// The bridge that it is a port of (or none), and its MTU.
    Anchor {
        bridge: String,
        mtu: u32,
        up: bool,
    },
    /// The UDP port of its VXLAN device, and whether it does what it is for.
    Detour {
        port: u16,
        works: bool,
    },
    /// Its UDP port, and whether the socket is open.
    GroSocket {
        port: u16,
        up: bool,
    },
    Trunk {
        promiscuous: bool,
        /// The hardware passes frames of every VLAN.
        all_vlans: bool,
        up: bool,
    },
    Membership,
    PortMtu(u32),
    Address,
    PortVlans(Box<PortVlans>),
    Allowed,
    /// How many there are.
    Strays(usize),
    Local(Local),
    Vtep(Box<Vtep>),
    Slot(u32),
    Port(Port),
    Fdb(FdbEntry),
    Segment(Box<Segment>),
    Program(Program),
}

/// The rules that keep the kernel bridge from forwarding and delivering on our bridges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// The rule set, as `nft list` prints it.
    pub rules: String,
}

/// A bridge device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    pub mac: Mac,
    pub mtu: u32,
    pub up: bool,
}

/// A program on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Name of the program in the object.
    pub name: String,
    /// The kernel's hash of its instructions: tells versions apart.
    pub tag: u64,
}

impl Program {
    /// A pin whose program runs nowhere: it is there to be removed or renewed.
    pub const PIN: Self = Self {
        name: String::new(),
        tag: 0,
    };
}

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sysctl(key) => write!(out, "sysctl {key}"),
            Self::Guard => write!(out, "bridge guard (nftables)"),
            Self::Bridge(name) => write!(out, "bridge {name}"),
            Self::Anchor(port) => write!(out, "anchor port {port}"),
            Self::Detour => write!(out, "detour {DETOUR}"),
            Self::GroSocket => write!(out, "GRO socket {GRO_SOCKET}"),
            Self::Trunk(link) => write!(out, "trunk link {link}"),
            Self::Membership(link, group) => write!(out, "membership of {group} on {link}"),
            Self::PortMtu(link) => write!(out, "MTU of port {link}"),
            Self::PortVlans(slot) => write!(out, "VLAN row {slot}"),
            Self::Allowed(key) => write!(out, "allowed address of port {}", key.port),
            Self::Reserved(key) => {
                let address = VtepAddr::v6(key.address);
                write!(out, "reserved {address} of segment {}", key.segment)
            }
            Self::Vlan(key) => write!(out, "VLAN {} of network {}", key.vid, key.network),
            Self::Address(link, address) => write!(out, "address {address} on {link}"),
            Self::Local => write!(out, "host row"),
            Self::Vtep(slot) => write!(out, "VTEP row {slot}"),
            Self::VtepSlot(address) => write!(out, "VTEP {address}"),
            Self::Port(slot) => write!(out, "port row {slot}"),
            Self::Fdb(key) => write!(out, "FDB row {} of segment {}", Mac(key.mac), key.segment),
            Self::Strays => write!(out, "FDB rows of places that left their segment"),
            Self::Flood(key) => {
                write!(
                    out,
                    "flood row {} of list {} of segment {}",
                    key.index, key.list, key.segment
                )
            }
            Self::Segment(slot) => write!(out, "segment row {slot}"),
            Self::Vni(vni) => write!(out, "VNI {vni}"),
            Self::PortSlot(ifindex) => write!(out, "port of link {ifindex}"),
            Self::Program(ifindex, hook) => {
                write!(out, "{} program of link {ifindex}", hook.name())
            }
        }
    }
}

/// Where VXLAN packets enter the detour,
pub const DETOUR: &str = "vx-detour";
/// where they are in the namespace of vxnet's,
pub const DETOUR_ROOM: &str = "vx-detour-room";
/// and the VXLAN device where frames come out.
pub const DETOUR_END: &str = "vx-detour-end";

/// The VXLAN device that is there for its socket only.
pub const GRO_SOCKET: &str = "vx-gro-socket";

/// Returns the names of an anchor's two ends: the port of the bridge and its peer. Its `id` tells it
/// from those of other networks, in at most 11 characters.
pub fn anchor_names(id: impl fmt::Display) -> (String, String) {
    (format!("vxa-{id}"), format!("vxp-{id}"))
}
