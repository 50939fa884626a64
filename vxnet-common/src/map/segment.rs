//! `SEGMENTS` and `FLOOD`: broadcast domains and who is in them.

use super::{MAX_VTEPS, map_type};
use crate::addr::VtepAddr;

/// Words of the bit set of VTEPs that take part in a segment.
pub const VTEP_WORDS: usize = MAX_VTEPS as usize / 64;

/// Bits of [`Segment::flags`].
pub mod flag {
    /// Frames to unknown addresses are dropped.
    pub const NO_UNKNOWN: u16 = 1;
    /// Broadcasts are dropped.
    pub const NO_BROADCAST: u16 = 1 << 1;
    /// Multicasts are dropped.
    pub const NO_MULTICAST: u16 = 1 << 2;
    /// ARP requests and neighbour solicitations are answered from `NEIGHBOURS`.
    pub const SUPPRESS: u16 = 1 << 3;
}

/// A row of `SEGMENTS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// VXLAN network identifier, or 0 for a VLAN that is not on the overlay.
    pub vni: u32,
    /// The network, by the slot of its host port; 0 marks a free slot.
    pub network: u32,
    /// The ifindex of the bridge device if the host is a station of the segment, or 0.
    pub bridge: u32,
    /// Slot of that bridge device in `PORTS`, or 0.
    pub host_port: u32,
    /// MTU of the network.
    pub mtu: u32,
    /// VLAN id, or 0 for the segment of a network without VLANs.
    pub vid: u16,
    /// Bits of [`flag`].
    pub flags: u16,
    /// How long a learned FDB row lives, in nanoseconds.
    pub ageing: u64,
    /// How many members the flood list of local ports has.
    pub flood_ports: u32,
    /// How many members the flood list of VTEPs has.
    pub flood_vteps: u32,
    /// The multicast group that flooded frames go to on the underlay, or none.
    pub group: VtepAddr,
    /// The host's own addresses in the segment, or zeros.
    pub gateway_v6: [u8; 16],
    pub gateway_v4: [u8; 4],
    pub pad: [u8; 4],
    /// Name of the network.
    pub name: [u8; 32],
    /// Name of the bridge device.
    pub bridge_name: [u8; 16],
    /// Bit n is set if the VTEP in slot n takes part.
    pub vteps: [u64; VTEP_WORDS],
}

map_type!(Segment, 256);

impl Segment {
    /// A free slot.
    pub const FREE: Self = Self {
        vni: 0,
        network: 0,
        bridge: 0,
        host_port: 0,
        mtu: 0,
        vid: 0,
        flags: 0,
        ageing: 0,
        flood_ports: 0,
        flood_vteps: 0,
        group: VtepAddr::NONE,
        gateway_v6: [0; 16],
        gateway_v4: [0; 4],
        pad: [0; 4],
        name: [0; 32],
        bridge_name: [0; 16],
        vteps: [0; VTEP_WORDS],
    };

    /// Returns whether the VTEP in `slot` takes part in the segment.
    #[inline(always)]
    pub fn has_vtep(&self, slot: u32) -> bool {
        match self.vteps.get((slot / 64) as usize) {
            Some(word) => word >> (slot % 64) & 1 == 1,
            None => false,
        }
    }
}

/// Which of a segment's two flood lists.
pub mod list {
    /// Local ports; the members are slots of `PORTS`.
    pub const PORTS: u32 = 0;
    /// Peers; the members are slots of `VTEPS`.
    pub const VTEPS: u32 = 1;
}

/// A key of `FLOOD`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FloodKey {
    /// Slot of the segment.
    pub segment: u32,
    /// One of [`list`].
    pub list: u32,
    /// Place in the list, from 0.
    pub index: u32,
}

map_type!(FloodKey, 12);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn membership_is_one_bit_a_vtep() {
        let mut segment = Segment::FREE;
        segment.vteps[1] = 1 << 3;
        assert!(segment.has_vtep(67));
        assert!(!segment.has_vtep(66));
        assert!(!segment.has_vtep(3));
        assert!(!segment.has_vtep(MAX_VTEPS));
    }
}
