//! How many addresses may be behind a peer: so many in each segment.

use anyhow::{Result, ensure};
use vxnet_common::{
    addr::Mac,
    map::{
        fdb::{FdbEntry, FdbKey, place},
        holder::{HeldKey, VTEP_FDB_LIMIT, ring_of_vtep},
    },
    reason::Reason,
};

use crate::case::check;
use crate::fabric::{BLUE, ONE, RED, STRANGER, TWO, UPLINK, VNI_BLUE, VNI_RED, plain};
use crate::limits::{counted, station};
use crate::test_run;
use crate::world::{World, now};

/// A station of the flood.
fn flooded(number: u32) -> Mac {
    let [_, a, b, c] = number.to_be_bytes();
    Mac([2, 0x66, 0, a, b, c])
}

/// Uses up all places of a peer in BLUE.
fn fill(world: &mut World, peer: u32) -> Result<()> {
    let last_seen = now()?;
    for held in 0..VTEP_FDB_LIMIT {
        let key = FdbKey::new(BLUE, flooded(held));
        let row = FdbEntry {
            held,
            ..FdbEntry::learned(place::VTEP, peer, last_seen)
        };
        world.fdb.insert(key, row, 0)?;
        let ring = ring_of_vtep(peer, BLUE);
        world.held.insert(HeldKey { ring, place: held }, key, 0)?;
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
        fill(world, ONE)?;
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
