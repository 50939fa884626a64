//! OVS userspace: Open vSwitch's `netdev` datapath, one `ovs-vswitchd` per host.
//!
//! The kernel module cannot run here, so this is never "OVS" without the word userspace. Guests
//! complete their checksums themselves: this datapath neither takes super-packets nor unfinished
//! checksums from a packet socket.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vxnet_tests::netns::Netns;
use vxnet_tests::open_vswitch::OpenVswitch;
use vxnet_tests::scope::Scope;

use crate::machine;
use crate::peer::vni;
use crate::shell::Shell;
use crate::station::Station;
use crate::wire::{MTU, UPLINK};

/// The bridge that holds the uplink and the underlay address.
pub(crate) const PHYSICAL: &str = "br-phy";
const OVERLAY: &str = "br-int";

/// Which kind of port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ports {
    System,
    AfXdp,
}

/// Open vSwitch on one host.
#[derive(Debug)]
pub(crate) struct Ovs {
    netns: Netns,
    ports: Ports,
    switch: OpenVswitch,
}

impl Ovs {
    /// Starts the programs of host `number`, with the uplink in its bridge.
    pub(crate) fn start(
        scope: &Scope,
        shell: &Shell,
        host: (&Netns, usize),
        ports: Ports,
    ) -> Result<Self> {
        let (netns, number) = host;
        let directory = scope.directory().join(format!("ovs{number}"));
        shell.note(netns, "ovs-vswitchd unix:db.sock --disable-system");
        let ovs = Self {
            netns: netns.clone(),
            ports,
            switch: OpenVswitch::start(netns, &directory, "--disable-system")?,
        };
        if ports == Ports::AfXdp {
            let cpu = if number == 1 {
                machine::SENDER
            } else {
                machine::RECEIVER
            };
            let mask = 1 << cpu;
            let line = format!("set Open_vSwitch . other_config:pmd-cpu-mask=0x{mask:x}");
            ovs.vsctl(shell, &line)?;
        }
        for bridge in [PHYSICAL, OVERLAY] {
            let line = format!("add-br {bridge} -- set bridge {bridge} datapath_type=netdev");
            ovs.vsctl(shell, &line)?;
        }
        ovs.add_port(shell, PHYSICAL, UPLINK)?;
        shell.ip(netns, &format!("link set {PHYSICAL} mtu {MTU} up"))?;
        shell.ip(netns, &format!("link set {OVERLAY} up"))?;
        Ok(ovs)
    }

    /// Makes the tunnel to the other host.
    pub(crate) fn tunnel(&self, shell: &Shell, remote: Ipv4Addr) -> Result<()> {
        let vni = vni(1);
        self.vsctl(
            shell,
            &format!(
                "add-port {OVERLAY} vx0 -- set interface vx0 type=vxlan options:remote_ip={remote} \
                 options:key={vni} options:dst_port=4789 options:csum=false"
            ),
        )
    }

    /// Puts a station's port into the overlay's bridge.
    pub(crate) fn attach(&self, shell: &Shell, station: &Station) -> Result<()> {
        if station.netns != self.netns {
            shell.run(&station.netns, "ethtool -K eth0 tx off tso off")?;
        }
        self.add_port(shell, OVERLAY, &station.port)?;
        shell.ip(&self.netns, &format!("link set {} up", station.port))?;
        Ok(())
    }

    fn add_port(&self, shell: &Shell, bridge: &str, link: &str) -> Result<()> {
        let kind = match self.ports {
            Ports::System => String::new(),
            Ports::AfXdp => {
                format!(" -- set interface {link} type=afxdp options:n_rxq=1")
            }
        };
        self.vsctl(shell, &format!("add-port {bridge} {link}{kind}"))?;
        let error = self.switch.vsctl(&format!("get interface {link} error"))?;
        ensure!(
            error.trim() == "[]",
            "OVS does not take {link}: {}\n{}",
            error.trim(),
            self.switch.log()
        );
        Ok(())
    }

    fn vsctl(&self, shell: &Shell, line: &str) -> Result<()> {
        shell.note(&self.netns, &format!("ovs-vsctl {line}"));
        self.switch.vsctl(line).map(drop)
    }

    /// Stops or continues the switch: a polling thread would slow down whoever else is measured.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.switch.pid().cast_signed());
        kill(pid, signal).with_context(|| format!("{signal} to ovs-vswitchd"))
    }
}
