//! Guests, and users of the host, that do what they should not.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use vxnet_tests::frame::{
    BROADCAST, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_TEST, ethernet, tagged,
};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::{Network, mac_text};
use vxnet_tests::packet_socket::PacketSocket;
use vxnet_tests::probe::Probe;
use vxnet_tests::tap;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::Family;
use vxnet_tests::vxnet::Vxnet;
use vxnet_tests::wait::eventually;

use crate::burst::{Station, expect_seen, test_frame};

const PATIENCE: Duration = Duration::from_secs(5);
/// Somebody who moves.
const RESTLESS: [u8; 6] = [0x02, 0x66, 0, 0, 0, 1];

fn lab(label: &str) -> Result<Lab> {
    let lab = LabBuilder::new(label)
        .hypervisors(&[Kind::Vxnet, Kind::Vxnet])
        .network(Network::new("blue", 10).gateways(&[1]))
        .guest("blue", 1, Port::Veth)
        .guest("blue", 1, Port::Veth)
        .guest("blue", 1, Port::Tap)
        .guest("blue", 2, Port::Veth)
        .build()?;
    lab.wait_for_ping(
        lab.guest("blue", 1, 3)?,
        lab.guest("blue", 2, 1)?,
        Family::V4,
    )?;
    Ok(lab)
}

#[test]
fn attack8_an_address_that_moves_at_a_kilohertz_is_no_longer_followed() -> Result<()> {
    const TIMES: u32 = 1500;
    let mut lab = lab("flapping")?;
    let (victim, far) = (lab.guest("blue", 1, 3)?, lab.guest("blue", 2, 1)?);
    let probe = Probe::start(&victim.netns, &far.netns, far.v4, 1000)?;
    let stations = Station::all(&lab)?;
    let start = Instant::now();
    for number in 0..TIMES {
        let frame = test_frame(RESTLESS, BROADCAST);
        stations[number as usize % 2].send(&frame)?;
        let due = start + Duration::from_millis(u64::from(number));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let report = probe.finish()?;
    ensure!(report.received == report.sent, "others lost: {report:?}");
    let mac = mac_text(RESTLESS);
    let vxnet = lab.vxnet(1)?;
    // Five moves are followed (RFC 7432 section 15.1); what comes later is only counted.
    let counted = vxnet.drops("mac_flap")?;
    ensure!(
        (u64::from(TIMES) / 4..=u64::from(TIMES)).contains(&counted),
        "{counted} counted"
    );
    let rows = vxnet.fdb("blue", &mac)?;
    ensure!(rows.len() == 1, "{rows:?}");
    let told = |log: &str| log.lines().filter(|line| line.contains(&mac)).count();
    eventually(PATIENCE, || {
        let log = vxnet.log();
        // Once, and again only after a pause.
        ensure!((1..=2).contains(&told(&log)), "{log}");
        ensure!(log.contains("keeps moving between port vnet"), "{log}");
        Ok(())
    })
}

#[test]
fn attack9_attack10_runts_of_a_tap_go_nowhere_and_are_no_leak() -> Result<()> {
    let mut lab = lab("runts")?;
    let stations = Station::all(&lab)?;
    let hypervisor = lab.hypervisor(1)?;
    let mut port = tap::open(&hypervisor.netns, "vnet9")?;
    hypervisor.attach("vnet9", lab.network("blue")?)?;
    let gateway = PacketSocket::open(&hypervisor.netns, "br-blue")?;
    let vxnet = lab.vxnet(1)?;
    vxnet.wait_for_port("blue", "vnet9")?;
    let frame = test_frame(RESTLESS, BROADCAST);
    let mut send = |frame: &[u8]| port.write(&[&[0; tap::HEADER], frame].concat());
    let mut taken = 0;
    for length in 0..14 {
        // This kernel takes nothing shorter than an Ethernet header; one that does gives it to us.
        taken += u64::from(send(&frame[..length]).is_ok());
    }
    eventually(PATIENCE, || {
        let dropped = vxnet.drops_of("vnet9", "short_frame")?;
        ensure!(dropped == taken, "{dropped} of {taken} are accounted for");
        Ok(())
    })?;
    // Without two bytes behind the tag, the kernel drops what it has taken (`skb_vlan_untag`); the
    // first that has them is for us to drop.
    let tag = tagged(&frame, 7);
    for length in [14, 17, 19, 20] {
        ensure!(send(&tag[..length]).is_ok(), "{length} bytes");
    }
    eventually(PATIENCE, || {
        let dropped = vxnet.drops_of("vnet9", "tagged")?;
        ensure!(dropped == 1, "{dropped} dropped");
        Ok(())
    })?;
    ensure!(
        vxnet.fdb("blue", &mac_text(RESTLESS))?.is_empty(),
        "learned"
    );
    // The shortest frame, and one that Ethernet would pad: they arrive as they are, with no byte
    // of somebody else's behind them.
    for length in [14, 59] {
        let frame = &frame[..length];
        ensure!(send(frame).is_ok(), "{length} bytes");
        expect_seen("short", frame, &stations, &[1, 1, 1, 1])?;
        let host = gateway.receive(PATIENCE, |got| got == frame)?;
        ensure!(host.is_some(), "the host misses {length} bytes");
    }
    let rows = vxnet.rows("port show")?;
    let row = rows.iter().find(|row| row["port"] == "vnet9");
    ensure!(
        row.is_some_and(|row| row["rx_packets"] == 3 + taken),
        "{row:?}"
    );
    let account = lab.vxnet(1)?.json("verify")?;
    ensure!(account["balanced"] == true, "{account}");
    Ok(())
}

/// What the kernel makes of such a frame on the way (`skb->encapsulation`, a type that promises a
/// header) crosses the veths of the underlay, and must not keep the peer from unpacking it.
#[test]
fn attack13_ip_frames_without_a_whole_ip_header_cross_the_overlay_as_they_are() -> Result<()> {
    let variants = [
        (Family::V4, "tc"),
        (Family::V4, "auto"),
        (Family::V6, "tc"),
        (Family::V6, "auto"),
    ];
    for (number, (underlay, receive)) in variants.into_iter().enumerate() {
        let lab = LabBuilder::new(&format!("shortip{number}"))
            .underlay(underlay)
            .every_host(&format!("receive = \"{receive}\""))
            .hypervisors(&[Kind::Vxnet, Kind::Vxnet])
            .network(Network::new("blue", 10))
            .guest("blue", 1, Port::Tap)
            .guest("blue", 2, Port::Veth)
            .guest("blue", 2, Port::Tap)
            .build()?;
        let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
        lab.wait_for_ping(from, to, Family::V4)?;
        let stations = Station::all(&lab)?;
        for (ethertype, header) in [(ETHERTYPE_IPV4, 20), (ETHERTYPE_IPV6, 40)] {
            for length in [0, 2, header - 1, header] {
                let payload = vec![0xa5; length];
                for (target, seen) in [(to.mac, [0, 1, 0]), (BROADCAST, [0, 1, 1])] {
                    let frame = ethernet(from.mac, target, ethertype, &payload);
                    stations[0].send(&frame)?;
                    let what = format!("{ethertype:04x}, {length} bytes, {underlay:?} {receive}");
                    expect_seen(&what, &frame, &stations, &seen)?;
                }
            }
        }
    }
    Ok(())
}

#[test]
fn attack25_control_frames_of_a_guest_reach_nobody() -> Result<()> {
    let mut lab = lab("control")?;
    let stations = Station::all(&lab)?;
    let hypervisor = lab.hypervisor(1)?;
    let host = PacketSocket::open(&hypervisor.netns, "br-blue")?;
    let underlay = PacketSocket::open(&lab.router, "hv1")?;
    let mac = stations[0].mac;
    // STP, pause, LACP, 802.1X, PTP and LLDP.
    let kinds = [
        (0x00, 0x0026),
        (0x01, 0x8808),
        (0x02, 0x8809),
        (0x03, 0x888e),
        (0x0e, 0x88f7),
        (0x0e, 0x88cc),
    ];
    for (last, ethertype) in kinds {
        let destination = [0x01, 0x80, 0xc2, 0, 0, last];
        let frame = ethernet(mac, destination, ethertype, &[0x42; 50]);
        stations[0].send(&frame)?;
        expect_seen("control", &frame, &stations, &[0; 4])?;
        for socket in [&host, &underlay] {
            let copies = |got: &[u8]| got.windows(frame.len()).any(|part| part == frame);
            let seen = socket.collect(Duration::ZERO, copies)?;
            ensure!(seen.is_empty(), "{ethertype:04x}: {seen:02x?}");
        }
    }
    let port = lab.guest("blue", 1, 1)?.port.clone();
    let counted = lab.vxnet(1)?.drops_of(&port, "link_local")?;
    ensure!(counted == kinds.len() as u64, "{counted} counted");
    Ok(())
}

#[test]
fn attack28_other_users_of_the_host_see_and_change_nothing() -> Result<()> {
    let mut lab = lab("others")?;
    let port = lab.guest("blue", 1, 3)?.port.clone();
    let vxnet = lab.vxnet(1)?;
    let addresses = |vxnet: &Vxnet| -> Result<BTreeSet<String>> {
        let rows = vxnet.rows("fdb show")?;
        Ok(rows.iter().map(|row| row["mac"].to_string()).collect())
    };
    let before = addresses(vxnet)?;
    let added = "02:00:00:00:00:99";
    let netns = vxnet.netns().clone();
    let config = vxnet.config_path();
    for words in [
        "status",
        "fdb show",
        "verify",
        "fdb flush --network blue",
        &format!("fdb add {added} --network blue --port {port}"),
        &format!("trace {port} 00"),
        &format!("apply --host hv1 --config {}", config.display()),
        "teardown --force",
    ] {
        let line = format!(
            "setpriv --reuid 65534 --regid 65534 --clear-groups {} {words}",
            vxnet.binary().display()
        );
        let command = netns.line(&line);
        let variables = vxnet.environment();
        let command = variables
            .into_iter()
            .fold(command, |command, (name, value)| command.env(name, value));
        let output = command.output()?;
        ensure!(!output.status.success(), "{words} is allowed");
        let said = output.stderr.to_lowercase();
        ensure!(
            said.contains("permission") || said.contains("root") || said.contains("privilege"),
            "{words}: {said}"
        );
        ensure!(said.contains("hint: "), "{words}: {said}");
    }
    // A guest's stack may have spoken for the first time meanwhile.
    let after = addresses(vxnet)?;
    ensure!(before.is_subset(&after), "{before:?} rows became {after:?}");
    ensure!(!after.iter().any(|mac| mac.contains(added)), "{after:?}");
    vxnet.cli("status").context("as root")?;
    let frame = ethernet(RESTLESS, BROADCAST, ETHERTYPE_TEST, &[7; 46]);
    let stations = Station::all(&lab)?;
    stations[0].send(&frame)?;
    expect_seen("still works", &frame, &stations, &[0, 1, 1, 1])
}
