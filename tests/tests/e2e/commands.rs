//! The commands that look at the live tables, and those that change them by hand.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use vxnet_tests::frame::ETHERTYPE_TEST;
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::{Network, mac_text};
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

use crate::burst::{Station, expect_seen, test_frame};

const PATIENCE: Duration = Duration::from_secs(5);
/// A station that is nowhere.
const STRANGER: &str = "52:54:00:99:00:01";

fn lab(label: &str) -> Result<Lab> {
    let lab = LabBuilder::new(label)
        .hypervisors(&[Kind::Vxnet, Kind::Vxnet])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Tap)
        .guest("blue", 2, Port::Tap)
        .build()?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    lab.wait_for_ping(from, to, Family::V4)?;
    Ok(lab)
}

#[test]
fn commands_trace_follows_a_frame_without_sending_it() -> Result<()> {
    let mut lab = lab("trace")?;
    let near = lab.guest("blue", 1, 1)?;
    let (port, mac) = (near.port.clone(), mac_text(near.mac));
    let far = mac_text(lab.guest("blue", 2, 1)?.mac);
    let stations = Station::all(&lab)?;
    let vxnet = lab.vxnet(1)?;

    let before = vxnet.fdb("blue", STRANGER)?;
    let words = format!("trace {port} --src {STRANGER} --dst {far} --ethertype 0x88b6");
    let trace = vxnet.json(&words)?;
    let verdict = &trace["verdict"];
    ensure!(verdict["outcome"] == "delivered", "{trace:#}");
    ensure!(verdict["receivers"][0]["name"] == "10.77.2.2", "{trace:#}");
    ensure!(
        before.is_empty() && vxnet.fdb("blue", STRANGER)?.is_empty(),
        "it was learned"
    );

    let text = vxnet.cli(&format!("{words} --lookups"))?;
    for part in [
        &format!("port      {port} (slot "),
        &format!("learn     {STRANGER} would be learned at {port}\n"),
        &format!("decide    {far} is at 10.77.2.2"),
        "FDB [segment ",
        "verdict   delivered to VTEP 10.77.2.2\n",
    ] {
        ensure!(text.contains(part), "no {part:?} in\n{text}");
    }

    // A drop is an answer too, and says what to do.
    let hex = format!("{far} 03:00:00:00:00:01 88b6");
    let text = vxnet.cli(&format!("trace {port} {hex}"))?;
    ensure!(text.contains("verdict   dropped: bad_source - "), "{text}");
    ensure!(text.contains("\nhint: "), "{text}");
    ensure!(vxnet.drops_of(&port, "bad_source")? == 0, "it was counted");

    // What was not sent, nobody got; the guest's own frames go their way.
    let frame = test_frame(lab.guest("blue", 1, 1)?.mac, lab.guest("blue", 2, 1)?.mac);
    stations[0].send(&frame)?;
    let what = format!("{mac} to {far}");
    expect_seen(&what, &frame, &stations, &[0, 1])?;
    let unknown = lab
        .vxnet(1)?
        .cli("trace nobody 00")
        .unwrap_err()
        .to_string();
    ensure!(unknown.contains("there is no port \"nobody\""), "{unknown}");
    // Also where the frame is not complete.
    let words = format!("trace nobody --src {mac} --dst {far}");
    let unknown = lab.vxnet(1)?.cli(&words).unwrap_err().to_string();
    ensure!(unknown.contains("there is no port \"nobody\""), "{unknown}");
    Ok(())
}

#[test]
fn commands_drop_show_last_has_the_headers() -> Result<()> {
    let mut lab = lab("lastdrop")?;
    let mac = lab.guest("blue", 1, 1)?.mac;
    let port = lab.guest("blue", 1, 1)?.port.clone();
    let stations = Station::all(&lab)?;
    stations[0].send(&test_frame([3, 0, 0, 0, 0, 1], mac))?;
    let vxnet = lab.vxnet(1)?;
    let rows = eventually(PATIENCE, || {
        let rows = vxnet.rows(&format!(
            "drop show --last --reason bad_source --port {port}"
        ))?;
        ensure!(!rows.is_empty(), "nothing yet");
        Ok(rows)
    })?;
    let summary = rows[0]["summary"].as_str().context("a summary")?;
    let expected = format!(
        "03:00:00:00:00:01 > {}, EtherType 0x{ETHERTYPE_TEST:04x}",
        mac_text(mac)
    );
    ensure!(rows.len() == 1 && summary == expected, "{rows:#?}");
    let text = vxnet.cli("drop show --last --hex --reason bad_source")?;
    let header = rows[0]["header"].as_str().context("a header")?;
    ensure!(text.contains(header) && text.contains(summary), "{text}");
    let none = vxnet.rows("drop show --last --reason storm")?;
    ensure!(none.is_empty(), "{none:?}");
    let text = vxnet.cli("drop explain bad_source")?;
    ensure!(
        text.starts_with("bad_source\n") && text.contains("hint: "),
        "{text}"
    );
    ensure!(
        vxnet.cli("drop explain")?.matches("hint: ").count() > 40,
        "not all"
    );
    Ok(())
}

#[test]
fn commands_addresses_by_hand_stay_until_they_are_removed() -> Result<()> {
    let mut lab = lab("byhand")?;
    let (port, mac) = {
        let guest = lab.guest("blue", 1, 1)?;
        (guest.port.clone(), guest.mac)
    };
    let stations = Station::all(&lab)?;
    let gateway = mac_text(lab.hypervisor(1)?.mac("br-blue")?);
    let other = mac_text(lab.guest("blue", 2, 1)?.mac);

    // p04: a static place is not for a frame to change.
    let vxnet = lab.vxnet(1)?;
    vxnet.cli(&format!(
        "fdb add {STRANGER} --network blue --vtep 10.77.2.2"
    ))?;
    let lie = test_frame([0x52, 0x54, 0, 0x99, 0, 1], mac);
    stations[0].send(&lie)?;
    eventually(PATIENCE, || {
        ensure!(vxnet.drops_of(&port, "local_mac")? == 1, "not yet");
        Ok(())
    })?;
    vxnet.cli("fdb flush --network blue")?;
    let rows = vxnet.fdb("blue", STRANGER)?;
    ensure!(rows.len() == 1 && rows[0]["origin"] == "manual", "{rows:?}");
    ensure!(rows[0]["vtep"] == "10.77.2.2", "{rows:?}");
    vxnet.cli(&format!("fdb del {STRANGER} --network blue"))?;
    ensure!(vxnet.fdb("blue", STRANGER)?.is_empty(), "still there");

    vxnet.cli(&format!(
        "fdb add {STRANGER} --network blue --port {port} --sticky"
    ))?;
    let rows = vxnet.fdb("blue", STRANGER)?;
    ensure!(
        rows[0]["origin"] == "sticky" && rows[0]["port"] == port.as_str(),
        "{rows:?}"
    );
    vxnet.cli("fdb flush --all-manual")?;
    for (words, says) in [
        (format!("fdb del {STRANGER} --network blue"), "is not known"),
        (
            format!("fdb del {gateway} --network blue"),
            "a static address",
        ),
        (
            format!("fdb add {gateway} --network blue --port {port}"),
            "a static address",
        ),
        (
            format!("fdb add ff:ff:ff:ff:ff:ff --network blue --port {port}"),
            "no station's",
        ),
        (
            format!("fdb add {other} --network blue --vtep 192.0.2.9"),
            "no VTEP",
        ),
        (
            format!("fdb add {other} --network red --port {port}"),
            "no network",
        ),
        (
            format!("fdb add {other} --network blue --vlan 7 --port {port}"),
            "no VLANs",
        ),
    ] {
        let error = format!("{:#}", vxnet.cli(&words).unwrap_err());
        ensure!(error.contains(says), "{words}: {error}");
    }
    Ok(())
}

#[test]
fn commands_addresses_are_loaded_all_or_none() -> Result<()> {
    let mut lab = lab("load")?;
    let port = lab.guest("blue", 1, 1)?.port.clone();
    let vxnet = lab.vxnet(1)?;
    let line =
        |last: u8, place: &str| format!("52:54:00:98:00:{last:02x} --network blue {place}\n");
    let here = format!("--port {port}");
    let load = |text: String| vxnet.command(["fdb", "load", "-"]).stdin(text).run();
    let all = || -> Result<usize> {
        let rows = vxnet.rows("fdb show --network blue")?;
        let manual = rows.iter().filter(|row| row["origin"] == "manual");
        Ok(manual.count())
    };
    for (wrong, says) in [
        (line(3, "--port nobody"), "-:3: there is no port"),
        (line(3, ""), "-:3: the following required"),
        (
            "ff:ff:ff:ff:ff:ff\n".to_owned(),
            "-:3: the following required",
        ),
        (line(1, &here), "-:3: line 1 has that address too"),
    ] {
        let text = line(1, &here) + &line(2, "--vtep 10.77.2.2") + &wrong;
        let error = format!("{:#}", load(text).unwrap_err());
        ensure!(error.contains(says), "{wrong}: {error}");
        ensure!(all()? == 0, "{wrong}: some were added");
    }
    let told = load(line(1, &here) + "# a remark\n" + &line(2, "--vtep 10.77.2.2"))?;
    ensure!(told.contains("2 addresses added"), "{told}");
    ensure!(all()? == 2, "not both");
    Ok(())
}

#[test]
fn commands_verify_finds_every_frame_accounted_for() -> Result<()> {
    let mut lab = lab("verify")?;
    for number in [1, 2] {
        // The guests' own neighbour discovery may be on its way.
        eventually(PATIENCE, || {
            let account = lab.vxnet(number)?.json("verify")?;
            ensure!(
                account["missing"] == 0 && account["balanced"] == true,
                "{account}"
            );
            ensure!(account["rx"].as_u64() > Some(0), "{account}");
            Ok(())
        })?;
    }
    Ok(())
}

#[test]
fn commands_tell_that_a_port_is_down() -> Result<()> {
    let mut lab = LabBuilder::new("down")
        .hypervisors(&[Kind::Vxnet])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Tap)
        .guest("blue", 1, Port::Tap)
        .build()?;
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 1, 2)?);
    lab.wait_for_ping(from, to, Family::V4)?;
    let (sender, port) = (from.port.clone(), to.port.clone());
    let flooded = format!(
        "trace {sender} --src {} --dst ff:ff:ff:ff:ff:ff --ethertype 0x88b6",
        mac_text(from.mac)
    );
    let netns = lab.hypervisor(1)?.netns.clone();
    let vxnet = lab.vxnet(1)?;
    for (change, state) in [("down", "down"), ("up", "up")] {
        netns.ip(&format!("link set {port} {change}"))?;
        eventually(PATIENCE, || {
            let rows = vxnet.rows(&format!("port show --port {port}"))?;
            ensure!(rows[0]["state"] == state, "{rows:#?}");
            Ok(())
        })?;
        let is_down = state == "down";
        let status = vxnet.json("status")?;
        let down: &[serde_json::Value] = status["down"].as_array().context("a list")?;
        let listed = down.iter().any(|row| row["port"] == *port);
        ensure!(listed == is_down, "{change}: {status:#}");
        let text = vxnet.cli(&flooded)?;
        let line = format!("down      the link of {port} is down");
        ensure!(text.contains(&line) == is_down, "{change}:\n{text}");
        // The switch does hand it over.
        let verdict = text.lines().find(|line| line.starts_with("verdict"));
        let is_receiver = verdict.is_some_and(|line| line.contains(&port));
        ensure!(is_receiver, "{change}:\n{text}");
    }
    let text = vxnet.cli("status")?;
    ensure!(!text.contains("ports that are down"), "{text}");
    Ok(())
}
