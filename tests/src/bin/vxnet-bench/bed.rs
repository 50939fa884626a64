//! A bed: stations on two hosts, joined by one peer's fabric. Built once, used in every round.

mod build;

use std::cell::OnceCell;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use vxnet_tests::hypervisor::link_mac;
use vxnet_tests::netns::Netns;
use vxnet_tests::ping::Ping;
use vxnet_tests::scope::Scope;
use vxnet_tests::transfer;
use vxnet_tests::vxnet::Vxnet;
use vxnet_tests::wait::eventually;

use crate::frame;
use crate::peer::Peer;
use crate::peer::ovs::Ovs;
use crate::shell::Shell;
use crate::station::{Kind, Station};
use crate::wire::{Underlay, Wire, router_link};

/// How many bytes each way are compared before a bed is used.
const COMPARED: usize = 2 << 20;
const PATIENCE: Duration = Duration::from_secs(10);

/// What a bed consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Spec {
    pub(crate) peer: Peer,
    pub(crate) wire: Wire,
    /// How many networks there are, each with a pair of mute taps; the guests are in the first.
    pub(crate) networks: usize,
    /// How many MACs are behind the second host's mute tap besides its own.
    pub(crate) macs: u32,
    /// How many further hosts broadcasts are replicated to. They are only addresses behind the
    /// router; if there are any, the bed has a single real host.
    pub(crate) replicas: usize,
    /// Whether everything is on that a frame can be checked for; only vxnet has that.
    pub(crate) features: bool,
}

impl Spec {
    pub(crate) fn new(peer: Peer, wire: Wire) -> Self {
        Self {
            peer,
            wire,
            networks: 1,
            macs: 0,
            replicas: 0,
            features: false,
        }
    }
}

/// A bed that is up. Dropping it removes everything.
#[derive(Debug)]
pub(crate) struct Bed {
    pub(crate) spec: Spec,
    pub(crate) stations: Vec<Station>,
    /// The mute taps of each network, host by host.
    pub(crate) mutes: Vec<Vec<Station>>,
    pub(crate) underlay: Option<Underlay>,
    pub(crate) vxnets: Vec<Vxnet>,
    ovs: Vec<Ovs>,
    scratch: OnceCell<Netns>,
    shell: Shell,
    // The last field: cables and daemons are to be gone before the namespaces are swept.
    pub(crate) scope: Scope,
}

impl Bed {
    /// Builds the bed, waits until it forwards, and compares a transfer.
    pub(crate) fn build(spec: Spec, binary: &Path) -> Result<Self> {
        let scope = Scope::open(&format!("b{}", spec.peer.label().replace('-', "")))?;
        let mut bed = Self {
            spec,
            stations: Vec::new(),
            mutes: Vec::new(),
            underlay: None,
            vxnets: Vec::new(),
            ovs: Vec::new(),
            scratch: OnceCell::new(),
            shell: Shell::default(),
            scope,
        };
        bed.make(binary)
            .with_context(|| format!("cannot build {} on {:?}", spec.peer.label(), spec.wire))?;
        bed.settle()?;
        bed.ensure_intact()?;
        bed.pause()?;
        Ok(bed)
    }

    /// Waits until stations reach each other, and loads the tables.
    fn settle(&self) -> Result<()> {
        self.warm()?;
        // The next hop of an underlay is asked for by the first packet.
        std::thread::sleep(Duration::from_millis(200));
        self.warm()?;
        frame::load(self).context("cannot load the tables")
    }

    /// Makes everybody known to everybody again, as before every measurement.
    pub(crate) fn warm(&self) -> Result<()> {
        eventually(PATIENCE, || self.greet())
    }

    fn greet(&self) -> Result<()> {
        for from in self.stations.iter().filter(|station| station.host == 1) {
            let to = self.opposite(from)?;
            let reply = Ping::new(to.address.v4).count(1).run(&from.netns)?;
            let (near, far) = (from.address.v4, to.address.v4);
            ensure!(reply.received == 1, "{near} does not reach {far}");
        }
        for mute in self.mutes.iter().flatten() {
            mute.send(&frame::announcement(mute.address.mac))?;
            mute.drain();
        }
        Ok(())
    }

    fn ensure_intact(&self) -> Result<()> {
        for from in self.stations.iter().filter(|station| station.host == 1) {
            let to = self.opposite(from)?;
            transfer::tcp_both_ways(&from.netns, &to.netns, to.address.v4, COMPARED)
                .with_context(|| format!("{}: what arrives differs", self.spec.peer.label()))?;
        }
        Ok(())
    }

    /// The station of that kind on host `number`.
    pub(crate) fn station(&self, kind: Kind, number: usize) -> Result<&Station> {
        let all = self.stations.iter().chain(self.mutes.iter().flatten());
        let mut found = all.filter(|station| station.kind == kind && station.host == number);
        found
            .next()
            .with_context(|| format!("no {kind:?} on host {number}"))
    }

    fn opposite(&self, station: &Station) -> Result<&Station> {
        self.station(station.kind, 3 - station.host)
    }

    /// The MAC that a station on the first host sends to, to reach `to` on the second.
    pub(crate) fn next_mac(&self, to: &Station) -> Result<[u8; 6]> {
        match self.underlay.as_ref().and_then(|it| it.router.as_ref()) {
            Some(router) if self.spec.peer == Peer::Bridge => link_mac(router, &router_link(1)),
            _ => Ok(to.address.mac),
        }
    }

    /// A namespace beside the bed's fabric, with a link `park0` where nothing ever comes in.
    pub(crate) fn scratch(&self) -> Result<&Netns> {
        if let Some(netns) = self.scratch.get() {
            return Ok(netns);
        }
        let netns = Netns::create(&self.scope, "park")?;
        netns.ip("link add park0 type veth peer name park1")?;
        Ok(self.scratch.get_or_init(|| netns))
    }

    /// Stops what would use a CPU while others are measured.
    pub(crate) fn pause(&self) -> Result<()> {
        self.ovs
            .iter()
            .try_for_each(|ovs| ovs.signal(Signal::SIGSTOP))
    }

    /// Continues what [`Bed::pause`] stopped.
    pub(crate) fn resume(&self) -> Result<()> {
        self.ovs
            .iter()
            .try_for_each(|ovs| ovs.signal(Signal::SIGCONT))
    }

    /// The commands that built the bed.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.shell.lines()
    }

    /// `ip -d link` of the first host, or of the first station if there is no host.
    pub(crate) fn links(&self) -> Result<String> {
        let host = self.underlay.as_ref().map(|underlay| &underlay.hosts[0]);
        let netns = host.or(self.stations.first().map(|station| &station.netns));
        netns.context("an empty bed")?.ip("-d link show")
    }
}
