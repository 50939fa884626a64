//! Guests whose MTU is larger than the overlay's: they are told, and adapt.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use vxnet_tests::frame::{ETHERTYPE_TEST, ethernet};
use vxnet_tests::guest::{Guest, Port};
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::ping::Ping;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::transfer;
use vxnet_tests::underlay::Family;
use vxnet_tests::wait::eventually;

use crate::burst::{Station, count};

/// Two hypervisors with a tap and a veth guest each, all with an MTU of 1500.
fn lab(label: &str, underlay: Family) -> Result<Lab> {
    let lab = LabBuilder::new(label)
        .underlay(underlay)
        .hypervisors(&[Kind::Vxnet, Kind::Vxnet])
        .network(Network::new("blue", 10))
        .guest("blue", 1, Port::Tap)
        .guest("blue", 1, Port::Veth)
        .guest("blue", 2, Port::Tap)
        .guest("blue", 2, Port::Veth)
        .build()?;
    for guest in &lab.guests {
        guest.netns.ip("link set eth0 mtu 1500")?;
        if guest.kind == Port::Veth {
            // The other end of a veth takes nothing longer than its own MTU.
            let hypervisor = &lab.hypervisor(guest.hypervisor)?.netns;
            hypervisor.ip(&format!("link set {} mtu 1500", guest.port))?;
        }
    }
    Ok(lab)
}

/// Sends full frames with DF from `from` and expects to be told `mtu`.
fn is_told(from: &Guest, to: &Guest, mtu: u32) -> Result<()> {
    for (family, size, words) in [
        (Family::V4, 1472, format!("(mtu = {mtu})")),
        (Family::V6, 1452, format!("Packet too big: mtu={mtu}")),
    ] {
        let ping = Ping::new(to.address(family)).size(size).dont_fragment();
        let text = ping.run(&from.netns)?.text;
        ensure!(
            text.contains(&words),
            "{} > {}: no \"{words}\" in\n{text}",
            from.name,
            to.name
        );
    }
    Ok(())
}

#[test]
fn too_big_guests_are_told_the_mtu_over_ipv4() -> Result<()> {
    everyone_is_told(&lab("toobig", Family::V4)?, 1450)
}

#[test]
fn too_big_guests_are_told_the_mtu_over_ipv6() -> Result<()> {
    everyone_is_told(&lab("toobigsix", Family::V6)?, 1430)
}

fn everyone_is_told(lab: &Lab, mtu: u32) -> Result<()> {
    for (here, there) in [(1, 1), (2, 2), (1, 2)] {
        let (near, far) = (lab.guest("blue", 1, here)?, lab.guest("blue", 2, there)?);
        lab.wait_for_ping(near, far, Family::V4)?;
        is_told(near, far, mtu)?;
        is_told(far, near, mtu)?;
    }
    // On the same host nothing is too big.
    let (from, to) = (lab.guest("blue", 1, 2)?, lab.guest("blue", 1, 1)?);
    let full = Ping::new(to.v4).size(1472).dont_fragment();
    let reply = full.run(&from.netns)?;
    ensure!(reply.all(), "{}", reply.text);
    Ok(())
}

#[test]
fn too_big_tcp_adapts_and_completes() -> Result<()> {
    let lab = lab("toobigtcp", Family::V4)?;
    for index in [1, 2] {
        let (near, far) = (lab.guest("blue", 1, index)?, lab.guest("blue", 2, index)?);
        lab.wait_for_ping(near, far, Family::V4)?;
        for family in [Family::V4, Family::V6] {
            // Neither side knows the path yet.
            let address = far.address(family);
            transfer::tcp_both_ways(&near.netns, &far.netns, address, 2_000_000)?;
        }
    }
    Ok(())
}

/// Below 1280 bytes the kernel takes IPv6 away from a link, and its parameters with it.
#[test]
fn too_big_a_narrow_path_is_followed_and_left_again() -> Result<()> {
    let mut lab = lab("narrow", Family::V4)?;
    let netns = lab.hypervisor(1)?.netns.clone();
    let peer = lab.hypervisor(2)?.vtep;
    let route = netns.line(&format!("ip -j route get {peer}")).json()?;
    let router = route[0]["gateway"].as_str().context("a router")?;
    let bridge = lab.network("blue")?.bridge.clone();
    // Of VNI 10.
    let anchor = "vxa-10".to_owned();
    lab.vxnet(1)?.stop()?;
    for (change, mtu) in [
        (
            format!("route add {peer}/32 via {router} mtu lock 1300"),
            1250,
        ),
        (format!("route del {peer}/32"), 1450),
    ] {
        netns.ip(&change)?;
        lab.vxnet(1)?.apply()?;
        for link in [&bridge, &anchor] {
            let seen = netns.line(&format!("ip -j link show dev {link}")).json()?;
            ensure!(seen[0]["mtu"] == mtu, "{change}: {seen:#}");
        }
    }
    let key = format!("/proc/sys/net/ipv6/conf/{anchor}/disable_ipv6");
    let off = netns.line(&format!("cat {key}")).run()?;
    ensure!(off.trim() == "1", "{anchor} has IPv6 again");
    Ok(())
}

/// Who is too big for the way as it was must not have to wait for a small frame of somebody else's.
#[test]
fn too_big_frames_alone_find_out_that_the_path_has_widened() -> Result<()> {
    let mut lab = lab("widened", Family::V4)?;
    let netns = lab.hypervisor(1)?.netns.clone();
    let peer = lab.hypervisor(2)?.vtep;
    let route = netns.line(&format!("ip -j route get {peer}")).json()?;
    let router = route[0]["gateway"].as_str().context("a router")?.to_owned();
    let (near, far) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 2)?);
    lab.wait_for_ping(near, far, Family::V4)?;
    let stations = [Station::new(near)?, Station::new(far)?];
    let frame = ethernet(near.mac, far.mac, ETHERTYPE_TEST, &[0x77; 1350]);
    // Nobody else is to say anything, as the daemon's probes do and IPv6.
    for guest in &lab.guests {
        let off = "sysctl -qw net.ipv6.conf.all.disable_ipv6=1";
        guest.netns.line(off).run()?;
    }
    lab.vxnet(1)?.kill()?;
    netns.ip(&format!("route add {peer}/32 via {router} mtu lock 1300"))?;
    let arrives = |seen: usize| {
        stations[0].send(&frame)?;
        let got = count(&frame, &stations)?;
        ensure!(got == [0, seen], "{got:?} of 1350 bytes");
        Ok(())
    };
    eventually(Duration::from_secs(5), || arrives(0))?;
    netns.ip(&format!("route del {peer}/32"))?;
    // It is known anew within a second; somebody else's frame would come sooner or later.
    eventually(Duration::from_secs(3), || arrives(1))
}

/// A container whose MTU is smaller than the network's: a kernel's bridge drops what it does not
/// take without a word.
#[test]
fn too_big_for_a_narrow_port_is_told_next_to_it_and_counted_across_the_overlay() -> Result<()> {
    const MTU: u32 = 1300;
    let mut lab = lab("narrowport", Family::V4)?;
    let resize = |lab: &Lab, mtu: u32| -> Result<()> {
        let narrow = lab.guest("blue", 1, 2)?;
        let netns = &lab.hypervisor(1)?.netns;
        netns.ip(&format!("link set {} mtu {mtu}", narrow.port))?;
        narrow.netns.ip(&format!("link set eth0 mtu {mtu}"))?;
        Ok(())
    };
    let mtu_of_port = |lab: &mut Lab| -> Result<u64> {
        let port = lab.guest("blue", 1, 2)?.port.clone();
        let rows = lab.vxnet(1)?.rows("port show")?;
        let row = rows.iter().find(|row| row["port"] == port.as_str());
        row.and_then(|row| row["mtu"].as_u64()).context("its MTU")
    };
    resize(&lab, MTU)?;
    eventually(Duration::from_secs(10), || {
        let mtu = mtu_of_port(&mut lab)?;
        ensure!(mtu == u64::from(MTU), "held to {mtu}");
        Ok(())
    })?;
    let (near, narrow) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 1, 2)?);
    let far = lab.guest("blue", 2, 1)?;
    lab.wait_for_ping(near, narrow, Family::V4)?;
    lab.wait_for_ping(far, narrow, Family::V4)?;
    is_told(near, narrow, MTU)?;
    transfer::tcp_both_ways(
        &near.netns,
        &narrow.netns,
        narrow.address(Family::V4),
        2_000_000,
    )?;
    transfer::tcp_both_ways(
        &far.netns,
        &narrow.netns,
        narrow.address(Family::V4),
        2_000_000,
    )?;

    let before = lab.vxnet(1)?.drops("too_big")?;
    let far = lab.guest("blue", 2, 1)?;
    let ping = Ping::new(lab.guest("blue", 1, 2)?.v4)
        .size(1372)
        .dont_fragment();
    let lost = ping.run(&far.netns)?;
    ensure!(!lost.all(), "{}", lost.text);
    let counted = lab.vxnet(1)?.drops("too_big")? - before;
    ensure!(counted > 0, "lost without a word:\n{}", lost.text);
    let account = lab.vxnet(1)?.json("verify")?;
    ensure!(account["missing"] == 0, "{account}");

    resize(&lab, 1500)?;
    eventually(Duration::from_secs(10), || {
        let mtu = mtu_of_port(&mut lab)?;
        ensure!(mtu == 1500, "held to {mtu}");
        Ok(())
    })?;
    let reply = ping.run(&lab.guest("blue", 2, 1)?.netns)?;
    ensure!(reply.all(), "{}", reply.text);
    Ok(())
}
