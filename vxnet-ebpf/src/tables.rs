//! The kernel's maps as the tables of the forwarding decision.

use aya_ebpf::{helpers::bpf_ktime_get_coarse_ns, maps::Array};
use vxnet_common::{
    addr::VtepAddr,
    forward::Tables,
    map::{
        NO_SLOT,
        allowed::AllowedKey,
        cache,
        fdb::{FdbEntry, FdbKey},
        local::Local,
        neighbour::{Neighbour, NeighbourKey},
        port::Port,
        segment::Segment,
        vlan::VlanKey,
    },
};

use crate::maps;

/// The live maps.
pub(crate) struct Live;

impl Tables for Live {
    #[inline(always)]
    fn fdb(&self, key: &FdbKey) -> Option<&FdbEntry> {
        // SAFETY: the kernel keeps a deleted row intact until this program has ended (RCU). A row
        // may be reused for another key meanwhile: it then names a port that `decide` checks
        // against the segment.
        unsafe { maps::FDB.get(key) }
    }

    #[inline(always)]
    fn port(&self, slot: u32) -> Option<&Port> {
        maps::PORTS.get(slot)
    }

    #[inline(always)]
    fn segment(&self, slot: u32) -> Option<&Segment> {
        maps::SEGMENTS.get(slot)
    }

    #[inline(always)]
    fn vni(&self, vni: u32) -> Option<u32> {
        remembered(
            &maps::VNI_CACHE,
            vni % cache::VNIS,
            |slot| self.segment(slot).is_some_and(|segment| segment.vni == vni),
            // SAFETY: a `u32` is read whole.
            || unsafe { maps::VNIS.get(vni) }.copied(),
        )
    }

    #[inline(always)]
    fn vtep(&self, address: VtepAddr) -> Option<u32> {
        remembered(
            &maps::VTEP_CACHE,
            address.spread(cache::VTEP_BITS),
            |slot| {
                maps::VTEPS
                    .get(slot)
                    .is_some_and(|vtep| vtep.address == address)
            },
            // SAFETY: a `u32` is read whole.
            || unsafe { maps::VTEP_SLOTS.get(address) }.copied(),
        )
    }

    #[inline(always)]
    fn vlan(&self, network: u32, vid: u16) -> Option<u32> {
        let key = VlanKey {
            network,
            vid: u32::from(vid),
        };
        // A multiplier that spreads neighbouring networks over the cache.
        let place = network.wrapping_mul(0x9e37_79b1) >> 16 ^ key.vid;
        remembered(
            &maps::VLAN_CACHE,
            place % cache::VLANS,
            |slot| {
                self.segment(slot)
                    .is_some_and(|segment| segment.network == network && segment.vid == vid)
            },
            // SAFETY: a `u32` is read whole.
            || unsafe { maps::VLANS.get(key) }.copied(),
        )
    }

    #[inline(always)]
    fn carries(&self, port: u32, vid: u16) -> bool {
        maps::PORT_VLANS
            .get(port)
            .is_some_and(|vlans| vlans.contains(vid))
    }

    #[inline(always)]
    fn allows(&self, key: &AllowedKey) -> bool {
        // SAFETY: only the row's presence is looked at.
        unsafe { maps::ALLOWED.get(key) }.is_some()
    }

    #[inline(always)]
    fn neighbour(&self, key: &NeighbourKey) -> Option<&Neighbour> {
        // SAFETY: as in `fdb`; a row that is reused meanwhile gives a wrong answer once.
        unsafe { maps::NEIGHBOURS.get(key) }
    }
}

/// Returns whose an IP address is, if the configuration says so.
#[inline(always)]
pub(crate) fn owner(key: &NeighbourKey) -> Option<u32> {
    // SAFETY: a `u32` is read whole.
    unsafe { maps::RESERVED.get(key) }.copied()
}

/// Returns the row of `LOCAL`, if the daemon has written it.
#[inline(always)]
pub(crate) fn local() -> Option<&'static Local> {
    maps::LOCAL.get(0).filter(|local| local.layout != 0)
}

/// Returns the slot and the row of the link that a program runs on.
#[inline(always)]
pub(crate) fn port_of(ifindex: u32) -> Option<(u32, &'static Port)> {
    let slot = remembered(
        &maps::PORT_CACHE,
        ifindex % cache::PORTS,
        |slot| {
            maps::PORTS
                .get(slot)
                .is_some_and(|port| port.ifindex == ifindex)
        },
        // SAFETY: a `u32` is read whole.
        || unsafe { maps::PORT_SLOTS.get(ifindex) }.copied(),
    )?;
    let port = maps::PORTS.get(slot)?;
    // Between the daemon's two writes the slot may still be another link's.
    (port.ifindex == ifindex).then_some((slot, port))
}

/// Returns the slot that `look_up` finds, from a direct-mapped cache in front of it if the row in
/// the slot says that it `is` the one looked for. A hash look-up costs as much as ten of an array.
#[inline(always)]
fn remembered(
    cache: &Array<u32>,
    place: u32,
    is: impl Fn(u32) -> bool,
    look_up: impl Fn() -> Option<u32>,
) -> Option<u32> {
    let cached = cache.get_ptr_mut(place)?;
    // SAFETY: array rows are never freed, and a `u32` is read and written whole: at worst another
    // CPU's slot is found, which is then checked like any.
    let slot = unsafe { cached.read_volatile() };
    if slot != NO_SLOT && is(slot) {
        return Some(slot);
    }
    let slot = look_up()?;
    // SAFETY: as above.
    unsafe { cached.write_volatile(slot) };
    Some(slot)
}

/// Returns the coarse clock in nanoseconds: fine enough for ageing, and a seventh of the price.
#[inline(always)]
pub(crate) fn now() -> u64 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_ktime_get_coarse_ns() }
}
