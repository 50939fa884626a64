//! Who reaches whom: guests across hypervisors, the gateway, and nobody across networks.

use anyhow::{Result, bail};
use vxnet_tests::guest::Guest;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::{gateway_v4, mac_text};
use vxnet_tests::packet_socket::PacketSocket;
use vxnet_tests::ping::Ping;
use vxnet_tests::underlay::Family;

use crate::report::Report;

pub(crate) fn run(lab: &mut Lab, kind: Kind, report: &mut Report) -> Result<()> {
    report.section("Guests reach each other, over IPv4 and IPv6");
    warm_up(lab)?;
    for network in ["blue", "red"] {
        for family in [Family::V4, Family::V6] {
            let outcome = matrix(lab, network, family);
            report.check(
                &format!("{network}: every guest reaches every other, {family:?}"),
                outcome,
            );
        }
    }
    for size in [1600, 3200] {
        report.check(&format!("{size}-byte pings in fragments"), large(lab, size));
    }
    report.section("Networks are isolated, although their guests share addresses");
    isolation(lab, report)?;
    if kind == Kind::Vxnet {
        gateway(lab, report)?;
        report.section("The FDB of hv1");
        fdb(lab, report)?;
    }
    Ok(())
}

/// The first packets meet unresolved neighbours on the underlay and in the guests.
fn warm_up(lab: &Lab) -> Result<()> {
    for (number, other) in [(1, 2), (1, 3), (2, 3)] {
        let (from, to) = (lab.guest("blue", number, 1)?, lab.guest("blue", other, 1)?);
        lab.wait_for_ping(from, to, Family::V4)?;
    }
    Ok(())
}

fn matrix(lab: &Lab, network: &str, family: Family) -> Result<String> {
    let guests: Vec<&Guest> = lab
        .guests
        .iter()
        .filter(|guest| guest.network == network)
        .collect();
    let pairs = guests
        .iter()
        .flat_map(|from| guests.iter().map(move |to| (*from, *to)));
    let pairs: Vec<_> = pairs.filter(|(from, to)| from.name != to.name).collect();
    let mut lost = Vec::new();
    for (from, to) in &pairs {
        let reply = Ping::new(to.address(family)).run(&from.netns)?;
        if !reply.all() {
            let (sent, received) = (reply.sent, reply.received);
            let doubled = reply.duplicates;
            lost.push(format!(
                "{} > {}: {received}/{sent}, +{doubled}",
                from.name, to.name
            ));
        }
    }
    if !lost.is_empty() {
        bail!("{}", lost.join("; "));
    }
    Ok(format!("{} pairs, 3/3 each", pairs.len()))
}

fn large(lab: &Lab, size: u32) -> Result<String> {
    let from = lab.guest("blue", 1, 1)?;
    let mut means = Vec::new();
    for (number, family) in [
        (2, Family::V4),
        (2, Family::V6),
        (3, Family::V4),
        (3, Family::V6),
    ] {
        let to = lab.guest("blue", number, 1)?;
        let reply = Ping::new(to.address(family)).size(size).run(&from.netns)?;
        if !reply.all() {
            bail!("{} > {} {family:?}: {}", from.name, to.name, reply.text);
        }
        means.push(format!("{:.2}", reply.mean_ms.unwrap_or(f64::NAN)));
    }
    Ok(format!(
        "to hv2 and hv3, both families, mean rtt {} ms",
        means.join("/")
    ))
}

/// A broadcast of each blue guest is seen by every other blue guest and by no red one.
fn isolation(lab: &Lab, report: &mut Report) -> Result<()> {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for sender in lab.guests.iter().filter(|guest| guest.network == "blue") {
        let mut sockets = Vec::new();
        for other in lab.guests.iter().filter(|other| other.name != sender.name) {
            sockets.push((other, PacketSocket::open(&other.netns, "eth0")?));
        }
        let before = sockets.len();
        let stranger = sender.mac;
        Ping::new(std::net::Ipv4Addr::new(192, 168, 50, 250))
            .count(1)
            .run(&sender.netns)?;
        for (other, socket) in &sockets {
            let frames = socket.collect(std::time::Duration::ZERO, |frame| {
                vxnet_tests::frame::source(frame) == Some(stranger)
            })?;
            let expected = other.network == "blue";
            if frames.is_empty() == expected {
                wrong.push(format!(
                    "{} > {}: {} frames",
                    sender.name,
                    other.name,
                    frames.len()
                ));
            }
            seen += usize::from(expected && !frames.is_empty());
        }
        debug_assert!(before > 0);
    }
    let figure = if wrong.is_empty() {
        format!("{seen} seen in blue, 0 in red")
    } else {
        wrong.join("; ")
    };
    report.expect(
        "a broadcast in blue reaches all of blue and none of red",
        wrong.is_empty(),
        &figure,
    );
    // The same address belongs to two guests; each asks for its own neighbour only.
    for network in ["blue", "red"] {
        let from = lab.guest(network, 1, 1)?;
        let to = lab.guest(network, 2, 1)?;
        Ping::new(to.v4).count(1).run(&from.netns)?;
        let neighbour = from.netns.ip(&format!("neighbour show {}", to.v4))?;
        let right = neighbour.contains(&mac_text(to.mac));
        report.expect(
            &format!("{} is {network}'s own guest for {network}", to.v4),
            right,
            neighbour.trim(),
        );
    }
    Ok(())
}

fn gateway(lab: &mut Lab, report: &mut Report) -> Result<()> {
    report.section("The gateway: the host is one more port");
    for (guest, number) in [((1, 1), 1), ((2, 1), 2), ((1, 2), 2), ((3, 1), 1)] {
        let from = lab.guest("blue", guest.0, guest.1)?;
        let reply = Ping::new(gateway_v4(number)).run(&from.netns)?;
        let what = format!(
            "{} reaches hv{number}'s gateway {}",
            from.name,
            gateway_v4(number)
        );
        report.expect(
            &what,
            reply.all(),
            &format!("{}/{}", reply.received, reply.sent),
        );
    }
    for number in [1, 2] {
        let to = lab.guest("blue", number, 2)?;
        let reply = Ping::new(to.v4).run(&lab.hypervisor(1)?.netns)?;
        let what = format!("host hv1 reaches {}", to.name);
        report.expect(
            &what,
            reply.all(),
            &format!("{}/{}", reply.received, reply.sent),
        );
    }
    Ok(())
}

fn fdb(lab: &mut Lab, report: &mut Report) -> Result<()> {
    let local = mac_text(lab.guest("blue", 1, 1)?.mac);
    let (far, kernel) = (
        mac_text(lab.guest("blue", 2, 1)?.mac),
        mac_text(lab.guest("blue", 3, 1)?.mac),
    );
    let vteps = (
        lab.hypervisor(2)?.vtep.to_string(),
        lab.hypervisor(3)?.vtep.to_string(),
    );
    let port = lab.guest("blue", 1, 1)?.port.clone();
    let vxnet = lab.vxnet(1)?;
    report.show(&vxnet.cli("fdb show")?);
    for (mac, place, field, value) in [
        (local, "local", "port", port),
        (far, "vtep", "vtep", vteps.0),
        (kernel, "vtep", "vtep", vteps.1),
    ] {
        let rows = vxnet.fdb("blue", &mac)?;
        let right =
            rows.len() == 1 && rows[0]["where"] == place && rows[0][field] == value.as_str();
        let figure = if right {
            String::new()
        } else {
            format!("{rows:?}")
        };
        report.expect(&format!("{mac} is behind {field} {value}"), right, &figure);
    }
    Ok(())
}
