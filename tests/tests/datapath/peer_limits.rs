//! How many addresses may be behind a peer: so many in each segment.

use anyhow::{Result, ensure};
use vxnet_common::{
    addr::Mac,
    map::{
        fdb::{FdbEntry, FdbKey, place},
        holder::{HeldKey, Holder, VTEP_FDB_LIMIT, ring_of_vtep},
        port::flag,
    },
    reason::Reason,
};

use crate::case::check;
use crate::fabric::{A, BLUE, ONE, PORT_C, RED, STRANGER, TWO, UPLINK, VNI_BLUE, VNI_RED, plain};
use crate::limits::{counted, limit, speak, station};
use crate::rows;
use crate::test_run;
use crate::world::{World, now};

/// A station of the flood.
fn flooded(number: u32) -> Mac {
    let [_, a, b, c] = number.to_be_bytes();
    Mac([2, 0x66, 0, a, b, c])
}

/// Uses up so many places of a holder in a segment, side by side from the one where the next
/// address would go.
fn fill(world: &mut World, kind: u8, slot: u32, segment: u32, places: u32) -> Result<()> {
    let last_seen = now()?;
    for held in 0..places {
        let key = FdbKey::new(segment, flooded(held));
        let row = FdbEntry {
            held,
            ..FdbEntry::learned(kind, slot, last_seen)
        };
        world.fdb.insert(key, row, 0)?;
        let ring = row.ring(segment);
        world.held.insert(HeldKey { ring, place: held }, key, 0)?;
        let holder = Holder::default();
        world.holders.set(row.holder(), holder, 0)?;
    }
    Ok(())
}

/// Lets a station of a peer speak, and returns whether it was learned there.
fn is_learned(world: &World, peer: u32, vni: u32, mac: [u8; 6]) -> Result<bool> {
    let packet = world.family.sent_by(peer, vni);
    let packet = packet.wrap(&plain(mac, STRANGER, 60));
    let program = world.classifier("vx_uplink")?;
    test_run::tc(program, world.ifindex(UPLINK), &packet)?;
    let segment = if vni == VNI_RED { RED } else { BLUE };
    let found = world.fdb()?.get(&(segment, mac)).copied();
    Ok(found == Some((place::VTEP, peer)))
}

#[test]
fn attack7_a_peers_flood_in_one_network_leaves_the_others_their_share() {
    check(|world| {
        fill(world, place::VTEP, ONE, BLUE, VTEP_FDB_LIMIT)?;
        let notices = counted(world, UPLINK, Reason::FdbLimit, |world| {
            let learned = is_learned(world, ONE, VNI_BLUE, station(1))?;
            ensure!(!learned, "one more than there may be");
            Ok(())
        })?;
        ensure!(notices == 1, "{notices} notices");
        let notices = counted(world, UPLINK, Reason::FdbLimit, |world| {
            let red = is_learned(world, ONE, VNI_RED, station(1))?;
            ensure!(red, "the same peer is unknown in another network");
            let blue = is_learned(world, TWO, VNI_BLUE, station(2))?;
            ensure!(blue, "another peer is unknown in the same network");
            Ok(())
        })?;
        ensure!(notices == 0, "{notices} notices");
        // Live rows do not give way.
        for number in 0..VTEP_FDB_LIMIT {
            let row = world.fdb.get(&FdbKey::new(BLUE, flooded(number)), 0);
            ensure!(row.is_ok(), "station {number} was forgotten");
        }
        // One of them goes elsewhere, and its place is free.
        let mac = flooded(7).0;
        ensure!(is_learned(world, TWO, VNI_BLUE, mac)?, "it does not move");
        let place = HeldKey {
            ring: ring_of_vtep(ONE, BLUE),
            place: 7,
        };
        ensure!(world.held.get(&place, 0).is_err(), "its place is taken");
        Ok(Vec::new())
    });
}

/// Or its frames would go to where it was until its row has aged.
#[test]
fn attack7_p19_a_station_is_followed_to_a_peer_that_has_no_place_left() {
    check(|world| {
        fill(world, place::VTEP, ONE, BLUE, VTEP_FDB_LIMIT)?;
        let (moves, stays) = (station(3), station(4));
        for mac in [moves, stays] {
            ensure!(is_learned(world, TWO, VNI_BLUE, mac)?, "not at first");
        }
        let notices = counted(world, UPLINK, Reason::FdbLimit, |world| {
            ensure!(is_learned(world, ONE, VNI_BLUE, moves)?, "not followed");
            Ok(())
        })?;
        ensure!(notices == 1, "{notices} notices");
        let fdb = world.fdb()?;
        ensure!(fdb.get(&(BLUE, stays)) == Some(&(place::VTEP, TWO)));
        // It has left its former place, and has none at the peer.
        let held: Vec<_> = world.held.iter().collect::<Result<_, _>>()?;
        ensure!(!held.iter().any(|(_, key)| key.mac == moves), "it has one");
        // It is one of those that are known, and goes on as they do.
        let notices = counted(world, UPLINK, Reason::FdbLimit, |world| {
            ensure!(is_learned(world, ONE, VNI_BLUE, moves)?, "forgotten");
            Ok(())
        })?;
        ensure!(notices == 0, "{notices} notices");
        ensure!(is_learned(world, TWO, VNI_BLUE, moves)?, "not back");
        Ok(Vec::new())
    });
}

/// Live rows that stand side by side where the next address would go are no limit.
#[test]
fn attack7_p20_p21_what_is_free_elsewhere_in_a_ring_is_found() {
    check(|world| {
        // Each a fifth of what there may be.
        fill(world, place::VTEP, ONE, RED, VTEP_FDB_LIMIT / 5)?;
        let notices = counted(world, UPLINK, Reason::FdbLimit, |world| {
            for number in 0..20 {
                let mac = station(number);
                ensure!(
                    is_learned(world, ONE, VNI_RED, mac)?,
                    "{number} at the peer"
                );
            }
            Ok(())
        })?;
        ensure!(notices == 0, "{notices} notices at the peer");
        for flags in [0, flag::KEEP_ROWS] {
            rows::reset_fdb(world)?;
            limit(world, PORT_C, 4096, flags)?;
            fill(world, place::PORT, PORT_C, BLUE, 800)?;
            let notices = counted(world, PORT_C, Reason::FdbLimit, |world| {
                for number in 0..30 {
                    speak(world, PORT_C, station(number), A)?;
                }
                Ok(())
            })?;
            let fdb = world.fdb()?;
            let at_port = fdb.values().filter(|at| **at == (place::PORT, PORT_C));
            ensure!(notices == 0, "{notices} notices");
            ensure!(at_port.count() >= 830, "live rows have gone");
        }
        Ok(Vec::new())
    });
}
