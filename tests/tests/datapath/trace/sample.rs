//! Random tables and frames, near to what is there: noise alone would always end in the same drop.

use anyhow::Result;
use vxnet_common::addr::{Mac, VtepAddr};
use vxnet_common::map::{
    allowed::AllowedKey,
    fdb::{FROZEN, FdbEntry, FdbKey, NO_PLACE, flag as fdb_flag, origin, place},
    holder::{self, HeldKey, Holder},
    neighbour::{NOBODY, Neighbour, NeighbourKey, flag as neighbour_flag},
    port::flag,
    segment,
};
use vxnet_tests::frame::{BROADCAST, Endpoint, udp};

use crate::fabric::{
    A, AGEING, AT_LOST, AT_NARROW, AT_ONE, AT_SILENT, AT_TWO, B, BLUE, C, D, E, EXPIRED, Family,
    GATEWAY_MAC, GATEWAY_RED_MAC, HOST, HOST_RED, LINKS, LONELY, LOST, MOVED_OUT, NARROW, ONE,
    PORT_A, PORT_B, PORT_C, PORT_LONELY, PORT_RED, RED, SILENT, STRANGER, TWO, UNPLUGGED, UPLINK,
    VNI_BLUE, VNI_LONELY, VNI_RED, datagram, datagram6, plain, v4, v6,
};
use crate::fuzz::Random;
use crate::green::{self, GREEN_10, GREEN_11, GREEN_12, VNI_GREEN};
use crate::messages::{self, ip4, ip6};
use crate::rows;
use crate::world::{self, World};

/// Who sends and gets frames.
const STATIONS: [[u8; 6]; 22] = [
    A,
    B,
    C,
    AT_ONE,
    AT_TWO,
    AT_NARROW,
    AT_LOST,
    AT_SILENT,
    MOVED_OUT,
    UNPLUGGED,
    EXPIRED,
    D,
    E,
    STRANGER,
    GATEWAY_MAC,
    GATEWAY_RED_MAC,
    green::AT_ACCESS,
    green::AT_TRUNK,
    green::AT_TAGGED,
    green::AT_UNTAGGED,
    green::AT_ONE_GREEN,
    green::TWICE,
];

const SEGMENTS: [u32; 6] = [BLUE, RED, LONELY, GREEN_10, GREEN_11, GREEN_12];

/// Flags that any port may have.
const FLAGS: [u32; 8] = [
    flag::ISOLATED,
    flag::LOCKED,
    flag::CHECK_MAC,
    flag::CHECK_IP,
    flag::NO_DHCP_SERVER,
    flag::NO_RA,
    flag::NO_VXLAN,
    flag::KEEP_ROWS,
];

fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len())]
}

/// Returns true once in so many times.
fn once_in(random: &mut Random, times: usize) -> bool {
    random.below(times) == 0
}

/// Changes all tables but the FDB's rows of the fabric.
pub(super) fn tables(world: &mut World, random: &mut Random) -> Result<()> {
    ports(world, random)?;
    segments(world, random)?;
    neighbours(world, random)?;
    rows::clear(&mut world.allowed)?;
    for slot in 1..=LINKS.len() as u32 {
        for mac in STATIONS {
            if !once_in(random, 3) {
                world
                    .allowed
                    .insert(AllowedKey::mac(slot, Mac(mac)), 1, 0)?;
            }
            for address in [VtepAddr::from(v4(mac).ip), VtepAddr::from(v6(mac).ip)] {
                if !once_in(random, 3) {
                    world.allowed.insert(AllowedKey::ip(slot, address), 1, 0)?;
                }
            }
        }
    }
    world.more_fdb = (0..random.below(6))
        .map(|_| row(random))
        .collect::<Result<_>>()?;
    Ok(())
}

fn ports(world: &mut World, random: &mut Random) -> Result<()> {
    rows::clear(&mut world.held)?;
    for slot in (1..=LINKS.len() as u32).filter(|slot| *slot != UPLINK) {
        let mut flags = if slot >= green::HOST_GREEN {
            green::flags(slot)
        } else {
            0
        };
        // Most ports have no checks, or nothing else would be seen.
        if once_in(random, 3) {
            for bit in FLAGS {
                flags |= if once_in(random, 3) { bit } else { 0 };
            }
        }
        let fdb_limit = if once_in(random, 2) {
            1 + random.below(4) as u32
        } else {
            0
        };
        let bum_limit = if once_in(random, 4) { 10_000_000 } else { 0 };
        let mtu = if once_in(random, 3) {
            28 + random.below(300) as u32
        } else {
            0
        };
        rows::change_port(world, slot, |row| {
            row.flags = flags;
            row.fdb_limit = fdb_limit;
            row.bum_limit = bum_limit;
            row.mtu = mtu;
        })?;
        let row = Holder {
            shut_until: if once_in(random, 12) { u64::MAX } else { 0 },
            learned: random.next(),
            ..Holder::default()
        };
        world.holders.set(slot, row, 0)?;
        for place in 0..fdb_limit {
            if !once_in(random, 3) {
                let key = FdbKey::new(pick(random, &SEGMENTS), Mac(pick(random, &STATIONS)));
                world.held.insert(HeldKey { ring: slot, place }, key, 0)?;
            }
        }
    }
    for vtep in ONE..=SILENT {
        world
            .holders
            .set(holder::of_vtep(vtep), Holder::default(), 0)?;
    }
    Ok(())
}

fn segments(world: &mut World, random: &mut Random) -> Result<()> {
    for slot in SEGMENTS {
        let mut flags = 0;
        for bit in [
            segment::flag::NO_UNKNOWN,
            segment::flag::NO_BROADCAST,
            segment::flag::NO_MULTICAST,
        ] {
            flags |= if once_in(random, 8) { bit } else { 0 };
        }
        if once_in(random, 2) {
            flags |= segment::flag::SUPPRESS;
        }
        let gateway = if once_in(random, 2) {
            [10, 0, 0, 1]
        } else {
            [0; 4]
        };
        rows::change_segment(world, slot, |row| {
            row.flags = flags;
            row.gateway_v4 = gateway;
        })?;
    }
    // Peers that cannot be reached, at any place of the list: the last one gets the frame itself.
    let peers = [ONE, TWO, NARROW, LOST, SILENT];
    let first = random.below(peers.len());
    let count = random.below(peers.len() + 1);
    let chosen: Vec<u32> = peers
        .iter()
        .cycle()
        .skip(first)
        .take(count)
        .copied()
        .collect();
    rows::set_flood(world, BLUE, &[PORT_A, PORT_B, PORT_C], &chosen)
}

fn neighbours(world: &mut World, random: &mut Random) -> Result<()> {
    rows::clear(&mut world.neighbours)?;
    rows::clear(&mut world.reserved)?;
    let now = world::now()?;
    for segment in SEGMENTS {
        for mac in STATIONS {
            for address in [VtepAddr::from(v4(mac).ip), VtepAddr::from(v6(mac).ip)] {
                if once_in(random, 3) {
                    continue;
                }
                let flags = pick(random, &[0, 0, 0, neighbour_flag::ROUTER]);
                let old = if once_in(random, 6) { 2 * AGEING } else { 0 };
                let row = Neighbour {
                    mac,
                    flags,
                    last_seen: now.saturating_sub(old),
                };
                let key = NeighbourKey::new(segment, address);
                world.neighbours.insert(key, row, 0)?;
                if once_in(random, 4) {
                    let owners = [NOBODY, PORT_A, HOST, holder::of_vtep(ONE)];
                    world.reserved.insert(key, pick(random, &owners), 0)?;
                }
            }
        }
    }
    Ok(())
}

/// Returns a row of the FDB that nobody has learned by itself.
fn row(random: &mut Random) -> Result<(FdbKey, FdbEntry)> {
    let now = world::now()?;
    let key = FdbKey::new(pick(random, &SEGMENTS), Mac(pick(random, &STATIONS)));
    let (at, slot) = if once_in(random, 3) {
        (place::VTEP, pick(random, &[ONE, TWO]))
    } else {
        (place::PORT, 1 + random.below(LINKS.len()) as u32)
    };
    let learned = FdbEntry {
        moved: now,
        held: pick(random, &[0, 1, 2, NO_PLACE]),
        ..FdbEntry::learned(at, slot, now)
    };
    let row = match random.below(5) {
        0 => FdbEntry::fixed(at, slot, origin::STATIC),
        1 => FdbEntry::fixed(at, slot, origin::MANUAL),
        2 => FdbEntry {
            flags: fdb_flag::STICKY,
            ..learned
        },
        3 => FdbEntry {
            moves: FROZEN,
            ..learned
        },
        _ => FdbEntry {
            moves: random.below(6) as u8,
            ..learned
        },
    };
    Ok((key, row))
}

/// Returns a frame, and the slot of the port that it comes in by.
pub(super) fn frame(family: Family, random: &mut Random) -> (u32, Vec<u8>) {
    if once_in(random, 6) {
        return (UPLINK, packet(family, random));
    }
    // The ports that know each other best come most often.
    let slot = match random.below(3) {
        0 => pick(random, &[PORT_A, PORT_A, PORT_B, PORT_C, HOST]),
        _ => 1 + random.below(LINKS.len()) as u32,
    };
    if slot == UPLINK {
        return frame(family, random);
    }
    let mut frame = message(family, random, station_of(slot));
    if slot >= green::HOST_GREEN || once_in(random, 10) {
        frame = tagged(random, frame);
    }
    (slot, mutated(random, frame))
}

/// Returns who is behind a port.
fn station_of(slot: u32) -> [u8; 6] {
    match slot {
        PORT_A => A,
        PORT_B => B,
        PORT_C => C,
        HOST => GATEWAY_MAC,
        HOST_RED => GATEWAY_RED_MAC,
        PORT_RED => D,
        PORT_LONELY => E,
        green::ACCESS_10 => green::AT_ACCESS,
        green::TRUNK => green::AT_TRUNK,
        green::TAGGED => green::AT_TAGGED,
        green::UNTAGGED => green::AT_UNTAGGED,
        _ => STRANGER,
    }
}

/// Returns a packet of the underlay.
fn packet(family: Family, random: &mut Random) -> Vec<u8> {
    let src = pick(random, &[AT_ONE, AT_ONE, green::AT_ONE_GREEN, STRANGER, A]);
    let inner = message(family, random, src);
    if once_in(random, 10) {
        return mutated(random, inner);
    }
    let peer = pick(random, &[ONE, ONE, ONE, TWO, SILENT, SILENT + 2]);
    let vni = pick(
        random,
        &[VNI_BLUE, VNI_BLUE, VNI_GREEN, VNI_RED, VNI_LONELY, 999],
    );
    let mut outer = family.sent_by(peer, vni);
    outer.traffic_class = pick(random, &[0, 0, 3, 2]);
    let packet = outer.wrap(&inner);
    if once_in(random, 3) {
        return mutated(random, packet);
    }
    packet
}

/// Returns a frame without a tag that a station might send.
fn message(family: Family, random: &mut Random, sender: [u8; 6]) -> Vec<u8> {
    let src = match random.below(40) {
        0 => [3, 0, 0, 0, 0, 1],
        1 => [0; 6],
        2..10 => pick(random, &STATIONS),
        10..14 => STRANGER,
        _ => sender,
    };
    let dst = match random.below(12) {
        0..3 => BROADCAST,
        3 => [1, 0, 0x5e, 0, 0, 1],
        4 => [1, 0x80, 0xc2, 0, 0, random.below(32) as u8],
        _ => pick(random, &STATIONS),
    };
    let wanted = pick(random, &STATIONS);
    match random.below(16) {
        0 => datagram6(src, dst),
        1 => plain(src, dst, 60),
        2 => messages::arp((src, dst), 1, (src, ip4(src)), ([0; 6], ip4(wanted))),
        3 | 4 => messages::arp((src, BROADCAST), 1, (src, ip4(src)), ([0; 6], ip4(wanted))),
        5 => messages::arp((src, dst), 2, (wanted, ip4(wanted)), (dst, ip4(dst))),
        6 | 7 => messages::solicitation(src, ip6(src), ip6(wanted)),
        8 => messages::advertisement((src, ip6(wanted)), (dst, ip6(dst)), 0x60),
        9 => udp(v4(src), v4(dst), (67, 68), &messages::dhcp(2, src)),
        10 => {
            let to = Endpoint::new(dst, family.peer(ONE).ip);
            let from = if to.ip.is_ipv4() { v4(src) } else { v6(src) };
            udp(from, to, (5000, 4789), &[8, 0, 0, 0, 0, 0, 100, 0])
        }
        11..=13 => {
            // Where a path is narrow, most often.
            let far = pick(random, &[AT_NARROW, AT_NARROW, AT_ONE, dst]);
            long(random, src, far)
        }
        _ => datagram(src, dst),
    }
}

/// Returns a packet that may be too big for the overlay, with "don't fragment" or without.
fn long(random: &mut Random, src: [u8; 6], dst: [u8; 6]) -> Vec<u8> {
    let payload = vec![0; 900 + random.below(540)];
    if once_in(random, 3) {
        return udp(v6(src), v6(dst), (5000, 6000), &payload);
    }
    let mut frame = udp(v4(src), v4(dst), (5000, 6000), &payload);
    frame[20] = pick(random, &[0x40, 0x40, 0]);
    frame
}

/// Puts a tag into a frame, or two, or none.
fn tagged(random: &mut Random, frame: Vec<u8>) -> Vec<u8> {
    let vid = pick(random, &[10, 10, 10, 11, 12, 12, 0, 1, 100, 4095]);
    let priority = random.below(8) as u16;
    let tagged = green::tag(vid, priority, &frame);
    match random.below(12) {
        0..4 => frame,
        4 => green::tag(10, 0, &tagged),
        5 => {
            let mut service = tagged;
            service[12..14].copy_from_slice(&[0x88, 0xa8]);
            service
        }
        _ => tagged,
    }
}

/// Changes bytes of a frame, or its length, now and then.
fn mutated(random: &mut Random, mut frame: Vec<u8>) -> Vec<u8> {
    if !once_in(random, 5) {
        return frame;
    }
    for _ in 0..=random.below(3) {
        let at = random.below(frame.len().min(100));
        frame[at] = random.next() as u8;
    }
    match random.below(4) {
        0 => frame.truncate(14 + random.below(frame.len() - 13)),
        1 => frame.extend((0..random.below(40)).map(|_| 0xee)),
        _ => {}
    }
    frame
}
