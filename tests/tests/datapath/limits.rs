//! How many addresses a port may have, and who gives way: never somebody else.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use vxnet_common::{
    addr::Mac,
    event::kind,
    map::{
        fdb::{FROZEN, FdbEntry, FdbKey, flag as fdb_flag, origin, place},
        holder::{HeldKey, Holder},
        port::flag,
    },
    reason::Reason,
};
use vxnet_tests::frame::BROADCAST;

use crate::case::{Case, check, on_port};
use crate::counters::{Counter, growth};
use crate::fabric::{
    A, AGEING, AT_ONE, B, BLUE, EXPIRED, Family, ONE, PORT_A, PORT_B, PORT_C, STRANGER, TWO,
    UPLINK, plain,
};
use crate::outcome::Receiver::Port;
use crate::rows;
use crate::test_run;
use crate::world::{self, World, now};

/// The station with that number.
pub(crate) fn station(number: u16) -> [u8; 6] {
    let [high, low] = number.to_be_bytes();
    [2, 0, 0, 7, high, low]
}

/// Lets a station speak to another.
pub(crate) fn speak(world: &World, port: u32, from: [u8; 6], to: [u8; 6]) -> Result<i32> {
    let frame = plain(from, to, 60);
    Ok(test_run::tc(world.classifier("vx_port")?, world.ifindex(port), &frame)?.action)
}

/// The stations by number, below 1000, that the FDB has at a port.
fn learned(world: &World, port: u32) -> Result<BTreeSet<u16>> {
    let rows = world.fdb()?;
    Ok((0..1000)
        .filter(|number| rows.get(&(BLUE, station(*number))) == Some(&(place::PORT, port)))
        .collect())
}

pub(crate) fn limit(world: &mut World, port: u32, rows: u32, flags: u32) -> Result<()> {
    rows::change_port(world, port, |row| {
        row.fdb_limit = rows;
        row.flags = flags;
    })
}

/// How often something was counted for a port while `work` ran.
pub(crate) fn counted(
    world: &mut World,
    port: u32,
    reason: Reason,
    work: impl FnOnce(&mut World) -> Result<()>,
) -> Result<u64> {
    let before = world.counts()?;
    work(world)?;
    let counts = growth(&before, &world.counts()?);
    Ok(counts
        .get(&Counter::Drop(port, reason))
        .copied()
        .unwrap_or(0))
}

/// Makes rows as old as can be.
fn expire(world: &mut World, numbers: impl IntoIterator<Item = u16>) -> Result<()> {
    for number in numbers {
        let key = FdbKey::new(BLUE, Mac(station(number)));
        let row = world.fdb.get(&key, 0)?;
        let last_seen = row.last_seen - AGEING;
        world.fdb.insert(key, FdbEntry { last_seen, ..row }, 0)?;
    }
    Ok(())
}

#[test]
fn p20_the_eleventh_address_takes_the_place_of_the_oldest() {
    check(|world| {
        limit(world, PORT_C, 10, 0)?;
        let notices = counted(world, PORT_C, Reason::FdbLimit, |world| {
            for number in 0..10 {
                ensure!(speak(world, PORT_C, station(number), A)? == 7, "{number}");
            }
            Ok(())
        })?;
        ensure!(notices == 0, "{notices} notices below the limit");
        ensure!(learned(world, PORT_C)? == (0..10).collect());
        let notices = counted(world, PORT_C, Reason::FdbLimit, |world| {
            ensure!(speak(world, PORT_C, station(10), A)? == 7, "the eleventh");
            Ok(())
        })?;
        ensure!(notices == 1, "{notices} notices");
        let rows = learned(world, PORT_C)?;
        ensure!(rows == (1..11).collect(), "{rows:?}");
        Ok(Vec::new())
    });
}

#[test]
fn p21_of_sixteen_addresses_eight_are_learned() {
    check(|world| {
        for (flags, expected) in [(0, 8..16), (flag::KEEP_ROWS, 0..8)] {
            rows::reset_fdb(world)?;
            rows::clear(&mut world.held)?;
            limit(world, PORT_C, 8, flags)?;
            let notices = counted(world, PORT_C, Reason::FdbLimit, |world| {
                for number in 0..16 {
                    ensure!(speak(world, PORT_C, station(number), A)? == 7, "{number}");
                }
                Ok(())
            })?;
            let rows = learned(world, PORT_C)?;
            ensure!(
                rows == expected.collect() && notices == 8,
                "{notices}: {rows:?}"
            );
            // What the user writes is over and above.
            let key = FdbKey::new(BLUE, Mac(station(99)));
            let row = FdbEntry::fixed(place::PORT, PORT_C, origin::MANUAL);
            world.fdb.insert(key, row, 0)?;
            let notices = counted(world, PORT_C, Reason::FdbLimit, |world| {
                speak(world, PORT_C, station(99), A).map(drop)
            })?;
            let rows = learned(world, PORT_C)?;
            ensure!(rows.len() == 9 && notices == 0, "{notices}: {rows:?}");
        }
        Ok(Vec::new())
    });
}

/// The rows of `HELD`, by ring.
fn held(world: &World) -> Result<Vec<(u32, Mac)>> {
    let rows = world.held.iter().collect::<Result<Vec<_>, _>>()?;
    let mut rows: Vec<_> = rows
        .into_iter()
        .map(|(place, key)| (place.ring, Mac(key.mac)))
        .collect();
    rows.sort_unstable();
    Ok(rows)
}

#[test]
fn attack7_a_place_in_a_ring_goes_with_its_row() {
    check(|world| {
        rows::reset_fdb(world)?;
        rows::clear(&mut world.held)?;
        for port in [PORT_B, PORT_C] {
            limit(world, port, 16, 0)?;
        }
        let mac = Mac(station(1));
        // An address that wanders, or is forgotten and learned anew, is in one place only.
        for port in [PORT_B, PORT_C, PORT_B, PORT_C] {
            speak(world, port, mac.0, A)?;
            let rows = held(world)?;
            ensure!(rows == [(port, mac)], "at {port}: {rows:?}");
        }
        // A row that has expired keeps its place.
        expire(world, [1])?;
        speak(world, PORT_C, mac.0, A)?;
        let rows = held(world)?;
        ensure!(rows == [(PORT_C, mac)], "renewed: {rows:?}");
        // One that expired and came back elsewhere does not.
        expire(world, [1])?;
        speak(world, PORT_B, mac.0, A)?;
        let rows = held(world)?;
        ensure!(rows == [(PORT_B, mac)], "after it expired: {rows:?}");
        Ok(Vec::new())
    });
}

#[test]
fn a11_attack7_one_port_never_takes_the_rows_of_another() {
    check(|world| {
        for port in [PORT_A, PORT_B, PORT_C] {
            limit(world, port, 10, 0)?;
        }
        for number in 0..10 {
            speak(world, PORT_B, station(number), A)?;
        }
        for number in 100..900 {
            ensure!(speak(world, PORT_C, station(number), A)? == 7, "{number}");
        }
        let (flooder, other) = (learned(world, PORT_C)?, learned(world, PORT_B)?);
        ensure!(flooder == (890..900).collect(), "{flooder:?}");
        ensure!(other == (0..10).collect(), "{other:?}");
        // A row that has moved away is not the flooder's to give up.
        speak(world, PORT_A, station(890), B)?;
        for number in 900..920 {
            speak(world, PORT_C, station(number), A)?;
        }
        ensure!(learned(world, PORT_A)? == [890].into(), "taken back");
        Ok(Vec::new())
    });
}

#[test]
fn p21_live_rows_are_kept_and_expired_ones_make_room() {
    check(|world| {
        limit(world, PORT_C, 8, flag::KEEP_ROWS)?;
        for number in 0..8 {
            speak(world, PORT_C, station(number), A)?;
        }
        expire(world, [2, 5])?;
        for number in 10..20 {
            speak(world, PORT_C, station(number), A)?;
        }
        let rows = learned(world, PORT_C)?;
        let live: BTreeSet<u16> = [0, 1, 3, 4, 6, 7].into();
        ensure!(rows.is_superset(&live) && rows.len() == 8, "{rows:?}");
        ensure!(rows.contains(&10) && rows.contains(&11), "{rows:?}");
        Ok(Vec::new())
    });
}

/// The rows that are expired go first, however old the live ones are.
#[test]
fn expired_rows_go_before_live_ones() {
    check(|world| {
        limit(world, PORT_C, 8, 0)?;
        for number in 0..8 {
            speak(world, PORT_C, station(number), A)?;
        }
        expire(world, [6])?;
        let notices = counted(world, PORT_C, Reason::FdbLimit, |world| {
            speak(world, PORT_C, station(10), A).map(drop)
        })?;
        let rows = learned(world, PORT_C)?;
        ensure!(rows == [0, 1, 2, 3, 4, 5, 7, 10].into(), "{rows:?}");
        ensure!(
            notices == 0,
            "nobody has lost a live row, but {notices} notices"
        );
        Ok(Vec::new())
    });
}

#[test]
fn a12_a_full_table_is_swept_of_expired_rows() -> Result<()> {
    world::with_small_fdb(Family::V4, 64, |world| {
        let refill = |world: &mut World, age: u64| -> Result<()> {
            rows::reset_fdb(world)?;
            let last_seen = now()? - age;
            // The fabric has an expired row of its own, which a second sweep would find.
            let expired = FdbEntry::learned(place::PORT, PORT_B, last_seen);
            let key = FdbKey::new(BLUE, Mac(EXPIRED));
            world.fdb.insert(key, expired, 0)?;
            for number in 0..1000 {
                let key = FdbKey::new(BLUE, Mac(station(number)));
                let held = u32::from(number);
                let row = FdbEntry {
                    held,
                    ..FdbEntry::learned(place::PORT, PORT_B, last_seen)
                };
                if world.fdb.insert(key, row, 0).is_err() {
                    return Ok(());
                }
                let place = HeldKey {
                    ring: PORT_B,
                    place: held,
                };
                world.held.insert(place, key, 0)?;
            }
            anyhow::bail!("the table is never full")
        };
        refill(world, AGEING)?;
        let full = counted(world, PORT_A, Reason::FdbFull, |world| {
            ensure!(speak(world, PORT_A, STRANGER, B)? == 7, "not forwarded");
            Ok(())
        })?;
        let rows = world.fdb()?;
        ensure!(full == 0, "counted as full");
        ensure!(
            rows.get(&(BLUE, STRANGER)) == Some(&(place::PORT, PORT_A)),
            "not learned"
        );
        ensure!(learned(world, PORT_B)?.is_empty(), "expired rows are left");
        let places = held(world)?;
        ensure!(places.is_empty(), "places are left: {places:?}");
        ensure!(rows.contains_key(&(BLUE, A)), "a live row is gone");
        // All live: nobody gives way.
        refill(world, 0)?;
        let before = world.fdb()?;
        let full = counted(world, PORT_A, Reason::FdbFull, |world| {
            ensure!(speak(world, PORT_A, STRANGER, B)? == 7, "not forwarded");
            Ok(())
        })?;
        ensure!(full == 1, "counted {full} times");
        ensure!(world.fdb()? == before, "a live row is gone");
        Ok(())
    })
}

#[test]
fn evpn_03_a24_attack8_an_address_that_moves_too_often_stays() {
    check(|world| {
        world.events();
        let row = |world: &World| world.fdb.get(&FdbKey::new(BLUE, Mac(B)), 0);
        let notices = counted(world, PORT_C, Reason::MacFlap, |world| {
            for (moves, port) in (1..).zip([PORT_C, PORT_B, PORT_C, PORT_B, PORT_C]) {
                ensure!(speak(world, port, B, A)? == 7, "move {moves}");
                let row = row(world)?;
                ensure!(
                    (row.moves, row.slot) == (moves, port),
                    "move {moves}: {row:?}"
                );
            }
            Ok(())
        })?;
        ensure!(notices == 0, "{notices} notices of moves that are followed");
        ensure!(
            world.events().is_empty(),
            "an event of moves that are followed"
        );
        let notices = counted(world, PORT_B, Reason::MacFlap, |world| {
            for _ in 0..3 {
                ensure!(speak(world, PORT_B, B, A)? == 7, "not forwarded");
            }
            Ok(())
        })?;
        let row = row(world)?;
        ensure!((row.moves, row.slot) == (FROZEN, PORT_C), "{row:?}");
        ensure!(notices == 3, "{notices} notices");
        let events = world.events();
        let [event] = events[..] else {
            anyhow::bail!("{events:?}");
        };
        let said = (
            event.kind,
            event.segment,
            event.holder,
            event.other,
            event.mac,
        );
        ensure!(
            said == (kind::FLAPPING, BLUE, PORT_B, PORT_C, B),
            "{event:?}"
        );
        Ok(Vec::new())
    });
}

#[test]
fn evpn_03_attack8_an_address_that_moves_between_peers_too_often_stays() {
    check(|world| {
        let key = FdbKey::new(BLUE, Mac(AT_ONE));
        let says = |world: &World, peer| {
            let packet = world.family.arrives(peer, &plain(AT_ONE, A, 60));
            test_run::tc(
                world.classifier("vx_uplink")?,
                world.ifindex(UPLINK),
                &packet,
            )?;
            anyhow::Ok(world.fdb.get(&key, 0)?)
        };
        for (moves, peer) in (1..).zip([TWO, ONE, TWO, ONE, TWO]) {
            let row = says(world, peer)?;
            ensure!(
                (row.moves, row.slot) == (moves, peer),
                "move {moves}: {row:?}"
            );
        }
        let notices = counted(world, UPLINK, Reason::MacFlap, |world| {
            let row = says(world, ONE)?;
            ensure!((row.moves, row.slot) == (FROZEN, TWO), "{row:?}");
            Ok(())
        })?;
        ensure!(notices == 1, "{notices} notices");
        Ok(Vec::new())
    });
}

#[test]
fn p19_a_sticky_address_does_not_move() {
    check(|world| {
        let row = FdbEntry {
            flags: fdb_flag::STICKY,
            ..FdbEntry::learned(place::PORT, PORT_B, now()?)
        };
        world.more_fdb = vec![(FdbKey::new(BLUE, Mac(B)), row)];
        let frame = plain(B, A, 60);
        let away = [Case::dropped(
            "p19_sticky_elsewhere",
            frame.clone(),
            Reason::LocalMac,
        )];
        let mut failures = on_port(world, PORT_C, &away);
        let home = [Case::delivered(
            "p19_sticky",
            frame.clone(),
            [(Port(PORT_A), frame)],
        )];
        failures.extend(on_port(world, PORT_B, &home));
        Ok(failures)
    });
}

#[test]
fn attack26_the_storm_limit_counts_all_floods_together() {
    check(|world| {
        const LIMIT: u32 = 3;
        rows::change_port(world, PORT_A, |port| port.bum_limit = LIMIT)?;
        let broadcast = BROADCAST;
        let multicast = [1, 0, 0x5e, 0, 0, 9];
        let kinds = [
            broadcast, multicast, STRANGER, broadcast, multicast, STRANGER,
        ];
        for _ in 0..100 {
            world.holders.set(PORT_A, Holder::default(), 0)?;
            let start = now()?;
            let mut actions = Vec::new();
            for to in kinds {
                actions.push(speak(world, PORT_A, A, to)?);
            }
            let unicast = speak(world, PORT_A, A, B)?;
            let another = speak(world, PORT_B, B, BROADCAST)?;
            // One more would be allowed by then.
            if now()? - start >= 1_000_000_000 / u64::from(LIMIT) {
                continue;
            }
            ensure!(actions == [7, 7, 7, 2, 2, 2], "{actions:?}");
            ensure!(unicast == 7, "unicast is limited");
            ensure!(another == 7, "another port is limited");
            let storms = counted(world, PORT_A, Reason::Storm, |world| {
                for _ in 0..100 {
                    speak(world, PORT_A, A, BROADCAST)?;
                }
                Ok(())
            })?;
            ensure!(storms >= 90, "{storms} of 100");
            return Ok(Vec::new());
        }
        anyhow::bail!("never fast enough")
    });
}
