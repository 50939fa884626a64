//! `LOCAL`: what this host is in the fabric.

use super::map_type;
use crate::addr::VtepAddr;

/// Where a packet is addressed to on the detour: the link behind it takes no other address.
pub const DETOUR_MAC: [u8; 6] = *b"\x02vxnet";

/// The one row of `LOCAL`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// [`super::LAYOUT`] of the programs that own the maps.
    pub layout: u32,
    /// A link of ours whose ingress hook resolves next hops (`vx_resolve`), or 0.
    pub resolver: u32,
    /// Address of this host's VTEP.
    pub underlay: VtepAddr,
    /// UDP port of VXLAN, host order.
    pub port: u16,
    /// 4 or 6: the family of the underlay.
    pub family: u8,
    pub pad: u8,
    /// A link of ours that leads VXLAN packets to [`DETOUR_MAC`], or 0.
    pub detour: u32,
    /// Name of this host in the fabric.
    pub name: [u8; 32],
}

map_type!(Local, 64);
