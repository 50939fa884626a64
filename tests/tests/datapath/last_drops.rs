//! `LAST_DROPS`: what was dropped last, by reason.

use anyhow::{Result, ensure};
use vxnet_common::{
    map::dropped::{Dropped, HEADER, KEPT, SERVICE, TAGGED},
    reason::Reason,
};
use vxnet_tests::frame::{BROADCAST, ethernet};

use crate::case::check;
use crate::fabric::{A, B, ONE, PORT_A, PORT_B, STRANGER, UPLINK, VNI_LONELY, datagram, plain};
use crate::green::{TRUNK, tag};
use crate::outcome::Receiver;
use crate::receive::{Path, from_port, from_station, from_underlay};
use crate::test_run;
use crate::too_big::large;
use crate::world::{World, now};

/// Dropped wherever it comes from.
fn reserved(number: u8, length: usize) -> Vec<u8> {
    let mut frame = plain([2, 0, 0, 8, 0, number], [1, 0x80, 0xc2, 0, 0, 0], length);
    if let Some(byte) = frame.get_mut(14) {
        *byte = number;
    }
    frame
}

/// The rows of a reason, oldest first.
fn kept(world: &World, reason: Reason) -> Result<Vec<Dropped>> {
    let mut rows = Vec::new();
    for place in 0..KEPT {
        let row = world.last_drops.get(&(reason as u32 * KEPT + place), 0)?;
        if row.time != 0 {
            rows.push(row);
        }
    }
    rows.sort_by_key(|row| row.time);
    Ok(rows)
}

fn latest(world: &World, reason: Reason) -> Result<Dropped> {
    let rows = kept(world, reason)?;
    let [.., last] = rows[..] else {
        anyhow::bail!("nothing is kept");
    };
    Ok(last)
}

/// Waits for the next tick of the clock that rows are stamped with.
fn tick() -> Result<()> {
    let start = now()?;
    while now()? == start {
        std::thread::yield_now();
    }
    Ok(())
}

#[test]
fn the_header_of_a_dropped_frame_is_kept() {
    check(|world| {
        let start = now()?;
        for (port, frame) in [
            (PORT_A, reserved(1, 60)),
            (PORT_B, reserved(2, 14)),
            (PORT_A, reserved(3, 95)),
            (PORT_A, reserved(4, 96)),
            (PORT_A, reserved(5, 97)),
            (PORT_A, reserved(6, 1514)),
        ] {
            tick()?;
            from_port(world, port, &frame)?;
            let row = latest(world, Reason::LinkLocal)?;
            let kept = frame.len().min(HEADER);
            ensure!(row.time > start && row.time <= now()?, "{row:?}");
            ensure!(
                (row.port, row.len as usize) == (port, frame.len()),
                "{row:?}"
            );
            ensure!((row.tag, row.kept as usize) == (0, kept), "{row:?}");
            ensure!(row.header[..kept] == frame[..kept], "{row:?}");
        }
        Ok(Vec::new())
    });
}

/// The message to its sender is made out of the frame itself.
#[test]
fn the_header_of_a_frame_whose_sender_is_told_is_kept_once() {
    check(|world| {
        let frame = large(A);
        let start = now()?;
        tick()?;
        let got = from_port(world, PORT_A, &frame)?;
        ensure!(
            got.delivered.contains_key(&Receiver::Port(PORT_A)),
            "not told"
        );
        let mut rows = kept(world, Reason::TooBig)?;
        rows.retain(|row| row.time > start);
        let [row] = rows[..] else {
            anyhow::bail!("{} rows", rows.len());
        };
        ensure!(
            (row.port, row.len as usize) == (PORT_A, frame.len()),
            "{row:?}"
        );
        ensure!(row.header[..HEADER] == frame[..HEADER], "{row:?}");
        Ok(Vec::new())
    });
}

#[test]
fn the_tag_of_a_dropped_frame_is_kept() {
    check(|world| {
        // Beside the frame, where it was dropped with its tag.
        let frame = ethernet(
            A,
            B,
            0x8100,
            &[&[0x20, 10, 0x08, 0x00][..], &[0; 46]].concat(),
        );
        from_station(world, PORT_A, &tag(11, 5, &frame))?;
        let row = latest(world, Reason::Tagged)?;
        ensure!(row.tag == TAGGED | 0xa00b, "{row:?}");
        ensure!(row.header[..frame.len()] == frame, "{row:?}");
        // A service tag is none of a VLAN of ours.
        let mut service = tag(11, 5, &datagram(A, B));
        service[12..14].copy_from_slice(&[0x88, 0xa8]);
        tick()?;
        from_station(world, PORT_A, &service)?;
        let row = latest(world, Reason::Tagged)?;
        ensure!(row.tag == SERVICE | TAGGED | 0xa00b, "{row:?}");
        // This one was off already when its VLAN was denied.
        let inner = datagram(STRANGER, BROADCAST);
        tick()?;
        from_station(world, TRUNK, &tag(11, 6, &inner))?;
        let row = latest(world, Reason::VlanDenied)?;
        ensure!((row.port, row.tag) == (TRUNK, TAGGED | 0xc00b), "{row:?}");
        let kept = inner.len().min(HEADER);
        ensure!(row.header[..kept] == inner[..kept], "{row:?}");
        Ok(Vec::new())
    });
}

#[test]
fn the_latest_drops_win_and_reasons_are_apart() {
    check(|world| {
        let ifindex = world.ifindex(PORT_A);
        for number in 0..20 {
            tick()?;
            let frame = reserved(number, 60);
            test_run::tc(world.classifier("vx_port")?, ifindex, &frame)?;
        }
        let other = plain([0; 6], B, 60);
        for _ in 0..20 {
            test_run::tc(world.classifier("vx_port")?, ifindex, &other)?;
        }
        let rows = kept(world, Reason::LinkLocal)?;
        let numbers: Vec<u8> = rows.iter().map(|row| row.header[14]).collect();
        ensure!(numbers == (12..20).collect::<Vec<u8>>(), "{numbers:?}");
        let rows = kept(world, Reason::BadSource)?;
        ensure!(rows.len() == 8, "{} rows", rows.len());
        Ok(Vec::new())
    });
}

#[test]
fn what_the_underlay_sent_is_kept_with_its_outer_header() {
    check(|world| {
        let inner = datagram(STRANGER, B);
        let packet = world.family.sent_by(ONE, VNI_LONELY + 1).wrap(&inner);
        for path in Path::ALL {
            tick()?;
            let start = now()?;
            from_underlay(world, path, &packet)?;
            let row = latest(world, Reason::UnknownVni)?;
            let kept = packet.len().min(HEADER);
            ensure!(row.time >= start && row.port == UPLINK, "{path:?}: {row:?}");
            ensure!(row.header[..kept] == packet[..kept], "{path:?}: {row:?}");
        }
        Ok(Vec::new())
    });
}
