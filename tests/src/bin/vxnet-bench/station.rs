//! Stations: what sends and receives through a peer's ports.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use vxnet_tests::netns::Netns;
use vxnet_tests::network::mac_text;
use vxnet_tests::scope::Scope;
use vxnet_tests::tap::{self, Cable};

use crate::machine;
use crate::shell::Shell;
use crate::wire::{GUEST_MTU, octet};

/// How a station is joined to its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A namespace behind a veth: a container.
    Veth,
    /// A namespace behind two taps and a cable, which copies frames with their `virtio_net_hdr` as
    /// QEMU does: a virtual machine.
    Tap,
    /// A tap that nobody reads: a port for injected frames, and a drain for them.
    Mute,
}

impl Kind {
    /// The name in tables: what the switch sees.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Veth => "veth",
            Self::Tap | Self::Mute => "tap",
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Veth => 1,
            Self::Tap => 2,
            Self::Mute => 3,
        }
    }
}

/// A station's addresses.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    pub(crate) v4: Ipv4Addr,
    /// The router, if stations of the two hosts are in different subnets.
    pub(crate) gateway: Option<Ipv4Addr>,
    pub(crate) mac: [u8; 6],
}

impl Address {
    /// The address on host `number` (from 1), if all hosts share a subnet. It is the same in every
    /// network, as it may be.
    pub(crate) fn bridged(kind: Kind, number: usize) -> Self {
        Self {
            v4: Ipv4Addr::new(192, 168, 50, octet(number) * 10 + kind.number()),
            gateway: None,
            mac: mac(kind, number),
        }
    }

    /// The same, if host `number` has a subnet of its own.
    pub(crate) fn routed(kind: Kind, number: usize) -> Self {
        Self {
            v4: Ipv4Addr::new(
                192,
                168,
                50 + octet(number),
                octet(number) * 10 + kind.number(),
            ),
            gateway: Some(gateway(number)),
            mac: mac(kind, number),
        }
    }
}

/// The router's address in the subnet of host `number`'s stations.
pub(crate) fn gateway(number: usize) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 50 + octet(number), 1)
}

fn mac(kind: Kind, number: usize) -> [u8; 6] {
    [0x52, 0x54, 0, 1, octet(number), kind.number()]
}

/// A station and its port.
#[derive(Debug)]
pub(crate) struct Station {
    pub(crate) kind: Kind,
    /// The number of its host, from 1.
    pub(crate) host: usize,
    /// Its namespace; a mute tap has none, so this is the host's.
    pub(crate) netns: Netns,
    /// The namespace of its port.
    pub(crate) host_netns: Netns,
    /// The link in the host's namespace.
    pub(crate) port: String,
    pub(crate) address: Address,
    cable: Option<Cable>,
    mute: Option<File>,
}

impl Station {
    /// Makes the station and its port, which nothing is attached to yet.
    pub(crate) fn make(
        scope: &Scope,
        shell: &Shell,
        host: (&Netns, usize),
        kind: Kind,
        address: Address,
        port: &str,
    ) -> Result<Self> {
        let (host_netns, number) = host;
        let mut station = Self {
            kind,
            host: number,
            netns: host_netns.clone(),
            host_netns: host_netns.clone(),
            port: port.to_owned(),
            address,
            cable: None,
            mute: None,
        };
        if kind == Kind::Mute {
            shell.note(
                host_netns,
                &format!("open tap {port} (vnet_hdr, no reader)"),
            );
            station.mute = Some(tap::open(host_netns, port)?);
        } else {
            station.netns = Netns::create(scope, &format!("{}{number}", kind.label()))?;
            station.join(shell)?;
            station.configure(shell)?;
        }
        let mut port_mac = address.mac;
        port_mac[0] = 0xfe;
        let port_mac = mac_text(port_mac);
        shell.ip(
            host_netns,
            &format!("link set {port} address {port_mac} mtu {GUEST_MTU}"),
        )?;
        Ok(station)
    }

    /// Makes a station that has no port and no link yet.
    pub(crate) fn bare(scope: &Scope, number: usize, address: Address) -> Result<Self> {
        let netns = Netns::create(scope, &format!("veth{number}"))?;
        Ok(Self {
            kind: Kind::Veth,
            host: number,
            host_netns: netns.clone(),
            netns,
            port: "eth0".to_owned(),
            address,
            cable: None,
            mute: None,
        })
    }

    fn join(&mut self, shell: &Shell) -> Result<()> {
        let (host, guest, port) = (&self.host_netns, &self.netns, &self.port);
        if self.kind == Kind::Veth {
            let line = format!("link add {port} type veth peer name eth0 netns {guest}");
            shell.ip(host, &line)?;
            return Ok(());
        }
        shell.note(host, &format!("open tap {port} (vnet_hdr, csum, TSO, USO)"));
        shell.note(guest, "open tap eth0, and copy frames between the two taps");
        let ends = (tap::open(host, port)?, tap::open(guest, "eth0")?);
        let cpu = if self.host == 1 {
            machine::SENDER
        } else {
            machine::RECEIVER
        };
        self.cable = Some(machine::on(cpu, || Cable::join(ends.0, ends.1))?);
        Ok(())
    }

    /// Gives `eth0` its addresses.
    pub(crate) fn configure(&self, shell: &Shell) -> Result<()> {
        let Address { v4, gateway, mac } = self.address;
        let mac = mac_text(mac);
        shell.ip(
            &self.netns,
            &format!("link set eth0 address {mac} mtu {GUEST_MTU} up"),
        )?;
        shell.ip(&self.netns, &format!("address add {v4}/24 dev eth0"))?;
        if let Some(gateway) = gateway {
            shell.ip(&self.netns, &format!("route add default via {gateway}"))?;
        }
        Ok(())
    }

    /// The cable of a station behind a tap.
    pub(crate) fn cable(&self) -> Option<&Cable> {
        self.cable.as_ref()
    }

    /// Sends one frame into the switch; only a mute tap can.
    pub(crate) fn send(&self, frame: &[u8]) -> Result<()> {
        let mut tap = self.mute.as_ref().context("not a mute tap")?;
        let mut bytes = vec![0; tap::HEADER];
        bytes.extend_from_slice(frame);
        tap.write_all(&bytes)
            .with_context(|| format!("cannot write to {}", self.port))
    }

    /// Throws away what waits in a mute tap.
    pub(crate) fn drain(&self) {
        let mut buffer = vec![0; 70_000];
        while let Some(mut tap) = self.mute.as_ref()
            && tap.read(&mut buffer).is_ok()
        {}
    }
}
