//! OVS userspace: Open vSwitch's `netdev` datapath, one `ovs-vswitchd` per host.
//!
//! The kernel module cannot run here, so this is never "OVS" without the word userspace. Guests
//! complete their checksums themselves: this datapath neither takes super-packets nor unfinished
//! checksums from a packet socket.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vxnet_tests::command::{Background, Cmd};
use vxnet_tests::netns::Netns;
use vxnet_tests::scope::Scope;
use vxnet_tests::wait::eventually;

use crate::machine;
use crate::peer::vni;
use crate::shell::Shell;
use crate::station::Station;
use crate::wire::{MTU, UPLINK};

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// The bridge that holds the uplink and the underlay address.
pub(crate) const PHYSICAL: &str = "br-phy";
const OVERLAY: &str = "br-int";
const START: Duration = Duration::from_secs(10);

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
    socket: PathBuf,
    switch: Background,
    _database: Background,
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
        fs::create_dir_all(&directory)?;
        let (database, socket) = (directory.join("conf.db"), directory.join("db.sock"));
        let shown = |path: &PathBuf| path.display().to_string();
        let environment = |command: Cmd| {
            ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"]
                .iter()
                .fold(command, |command, name| command.env(name, &directory))
        };
        Cmd::new("ovsdb-tool")
            .args(["create", &shown(&database), SCHEMA])
            .run()
            .context("Open vSwitch is not installed (package openvswitch-switch)")?;
        let line = format!(
            "ovsdb-server {} --remote=punix:{} --pidfile={}",
            shown(&database),
            shown(&socket),
            shown(&directory.join("ovsdb.pid"))
        );
        let server = environment(netns.line(&line)).spawn(&directory.join("ovsdb.log"))?;
        eventually(START, || {
            ensure!(socket.exists(), "ovsdb-server does not listen");
            Ok(())
        })?;
        let line = format!(
            "ovs-vswitchd unix:{} --disable-system --pidfile={}",
            shown(&socket),
            shown(&directory.join("switch.pid"))
        );
        shell.note(netns, "ovs-vswitchd unix:db.sock --disable-system");
        let switch = environment(netns.line(&line)).spawn(&directory.join("switch.log"))?;
        let ovs = Self {
            netns: netns.clone(),
            ports,
            socket,
            switch,
            _database: server,
        };
        ovs.vsctl(shell, "--no-wait init")?;
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
            ovs.vsctl(shell, &line).with_context(|| ovs.switch.log())?;
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
        let error = self.vsctl_quietly(&format!("get interface {link} error"))?;
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
        self.vsctl_quietly(line).map(drop)
    }

    fn vsctl_quietly(&self, line: &str) -> Result<String> {
        let database = format!("--db=unix:{}", self.socket.display());
        self.netns
            .command("ovs-vsctl")
            .args([database.as_str(), "--timeout=25"])
            .args(line.split_whitespace())
            .run()
    }

    /// Stops or continues the switch: a polling thread would slow down whoever else is measured.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.switch.pid().cast_signed());
        kill(pid, signal).with_context(|| format!("{signal} to ovs-vswitchd"))
    }
}
