//! A fabric and a machine in memory, for the tests of all rooms that decide what a host should be.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use anyhow::{Context as _, Result, bail, ensure};
use vxnet_common::addr::{Mac, Vni};

use crate::{
    model::{Fabric, Host, Network, Receive, Segment, VXLAN_PORT},
    plan::Op,
    state::{DETOUR, DETOUR_END, GRO_SOCKET, Hook, Id, Link, Observed, Spec, State, anchor_names},
};

/// The links that every machine starts with.
pub(crate) const ETH0: u32 = 2;
pub(crate) const ETH1: u32 = 3;

/// Returns the underlay address of a host of [`fabric`].
pub(crate) fn underlay(family: u8, host: u8) -> IpAddr {
    if family == 4 {
        Ipv4Addr::new(172, 31, 0, 120 + host).into()
    } else {
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(host)).into()
    }
}

/// Returns host1 to host3 with the network red on all of them, and blue on host1 and host2.
pub(crate) fn fabric(family: u8) -> Fabric {
    let hosts = (1..=3).map(|number| {
        let host = Host {
            name: format!("host{number}"),
            underlay: underlay(family, number),
            uplinks: Vec::new(),
            receive: Receive::Auto,
            gro_socket: true,
            multicast: None,
            trunks: BTreeMap::new(),
            ports: BTreeMap::new(),
        };
        (host.name.clone(), host)
    });
    let mut red = network("red", 10, &["host1", "host2", "host3"]);
    let gateway = "192.168.124.1/24".parse().unwrap();
    red.gateways.insert("host1".into(), vec![gateway]);
    let blue = network("blue", 20, &["host1", "host2"]);
    Fabric {
        hosts: hosts.collect(),
        networks: BTreeMap::from([("red".into(), red), ("blue".into(), blue)]),
        port: VXLAN_PORT,
    }
}

/// Returns [`fabric`] with red as its only network.
pub(crate) fn red_fabric(family: u8) -> Fabric {
    let mut fabric = fabric(family);
    fabric.networks.remove("blue");
    fabric
}

/// Returns the one segment of a network without VLANs.
pub(crate) fn plain<'a>(fabric: &'a mut Fabric, network: &str) -> &'a mut Segment {
    let network = fabric.networks.get_mut(network).unwrap();
    network.segments.get_mut(&None).unwrap()
}

fn network(name: &str, vni: u32, hosts: &[&str]) -> Network {
    Network {
        name: name.into(),
        bridge: format!("br-{name}"),
        hosts: hosts.iter().map(ToString::to_string).collect(),
        subnets: Vec::new(),
        gateways: BTreeMap::new(),
        mtu: None,
        segments: BTreeMap::from([(None, Segment::on_overlay(Vni::new(vni).unwrap()))]),
        portgroups: BTreeMap::new(),
        default_portgroup: None,
    }
}

/// A machine whose kernel is a few tables. Links come and go as on a real one: with an ifindex of
/// their own, and with what ran on them.
#[derive(Clone)]
pub(crate) struct Machine {
    pub(crate) observed: Observed,
    next_ifindex: u32,
}

impl Machine {
    /// Returns host1 of [`fabric`]: eth0 leads to the peers, eth1 elsewhere, and virbr0 with the
    /// guest vnet9 is libvirt's own.
    pub(crate) fn new(family: u8) -> Self {
        let mut machine = Self {
            observed: Observed::default(),
            next_ifindex: 1,
        };
        machine.add("lo", "", None).is_ethernet = false;
        let own = underlay(family, 1);
        let eth0 = machine.add("eth0", "", None);
        eth0.addresses.push(own.into());
        let elsewhere = if family == 4 {
            "10.0.0.1/24"
        } else {
            "2001:db8:1::1/64"
        };
        let eth1 = machine.add("eth1", "", None);
        eth1.addresses.push(elsewhere.parse().unwrap());
        let virbr0 = machine.add("virbr0", "bridge", None).ifindex;
        machine.add("vnet9", "tun", Some(virbr0));
        let facts = &mut machine.observed.facts;
        facts.routes = [2, 3].map(|host| (underlay(family, host), ETH0)).into();
        facts.programs = BTreeMap::from([
            ("vx_port", 11),
            ("vx_uplink", 12),
            ("vx_uplink_xdp", 13),
            ("vx_resolve", 14),
            ("vx_detour", 15),
        ]);
        facts.can_match_bridge = true;
        machine
    }

    /// Adds a link.
    pub(crate) fn add(&mut self, name: &str, kind: &str, master: Option<u32>) -> &mut Link {
        let ifindex = self.next_ifindex;
        self.next_ifindex += 1;
        let link = Link {
            ifindex,
            name: name.into(),
            kind: kind.into(),
            master,
            mtu: 1500,
            mac: Mac([0x52, 0x54, 0, 0, 0, ifindex as u8]),
            up: true,
            is_ethernet: true,
            ..Link::default()
        };
        let links = self.observed.facts.links.edit();
        links.entry(ifindex).or_insert(link)
    }

    /// Adds a guest's tap to a bridge, as libvirt does.
    pub(crate) fn add_guest(&mut self, name: &str, bridge: &str) -> u32 {
        let master = self.ifindex(bridge);
        self.add(name, "tun", Some(master)).ifindex
    }

    /// Removes a link, and with it the programs on it.
    pub(crate) fn remove(&mut self, name: &str) {
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

    pub(crate) fn link(&mut self, name: &str) -> &mut Link {
        let mut links = self.observed.facts.links.edit().values_mut();
        links.find(|link| link.name == name).expect(name)
    }

    pub(crate) fn ifindex(&self, name: &str) -> u32 {
        self.observed.facts.link(name).expect(name).ifindex
    }

    /// Carries out an operation, or refuses what a kernel would refuse.
    pub(crate) fn apply(&mut self, op: &Op) -> Result<()> {
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
                if self.observed.facts.link(name).is_none() {
                    self.add(name, "bridge", None).is_ours = true;
                }
                let link = self.link(name);
                (link.mac, link.mtu, link.up) = (bridge.mac, bridge.mtu, bridge.up);
            }
            (Id::Anchor(port), Spec::Anchor { bridge, mtu, .. }) => {
                let master = self.observed.facts.link(bridge).context("no such bridge")?;
                let master = master.ifindex;
                if self.observed.facts.link(port).is_none() {
                    self.add(port, "veth", Some(master)).is_ours = true;
                    self.add(&port.replace("vxa", "vxp"), "veth", None).is_ours = true;
                }
                self.link(port).mtu = *mtu;
            }
            (Id::Detour, Spec::Detour { .. }) if self.observed.facts.link(DETOUR).is_none() => {
                self.add(DETOUR, "veth", None).is_ours = true;
                self.add(DETOUR_END, "veth", None).is_ours = true;
            }
            (Id::GroSocket, Spec::GroSocket { up, .. }) => {
                if self.observed.facts.link(GRO_SOCKET).is_none() {
                    self.add(GRO_SOCKET, "vxlan", None).is_ours = true;
                }
                self.link(GRO_SOCKET).up = *up;
            }
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
            Id::Bridge(name) => self.remove(name),
            Id::Anchor(port) => {
                self.remove(&port.replace("vxa", "vxp"));
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

    /// Applies `desired` until nothing is left to do, and returns how many rounds it took.
    pub(crate) fn settle(&mut self, desired: impl Fn(&Observed) -> Result<State>) -> Result<usize> {
        for round in 0..8 {
            let ops = crate::plan::plan(&self.observed.state, &desired(&self.observed)?);
            if ops.is_empty() {
                return Ok(round);
            }
            for op in ops {
                self.apply(&op).with_context(|| op.to_string())?;
            }
        }
        bail!("the machine does not come to rest")
    }

    /// Tells that a program of ours runs somewhere.
    pub(crate) fn run(&mut self, ifindex: u32, hook: Hook, name: &str) {
        let program = crate::state::Program {
            name: name.into(),
            tag: self.observed.facts.programs[name],
        };
        let id = Id::Program(ifindex, hook);
        self.observed.state.insert(id, Spec::Program(program));
    }
}

/// Returns the name of a network's anchor port.
pub(crate) fn anchor(vni: u32) -> String {
    anchor_names(vni).0
}
