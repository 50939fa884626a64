//! The layout of every map, one table a file.
//!
//! | map | kind | key | value | written by |
//! |---|---|---|---|---|
//! | `LOCAL` | array, 1 | 0 | [`local::Local`] | user |
//! | `PORT_SLOTS` | hash | ifindex | slot of `PORTS` | user |
//! | `PORT_CACHE` | array | ifindex modulo | slot of `PORTS` | kernel |
//! | `PORTS` | array | slot | [`port::Port`] | user |
//! | `PORT_VLANS` | array | slot of `PORTS` | [`port::PortVlans`] | user |
//! | `PORT_STATS` | per-CPU array | slot, or [`stats::GONE_PORTS`] | [`stats::PortStats`] | kernel |
//! | `DROPS` | per-CPU array | slot, or [`stats::GONE_PORTS`] | [`stats::Drops`] | kernel |
//! | `LAST_DROPS` | array | reason × kept + place | [`dropped::Dropped`] | kernel |
//! | `LAST_PLACES` | array | reason | place in `LAST_DROPS` | kernel |
//! | `ALLOWED` | hash | [`allowed::AllowedKey`] | 1 | user |
//! | `SEGMENTS` | array | slot | [`segment::Segment`] | user |
//! | `VNIS` | hash | VNI | slot of `SEGMENTS` | user |
//! | `VNI_CACHE` | array | VNI modulo | slot of `SEGMENTS` | kernel |
//! | `VLANS` | hash | [`vlan::VlanKey`] | slot of `SEGMENTS` | user |
//! | `VLAN_CACHE` | array | network and VLAN, mixed | slot of `SEGMENTS` | kernel |
//! | `FLOOD` | hash | [`segment::FloodKey`] | slot of `PORTS` or `VTEPS` | user |
//! | `VTEPS` | array | slot | [`vtep::Vtep`] | user; the next hop by the kernel |
//! | `VTEP_SLOTS` | hash | underlay address | slot of `VTEPS` | user |
//! | `VTEP_CACHE` | array | address spread | slot of `VTEPS` | kernel |
//! | `VTEP_STATS` | per-CPU array | slot, or [`stats::GONE_VTEPS`] | [`stats::VtepStats`] | kernel |
//! | `FDB` | hash | [`fdb::FdbKey`] | [`fdb::FdbEntry`] | both |
//! | `HOLDERS` | array | slot of `PORTS`, then of `VTEPS` | [`holder::Holder`] | both |
//! | `HELD` | hash | [`holder::HeldKey`] | [`fdb::FdbKey`] | kernel |
//! | `WHOLE` | array | flow, see [`whole::row`] | `u64`: when a packet came of a flow that comes in super-packets | kernel |
//! | `SWEPT` | array, 1 | 0 | `u64`: when expired rows were removed for want of room | kernel |
//! | `NEIGHBOURS` | LRU hash | [`neighbour::NeighbourKey`] | [`neighbour::Neighbour`] | both |
//! | `RESERVED` | hash | [`neighbour::NeighbourKey`] | holder, or [`neighbour::NOBODY`] | user |
//! | `EVENTS` | ring buffer | | [`crate::event::Event`] | kernel |
//!
//! The four caches stand in front of the hashes above them: what a row of theirs says is believed
//! only if the row that it names is the one looked for.
//!
//! Integers are in host order, addresses in wire order. No value has implicit padding. A pinned
//! map of another size or [`LAYOUT`] is never reused.

pub mod allowed;
pub mod dropped;
pub mod fdb;
pub mod holder;
pub mod local;
pub mod neighbour;
pub mod port;
pub mod segment;
pub mod stats;
pub mod vlan;
pub mod vtep;
pub mod whole;

/// The version of everything in this room; raise it with every change of a layout or a meaning.
pub const LAYOUT: u32 = 9;

/// How many ports a host can have: guest ports, uplinks, and one for the host itself in each network.
pub const MAX_PORTS: u32 = 8192;
/// How many segments a host can take part in.
pub const MAX_SEGMENTS: u32 = 8192;
/// How many peers a fabric can have.
pub const MAX_VTEPS: u32 = 1024;
/// How many FDB rows a host keeps.
pub const MAX_FDB: u32 = 1 << 20;
/// How many members all flood lists have together.
pub const MAX_FLOOD: u32 = 1 << 18;
/// How many addresses all ports together may be restricted to.
pub const MAX_ALLOWED: u32 = 65_536;
/// How many IP addresses are known for answering ARP and neighbour solicitations.
pub const MAX_NEIGHBOURS: u32 = 65_536;
/// How many IP addresses the configuration may give to one station, or to none.
pub const MAX_RESERVED: u32 = 1 << 18;

/// Rows of the caches: powers of two, so that neighbours among the keys do not collide.
pub mod cache {
    /// Rows of `PORT_CACHE`.
    pub const PORTS: u32 = 4096;
    /// Rows of `VNI_CACHE`.
    pub const VNIS: u32 = 4096;
    /// Rows of `VLAN_CACHE`.
    pub const VLANS: u32 = 4096;
    /// Rows of `VTEP_CACHE`, as a power of two.
    pub const VTEP_BITS: u32 = 12;
}

/// A slot of an array map that stands for "none"; real slots start at 1.
pub const NO_SLOT: u32 = 0;

/// A name in a map value: UTF-8, padded with zero bytes.
pub type Name<const N: usize> = [u8; N];

/// Writes a name into a map value; what does not fit is cut at a character boundary.
pub fn name<const N: usize>(text: &str) -> Name<N> {
    let mut bytes = [0; N];
    let mut end = text.len().min(N);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    bytes[..end].copy_from_slice(&text.as_bytes()[..end]);
    bytes
}

/// Reads a name from a map value.
pub fn name_str<const N: usize>(name: &Name<N>) -> &str {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(N);
    core::str::from_utf8(&name[..end]).unwrap_or("?")
}

/// Implements `aya::Pod` for a map type and pins its size, so that a changed layout fails the
/// build instead of a hypervisor.
macro_rules! map_type {
    ($type:ty, $size:literal) => {
        const _: () = assert!(core::mem::size_of::<$type>() == $size);

        // SAFETY: the type is `repr(C)`, `Copy`, made of integers and arrays of them only, and the
        // assert above with the explicit padding fields rules out implicit padding.
        #[cfg(feature = "user")]
        unsafe impl aya::Pod for $type {}
    };
}
pub(crate) use map_type;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_are_cut_at_a_character() {
        assert_eq!(name_str(&name::<8>("blue")), "blue");
        assert_eq!(name_str(&name::<4>("blue")), "blue");
        assert_eq!(name_str(&name::<3>("aß")), "aß");
        assert_eq!(name_str(&name::<2>("aß")), "a");
    }
}
