//! The rows of the fabric's tables.

use anyhow::Result;
use aya::{
    Pod,
    maps::{HashMap, MapData},
};
use vxnet_common::{
    addr::{Mac, VtepAddr},
    map::{
        LAYOUT,
        fdb::{FdbEntry, FdbKey, origin, place},
        holder::{self, Holder},
        local::Local,
        port::{Port, kind},
        segment::{FloodKey, Segment, list},
        vtep::{NextHop, Vtep},
    },
    outer::Template,
};
use vxnet_tests::frame::VXLAN_PORT;

use crate::counters::VTEPS;
use crate::fabric::{
    A, AGEING, AT_LOST, AT_NARROW, AT_ONE, AT_SILENT, AT_TWO, B, BLUE, D, E, EXPIRED, FREE_PORT,
    GATEWAY_MAC, GATEWAY_RED_MAC, HOST, HOST_RED, LINKS, LONELY, LOST, MOVED_OUT, NARROW,
    NARROW_MTU, ONE, PATH_MTU, PORT_A, PORT_B, PORT_C, PORT_LONELY, PORT_RED, RED, SILENT, TWO,
    UNPLUGGED, UPLINK, UPLINK_MAC, VNI_BLUE, VNI_LONELY, VNI_RED,
};
use crate::green::{self, HOST_GREEN};
use crate::world::{self, World};

/// Fills the tables of a new world.
pub(crate) fn fill(world: &mut World) -> Result<()> {
    clear(&mut world.port_slots)?;
    clear(&mut world.vnis)?;
    clear(&mut world.vlans)?;
    clear(&mut world.allowed)?;
    clear(&mut world.held)?;
    clear(&mut world.neighbours)?;
    clear(&mut world.reserved)?;
    for holder in (0..=FREE_PORT).chain((ONE..=SILENT).map(holder::of_vtep)) {
        world.holders.set(holder, Holder::default(), 0)?;
    }
    world.events();
    world.more_fdb.clear();
    clear(&mut world.flood)?;
    clear(&mut world.vtep_slots)?;
    configure(world, VXLAN_PORT)?;
    for (slot, link) in (1..).zip(LINKS) {
        let row = port(world.ifindex(slot), slot, link);
        world.ports.set(slot, row, 0)?;
        world.port_slots.insert(row.ifindex, slot, 0)?;
    }
    let blue = segment(
        VNI_BLUE,
        world.ifindex(HOST),
        HOST,
        &[ONE, TWO, NARROW, LOST, SILENT],
    );
    // Members of the flood list follow below; not all that take part are flooded to.
    world.segments.set(
        BLUE,
        Segment {
            flood_ports: 3,
            flood_vteps: 2,
            ..blue
        },
        0,
    )?;
    let red = segment(VNI_RED, world.ifindex(HOST_RED), HOST_RED, &[ONE]);
    world.segments.set(
        RED,
        Segment {
            flood_ports: 1,
            flood_vteps: 1,
            ..red
        },
        0,
    )?;
    let lonely = segment(VNI_LONELY, 0, 0, &[ONE]);
    world.segments.set(
        LONELY,
        Segment {
            flood_ports: 1,
            ..lonely
        },
        0,
    )?;
    for (vni, slot) in [(VNI_BLUE, BLUE), (VNI_RED, RED), (VNI_LONELY, LONELY)] {
        world.vnis.insert(vni, slot, 0)?;
    }
    for (segment, list, members) in [
        (BLUE, list::PORTS, [PORT_A, PORT_B, PORT_C].as_slice()),
        (BLUE, list::VTEPS, &[ONE, TWO]),
        (RED, list::PORTS, &[PORT_RED]),
        (RED, list::VTEPS, &[ONE]),
        (LONELY, list::PORTS, &[PORT_LONELY]),
    ] {
        for (index, slot) in (0..).zip(members) {
            let key = FloodKey {
                segment,
                list,
                index,
            };
            world.flood.insert(key, slot, 0)?;
        }
    }
    green::fill(world)?;
    reset_fdb(world)
}

/// Writes `LOCAL` and the peers' headers for a UDP port.
pub(crate) fn configure(world: &mut World, port: u16) -> Result<()> {
    let family = world.family;
    let underlay = VtepAddr::from(family.local().ip);
    let local = Local {
        layout: LAYOUT,
        underlay,
        port,
        family: family.number(),
        pad: 0,
        detour: 0,
        resolver: 0,
        name: [0; 32],
    };
    world.local.set(0, local, 0)?;
    for slot in 1..VTEPS {
        world.vteps.set(slot, Vtep::FREE, 0)?;
    }
    for slot in [ONE, TWO, NARROW, LOST, SILENT] {
        let peer = family.peer(slot);
        let address = VtepAddr::from(peer.ip);
        let template = Template::new(family.number(), underlay, address, port);
        let hop = NextHop {
            ifindex: if slot == LOST {
                0
            } else {
                world.ifindex(UPLINK)
            },
            mtu: if slot == NARROW { NARROW_MTU } else { PATH_MTU },
            dst: if matches!(slot, LOST | SILENT) {
                [0; 6]
            } else {
                peer.mac
            },
            src: UPLINK_MAC,
        };
        let row = Vtep {
            address,
            // Never looked up: there are no routes here.
            deadline: u64::MAX,
            active: 1,
            next_hop: [NextHop::default(), hop],
            checksum: template.checksum,
            header: template.header,
            name: [0; 32],
        };
        world.vteps.set(slot, row, 0)?;
        world.vtep_slots.insert(address, slot, 0)?;
    }
    Ok(())
}

/// Makes the FDB what it was before the first frame.
pub(crate) fn reset_fdb(world: &mut World) -> Result<()> {
    clear(&mut world.fdb)?;
    let now = world::now()?;
    let stale = now - AGEING;
    for (segment, mac, place, slot, origin, last_seen) in [
        (BLUE, A, place::PORT, PORT_A, origin::LEARNED, now),
        (BLUE, B, place::PORT, PORT_B, origin::LEARNED, now),
        (BLUE, GATEWAY_MAC, place::PORT, HOST, origin::STATIC, 0),
        (BLUE, AT_ONE, place::VTEP, ONE, origin::LEARNED, now),
        (BLUE, AT_TWO, place::VTEP, TWO, origin::LEARNED, now),
        (BLUE, AT_NARROW, place::VTEP, NARROW, origin::LEARNED, now),
        (BLUE, AT_LOST, place::VTEP, LOST, origin::LEARNED, now),
        (BLUE, AT_SILENT, place::VTEP, SILENT, origin::LEARNED, now),
        (BLUE, MOVED_OUT, place::PORT, PORT_RED, origin::LEARNED, now),
        (
            BLUE,
            UNPLUGGED,
            place::PORT,
            FREE_PORT,
            origin::LEARNED,
            now,
        ),
        (BLUE, EXPIRED, place::PORT, PORT_B, origin::LEARNED, stale),
        (RED, D, place::PORT, PORT_RED, origin::LEARNED, now),
        (
            RED,
            GATEWAY_RED_MAC,
            place::PORT,
            HOST_RED,
            origin::STATIC,
            0,
        ),
        (LONELY, E, place::PORT, PORT_LONELY, origin::LEARNED, now),
    ] {
        let row = FdbEntry {
            origin,
            ..FdbEntry::learned(place, slot, last_seen)
        };
        world.fdb.insert(FdbKey::new(segment, Mac(mac)), row, 0)?;
    }
    green::fill_fdb(world)?;
    for (key, row) in &world.more_fdb {
        world.fdb.insert(key, row, 0)?;
    }
    Ok(())
}

/// Gives a segment other members to flood to; list places above them are left empty.
pub(crate) fn set_flood(
    world: &mut World,
    segment: u32,
    ports: &[u32],
    vteps: &[u32],
) -> Result<()> {
    for (list, members) in [(list::PORTS, ports), (list::VTEPS, vteps)] {
        for (index, slot) in (0..).zip(members) {
            let key = FloodKey {
                segment,
                list,
                index,
            };
            world.flood.insert(key, slot, 0)?;
        }
    }
    let row = Segment {
        flood_ports: u32::try_from(ports.len())?,
        flood_vteps: u32::try_from(vteps.len())?,
        ..world.segments.get(&segment, 0)?
    };
    Ok(world.segments.set(segment, row, 0)?)
}

/// Empties a table.
pub(crate) fn clear<K: Pod, V: Pod>(map: &mut HashMap<MapData, K, V>) -> Result<()> {
    let keys: Vec<K> = map.keys().collect::<Result<_, _>>()?;
    for key in keys {
        map.remove(&key)?;
    }
    Ok(())
}

/// Sets the flags of a port.
pub(crate) fn set_flags(world: &mut World, slot: u32, flags: u32) -> Result<()> {
    let row = world.ports.get(&slot, 0)?;
    Ok(world.ports.set(slot, Port { flags, ..row }, 0)?)
}

/// Changes the row of a port.
pub(crate) fn change_port(
    world: &mut World,
    slot: u32,
    change: impl FnOnce(&mut Port),
) -> Result<()> {
    let mut row = world.ports.get(&slot, 0)?;
    change(&mut row);
    Ok(world.ports.set(slot, row, 0)?)
}

/// Changes the row of a segment.
pub(crate) fn change_segment(
    world: &mut World,
    slot: u32,
    change: impl FnOnce(&mut Segment),
) -> Result<()> {
    let mut row = world.segments.get(&slot, 0)?;
    change(&mut row);
    Ok(world.segments.set(slot, row, 0)?)
}

/// Lets TCP that TC strips cross the GRO link, or not.
pub(crate) fn set_detour(world: &mut World, on: bool) -> Result<()> {
    let row = world.local.get(&0, 0)?;
    let detour = if on { world.detour()? } else { 0 };
    Ok(world.local.set(0, Local { detour, ..row }, 0)?)
}

fn port(ifindex: u32, slot: u32, link: &str) -> Port {
    if slot >= HOST_GREEN {
        return Port {
            ifindex,
            name: vxnet_common::map::name(link),
            ..green::port(slot)
        };
    }
    let (kind, segment, mac) = match slot {
        HOST => (kind::HOST, BLUE, GATEWAY_MAC),
        HOST_RED => (kind::HOST, RED, GATEWAY_RED_MAC),
        UPLINK => (kind::UPLINK, 0, UPLINK_MAC),
        PORT_RED => (kind::GUEST, RED, [0; 6]),
        PORT_LONELY => (kind::GUEST, LONELY, [0; 6]),
        _ => (kind::GUEST, BLUE, [0; 6]),
    };
    let network = match segment {
        RED => HOST_RED,
        LONELY => PORT_LONELY,
        _ => HOST,
    };
    Port {
        ifindex,
        kind,
        segment,
        network,
        mac,
        name: vxnet_common::map::name(link),
        ..Port::FREE
    }
}

fn segment(vni: u32, bridge: u32, host_port: u32, vteps: &[u32]) -> Segment {
    let mut row = Segment {
        vni,
        network: if host_port == 0 {
            PORT_LONELY
        } else {
            host_port
        },
        bridge,
        host_port,
        mtu: 1450,
        ageing: AGEING,
        ..Segment::FREE
    };
    for slot in vteps {
        row.vteps[(slot / 64) as usize] |= 1 << (slot % 64);
    }
    row
}
