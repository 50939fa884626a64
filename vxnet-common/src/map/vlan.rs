//! `VLANS`: which segment a VLAN of a network is.

use super::map_type;

/// A key of `VLANS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanKey {
    /// The network, by the slot of its host port.
    pub network: u32,
    /// VLAN id, host order, 1 to 4094.
    pub vid: u32,
}

map_type!(VlanKey, 8);
