//! A lab that is up: its parts, and what is done to it while it runs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::bpffs::Bpffs;
use crate::guest::{Guest, Place, Port};
use crate::hypervisor::{Hypervisor, Kind};
use crate::netns::Netns;
use crate::network::Network;
use crate::ping::Ping;
use crate::scope::Scope;
use crate::underlay::{Family, Subnet, Wire};
use crate::vxnet::Vxnet;
use crate::wait::eventually;

/// A lab that is up. Dropping it removes everything.
#[derive(Debug)]
pub struct Lab {
    pub guests: Vec<Guest>,
    pub hypervisors: Vec<Hypervisor>,
    pub networks: Vec<Network>,
    pub router: Netns,
    pub bpffs: Bpffs,
    pub family: Family,
    pub wire: Wire,
    pub guest_mtu: u32,
    pub(crate) planned: Vec<(String, usize, Port)>,
    pub(crate) extra: String,
    pub(crate) host_lines: String,
    pub(crate) host_sections: BTreeMap<usize, String>,
    // The last field: cables and daemons are to be gone before the namespaces are swept.
    pub scope: Scope,
}

impl Lab {
    /// The configuration file, the same for every hypervisor.
    pub fn config(&self) -> String {
        let mut text = String::new();
        for hypervisor in &self.hypervisors {
            let Hypervisor { name, vtep, .. } = hypervisor;
            writeln!(text, "[host.{name}]\nunderlay = \"{vtep}\"").expect("a String grows");
            text.push_str(&self.host_lines);
            let own = self.host_sections.get(&hypervisor.number);
            text.push_str(own.map_or("", String::as_str));
        }
        for network in &self.networks {
            text.push_str(&network.toml());
        }
        text.push_str(&self.extra);
        text
    }

    /// Starts every daemon, and the networks of the kernel peers.
    pub fn start(&mut self) -> Result<()> {
        let vteps: Vec<(usize, IpAddr)> = self
            .hypervisors
            .iter()
            .map(|hypervisor| (hypervisor.number, hypervisor.vtep))
            .collect();
        for hypervisor in &mut self.hypervisors {
            let number = hypervisor.number;
            if hypervisor.kind == Kind::Vxnet {
                hypervisor.vxnet()?.start()?;
                continue;
            }
            let others = vteps.iter().filter(|(other, _)| *other != number);
            let peers: Vec<IpAddr> = others.map(|(_, vtep)| *vtep).collect();
            if hypervisor.kind == Kind::OpenVswitch {
                let directory = self.scope.directory().join(format!("ovs{number}"));
                let subnet = Subnet {
                    hypervisor: number,
                    router: 1,
                };
                let router = subnet.router_address(self.family);
                hypervisor.start_open_vswitch(&directory, router)?;
            }
            for network in self.networks.iter().filter(|network| network.is_on(number)) {
                if hypervisor.kind == Kind::OpenVswitch {
                    hypervisor.make_open_vswitch_network(network, &peers)?;
                } else {
                    hypervisor.make_kernel_network(network, &peers, self.guest_mtu)?;
                }
            }
        }
        Ok(())
    }

    /// Plugs in the guests that the builder named.
    pub fn plug_all(&mut self) -> Result<()> {
        for (network, number, port) in std::mem::take(&mut self.planned) {
            self.plug(&network, number, port)?;
        }
        Ok(())
    }

    /// Plugs one more guest of `network` into hypervisor `number` and waits until it is a port.
    pub fn plug(&mut self, network: &str, number: usize, kind: Port) -> Result<&Guest> {
        let here = self
            .guests
            .iter()
            .filter(|guest| guest.hypervisor == number);
        let port = format!("vnet{}", here.clone().count());
        let index = here.filter(|guest| guest.network == network).count() + 1;
        let network = find(&self.networks, |other| other.name == network)?;
        let hypervisor = find(&self.hypervisors, |other| other.number == number)?;
        let guest = Guest::plug(
            &self.scope,
            kind,
            Place {
                hypervisor,
                network,
                index,
                port: &port,
                mtu: self.guest_mtu,
            },
        )?;
        let network = network.name.clone();
        if hypervisor.kind == Kind::Vxnet {
            let vxnet = self.hypervisor_mut(number)?.vxnet()?;
            if vxnet.is_running() {
                vxnet.wait_for_port(&network, &port)?;
            }
        }
        self.guests.push(guest);
        Ok(&self.guests[self.guests.len() - 1])
    }

    pub fn hypervisor(&self, number: usize) -> Result<&Hypervisor> {
        find(&self.hypervisors, |other| other.number == number)
    }

    pub fn hypervisor_mut(&mut self, number: usize) -> Result<&mut Hypervisor> {
        let found = self
            .hypervisors
            .iter_mut()
            .find(|other| other.number == number);
        found.with_context(|| format!("no hv{number} in this lab"))
    }

    /// vxnet on hypervisor `number`.
    pub fn vxnet(&mut self, number: usize) -> Result<&mut Vxnet> {
        self.hypervisor_mut(number)?.vxnet()
    }

    pub fn network(&self, name: &str) -> Result<&Network> {
        find(&self.networks, |network| network.name == name)
    }

    /// The `index`-th guest (from 1) of `network` on hypervisor `number`.
    pub fn guest(&self, network: &str, number: usize, index: usize) -> Result<&Guest> {
        let mut found = self
            .guests
            .iter()
            .filter(|guest| guest.network == network && guest.hypervisor == number);
        found
            .nth(index.saturating_sub(1))
            .with_context(|| format!("no guest {network}{number}.{index}"))
    }

    /// Waits until `from` reaches `to` in `family`: the first packets may meet unresolved
    /// neighbours on the underlay.
    pub fn wait_for_ping(&self, from: &Guest, to: &Guest, family: Family) -> Result<()> {
        eventually(Duration::from_secs(10), || {
            let reply = Ping::new(to.address(family)).count(1).run(&from.netns)?;
            ensure!(
                reply.received == 1,
                "{} does not reach {}",
                from.name,
                to.name
            );
            Ok(())
        })
    }
}

fn find<T>(items: &[T], wanted: impl FnMut(&&T) -> bool) -> Result<&T> {
    items
        .iter()
        .find(wanted)
        .context("no such part in this lab")
}
