//! The maps, under the names that `vxnet_common::map` documents. A leaf: no logic.

use aya_ebpf::{
    bindings::BPF_F_NO_PREALLOC,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use vxnet_common::{
    addr::VtepAddr,
    event,
    map::{
        MAX_ALLOWED, MAX_FDB, MAX_FLOOD, MAX_NEIGHBOURS, MAX_PORTS, MAX_RESERVED, MAX_SEGMENTS,
        MAX_VTEPS,
        allowed::AllowedKey,
        cache,
        dropped::{self, Dropped},
        fdb::{FdbEntry, FdbKey},
        holder::{HeldKey, Holder, MAX_HOLDERS},
        local::Local,
        neighbour::{Neighbour, NeighbourKey},
        port::{Port, PortVlans},
        segment::{FloodKey, Segment},
        stats::{Drops, GONE_PORTS, GONE_VTEPS, PortStats, VtepStats},
        vlan::VlanKey,
        vtep::Vtep,
        whole,
    },
    reason::Reason,
};

#[map]
pub(crate) static LOCAL: Array<Local> = Array::pinned(1, 0);

#[map]
pub(crate) static PORT_SLOTS: HashMap<u32, u32> = HashMap::pinned(MAX_PORTS, 0);
#[map]
pub(crate) static PORT_CACHE: Array<u32> = Array::pinned(cache::PORTS, 0);
#[map]
pub(crate) static PORTS: Array<Port> = Array::pinned(MAX_PORTS, 0);
#[map]
pub(crate) static PORT_VLANS: Array<PortVlans> = Array::pinned(MAX_PORTS, 0);
#[map]
pub(crate) static ALLOWED: HashMap<AllowedKey, u32> =
    HashMap::pinned(MAX_ALLOWED, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static PORT_STATS: PerCpuArray<PortStats> = PerCpuArray::pinned(GONE_PORTS + 1, 0);
#[map]
pub(crate) static DROPS: PerCpuArray<Drops> = PerCpuArray::pinned(GONE_PORTS + 1, 0);
#[map]
pub(crate) static LAST_DROPS: Array<Dropped> = Array::pinned(Reason::SLOTS * dropped::KEPT, 0);
#[map]
pub(crate) static LAST_PLACES: Array<u32> = Array::pinned(Reason::SLOTS, 0);

#[map]
pub(crate) static SEGMENTS: Array<Segment> = Array::pinned(MAX_SEGMENTS, 0);
#[map]
pub(crate) static VNIS: HashMap<u32, u32> = HashMap::pinned(MAX_SEGMENTS, 0);
#[map]
pub(crate) static VNI_CACHE: Array<u32> = Array::pinned(cache::VNIS, 0);
#[map]
pub(crate) static VLANS: HashMap<VlanKey, u32> = HashMap::pinned(MAX_SEGMENTS, 0);
#[map]
pub(crate) static VLAN_CACHE: Array<u32> = Array::pinned(cache::VLANS, 0);
// Mostly empty on a small fabric, and read only for broadcasts.
#[map]
pub(crate) static FLOOD: HashMap<FloodKey, u32> = HashMap::pinned(MAX_FLOOD, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static VTEPS: Array<Vtep> = Array::pinned(MAX_VTEPS, 0);
#[map]
pub(crate) static VTEP_SLOTS: HashMap<VtepAddr, u32> = HashMap::pinned(MAX_VTEPS, 0);
#[map]
pub(crate) static VTEP_CACHE: Array<u32> = Array::pinned(1 << cache::VTEP_BITS, 0);
#[map]
pub(crate) static VTEP_STATS: PerCpuArray<VtepStats> = PerCpuArray::pinned(GONE_VTEPS + 1, 0);

// Rows are allocated as they come: a full table takes 100 MB.
#[map]
pub(crate) static FDB: HashMap<FdbKey, FdbEntry> = HashMap::pinned(MAX_FDB, BPF_F_NO_PREALLOC);
#[map]
pub(crate) static HOLDERS: Array<Holder> = Array::pinned(MAX_HOLDERS, 0);
// As many rows as the FDB has learned ones.
#[map]
pub(crate) static HELD: HashMap<HeldKey, FdbKey> = HashMap::pinned(MAX_FDB, BPF_F_NO_PREALLOC);
/// When a packet came of a flow that comes in super-packets.
#[map]
pub(crate) static WHOLE: Array<u64> = Array::pinned(whole::ROWS, 0);
/// When the FDB was swept last.
#[map]
pub(crate) static SWEPT: Array<u64> = Array::pinned(1, 0);

// What does not fit is looked up by asking: the oldest rows may go.
#[map]
pub(crate) static NEIGHBOURS: LruHashMap<NeighbourKey, Neighbour> =
    LruHashMap::pinned(MAX_NEIGHBOURS, 0);
// Not among those: what the user wrote must not go because of what guests say.
#[map]
pub(crate) static RESERVED: HashMap<NeighbourKey, u32> =
    HashMap::pinned(MAX_RESERVED, BPF_F_NO_PREALLOC);

#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::pinned(event::RING, 0);
