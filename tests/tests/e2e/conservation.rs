//! Conservation: every frame that came in left, or was dropped for a reason, and what vxnet counts
//! is what others count at each edge: packet sockets, and the kernel's `ip -s link`.

mod bulk;
mod kinds;
mod ledger;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use vxnet_common::loop_probe;
use vxnet_tests::frame::{describe, destination, inner_of};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind as Switch;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::packet_socket::PacketSocket;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::wait::eventually;

use crate::burst::test_frame;
use crate::inject::Injector;
use kinds::{Kinds, Sender, TIMES};
use ledger::{Cable, Ledger};

const PATIENCE: Duration = Duration::from_secs(10);

/// A place where frames enter and leave, and what has arrived there.
struct Edge {
    name: String,
    socket: PacketSocket,
    /// Each frame but loop probes, and how often it came.
    seen: BTreeMap<Vec<u8>, u64>,
    probes: u64,
}

impl Edge {
    /// Takes what has arrived since.
    fn take(&mut self) -> Result<()> {
        for frame in self.socket.collect(Duration::ZERO, |_| true)? {
            // The daemon sends loop probes out of ports, past the switch.
            if destination(&frame) == Some(loop_probe::DESTINATION.0) {
                self.probes += 1;
            } else {
                *self.seen.entry(frame).or_default() += 1;
            }
        }
        Ok(())
    }

    fn count(&self) -> u64 {
        self.seen.values().sum()
    }

    fn forget(&mut self) {
        self.seen.clear();
        self.probes = 0;
    }
}

fn lab(label: &str, receive: &str) -> Result<Lab> {
    let office = Network::of_vlans("office", 100, &[1001, 1002])
        .portgroup("vlan-1001", "vlan = 1001")
        .portgroup("vlan-all", "vlans = [1001, 1002]")
        .vlan(1001, "vni = 5001");
    let lab = LabBuilder::new(label)
        .hypervisors(&[Switch::Vxnet, Switch::Vxnet])
        .every_host(&format!("receive = \"{receive}\""))
        .network(Network::new("blue", 10).gateways(&[1]))
        .network(office)
        .in_portgroup(1, "vnet3", "vlan-1001")
        .in_portgroup(1, "vnet4", "vlan-all")
        .in_portgroup(2, "vnet1", "vlan-1001")
        .guest("blue", 1, Port::Tap)
        .guest("blue", 1, Port::Veth)
        .guest("blue", 1, Port::Veth)
        .guest("office", 1, Port::Veth)
        .guest("office", 1, Port::Tap)
        .guest("office", 1, Port::Veth)
        .guest("blue", 2, Port::Veth)
        .guest("office", 2, Port::Tap)
        .build()?;
    for guest in &lab.guests {
        guest.silence()?;
    }
    for hypervisor in &lab.hypervisors {
        let key = "net.ipv6.conf.br-blue.disable_ipv6";
        hypervisor.netns.sysctl(key, "1")?;
    }
    Ok(lab)
}

/// The guests' ends of their cables, and the bridge devices of both hosts.
fn edges(lab: &Lab) -> Result<Vec<Edge>> {
    let guests = lab.guests.iter();
    let guests = guests.map(|guest| (guest.name.clone(), &guest.netns, "eth0"));
    let hosts = lab.hypervisors.iter();
    let hosts = hosts.map(|host| (host.name.clone(), &host.netns, "br-blue"));
    let open = |(name, netns, link)| {
        Ok(Edge {
            name,
            socket: PacketSocket::open(netns, link)?,
            seen: BTreeMap::new(),
            probes: 0,
        })
    };
    guests.chain(hosts).map(open).collect()
}

fn find<'a>(edges: &'a [Edge], name: &str) -> Result<&'a Edge> {
    let mut edges = edges.iter();
    let found = edges.find(|edge| edge.name == name);
    found.with_context(|| format!("no {name} here"))
}

/// Lets every station be known everywhere, and waits until nobody says anything any more.
fn settle(lab: &mut Lab, edges: &mut [Edge]) -> Result<()> {
    let networks: [&[&str]; 2] = [
        &["blue1.1", "blue1.2", "blue1.3", "blue2.1", "hv1", "hv2"],
        &["office1.1", "office2.1"],
    ];
    for members in networks {
        for &name in members {
            let mac = match lab.guests.iter().find(|guest| guest.name == name) {
                Some(guest) => guest.mac,
                None => lab
                    .hypervisor(usize::from(name == "hv2") + 1)?
                    .mac("br-blue")?,
            };
            let hello = test_frame(mac, [0xff; 6]);
            find(edges, name)?.socket.send(&hello)?;
            for &other in members.iter().filter(|&&other| other != name) {
                let got = find(edges, other)?
                    .socket
                    .receive(PATIENCE, |got| got == hello)?;
                ensure!(got.is_some(), "{other} does not hear {name}");
            }
        }
    }
    eventually(PATIENCE, || {
        let before = [Ledger::read(lab, 1)?, Ledger::read(lab, 2)?];
        // Longer than between the messages of a stack that has just come up: that nobody says
        // anything can only be waited for.
        std::thread::sleep(Duration::from_millis(500));
        let after = [Ledger::read(lab, 1)?, Ledger::read(lab, 2)?];
        ensure!(before == after, "somebody still sends");
        Ok(())
    })?;
    for edge in edges {
        edge.take()?;
        edge.forget();
    }
    Ok(())
}

/// Frames of every kind, and all books agree about each.
fn every_kind(label: &str, receive: &str) -> Result<()> {
    let mut lab = lab(label, receive)?;
    let mut edges = edges(&lab)?;
    settle(&mut lab, &mut edges)?;
    let injector = Injector::new(&lab, 1)?;
    let wires = [1, 2].map(|number| PacketSocket::open(&lab.router, &format!("hv{number}")));
    let wires = wires.into_iter().collect::<Result<Vec<_>>>()?;
    let mut kinds = Kinds::new(&lab);
    kinds.plain()?;
    kinds.vlans()?;
    kinds.wire(&injector)?;
    let kinds = kinds.all;
    let before = [Ledger::read(&mut lab, 1)?, Ledger::read(&mut lab, 2)?];
    let cables = baseline(&lab, &mut edges)?;

    for _ in 0..TIMES {
        for kind in &kinds {
            match &kind.sender {
                Sender::Station(name) => find(&edges, name)?.socket.send(&kind.frame)?,
                Sender::Wire { .. } => injector.raw(&kind.frame)?,
            }
        }
    }

    // Each station got what it should, and nothing else.
    eventually(PATIENCE, || {
        for edge in &mut edges {
            edge.take()?;
            let expected = expected(&kinds, &edge.name);
            for (&frame, what) in &expected {
                let seen = edge.seen.get(frame).copied().unwrap_or(0);
                ensure!(seen == TIMES, "{} has {seen}: {what}", edge.name);
            }
            let more = edge.seen.keys();
            let more = more.filter(|frame| !expected.contains_key(frame.as_slice()));
            let more: Vec<_> = more.map(|frame| describe(frame)).collect();
            ensure!(more.is_empty(), "{} got {more:?}", edge.name);
        }
        Ok(())
    })?;

    // On the wire, by a reader of its own.
    let mut crossed = [0, 0];
    for (number, wire) in wires.iter().enumerate() {
        let vtep = lab.hypervisor(number + 1)?.vtep;
        let vxlan = |frame: &[u8]| inner_of(frame).is_some() && source_of(frame) == Some(vtep);
        crossed[number] = wire.collect(Duration::from_millis(200), vxlan)?.len() as u64;
    }

    eventually(PATIENCE, || {
        for edge in &mut edges {
            edge.take()?;
        }
        let after = [Ledger::read(&mut lab, 1)?, Ledger::read(&mut lab, 2)?];
        let grown = [0, 1].map(|host: usize| after[host].since(&before[host]));
        books_agree(&lab, &kinds, &edges, &grown, crossed)
    })?;
    cables_agree(&lab, &kinds, &mut edges, &cables)?;
    for number in [1, 2] {
        let account = lab.vxnet(number)?.json("verify")?;
        ensure!(account["missing"] == 0, "hv{number}: {account}");
    }
    Ok(())
}

/// The frames that a station gets, each as often as it was sent, and what each is.
fn expected<'a>(kinds: &'a [kinds::Kind], station: &str) -> BTreeMap<&'a [u8], &'a str> {
    let all = kinds.iter().flat_map(|kind| {
        let reaches = kind.reaches.iter();
        reaches.map(move |(name, frame)| (kind.what, name, frame))
    });
    let own = all.filter(|(_, name, _)| *name == station);
    own.map(|(what, _, frame)| (frame.as_slice(), what))
        .collect()
}

/// How many frames a station sent.
fn sent(kinds: &[kinds::Kind], station: &str) -> u64 {
    let own = |kind: &&kinds::Kind| kind.sender == Sender::Station(station.to_owned());
    kinds.iter().filter(own).count() as u64 * TIMES
}

/// What vxnet counted against what was sent, what arrived, and what crossed the wire.
fn books_agree(
    lab: &Lab,
    kinds: &[kinds::Kind],
    edges: &[Edge],
    grown: &[Ledger; 2],
    crossed: [u64; 2],
) -> Result<()> {
    for edge in edges {
        let guest = lab.guests.iter().find(|guest| guest.name == edge.name);
        let (host, port) = match guest {
            Some(guest) => (guest.hypervisor, guest.port.as_str()),
            None => (usize::from(edge.name == "hv2") + 1, "br-blue"),
        };
        let counted = grown[host - 1].ports.get(port).copied();
        let counted = counted.with_context(|| format!("no port {port}"))?;
        let (sent, got) = (sent(kinds, &edge.name), edge.count());
        ensure!(
            (counted.rx, counted.tx) == (sent, got),
            "{}: sent {sent} and got {got}, but {counted:?}",
            edge.name
        );
    }
    let on_wire = |admitted: &dyn Fn(bool) -> bool| {
        let of_wire = |kind: &&kinds::Kind| matches!(kind.sender, Sender::Wire { admitted: is } if admitted(is));
        kinds.iter().filter(of_wire).count() as u64 * TIMES
    };
    for (own, other, injected) in [(0, 1, on_wire(&|is| is)), (1, 0, 0)] {
        let peer = format!("hv{}", other + 1);
        let counted = grown[own].vteps.get(&peer).copied().unwrap_or_default();
        let expected = (crossed[other] + injected, crossed[own]);
        ensure!(
            (counted.rx, counted.tx) == expected,
            "hv{}: {expected:?} on the wire, but {counted:?}",
            own + 1
        );
        let uplink = grown[own].ports.get("eth0").copied().unwrap_or_default();
        let all = crossed[other] + if own == 0 { on_wire(&|_| true) } else { 0 };
        ensure!(
            uplink.rx - grown[own].passed == all,
            "hv{}: {all} on the wire, but {uplink:?}",
            own + 1
        );
    }
    let mut drops: BTreeMap<&str, u64> = BTreeMap::new();
    for reason in kinds.iter().filter_map(|kind| kind.dropped) {
        *drops.entry(reason).or_default() += TIMES;
    }
    let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
    for (reason, count) in grown.iter().flat_map(|ledger| &ledger.drops) {
        *counted.entry(reason).or_default() += count;
    }
    ensure!(counted == drops, "dropped {drops:?}, but {counted:?}");
    for (number, ledger) in grown.iter().enumerate() {
        // What was counted are drops, all of them: no notice is among the kinds.
        let (came, left) = ledger.sums();
        ensure!(came == left, "hv{}: {came} came, {left} left", number + 1);
    }
    Ok(())
}

/// The cables of the guests as they were when their edges forgot what they had seen.
fn baseline(lab: &Lab, edges: &mut [Edge]) -> Result<Vec<Cable>> {
    let mut cables = Vec::new();
    for (guest, edge) in lab.guests.iter().zip(edges) {
        cables.push(eventually(PATIENCE, || {
            let before = Cable::read(lab, guest)?;
            edge.take()?;
            edge.forget();
            // A loop probe that came meanwhile is in one of the two, nobody knows in which.
            let after = Cable::read(lab, guest)?;
            ensure!(before == after, "a frame came meanwhile");
            Ok(before)
        })?);
    }
    Ok(cables)
}

/// What the kernel counted at both ends of each cable.
fn cables_agree(
    lab: &Lab,
    kinds: &[kinds::Kind],
    edges: &mut [Edge],
    before: &[Cable],
) -> Result<()> {
    for ((guest, edge), before) in lab.guests.iter().zip(edges).zip(before) {
        let sent = sent(kinds, &guest.name);
        eventually(PATIENCE, || {
            let now = Cable::read(lab, guest)?.since(before);
            edge.take()?;
            let got = edge.count() + edge.probes;
            ensure!(
                (now.guest.rx, now.guest.tx) == (got, sent)
                    && (now.port.tx, now.port.rx) == (got, sent)
                    && now.dropped == 0,
                "{}: got {got}, sent {sent}, but {now:?}",
                guest.name
            );
            Ok(())
        })?;
    }
    Ok(())
}

/// The outer source of an IPv4 packet.
fn source_of(frame: &[u8]) -> Option<std::net::IpAddr> {
    let bytes: [u8; 4] = frame.get(26..30)?.try_into().ok()?;
    Some(std::net::IpAddr::from(bytes))
}

#[test]
fn conservation_of_frames_of_every_kind() -> Result<()> {
    every_kind("conserve", "auto")
}

#[test]
fn conservation_of_frames_of_every_kind_at_tc() -> Result<()> {
    every_kind("conservetc", "tc")
}
