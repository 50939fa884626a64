//! When rows of the FDB are written, and when not.

use anyhow::{Result, ensure};
use vxnet_common::{
    addr::Mac,
    learn::REFRESH,
    map::fdb::{FdbEntry, FdbKey, origin},
};

use crate::case::check;
use crate::fabric::{A, B, BLUE, GATEWAY_MAC, HOST, PORT_A, datagram, plain};
use crate::test_run;
use crate::world::{World, now};

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
