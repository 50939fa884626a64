//! What a look at a link finds.

use std::net::IpAddr;

use ipnet::IpNet;
use rtnetlink::packet_route::link::{
    InfoData, InfoKind, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkLayerType, LinkMessage,
    LinkXdp,
};
use vxnet_common::addr::Mac;

use super::{ADOPTED, LEFT, OURS};
use crate::state::Link;

/// A link, and the XDP program on it.
#[derive(Default)]
pub(in crate::host) struct Seen {
    pub(in crate::host) link: Link,
    pub(in crate::host) xdp_program: Option<u32>,
    /// The UDP port of a VXLAN device.
    pub(in crate::host) vxlan_port: Option<u16>,
    /// vxnet made it, and let go of it because it had guests.
    pub(in crate::host) is_left: bool,
    /// What an adopted bridge was before.
    pub(in crate::host) former: Option<Former>,
    /// The addresses that vxnet added; others are the administrator's.
    pub(in crate::host) own_addresses: Vec<IpNet>,
    /// The multicast groups that vxnet had the kernel join.
    pub(in crate::host) own_groups: Vec<IpAddr>,
    /// The link takes frames for every address because somebody set it so: a socket that wants
    /// them too (a capture) does not show here.
    pub(in crate::host) is_promiscuous: bool,
    /// Frames get through: the link is up, and has a carrier. A tap has none while nobody reads it.
    pub(in crate::host) is_running: bool,
}

impl Seen {
    /// vxnet found the bridge, and uses it.
    pub(in crate::host) fn is_adopted(&self) -> bool {
        self.former.is_some()
    }
}

/// What vxnet changes of an adopted bridge.
pub(in crate::host) struct Former {
    pub(super) mac: Mac,
    pub(super) mtu: u32,
}

impl Former {
    fn parse(alias: &str) -> Option<Self> {
        let (mac, mtu) = alias.strip_prefix(ADOPTED)?.split_once(' ')?;
        let bytes: Option<Vec<u8>> = mac
            .split(':')
            .map(|byte| u8::from_str_radix(byte, 16).ok())
            .collect();
        Some(Self {
            mac: Mac(bytes?.try_into().ok()?),
            mtu: mtu.parse().ok()?,
        })
    }
}

/// Reads a link from the kernel's message; its addresses come in others.
pub(super) fn seen(message: &LinkMessage) -> Seen {
    let mut link = Link {
        ifindex: message.header.index,
        up: message.header.flags.contains(LinkFlags::Up),
        is_ethernet: message.header.link_layer_type == LinkLayerType::Ether,
        ..Link::default()
    };
    let (mut xdp_program, mut vxlan_port) = (None, None);
    let (mut former, mut is_left) = (None, false);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(address) => {
                link.mac = address.as_slice().try_into().map(Mac).unwrap_or_default();
            }
            LinkAttribute::Link(lower) => link.lower = Some(*lower),
            LinkAttribute::Controller(master) => link.master = Some(*master),
            LinkAttribute::IfAlias(alias) => {
                link.is_ours = alias == OURS;
                is_left = alias == LEFT;
                former = Former::parse(alias);
            }
            LinkAttribute::LinkInfo(infos) => {
                for info in infos {
                    match info {
                        LinkInfo::Kind(kind) => link.kind = kind_name(kind),
                        LinkInfo::Data(InfoData::Vxlan(facts)) => vxlan_port = port_of(facts),
                        _ => {}
                    }
                }
            }
            LinkAttribute::Xdp(facts) => {
                xdp_program = facts.iter().find_map(|fact| match fact {
                    LinkXdp::ProgId(id) => Some(*id),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    Seen {
        link,
        xdp_program,
        vxlan_port,
        is_left,
        former,
        own_addresses: Vec::new(),
        own_groups: Vec::new(),
        is_promiscuous: message.header.flags.contains(LinkFlags::Promisc),
        is_running: message
            .header
            .flags
            .contains(LinkFlags::Up | LinkFlags::LowerUp),
    }
}

/// Returns the UDP port of a VXLAN device.
fn port_of(facts: &[InfoVxlan]) -> Option<u16> {
    facts.iter().find_map(|fact| match fact {
        InfoVxlan::Port(port) => Some(*port),
        _ => None,
    })
}

fn kind_name(kind: &InfoKind) -> String {
    kind.to_string()
}
