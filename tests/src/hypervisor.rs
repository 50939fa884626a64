//! Hypervisors: vxnet's, and as interoperability peers the kernel's own bridge and VXLAN device
//! (also the baseline) and Open vSwitch.

use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::netns::Netns;
use crate::network::Network;
use crate::open_vswitch::OpenVswitch;
use crate::shared_link;
use crate::topology::UPLINK;
use crate::vxnet::Vxnet;

/// What switches the hypervisor's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Vxnet,
    /// Linux bridge, VXLAN device with static flood entries, MAC learning in both.
    Kernel,
    /// Open vSwitch with its userspace datapath: the kernel module may be missing.
    OpenVswitch,
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
    /// The running switch, on hypervisors of that kind.
    open_vswitch: Option<OpenVswitch>,
}

/// The bridge of Open vSwitch that holds the uplink and the VTEP address.
const PHYSICAL: &str = "br-phy";

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
            open_vswitch: None,
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

    /// Makes bridge and VXLAN device of `network`, flooding to its group, or else to all of `peers`.
    pub fn make_kernel_network(&self, network: &Network, peers: &[IpAddr], mtu: u32) -> Result<()> {
        let Network {
            bridge,
            vni,
            ageing_s,
            ..
        } = network;
        let (device, local) = (network.kernel_device(), self.vtep);
        let centiseconds = ageing_s * 100;
        let group = network
            .group
            .map(|group| format!("group {group} dev {}", shared_link::LINK))
            .unwrap_or_default();
        self.netns.ip(&format!(
            "link add {bridge} mtu {mtu} type bridge stp_state 0 ageing_time {centiseconds}"
        ))?;
        // On an IPv6 underlay the kernel refuses zero checksums unless told otherwise.
        self.netns.ip(&format!(
            "link add {device} mtu {mtu} type vxlan id {vni} {group} local {local} dstport 4789 noudpcsum \
             udp6zerocsumtx udp6zerocsumrx learning ageing {ageing_s} srcport 49152 65535"
        ))?;
        self.netns
            .ip(&format!("link set {device} master {bridge} up"))?;
        self.netns.ip(&format!("link set {bridge} up"))?;
        let floods_to = if network.group.is_some() { &[] } else { peers };
        floods_to
            .iter()
            .try_for_each(|&peer| self.flood_to(network, peer))
    }

    /// Starts Open vSwitch with everything of its below `directory`, and gives it the uplink with
    /// its addresses and the default route through `router`.
    pub fn start_open_vswitch(&mut self, directory: &Path, router: IpAddr) -> Result<()> {
        let netns = &self.netns;
        let switch = OpenVswitch::start(netns, directory, "--disable-system")?;
        let datapath = format!("-- set bridge {PHYSICAL} datapath_type=netdev");
        switch.vsctl(&format!("add-br {PHYSICAL} {datapath}"))?;
        switch.vsctl(&format!("add-port {PHYSICAL} {UPLINK}"))?;
        let mtu = netns
            .line(&format!("ip -j link show dev {UPLINK}"))
            .json()?;
        let mtu = mtu[0]["mtu"].as_u64().context("the uplink has no MTU")?;
        netns.ip(&format!("address flush dev {UPLINK}"))?;
        netns.ip(&format!("link set {PHYSICAL} mtu {mtu} up"))?;
        let length = if self.vtep.is_ipv4() { 24 } else { 64 };
        netns.ip(&format!(
            "address add {}/{length} dev {PHYSICAL}",
            self.vtep
        ))?;
        netns.ip(&format!(
            "route replace default via {router} dev {PHYSICAL}"
        ))?;
        self.open_vswitch = Some(switch);
        Ok(())
    }

    /// Makes a network's bridge in Open vSwitch, with a tunnel to each of `peers`.
    pub fn make_open_vswitch_network(&self, network: &Network, peers: &[IpAddr]) -> Result<()> {
        let Network { bridge, vni, .. } = network;
        let switch = self.open_vswitch()?;
        switch.vsctl(&format!(
            "add-br {bridge} -- set bridge {bridge} datapath_type=netdev"
        ))?;
        for (number, peer) in peers.iter().enumerate() {
            let port = format!("vx{vni}-{number}");
            switch.vsctl(&format!(
                "add-port {bridge} {port} -- set interface {port} type=vxlan \
                 options:remote_ip={peer} options:key={vni} options:dst_port=4789 options:csum=false"
            ))?;
        }
        Ok(())
    }

    /// Puts a guest's link into a network's bridge, as libvirt would.
    pub fn attach(&self, link: &str, network: &Network) -> Result<()> {
        let bridge = &network.bridge;
        if self.kind == Kind::OpenVswitch {
            self.open_vswitch()?
                .vsctl(&format!("add-port {bridge} {link}"))?;
        } else {
            self.netns.ip(&format!("link set {link} master {bridge}"))?;
        }
        self.netns.ip(&format!("link set {link} up"))?;
        Ok(())
    }

    fn open_vswitch(&self) -> Result<&OpenVswitch> {
        self.open_vswitch
            .as_ref()
            .with_context(|| format!("{} does not run Open vSwitch", self.name))
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
