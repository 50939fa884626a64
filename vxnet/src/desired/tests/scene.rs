//! A fabric and a machine in memory, for the tests of all rooms that decide what a host should be.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use anyhow::{Context as _, Result, bail};
use vxnet_common::addr::Vni;

use crate::{
    model::{Fabric, Host, Network, Receive, Segment, VXLAN_PORT},
    state::{Hook, Id, Link, Observed, Spec, State, anchor_names},
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

pub(crate) fn network(name: &str, vni: u32, hosts: &[&str]) -> Network {
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
pub(crate) use crate::reconcile::Rehearsal as Machine;

impl Machine {
    /// Returns host1 of [`fabric`]: eth0 leads to the peers, eth1 elsewhere, and virbr0 with the
    /// guest vnet9 is libvirt's own.
    pub(crate) fn new(family: u8) -> Self {
        let mut machine = Self::of(Observed::default());
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
        let ifindex = self.new_link(name, kind, master);
        let links = self.observed.facts.links.edit();
        links.get_mut(&ifindex).expect("it was made")
    }

    /// Adds a guest's tap to a bridge, as libvirt does.
    pub(crate) fn add_guest(&mut self, name: &str, bridge: &str) -> u32 {
        let master = self.ifindex(bridge);
        self.add(name, "tun", Some(master)).ifindex
    }

    pub(crate) fn link(&mut self, name: &str) -> &mut Link {
        let mut links = self.observed.facts.links.edit().values_mut();
        links.find(|link| link.name == name).expect(name)
    }

    pub(crate) fn ifindex(&self, name: &str) -> u32 {
        self.observed.facts.link(name).expect(name).ifindex
    }

    /// Applies `desired` until nothing is left to do, and returns how many rounds it took.
    pub(crate) fn settle(&mut self, desired: impl Fn(&Observed) -> Result<State>) -> Result<usize> {
        for round in 0..8 {
            let ops = crate::plan::plan(&self.observed.state, &desired(&self.observed)?);
            if ops.is_empty() {
                return Ok(round);
            }
            for op in ops {
                self.perform(&op).with_context(|| op.to_string())?;
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
