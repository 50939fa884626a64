//! ARP and neighbour discovery are answered in place, and then do not cross the wire.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use anyhow::{Result, ensure};
use vxnet_tests::frame::{ETHERTYPE_ARP, ETHERTYPE_IPV6, arp_request, ethertype, inner_of};
use vxnet_tests::guest::{Guest, Port};
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::{Network, guest_v4};
use vxnet_tests::packet_socket::PacketSocket;
use vxnet_tests::ping::Ping;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::underlay::Family;

use crate::burst::Station;

/// What is asked for, if the inner frame asks who has an address, and asks everyone.
fn question(frame: &[u8]) -> Option<IpAddr> {
    let (_, inner) = inner_of(frame)?;
    if inner[0] & 1 == 0 {
        return None;
    }
    match ethertype(inner)? {
        ETHERTYPE_ARP if inner[21] == 1 => {
            let target: [u8; 4] = inner.get(38..42)?.try_into().ok()?;
            Some(target.into())
        }
        // A neighbour solicitation (RFC 4861 section 4.3).
        ETHERTYPE_IPV6 if inner[20] == 58 && inner[54] == 135 => {
            let target: [u8; 16] = inner.get(62..78)?.try_into().ok()?;
            Some(target.into())
        }
        _ => None,
    }
}

fn lab(label: &str, suppress: &str) -> Result<Lab> {
    let lab = LabBuilder::new(label)
        .hypervisors(&[Kind::Vxnet, Kind::Vxnet])
        .network(Network::new("blue", 10).extra(&format!("suppress = {suppress}")))
        .guest("blue", 1, Port::Tap)
        .guest("blue", 1, Port::Veth)
        .guest("blue", 2, Port::Tap)
        .build()?;
    for index in [1, 2] {
        for family in [Family::V4, Family::V6] {
            let (near, far) = (lab.guest("blue", 1, index)?, lab.guest("blue", 2, 1)?);
            lab.wait_for_ping(near, far, family)?;
        }
    }
    Ok(lab)
}

/// Lets `from` ask for the addresses of `to` anew; returns those that it asked on the wire.
fn asked(lab: &Lab, from: &Guest, to: &Guest) -> Result<Vec<IpAddr>> {
    let wire = PacketSocket::open(&lab.router, &format!("hv{}", from.hypervisor))?;
    from.netns.ip("neigh flush all")?;
    for family in [Family::V4, Family::V6] {
        let reply = Ping::new(to.address(family)).run(&from.netns)?;
        ensure!(reply.all(), "{}", reply.text);
    }
    let seen = wire.collect(Duration::ZERO, |frame| question(frame).is_some())?;
    let own = [to.address(Family::V4), to.address(Family::V6)];
    let questions = seen.iter().filter_map(|frame| question(frame));
    Ok(questions.filter(|address| own.contains(address)).collect())
}

#[test]
fn arp_01_a_known_remote_guest_is_not_asked_for_on_the_wire() -> Result<()> {
    let mut lab = lab("suppress", "true")?;
    for index in [1, 2] {
        let (near, far) = (lab.guest("blue", 1, index)?, lab.guest("blue", 2, 1)?);
        let asked = asked(&lab, near, far)?;
        ensure!(asked.is_empty(), "{} asked for {asked:?}", near.name);
    }
    let far = lab.guest("blue", 2, 1)?;
    let asked = asked(&lab, far, lab.guest("blue", 1, 1)?)?;
    ensure!(asked.is_empty(), "{} asked for {asked:?}", far.name);
    let answered = lab.vxnet(1)?.drops("answered")?;
    ensure!(answered >= 4, "{answered} answers counted");
    Ok(())
}

#[test]
fn arp_01_without_suppression_or_for_chosen_addresses_everyone_is_asked() -> Result<()> {
    let far = guest_v4(2, 1);
    for (label, suppress) in [
        ("nosuppress", "false".to_owned()),
        ("except", format!("{{ except = [\"{far}\"] }}")),
    ] {
        let lab = lab(label, &suppress)?;
        let (near, far) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
        let asked = asked(&lab, near, far)?;
        ensure!(asked.contains(&far.v4.into()), "{label}: {asked:?}");
        let v6 = asked.contains(&far.v6.into());
        ensure!(v6 == (label == "nosuppress"), "{label}: {asked:?}");
    }
    Ok(())
}

#[test]
fn arp_02_probes_and_gratuitous_requests_are_passed_on() -> Result<()> {
    let lab = lab("probes", "true")?;
    let (near, far) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    let wire = PacketSocket::open(&lab.router, "hv1")?;
    let station = Station::new(near)?;
    for (what, frame) in [
        (
            "a probe",
            arp_request(near.mac, Ipv4Addr::UNSPECIFIED, far.v4),
        ),
        (
            "a gratuitous request",
            arp_request(near.mac, near.v4, near.v4),
        ),
        (
            "a request for an unknown address",
            arp_request(near.mac, near.v4, guest_v4(9, 9)),
        ),
    ] {
        station.send(&frame)?;
        let seen = wire.receive(Duration::from_secs(2), |got| {
            inner_of(got).is_some_and(|(_, inner)| inner == frame)
        })?;
        ensure!(seen.is_some(), "{what} did not get through");
    }
    Ok(())
}
