//! What a lab shall consist of: hypervisors around a router, networks across them, guests in the
//! networks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::bpffs::Bpffs;
use crate::guest::Port;
use crate::hypervisor::{Hypervisor, Kind};
use crate::lab::Lab;
use crate::netns::Netns;
use crate::network::{Network, OVERHEAD_V4, OVERHEAD_V6};
use crate::scope::Scope;
use crate::underlay::{self, Family, Subnet, Wire};
use crate::vxnet::{Vxnet, find_binary};

/// The link of every hypervisor towards the router.
pub const UPLINK: &str = "eth0";

/// What a lab shall consist of.
#[derive(Debug, Clone)]
pub struct LabBuilder {
    label: String,
    wire: Wire,
    family: Family,
    mtu: u32,
    binary: Option<PathBuf>,
    kinds: Vec<Kind>,
    networks: Vec<Network>,
    guests: Vec<(String, usize, Port)>,
    extra: String,
    host_lines: String,
    host_sections: BTreeMap<usize, String>,
}

impl LabBuilder {
    /// `label` (letters first) makes the lab's namespaces recognisable.
    pub fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            wire: Wire::Mtu,
            family: Family::V4,
            mtu: 1500,
            binary: None,
            kinds: Vec::new(),
            networks: Vec::new(),
            guests: Vec::new(),
            extra: String::new(),
            host_lines: String::new(),
            host_sections: BTreeMap::new(),
        }
    }

    #[must_use]
    pub fn wire(mut self, wire: Wire) -> Self {
        self.wire = wire;
        self
    }

    /// The family of the VTEP addresses.
    #[must_use]
    pub fn underlay(mut self, family: Family) -> Self {
        self.family = family;
        self
    }

    #[must_use]
    pub fn binary(mut self, path: Option<&Path>) -> Self {
        self.binary = path.map(Path::to_owned);
        self
    }

    /// Adds hypervisors `hv1`, `hv2`, … of these kinds.
    #[must_use]
    pub fn hypervisors(mut self, kinds: &[Kind]) -> Self {
        self.kinds.extend(kinds);
        self
    }

    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.networks.push(network);
        self
    }

    /// Adds lines to the section of every host.
    #[must_use]
    pub fn every_host(mut self, lines: &str) -> Self {
        self.host_lines.push_str(lines);
        self.host_lines.push('\n');
        self
    }

    /// Adds lines to the section of hypervisor `number` (from 1), and sections below it.
    #[must_use]
    pub fn host(mut self, number: usize, lines: &str) -> Self {
        let section = self.host_sections.entry(number).or_default();
        section.push_str(lines);
        section.push('\n');
        self
    }

    /// Says which portgroup the link `port` of hypervisor `number` belongs to. Ports are called
    /// `vnet0`, `vnet1`, … in the order in which they are plugged in.
    #[must_use]
    pub fn in_portgroup(self, number: usize, port: &str, portgroup: &str) -> Self {
        let section = format!("[host.hv{number}.port.{port}]\nportgroup = \"{portgroup}\"");
        self.host(number, &section)
    }

    /// Adds lines to the configuration file, for instance a host that does not exist.
    #[must_use]
    pub fn config(mut self, lines: &str) -> Self {
        self.extra.push_str(lines);
        self
    }

    /// Adds a guest of `network` on hypervisor `number` (from 1).
    #[must_use]
    pub fn guest(mut self, network: &str, number: usize, port: Port) -> Self {
        self.guests.push((network.to_owned(), number, port));
        self
    }

    /// Makes router, hypervisors and configuration; nothing of vxnet runs yet.
    pub fn prepare(self) -> Result<Lab> {
        let scope = Scope::open(&self.label)?;
        let bpffs = Bpffs::mount(&scope)?;
        let router = underlay::router(&scope, "router")?;
        let mut hypervisors = Vec::new();
        for (index, &kind) in self.kinds.iter().enumerate() {
            let number = index + 1;
            let name = format!("hv{number}");
            let netns = Netns::create(&scope, &name)?;
            let subnet = Subnet {
                hypervisor: number,
                router: 1,
            };
            underlay::connect(&netns, &router, subnet, UPLINK, self.wire, self.mtu)?;
            underlay::route_through(&netns, subnet, UPLINK)?;
            let vxnet = match kind {
                Kind::Kernel | Kind::OpenVswitch => None,
                Kind::Vxnet => {
                    let binary = self.binary.clone().map_or_else(find_binary, Ok)?;
                    let (files, pins) = (scope.directory().join(&name), bpffs.pin_directory(&name));
                    Some(Vxnet::new(&netns, &binary, &name, files, pins)?)
                }
            };
            let vtep = subnet.hypervisor_address(self.family);
            hypervisors.push(Hypervisor::new(number, netns, vtep, kind, vxnet));
        }
        let overhead = match self.family {
            Family::V4 => OVERHEAD_V4,
            Family::V6 => OVERHEAD_V6,
        };
        let mut lab = Lab {
            guests: Vec::new(),
            hypervisors,
            networks: self.networks,
            router,
            bpffs,
            family: self.family,
            wire: self.wire,
            guest_mtu: self.mtu - overhead,
            planned: self.guests,
            extra: self.extra,
            host_lines: self.host_lines,
            host_sections: self.host_sections,
            scope,
        };
        let config = lab.config();
        for hypervisor in &mut lab.hypervisors {
            if hypervisor.kind == Kind::Vxnet {
                hypervisor.vxnet()?.write_config(&config)?;
            }
        }
        Ok(lab)
    }

    /// Makes the lab, starts everything in it and waits until it forwards.
    pub fn build(self) -> Result<Lab> {
        let mut lab = self.prepare()?;
        lab.start()?;
        lab.plug_all()?;
        Ok(lab)
    }
}
