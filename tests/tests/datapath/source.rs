//! When rows of the FDB are written, and when not.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use vxnet_common::{
    addr::Mac,
    learn::REFRESH,
    map::{
        fdb::{FdbEntry, FdbKey, flag as row_flag, origin, place},
        port::flag,
    },
};

use crate::case::check;
use crate::fabric::{A, AT_ONE, B, BLUE, GATEWAY_MAC, HOST, ONE, PORT_A, PORT_B, datagram, plain};
use crate::green::{AT_ACCESS, GREEN_10, PHYSICAL, VNI_GREEN, tag};
use crate::outcome::Receiver;
use crate::receive::{Path, from_port, from_underlay};
use crate::world::{World, now};
use crate::{rows, test_run};

/// Ages a row and lets its station speak; returns the row then.
fn speak(world: &mut World, mac: [u8; 6], port: u32, age: u64) -> Result<(u64, FdbEntry)> {
    let key = FdbKey::new(BLUE, Mac(mac));
    let row = world.fdb.get(&key, 0)?;
    let last_seen = now()? - age;
    world.fdb.insert(key, FdbEntry { last_seen, ..row }, 0)?;
    let frame = plain(mac, B, 60);
    let run = test_run::tc(world.classifier("vx_port")?, world.ifindex(port), &frame)?;
    ensure!(run.action == 7, "action {}", run.action);
    Ok((last_seen, world.fdb.get(&key, 0)?))
}

#[test]
fn a_row_is_refreshed_once_it_is_old_enough() {
    check(|world| {
        let (before, row) = speak(world, A, PORT_A, REFRESH * 2)?;
        ensure!(row.last_seen > before, "not refreshed: {row:?}");
        ensure!(row.last_seen <= now()?, "refreshed to the future: {row:?}");
        let (before, row) = speak(world, A, PORT_A, REFRESH / 4)?;
        ensure!(row.last_seen == before, "a young row was written: {row:?}");
        let (before, row) = speak(world, GATEWAY_MAC, HOST, REFRESH * 2)?;
        let untouched = row.last_seen == before && row.origin == origin::STATIC;
        ensure!(untouched, "what the daemon wrote was changed: {row:?}");
        Ok(Vec::new())
    });
}

#[test]
fn static_rows_do_not_expire() {
    check(|world| {
        // Its clock says 0, which is as old as can be.
        let frame = datagram(A, GATEWAY_MAC);
        let run = test_run::tc(world.classifier("vx_port")?, world.ifindex(PORT_A), &frame)?;
        ensure!((run.action, &run.frame) == (7, &frame), "{run:?}");
        Ok(Vec::new())
    });
}

/// Lets the next frame find the row of a station as the last one has left it.
fn keep(world: &mut World, segment: u32, mac: [u8; 6]) -> Result<()> {
    let key = FdbKey::new(segment, Mac(mac));
    let row = world.fdb.get(&key, 0)?;
    world.more_fdb = vec![(key, row)];
    Ok(())
}

/// Where a station is, and how its row is marked.
fn place_of(world: &World, segment: u32, mac: [u8; 6]) -> Result<(u8, u32, u8)> {
    let row = world.fdb.get(&FdbKey::new(segment, Mac(mac)), 0)?;
    Ok((row.place, row.slot, row.flags))
}

#[test]
fn attack8_attack15_what_a_port_took_from_a_peer_the_peer_takes_back() {
    check(|world| {
        let stolen = (place::PORT, PORT_A, row_flag::TAKEN);
        for path in Path::ALL {
            from_port(world, PORT_A, &plain(AT_ONE, B, 60))?;
            let got = place_of(world, BLUE, AT_ONE)?;
            ensure!(got == stolen, "{path:?}: {got:?}");
            keep(world, BLUE, AT_ONE)?;
            let packet = world.family.arrives(ONE, &plain(AT_ONE, B, 60));
            from_underlay(world, path, &packet)?;
            let got = place_of(world, BLUE, AT_ONE)?;
            ensure!(got == (place::VTEP, ONE, 0), "{path:?}: {got:?}");
            // As before the first move.
            world.more_fdb.clear();
        }
        Ok(Vec::new())
    });
}

#[test]
fn evpn_03_a_station_behind_a_trunk_link_may_move_to_a_peer() {
    check(|world| {
        let mac = [2, 0, 0, 0, 5, 99];
        let frame = plain(mac, AT_ACCESS, 60);
        rows::change_port(world, PHYSICAL, |port| port.flags |= flag::KEEP_ROWS)?;
        from_port(world, PHYSICAL, &tag(10, 0, &frame))?;
        let got = place_of(world, GREEN_10, mac)?;
        ensure!(
            got == (place::PORT, PHYSICAL, row_flag::TRUNK),
            "behind the link: {got:?}"
        );
        keep(world, GREEN_10, mac)?;
        let packet = world.family.sent_by(ONE, VNI_GREEN).wrap(&frame);
        from_underlay(world, Path::Tc, &packet)?;
        let got = place_of(world, GREEN_10, mac)?;
        ensure!(got == (place::VTEP, ONE, 0), "behind the peer: {got:?}");
        world.more_fdb.clear();
        Ok(Vec::new())
    });
}

/// A guest that was claimed from outside has lost nothing, and what is true later is believed later.
#[test]
fn attack4_after_a_lie_about_a_guest_all_is_as_before() {
    check(|world| {
        let family = world.family;
        let key = FdbKey::new(BLUE, Mac(A));
        let lie = family.arrives(ONE, &plain(A, B, 60));
        let (to_guest, of_guest) = (datagram(AT_ONE, A), datagram(A, B));
        for path in Path::ALL {
            let got = from_underlay(world, path, &lie)?;
            ensure!(got.delivered.is_empty(), "{path:?}: {got:?}");
            let told = world.fdb.get(&key, 0)?;
            let place = (told.place, told.slot, told.moves);
            ensure!(place == (place::PORT, PORT_A, 0), "{path:?}: {told:?}");
            keep(world, BLUE, A)?;
            // The liar's host may still send what is true.
            let got = from_underlay(world, path, &family.arrives(ONE, &to_guest))?;
            let expected = BTreeMap::from([(Receiver::Port(PORT_A), vec![to_guest.clone()])]);
            ensure!(got.delivered == expected, "{path:?}: {got:?}");
            let got = from_port(world, PORT_A, &of_guest)?;
            let expected = BTreeMap::from([(Receiver::Port(PORT_B), vec![of_guest.clone()])]);
            ensure!(got.delivered == expected, "{path:?}: {got:?}");

            // Once its row has aged, it may be anywhere; and back again.
            let last_seen = now()? - world.segments.get(&BLUE, 0)?.ageing;
            world.more_fdb = vec![(key, FdbEntry { last_seen, ..told })];
            from_underlay(world, path, &lie)?;
            let got = place_of(world, BLUE, A)?;
            ensure!(got == (place::VTEP, ONE, 0), "{path:?}: {got:?}");
            keep(world, BLUE, A)?;
            from_port(world, PORT_A, &of_guest)?;
            let got = place_of(world, BLUE, A)?;
            ensure!(
                got == (place::PORT, PORT_A, row_flag::TAKEN),
                "{path:?}: {got:?}"
            );
            world.more_fdb.clear();
        }
        Ok(Vec::new())
    });
}
