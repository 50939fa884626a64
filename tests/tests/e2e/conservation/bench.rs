//! Sending frames of each kind, and comparing what everybody counted.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use vxnet_tests::frame::{describe, inner_of};
use vxnet_tests::lab::Lab;
use vxnet_tests::netns::Netns;
use vxnet_tests::packet_socket::PacketSocket;
use vxnet_tests::topology::UPLINK;
use vxnet_tests::wait::eventually;

use super::PATIENCE;
use super::books::Crossed;
use super::edge::Edge;
use super::kinds::{Kind, Sender, TIMES, untagged};
use super::ledger::{Cable, Ledger};
use crate::burst::test_frame;

/// A lab, and a reader at each of its edges and wires.
pub(crate) struct Bench {
    pub(crate) lab: Lab,
    pub(crate) edges: Vec<Edge>,
    /// What the hypervisors send, by number.
    wires: Vec<PacketSocket>,
    pub(super) uplink: &'static str,
}

/// What was counted before the first frame of any kind.
struct Before {
    books: Vec<Ledger>,
    cables: Vec<Option<Cable>>,
}

impl Bench {
    /// A lab whose hypervisors are around the router; its guests are the edges.
    pub(crate) fn new(lab: Lab) -> Result<Self> {
        let router = lab.router.clone();
        Self::on(lab, &router, UPLINK)
    }

    /// A lab whose hypervisors have `uplink` to the links `hvN` of `middle`.
    pub(crate) fn on(lab: Lab, middle: &Netns, uplink: &'static str) -> Result<Self> {
        let wires = lab.hypervisors.iter();
        let wires = wires.map(|host| PacketSocket::open(middle, &host.name));
        let wires = wires.collect::<Result<_>>()?;
        let mut edges = Vec::new();
        for guest in &lab.guests {
            guest.silence()?;
            edges.push(Edge {
                name: guest.name.clone(),
                mac: guest.mac,
                host: guest.hypervisor,
                port: guest.port.clone(),
                far_end: Some((guest.netns.clone(), "eth0".to_owned())),
                socket: PacketSocket::open(&guest.netns, "eth0")?,
                seen: BTreeMap::new(),
                probes: 0,
            });
        }
        Ok(Self {
            lab,
            edges,
            wires,
            uplink,
        })
    }

    /// Makes an edge of what the hosts say and get in a network: `hvN`, or in another network than
    /// blue `hvN.NETWORK`.
    pub(crate) fn hosts(&mut self, network: &str, numbers: &[usize]) -> Result<()> {
        let port = &self.lab.network(network)?.bridge;
        for &number in numbers {
            let host = self.lab.hypervisor(number)?;
            let key = format!("net.ipv6.conf.{port}.disable_ipv6");
            host.netns.sysctl(&key, "1")?;
            let name = match network {
                "blue" => host.name.clone(),
                network => format!("{}.{network}", host.name),
            };
            self.edges.push(Edge {
                name,
                mac: host.mac(port)?,
                host: number,
                port: port.clone(),
                far_end: None,
                socket: PacketSocket::open(&host.netns, port)?,
                seen: BTreeMap::new(),
                probes: 0,
            });
        }
        Ok(())
    }

    /// Makes an edge of the link `far` in `netns`, which is the other end of `port` of a hypervisor;
    /// the station there has `mac`.
    pub(crate) fn link(
        &mut self,
        (name, mac): (&str, [u8; 6]),
        (host, port): (usize, &str),
        (netns, far): (&Netns, &str),
    ) -> Result<()> {
        self.edges.push(Edge {
            name: name.to_owned(),
            mac,
            host,
            port: port.to_owned(),
            far_end: Some((netns.clone(), far.to_owned())),
            socket: PacketSocket::open(netns, far)?,
            seen: BTreeMap::new(),
            probes: 0,
        });
        Ok(())
    }

    /// Leaves out an edge that nobody can read any more.
    pub(crate) fn close(&mut self, name: &str) {
        self.edges.retain(|edge| edge.name != name);
    }

    pub(crate) fn edge(&self, name: &str) -> Result<&Edge> {
        let found = self.edges.iter().find(|edge| edge.name == name);
        found.with_context(|| format!("no {name} here"))
    }

    /// Sends a frame from a station, and waits until it has reached another one, with a tag or
    /// without.
    pub(crate) fn tell(&self, from: &str, frame: &[u8], to: &str) -> Result<()> {
        self.edge(from)?.socket.send(frame)?;
        self.hears(to, frame, from)
    }

    fn hears(&self, to: &str, frame: &[u8], from: &str) -> Result<()> {
        let is_it = |got: &[u8]| untagged(got) == untagged(frame);
        let got = self.edge(to)?.socket.receive(PATIENCE, is_it)?;
        ensure!(got.is_some(), "{to} does not hear {from}");
        Ok(())
    }

    /// Lets every station of these be known to the others next to it, and waits until nobody says
    /// anything any more.
    pub(crate) fn settle(&mut self, networks: &[&[&str]]) -> Result<()> {
        for members in networks {
            for &name in *members {
                let from = self.edge(name)?;
                let hello = test_frame(from.mac, [0xff; 6]);
                from.socket.send(&hello)?;
                for &other in members.iter().filter(|&&other| other != name) {
                    self.hears(other, &hello, name)?;
                }
            }
        }
        self.calm()
    }

    /// Waits until nobody says anything any more, and forgets what they said.
    pub(crate) fn calm(&mut self) -> Result<()> {
        eventually(PATIENCE, || {
            let before = self.books()?;
            // Longer than between the messages of a stack that has just come up: that nobody says
            // anything can only be waited for.
            std::thread::sleep(Duration::from_millis(500));
            ensure!(before == self.books()?, "somebody still sends");
            Ok(())
        })?;
        for edge in &mut self.edges {
            edge.take()?;
            edge.forget();
        }
        for wire in &self.wires {
            wire.discard_backlog()?;
        }
        Ok(())
    }

    fn books(&mut self) -> Result<Vec<Ledger>> {
        let hosts = 1..=self.lab.hypervisors.len();
        let read = hosts.map(|host| Ledger::read(&mut self.lab, host));
        read.collect()
    }

    /// Sends frames of every kind, each time after a pause; all books agree about each.
    pub(crate) fn run(&mut self, kinds: &[Kind], pause: Duration) -> Result<()> {
        let before = Before {
            books: self.books()?,
            cables: self.baseline()?,
        };
        for round in 0..TIMES {
            for kind in kinds {
                let frame = kind.in_round(&kind.frame, round);
                match &kind.sender {
                    Sender::Station(name) => self.edge(name)?.socket.send(&frame)?,
                    Sender::Wire { .. } | Sender::Aside => self.wires[0].send(&frame)?,
                }
            }
            std::thread::sleep(pause);
        }

        // Each station got what it should, and nothing else.
        eventually(PATIENCE, || {
            for edge in &mut self.edges {
                edge.take()?;
            }
            self.arrived(kinds)
        })?;

        // On the wire, by a reader of its own.
        let mut crossed = Vec::new();
        for (wire, host) in self.wires.iter().zip(&self.lab.hypervisors) {
            let mut packets = Crossed::new();
            for frame in wire.collect(Duration::from_millis(200), |_| true)? {
                if let (Some(_), Some((from, to))) = (inner_of(&frame), outer_of(&frame))
                    && from == host.vtep
                {
                    *packets.entry(to).or_default() += 1;
                }
            }
            crossed.push(packets);
        }

        eventually(PATIENCE, || {
            for edge in &mut self.edges {
                edge.take()?;
            }
            let now = self.books()?;
            let both = now.iter().zip(&before.books);
            let grown: Vec<_> = both.map(|(now, then)| now.since(then)).collect();
            self.ports_agree(kinds, &grown)?;
            self.wires_agree(kinds, &grown, &crossed)?;
            self.reasons_agree(kinds, &grown)
        })?;
        self.cables_agree(kinds, &before.cables)?;
        for number in 1..=self.lab.hypervisors.len() {
            let account = self.lab.vxnet(number)?.json("verify")?;
            ensure!(account["missing"] == 0, "hv{number}: {account}");
        }
        Ok(())
    }

    fn arrived(&self, kinds: &[Kind]) -> Result<()> {
        for edge in &self.edges {
            let mut due = BTreeSet::new();
            for kind in kinds {
                for (_, frame) in kind.reaches.iter().filter(|(name, _)| *name == edge.name) {
                    let times = self.passed(kind)?;
                    for (frame, times) in kind.arrivals(frame, times) {
                        let seen = edge.seen.get(&frame).copied().unwrap_or(0);
                        let what = kind.what;
                        ensure!(
                            seen == times,
                            "{}: {seen} of {times} at {}",
                            what,
                            edge.name
                        );
                        due.insert(frame);
                    }
                }
            }
            let more = edge.seen.keys().filter(|&frame| !due.contains(frame));
            let more: Vec<_> = more.map(|frame| describe(frame)).collect();
            ensure!(more.is_empty(), "{} got {more:?}", edge.name);
        }
        Ok(())
    }

    /// How many frames of a kind got through.
    pub(super) fn passed(&self, kind: &Kind) -> Result<u64> {
        if !kind.limited {
            return Ok(TIMES);
        }
        // How many a limit lets through is a matter of time; that it is as many for everybody, and
        // that the others are counted, is none.
        let (name, frame) = kind.reaches.first().context("who gets it?")?;
        let passed = self.edge(name)?.seen.get(frame).copied().unwrap_or(0);
        ensure!(
            (1..TIMES).contains(&passed),
            "{}: {passed} got through",
            kind.what
        );
        Ok(passed)
    }
}

/// The outer source and destination of an IPv4 packet.
fn outer_of(frame: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let from: [u8; 4] = frame.get(26..30)?.try_into().ok()?;
    let to: [u8; 4] = frame.get(30..34)?.try_into().ok()?;
    Some((from.into(), to.into()))
}
