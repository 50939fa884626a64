//! A host in memory, for the operations that a real one would take: links come and go with what
//! makes them, so that what depends on them is planned too.

use anyhow::{Context as _, Result, ensure};
use vxnet_common::addr::Mac;

use super::Host;
use crate::{
    model::Fabric,
    plan::Op,
    state::{DETOUR, DETOUR_END, GRO_SOCKET, Id, Link, Observed, Spec},
};

/// What the link to the underlay is called where the file does not say.
const UPLINK: &str = "uplink";

/// A host that is as it was seen, and becomes what operations make of it.
///
/// It takes for granted what only a kernel can tell: that a driver runs XDP, that a port is free.
#[derive(Clone)]
pub struct Rehearsal {
    pub observed: Observed,
    next_ifindex: u32,
}

impl Rehearsal {
    /// Starts from what was seen.
    pub fn of(observed: Observed) -> Self {
        let last = observed.facts.links.keys().next_back().copied();
        Self {
            observed,
            next_ifindex: last.unwrap_or(0) + 1,
        }
    }

    /// Starts from a machine on which nothing is but what the fabric says of the host's links, which
    /// lead to all of its peers.
    pub fn on_paper(fabric: &Fabric, host: &str) -> Self {
        let mut paper = Self::of(Observed::default());
        paper.observed.facts.can_match_bridge = true;
        let Some(host) = fabric.hosts.get(host) else {
            return paper;
        };
        for trunk in host.trunks.values() {
            paper.new_link(&trunk.link, "", None);
        }
        let unnamed = [host.multicast.clone().unwrap_or_else(|| UPLINK.to_owned())];
        let uplinks = match host.uplinks.as_slice() {
            [] => &unnamed,
            named => named,
        };
        let numbers: Vec<u32> = uplinks
            .iter()
            .map(|name| paper.new_link(name, "", None))
            .collect();
        paper.change(&uplinks[0], |link| {
            link.addresses.push(host.underlay.into());
        });
        let networks = fabric.networks_of(&host.name);
        let peers = networks.flat_map(|network| fabric.peers_of(network, &host.name));
        let routes = peers.map(|peer| (peer.underlay, numbers[0]));
        paper.observed.facts.routes = routes.collect();
        paper
    }

    /// Adds a link, and returns its ifindex, which no other has had.
    pub fn new_link(&mut self, name: &str, kind: &str, master: Option<u32>) -> u32 {
        let ifindex = self.next_ifindex;
        self.next_ifindex += 1;
        let [_, _, high, low] = ifindex.to_be_bytes();
        let link = Link {
            ifindex,
            name: name.into(),
            kind: kind.into(),
            master,
            mtu: 1500,
            mac: Mac([0x52, 0x54, 0, 0, high, low]),
            up: true,
            is_ethernet: true,
            ..Link::default()
        };
        self.observed.facts.links.add(link);
        ifindex
    }

    /// Removes a link, and with it the programs on it.
    pub fn remove(&mut self, name: &str) {
        let Some(link) = self.observed.facts.link(name) else {
            return;
        };
        let ifindex = link.ifindex;
        let Observed { facts, state } = &mut self.observed;
        let links = facts.links.edit();
        links.remove(&ifindex);
        for link in links.values_mut() {
            link.master.take_if(|master| *master == ifindex);
        }
        state.retain(|id, _| !matches!(id, Id::Program(on, _) if *on == ifindex));
    }

    /// Carries out an operation, or refuses what a kernel would refuse.
    pub fn perform(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::Create(id, spec) => {
                ensure!(!self.observed.state.contains_key(id), "it exists");
                self.put(id, spec)
            }
            Op::Change { id, from, to } => {
                let is = self.observed.state.get(id);
                ensure!(is == Some(from), "it is not as it was");
                self.put(id, to)
            }
            Op::Delete(id, _) => {
                // A link takes its programs along, and an absent thing need not be removed.
                self.observed.state.remove(id);
                self.take(id);
                Ok(())
            }
        }
    }

    fn put(&mut self, id: &Id, spec: &Spec) -> Result<()> {
        match (id, spec) {
            (Id::Bridge(name), Spec::Bridge(bridge)) => {
                self.make(name, "bridge", None);
                self.change(name, |link| {
                    (link.mac, link.mtu, link.up) = (bridge.mac, bridge.mtu, bridge.up);
                });
            }
            (Id::Anchor(port), Spec::Anchor { bridge, mtu, .. }) => {
                let master = self.observed.facts.link(bridge).context("no such bridge")?;
                let master = master.ifindex;
                self.make(port, "veth", Some(master));
                self.make(&peer_of(port), "veth", None);
                self.change(port, |link| link.mtu = *mtu);
            }
            (Id::Detour, Spec::Detour { .. }) => {
                self.make(DETOUR, "veth", None);
                self.make(DETOUR_END, "veth", None);
            }
            (Id::GroSocket, Spec::GroSocket { up, .. }) => {
                self.make(GRO_SOCKET, "vxlan", None);
                self.change(GRO_SOCKET, |link| link.up = *up);
            }
            (Id::PortMtu(link), Spec::PortMtu(mtu)) => self.change(link, |link| link.mtu = *mtu),
            (Id::Trunk(link), Spec::Trunk { up, .. }) => self.change(link, |link| link.up = *up),
            (Id::Address(link, _), _) => {
                ensure!(self.observed.facts.link(link).is_some(), "no such link");
            }
            (Id::Program(ifindex, _), _) => {
                let links = &self.observed.facts.links;
                ensure!(links.contains_key(ifindex), "no such link");
            }
            _ => {}
        }
        self.observed.state.insert(id.clone(), spec.clone());
        Ok(())
    }

    fn take(&mut self, id: &Id) {
        match id {
            Id::Bridge(name) => self.release(name),
            Id::Anchor(port) => {
                self.remove(&peer_of(port));
                self.remove(port);
            }
            Id::Detour => {
                self.remove(DETOUR_END);
                self.remove(DETOUR);
            }
            Id::GroSocket => self.remove(GRO_SOCKET),
            _ => {}
        }
    }

    /// Removes a bridge of ours, unless guests are in it; one that was there before stays.
    fn release(&mut self, name: &str) {
        let Some(bridge) = self.observed.facts.link(name) else {
            return;
        };
        let (ifindex, is_ours) = (bridge.ifindex, bridge.is_ours);
        let facts = &mut self.observed.facts;
        if !is_ours {
            return;
        }
        if facts.ports_of(ifindex).any(|port| !port.is_ours) {
            facts.left.insert(ifindex);
            self.change(name, |link| link.is_ours = false);
        } else {
            self.remove(name);
        }
    }

    /// Makes a link of vxnet's, if there is none of that name.
    fn make(&mut self, name: &str, kind: &str, master: Option<u32>) {
        if self.observed.facts.link(name).is_none() {
            self.new_link(name, kind, master);
            self.change(name, |link| link.is_ours = true);
        }
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Link)) {
        self.observed.facts.links.change(name, change);
    }
}

/// Returns the other end of an anchor.
fn peer_of(port: &str) -> String {
    port.replace("vxa", "vxp")
}

impl Host for Rehearsal {
    async fn observe(&mut self) -> Result<Observed> {
        Ok(self.observed.clone())
    }

    async fn apply(&mut self, op: &Op) -> Result<()> {
        self.perform(op)
    }

    async fn settle(&mut self) -> Result<()> {
        Ok(())
    }
}
