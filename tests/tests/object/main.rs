//! The BPF object as the compiler made it: what a loader and the kernel will find in it.
//!
//! Needs neither root nor a kernel with BPF.

use std::collections::{BTreeMap, BTreeSet};

use aya_obj::{Map, Object, ProgramSection, generated::bpf_map_type};
use vxnet_common::{
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

/// The kernel keeps 15 bytes of a name and cuts the rest.
const LONGEST_NAME: usize = 15;

/// Maps that belong to aya-log; its names and layouts are its own.
const LOG_MAPS: [&str; 2] = ["AYA_LOGS", "AYA_LOG_BUF"];

/// What the programs may ask of the kernel, all of it in the oldest kernel that vxnet supports.
const HELPERS: &[(i32, &str)] = &[
    (1, "map_lookup_elem"),
    (2, "map_update_elem"),
    (3, "map_delete_elem"),
    (5, "ktime_get_ns"),
    (8, "get_smp_processor_id"),
    (9, "skb_store_bytes"),
    (10, "l3_csum_replace"),
    (13, "clone_redirect"),
    (18, "skb_vlan_push"),
    (19, "skb_vlan_pop"),
    (20, "skb_get_tunnel_key"),
    (23, "redirect"),
    (25, "perf_event_output"),
    (26, "skb_load_bytes"),
    (34, "get_hash_recalc"),
    (38, "skb_change_tail"),
    (39, "skb_pull_data"),
    (43, "skb_change_head"),
    (44, "xdp_adjust_head"),
    (48, "set_hash"),
    (50, "skb_adjust_room"),
    (51, "redirect_map"),
    (54, "xdp_adjust_meta"),
    (65, "xdp_adjust_tail"),
    (69, "fib_lookup"),
    (130, "ringbuf_output"),
    (131, "ringbuf_reserve"),
    (132, "ringbuf_submit"),
    (133, "ringbuf_discard"),
    (152, "redirect_neigh"),
    (160, "ktime_get_coarse_ns"),
    (164, "for_each_map_elem"),
    (181, "loop"),
];

fn object() -> Object {
    Object::parse(vxnet::host::object_bytes()).expect("an object that aya can load")
}

fn size(size: usize) -> u32 {
    u32::try_from(size).expect("a size of a map's row")
}

#[test]
fn programs_stand_in_the_sections_of_their_hooks() {
    let programs: BTreeMap<String, &str> = object()
        .programs
        .iter()
        .map(|(name, program)| {
            let kind = match &program.section {
                ProgramSection::SchedClassifier => "tc",
                ProgramSection::Xdp { frags: false, .. } => "xdp",
                other => panic!("{name} is in section {other:?}"),
            };
            (name.clone(), kind)
        })
        .collect();
    let expected = [
        ("vx_port", "tc"),
        ("vx_detour", "tc"),
        ("vx_resolve", "tc"),
        ("vx_uplink", "tc"),
        ("vx_uplink_xdp", "xdp"),
    ];
    let expected = expected.map(|(name, kind)| (name.to_owned(), kind));
    assert_eq!(programs, BTreeMap::from(expected));
}

#[test]
fn the_licence_opens_the_helpers_that_want_gpl() {
    // The kernel's list of compatible licences: include/linux/license.h.
    let compatible = [
        "GPL",
        "GPL v2",
        "GPL and additional rights",
        "Dual BSD/GPL",
        "Dual MIT/GPL",
        "Dual MPL/GPL",
    ];
    let object = object();
    let licence = object.license.to_str().expect("a readable licence");
    assert!(compatible.contains(&licence), "{licence}");
    for (name, program) in &object.programs {
        assert_eq!(program.license, object.license, "{name}");
    }
}

#[test]
fn maps_are_laid_out_as_vxnet_common_says() {
    use bpf_map_type::{
        BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY,
        BPF_MAP_TYPE_RINGBUF,
    };
    let (ports, vteps) = (GONE_PORTS + 1, GONE_VTEPS + 1);
    let (lru_hash, ring) = (BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_RINGBUF);
    let (array, hash) = (BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_HASH);
    let per_cpu = BPF_MAP_TYPE_PERCPU_ARRAY;
    let rows = [
        ("LOCAL", array, 4, size_of::<Local>(), 1),
        ("PORT_SLOTS", hash, 4, 4, MAX_PORTS),
        ("PORT_CACHE", array, 4, 4, cache::PORTS),
        ("PORTS", array, 4, size_of::<Port>(), MAX_PORTS),
        ("PORT_STATS", per_cpu, 4, size_of::<PortStats>(), ports),
        ("DROPS", per_cpu, 4, size_of::<Drops>(), ports),
        ("SEGMENTS", array, 4, size_of::<Segment>(), MAX_SEGMENTS),
        ("VNIS", hash, 4, 4, MAX_SEGMENTS),
        ("FLOOD", hash, size_of::<FloodKey>(), 4, MAX_FLOOD),
        ("VTEPS", array, 4, size_of::<Vtep>(), MAX_VTEPS),
        ("VNI_CACHE", array, 4, 4, cache::VNIS),
        ("VTEP_CACHE", array, 4, 4, 1 << cache::VTEP_BITS),
        ("VTEP_SLOTS", hash, 16, 4, MAX_VTEPS),
        ("VTEP_STATS", per_cpu, 4, size_of::<VtepStats>(), vteps),
        (
            "FDB",
            hash,
            size_of::<FdbKey>(),
            size_of::<FdbEntry>(),
            MAX_FDB,
        ),
        ("PORT_VLANS", array, 4, size_of::<PortVlans>(), MAX_PORTS),
        ("ALLOWED", hash, size_of::<AllowedKey>(), 4, MAX_ALLOWED),
        ("VLANS", hash, size_of::<VlanKey>(), 4, MAX_SEGMENTS),
        ("VLAN_CACHE", array, 4, 4, cache::VLANS),
        (
            "LAST_DROPS",
            array,
            4,
            size_of::<Dropped>(),
            Reason::SLOTS * dropped::KEPT,
        ),
        ("LAST_PLACES", array, 4, 4, Reason::SLOTS),
        ("HOLDERS", array, 4, size_of::<Holder>(), MAX_HOLDERS),
        (
            "HELD",
            hash,
            size_of::<HeldKey>(),
            size_of::<FdbKey>(),
            MAX_FDB,
        ),
        ("SWEPT", array, 4, 8, 1),
        ("WHOLE", array, 4, 8, whole::ROWS),
        (
            "NEIGHBOURS",
            lru_hash,
            size_of::<NeighbourKey>(),
            size_of::<Neighbour>(),
            MAX_NEIGHBOURS,
        ),
        ("RESERVED", hash, size_of::<NeighbourKey>(), 4, MAX_RESERVED),
        ("EVENTS", ring, 0, 0, event::RING),
    ];
    let object = object();
    let mut expected: BTreeSet<&str> = LOG_MAPS.into();
    for (name, kind, key, value, rows) in rows {
        expected.insert(name);
        let map = object
            .maps
            .get(name)
            .unwrap_or_else(|| panic!("no map {name}"));
        let found = (
            map.map_type(),
            map.key_size(),
            map.value_size(),
            map.max_entries(),
        );
        assert_eq!(found, (kind as u32, size(key), size(value), rows), "{name}");
        assert_eq!(
            map.pinning(),
            aya_obj::maps::PinningType::ByName,
            "{name}: maps outlive the daemon"
        );
    }
    let unknown: Vec<&String> = object
        .maps
        .iter()
        // The compiler's constants are maps too, of sections instead of symbols.
        .filter(|(name, map)| !name.starts_with('.') && is_table(map))
        .map(|(name, _)| name)
        .filter(|name| !expected.contains(name.as_str()))
        .collect();
    assert!(
        unknown.is_empty(),
        "maps that vxnet_common does not document: {unknown:?}"
    );
}

fn is_table(map: &Map) -> bool {
    map.section_kind() == aya_obj::EbpfSectionKind::Maps
        || map.section_kind() == aya_obj::EbpfSectionKind::BtfMaps
}

#[test]
fn the_kernel_shows_names_in_full() {
    let object = object();
    let names = object.programs.keys().chain(object.maps.keys());
    let long: Vec<&String> = names.filter(|name| name.len() > LONGEST_NAME).collect();
    assert!(long.is_empty(), "cut by the kernel: {long:?}");
}

#[test]
fn programs_call_only_helpers_of_the_oldest_kernel() {
    /// `BPF_JMP | BPF_CALL`; a source register of 0 tells helpers from functions.
    const CALL: u8 = 0x85;
    let object = object();
    for function in object.functions.values() {
        for instruction in &function.instructions {
            if instruction.code == CALL && instruction.src_reg() == 0 {
                let helper = instruction.imm;
                assert!(
                    HELPERS.iter().any(|(number, _)| *number == helper),
                    "{} calls helper {helper}, which the list does not know",
                    function.name
                );
            }
        }
    }
}
