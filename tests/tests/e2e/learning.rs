//! Learning, flooding and ageing between the ports of one hypervisor.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use vxnet_tests::frame::BROADCAST;
use vxnet_tests::guest::Port;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::{Network, mac_text};
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::wait::eventually;

use crate::burst::{Station, expect_burst, test_frame};
use crate::switch;

const AGEING_S: u32 = 10;
/// A station behind a guest, known to nobody at first.
const STRANGER: [u8; 6] = [0x02, 0x11, 0x22, 0x33, 0x44, 0x55];
const MULTICAST: [u8; 6] = [0x01, 0x00, 0x5e, 0x01, 0x02, 0x03];

fn lab(label: &str) -> Result<(Lab, Vec<Station>)> {
    let lab = LabBuilder::new(label)
        .hypervisors(&[switch()])
        .network(Network::new("blue", 10).ageing(AGEING_S))
        .guest("blue", 1, Port::Veth)
        .guest("blue", 1, Port::Veth)
        .guest("blue", 1, Port::Tap)
        .build()?;
    let stations = Station::all(&lab)?;
    Ok((lab, stations))
}

#[test]
fn p01_flooding_reaches_every_other_port_once() -> Result<()> {
    let (_lab, stations) = lab("flood")?;
    for (what, destination) in [
        ("broadcast", BROADCAST),
        ("multicast", MULTICAST),
        ("unknown unicast", STRANGER),
    ] {
        for (number, from) in stations.iter().enumerate() {
            let mut expected = [10; 3];
            expected[number] = 0;
            let frame = test_frame(from.mac, destination);
            expect_burst(what, from, &frame, &stations, &expected)?;
        }
    }
    Ok(())
}

#[test]
fn p01_learned_unicast_reaches_only_its_port_until_it_ages() -> Result<()> {
    let (_lab, stations) = lab("learn")?;
    let [first, second, _] = &stations[..] else {
        unreachable!("three guests")
    };
    let frame = test_frame(second.mac, STRANGER);
    expect_burst(
        "before it is learned",
        second,
        &frame,
        &stations,
        &[10, 0, 10],
    )?;
    first.send(&test_frame(STRANGER, BROADCAST))?;
    eventually(Duration::from_secs(1), || {
        expect_burst("learned", second, &frame, &stations, &[10, 0, 0])
    })?;
    // The time of the product's own clock is what is tested: it has to pass.
    std::thread::sleep(Duration::from_secs(u64::from(AGEING_S) - 3));
    expect_burst("before it ages", second, &frame, &stations, &[10, 0, 0])?;
    std::thread::sleep(Duration::from_secs(5));
    expect_burst("aged", second, &frame, &stations, &[10, 0, 10])
}

#[test]
fn p01_a_frame_is_never_sent_back_out_of_its_port() -> Result<()> {
    let (_lab, stations) = lab("same")?;
    let first = &stations[0];
    first.send(&test_frame(STRANGER, BROADCAST))?;
    // The stranger is behind the first guest's port: its own neighbour's frame stays there.
    let frame = test_frame(first.mac, STRANGER);
    expect_burst("to its own port", first, &frame, &stations, &[0, 0, 0])
}

#[test]
fn p19_learn_move_flush_and_the_json_shape() -> Result<()> {
    let (mut lab, stations) = lab("move")?;
    let ports: Vec<_> = lab.guests.iter().map(|guest| guest.port.clone()).collect();
    let [first, second, third] = &stations[..] else {
        unreachable!("three guests")
    };
    let mac = mac_text(STRANGER);
    let vxnet = lab.vxnet(1)?;

    for (station, port) in [(third, &ports[2]), (second, &ports[1])] {
        station.send(&test_frame(STRANGER, BROADCAST))?;
        let row = eventually(Duration::from_secs(2), || {
            let rows = vxnet.fdb("blue", &mac)?;
            ensure!(
                rows.len() == 1 && rows[0]["port"] == port.as_str(),
                "{rows:?}"
            );
            Ok(rows[0].clone())
        })?;
        for (field, value) in [
            ("network", json!("blue")),
            ("mac", json!(mac)),
            ("where", json!("local")),
            ("origin", json!("learned")),
        ] {
            ensure!(row[field] == value, "{field} of {row}");
        }
        ensure!(
            row["age_s"].is_number() && row.get("vtep").is_some(),
            "{row}"
        );
        let frame = test_frame(first.mac, STRANGER);
        let expected: Vec<_> = ports
            .iter()
            .map(|other| if other == port { 10 } else { 0 })
            .collect();
        let what = format!("behind {port}");
        expect_burst(&what, first, &frame, &stations, &expected)?;
    }

    vxnet.cli(&format!("fdb flush --network blue --port {}", ports[1]))?;
    ensure!(
        vxnet.fdb("blue", &mac)?.is_empty(),
        "still there after the flush"
    );
    let frame = test_frame(first.mac, STRANGER);
    expect_burst("flushed", first, &frame, &stations, &[0, 10, 10])
}

#[test]
fn p19_a_removed_port_takes_its_fdb_rows_along() -> Result<()> {
    let (mut lab, stations) = lab("gone")?;
    let [first, _, third] = &stations[..] else {
        unreachable!("three guests")
    };
    third.send(&test_frame(STRANGER, BROADCAST))?;
    let frame = test_frame(first.mac, STRANGER);
    eventually(Duration::from_secs(1), || {
        expect_burst("learned", first, &frame, &stations, &[0, 0, 10])
    })?;
    // The tap disappears with its cable, as when QEMU ends.
    lab.guests.pop().context("three guests")?;
    let mac = mac_text(STRANGER);
    let vxnet = lab.vxnet(1)?;
    eventually(Duration::from_secs(2), || {
        let rows = vxnet.fdb("blue", &mac)?;
        ensure!(rows.is_empty(), "{rows:?}");
        Ok(())
    })?;
    expect_burst("flooded again", first, &frame, &stations[..2], &[0, 10])
}
