//! `SEGMENTS` and `FLOOD`: broadcast domains and who is in them.

use super::{MAX_VTEPS, map_type};

/// Words of the bit set of VTEPs that take part in a segment.
pub const VTEP_WORDS: usize = MAX_VTEPS as usize / 64;

/// A row of `SEGMENTS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// VXLAN network identifier; 0 marks a free slot.
    pub vni: u32,
    /// The bridge device's ifindex.
    pub bridge: u32,
    /// Slot of the bridge device in `PORTS`.
    pub host_port: u32,
    /// MTU of the network.
    pub mtu: u32,
    /// How long a learned FDB row lives, in nanoseconds.
    pub ageing: u64,
    /// How many members the flood list of local ports has.
    pub flood_ports: u32,
    /// How many members the flood list of VTEPs has.
    pub flood_vteps: u32,
    /// Name of the network.
    pub name: [u8; 32],
    /// Name of the bridge device.
    pub bridge_name: [u8; 16],
    /// Bit n is set if the VTEP in slot n takes part.
    pub vteps: [u64; VTEP_WORDS],
}

map_type!(Segment, 208);

impl Segment {
    /// A free slot.
    pub const FREE: Self = Self {
        vni: 0,
        bridge: 0,
        host_port: 0,
        mtu: 0,
        ageing: 0,
        flood_ports: 0,
        flood_vteps: 0,
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
