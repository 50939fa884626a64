//! Ports that may not do everything, networks that do not flood everything, and frames that are
//! answered in place.

mod kinds;

use std::time::Duration;

use anyhow::{Result, ensure};
use vxnet_tests::frame::{BROADCAST, arp_request};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind as Switch;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::{Network, guest_mac, guest_v4, guest_v6, mac_text};
use vxnet_tests::topology::{LabBuilder, UPLINK};

use super::bench::Bench;
use super::kinds::Kinds;
use super::messages::announcement;
use crate::burst::test_frame;
use crate::inject::Injector;

/// Somebody who moves more often than is followed.
const RESTLESS: [u8; 6] = [0x02, 0x66, 0, 0, 0, 1];
/// A station at hv9, to which there is no way.
const LOST: [u8; 6] = [0x02, 0x99, 0, 0, 0, 9];
/// Another address of hv1's than its VTEP's.
const OTHER: [u8; 4] = [10, 77, 1, 200];
/// Between two frames of a kind: within the limit of messages about frames that are too big.
const PAUSE: Duration = Duration::from_millis(40);

/// In blue one port of each sort, in quiet nothing is flooded, and in down one port is down and the
/// other host, hv9, is out of reach.
fn lab(label: &str, receive: &str) -> Result<Lab> {
    let blue = Network::new("blue", 10)
        .hosts(&[1, 2])
        .gateways(&[1])
        .extra("suppress = true")
        .portgroup("apart", "isolated = true")
        .portgroup("fixed", "locked = true")
        .portgroup("few", "fdb-limit = 1")
        .portgroup("slow", "bum-limit = 1");
    let off = "unknown-unicast = false\nbroadcast = false\nmulticast = false";
    let fixed = format!(
        "[host.hv9]\nunderlay = \"10.98.0.9\"\n\
         [network.quiet.fdb.\"{}\"]\nhost = \"hv1\"\nport = \"vnet8\"\n\
         [network.down.fdb.\"{}\"]\nhost = \"hv9\"\nport = \"vnet0\"\n",
        mac_text(guest_mac(11, 1, 2)),
        mac_text(LOST)
    );
    let own = format!(
        "[host.hv1.port.vnet4]\nmac = \"{}\"\nip = [\"{}\", \"{}\"]",
        mac_text(guest_mac(10, 1, 5)),
        guest_v4(1, 5),
        guest_v6(1, 5)
    );
    let mut builder = LabBuilder::new(label)
        .hypervisors(&[Switch::Vxnet, Switch::Vxnet])
        .every_host(&format!("receive = \"{receive}\""))
        .network(blue)
        .network(Network::new("quiet", 11).extra(off).hosts(&[1]))
        .network(Network::new("down", 12).hosts(&[1, 9]))
        .config(&fixed)
        .in_portgroup(1, "vnet1", "apart")
        .in_portgroup(1, "vnet2", "apart")
        .in_portgroup(1, "vnet3", "fixed")
        .in_portgroup(1, "vnet5", "few")
        .in_portgroup(1, "vnet6", "slow")
        .host(1, &own);
    for port in [Port::Tap, Port::Veth, Port::Veth, Port::Veth] {
        builder = builder.guest("blue", 1, port);
    }
    for port in [Port::Tap, Port::Veth, Port::Tap] {
        builder = builder.guest("blue", 1, port);
    }
    let mut lab = builder
        .guest("quiet", 1, Port::Veth)
        .guest("quiet", 1, Port::Tap)
        .guest("down", 1, Port::Tap)
        .guest("down", 1, Port::Veth)
        .guest("blue", 2, Port::Veth)
        .prepare()?;
    // Before any frame finds a way to hv9, which would be believed for a while.
    let netns = lab.hypervisor(1)?.netns.clone();
    netns.ip("route add unreachable 10.98.0.9/32")?;
    let [a, b, c, d] = OTHER;
    netns.ip(&format!("address add {a}.{b}.{c}.{d}/32 dev {UPLINK}"))?;
    lab.start()?;
    lab.plug_all()?;
    for guest in &lab.guests {
        guest.netns.ip("link set eth0 mtu 1500")?;
        // The other end of a veth takes nothing longer than its own MTU.
        let hypervisor = &lab.hypervisor(guest.hypervisor)?.netns;
        hypervisor.ip(&format!("link set {} mtu 1500", guest.port))?;
    }
    Ok(lab)
}

fn guarded(label: &str, receive: &str) -> Result<()> {
    let mut bench = Bench::new(lab(label, receive)?)?;
    bench.hosts("blue", &[1, 2])?;
    bench.hosts("quiet", &[1])?;
    bench.hosts("down", &[1])?;
    let unplugged = bench.lab.guest("down", 1, 2)?.port.clone();
    let netns = bench.lab.hypervisor(1)?.netns.clone();
    netns.ip(&format!("link set {unplugged} down"))?;
    bench.close("down1.2");
    let (asker, far) = ("blue1.1", "blue2.1");
    bench.settle(&[
        &[asker, "blue1.2", "blue1.5", "blue1.6", far, "hv1", "hv2"],
        &[asker, "blue1.3", far],
    ])?;
    // Who asks, and who is asked for, is known.
    for (from, to) in [(asker, far), (far, asker)] {
        let guest = bench.lab.guests.iter().find(|guest| guest.name == from);
        let guest = guest.expect("one of blue");
        let announced = arp_request(guest.mac, guest.v4, guest.v4);
        let announced_v6 = announcement((guest.mac, guest.v6));
        bench.tell(from, &announced, to)?;
        bench.tell(from, &announced_v6, to)?;
    }
    // Five moves are followed (RFC 7432 section 15.1), the seventh frame's is not.
    for number in 0..7 {
        let from = ["blue1.1", "blue1.2"][number % 2];
        bench.tell(from, &test_frame(RESTLESS, BROADCAST), far)?;
    }
    let flaps = bench.lab.vxnet(1)?.drops("mac_flap")?;
    ensure!(flaps == 1, "{flaps} moves were not followed");
    bench.calm()?;

    let injector = Injector::new(&bench.lab, 1)?;
    let mut kinds = Kinds::new(&bench);
    kinds.answered()?;
    kinds.too_big()?;
    kinds.limited()?;
    kinds.lies()?;
    kinds.apart()?;
    kinds.unreachable()?;
    kinds.odd_packets(&injector)?;
    let kinds = kinds.all;
    bench.run(&kinds, PAUSE)
}

#[test]
fn conservation_of_guarded_limited_and_answered_frames() -> Result<()> {
    guarded("consguard", "auto")
}

#[test]
fn conservation_of_guarded_limited_and_answered_frames_at_tc() -> Result<()> {
    guarded("consguardtc", "tc")
}
