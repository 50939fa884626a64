//! Hypervisors: vxnet's, and the kernel's own bridge and VXLAN device as interoperability peer and
//! as baseline.

use std::net::IpAddr;

use anyhow::{Context as _, Result};

use crate::netns::Netns;
use crate::network::Network;
use crate::vxnet::Vxnet;

/// What switches the hypervisor's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Vxnet,
    /// Linux bridge, VXLAN device with static flood entries, MAC learning in both.
    Kernel,
}

/// A namespace that acts as a hypervisor.
#[derive(Debug)]
pub struct Hypervisor {
    /// `hv1`, `hv2`, …; also its name in the configuration file.
    pub name: String,
    pub number: usize,
    pub netns: Netns,
    /// The address of its VTEP.
    pub vtep: IpAddr,
    pub kind: Kind,
    /// vxnet's end, on hypervisors of that kind.
    vxnet: Option<Vxnet>,
}

impl Hypervisor {
    pub fn new(
        number: usize,
        netns: Netns,
        vtep: IpAddr,
        kind: Kind,
        vxnet: Option<Vxnet>,
    ) -> Self {
        Self {
            name: format!("hv{number}"),
            number,
            netns,
            vtep,
            kind,
            vxnet,
        }
    }

    /// Returns the handle on vxnet; an error on a kernel peer.
    pub fn vxnet(&mut self) -> Result<&mut Vxnet> {
        let name = &self.name;
        self.vxnet
            .as_mut()
            .with_context(|| format!("{name} does not run vxnet"))
    }

    /// Returns the MAC of `link`.
    pub fn mac(&self, link: &str) -> Result<[u8; 6]> {
        link_mac(&self.netns, link)
    }

    /// Makes bridge and VXLAN device of `network`, flooding to all of `peers`.
    pub fn make_kernel_network(&self, network: &Network, peers: &[IpAddr], mtu: u32) -> Result<()> {
        let Network {
            bridge,
            vni,
            ageing_s,
            ..
        } = network;
        let (device, local) = (network.kernel_device(), self.vtep);
        let centiseconds = ageing_s * 100;
        self.netns.ip(&format!(
            "link add {bridge} mtu {mtu} type bridge stp_state 0 ageing_time {centiseconds}"
        ))?;
        // On an IPv6 underlay the kernel refuses zero checksums unless told otherwise.
        self.netns.ip(&format!(
            "link add {device} mtu {mtu} type vxlan id {vni} local {local} dstport 4789 noudpcsum \
             udp6zerocsumtx udp6zerocsumrx learning ageing {ageing_s} srcport 49152 65535"
        ))?;
        self.netns
            .ip(&format!("link set {device} master {bridge} up"))?;
        self.netns.ip(&format!("link set {bridge} up"))?;
        peers
            .iter()
            .try_for_each(|&peer| self.flood_to(network, peer))
    }

    /// Adds `peer` to the kernel peer's flood list.
    pub fn flood_to(&self, network: &Network, peer: IpAddr) -> Result<()> {
        let device = network.kernel_device();
        self.netns
            .line(&format!(
                "bridge fdb append 00:00:00:00:00:00 dev {device} dst {peer}"
            ))
            .run()?;
        Ok(())
    }
}

/// Returns the MAC of `link` in `netns`.
pub fn link_mac(netns: &Netns, link: &str) -> Result<[u8; 6]> {
    let links = netns.line(&format!("ip -j link show dev {link}")).json()?;
    let text = links[0]["address"]
        .as_str()
        .context("the link has no address")?;
    let bytes: Vec<u8> = text
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16))
        .collect::<Result<_, _>>()?;
    bytes
        .try_into()
        .map_err(|_| anyhow::anyhow!("{text} is no MAC"))
}
