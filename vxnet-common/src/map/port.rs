//! `PORTS`: every link that a program of ours runs on.

use super::map_type;

/// What a port is.
pub mod kind {
    /// A free slot.
    pub const NONE: u32 = 0;
    /// A guest's tap or veth.
    pub const GUEST: u32 = 1;
    /// The bridge device: the host as a station of the segment.
    pub const HOST: u32 = 2;
    /// A link to the underlay.
    pub const UPLINK: u32 = 3;
}

/// Bits of [`Port::flags`].
pub mod flag {
    /// XDP may redirect frames straight to this link: it takes XDP frames without an XDP program
    /// of its own (a tap does, a veth only if its peer runs NAPI).
    pub const XDP_TARGET: u32 = 1;
    /// On an uplink: checksums of received packets are complete on the wire, so that a frame may
    /// leave the skb world (false for veth, which hands over unfinished checksums).
    pub const WIRE_CSUM: u32 = 2;
    /// On an uplink: the XDP program may strip the outer header.
    pub const STRIP: u32 = 4;
}

/// A row of `PORTS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    pub ifindex: u32,
    /// One of [`kind`].
    pub kind: u32,
    /// Slot of the segment in `SEGMENTS`; 0 for an uplink.
    pub segment: u32,
    /// Bits of [`flag`].
    pub flags: u32,
    /// The link's own address: the gateway's MAC for a host port.
    pub mac: [u8; 6],
    pub pad: [u8; 2],
    /// Name of the link.
    pub name: [u8; 16],
}

map_type!(Port, 40);

impl Port {
    /// A free slot.
    pub const FREE: Self = Self {
        ifindex: 0,
        kind: kind::NONE,
        segment: 0,
        flags: 0,
        mac: [0; 6],
        pad: [0; 2],
        name: [0; 16],
    };
}
