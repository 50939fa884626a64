//! `vxnet port`.

mod detail;

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde::Serialize;
use vxnet_common::map::{
    name_str,
    port::{Port as PortRow, kind},
};

use self::detail::Detail;
use super::{
    network,
    output::{self, Format, Row, or_dash},
};
use crate::{
    host::{
        Paths,
        maps::{Maps, clock},
    },
    trace,
};

/// Verbs of `vxnet port`.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Show the links that vxnet runs on, with what they sent and got
    Show {
        /// Only ports of this network
        #[arg(long, value_name = "NAME")]
        network: Option<String>,
        /// Only this port
        #[arg(long, value_name = "LINK")]
        port: Option<String>,
        /// Show limits, checks and allowed addresses too
        #[arg(long)]
        detail: bool,
        #[command(flatten)]
        format: Format,
    },
}

pub(super) fn run(command: &Command, paths: &Paths) -> Result<ExitCode> {
    let Command::Show {
        network,
        port,
        detail,
        format,
    } = command;
    let maps = Maps::open(paths)?;
    let mut ports = list(&maps)?;
    if let Some(name) = network {
        network::find(&maps, name)?;
        ports.retain(|port| port.network == *network);
    }
    if let Some(name) = port {
        find(&maps, name)?;
        ports.retain(|port| port.port == *name);
    }
    if *detail && !format.json {
        let texts: Vec<String> = ports.iter().map(Port::text).collect();
        return output::text(&texts.join("\n"));
    }
    output::rows(*format, &ports)
}

/// Returns the slot and the row of the port with that name.
pub(super) fn find(maps: &Maps, name: &str) -> Result<(u32, PortRow)> {
    let ports = maps.ports()?;
    let found = ports
        .into_iter()
        .find(|(_, row)| name_str(&row.name) == name);
    match found {
        Some(found) => Ok(found),
        None => bail!("there is no port \"{name}\"\nhint: `vxnet port show` lists them"),
    }
}

/// A link that vxnet runs on.
#[derive(Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "the fields are the names of the JSON"
)]
pub(super) struct Port {
    pub(super) network: Option<String>,
    pub(super) port: String,
    ifindex: u32,
    kind: &'static str,
    /// `access 1001`, `trunk 1001,1002 (native 1)`, `blocked`, or `-` without VLANs.
    vlan_mode: String,
    /// `up`, `down` (what goes there is lost, and counted by the kernel only), `shut (loop)` or
    /// `blocked`.
    pub(super) state: &'static str,
    rx_packets: u64,
    rx_bytes: u64,
    tx_packets: u64,
    tx_bytes: u64,
    #[serde(flatten)]
    detail: Detail,
}

impl Row for Port {
    const HEADINGS: &'static [&'static str] = &[
        "NETWORK",
        "PORT",
        "KIND",
        "VLAN",
        "STATE",
        "RX PACKETS",
        "RX BYTES",
        "TX PACKETS",
        "TX BYTES",
    ];
    const SPARSE: &'static [&'static str] = &["VLAN"];

    fn cells(&self) -> Vec<String> {
        vec![
            or_dash(self.network.as_ref()),
            self.port.clone(),
            self.kind.into(),
            self.vlan_mode.clone(),
            self.state.into(),
            self.rx_packets.to_string(),
            self.rx_bytes.to_string(),
            self.tx_packets.to_string(),
            self.tx_bytes.to_string(),
        ]
    }
}

impl Port {
    /// Writes all that is known of the port.
    fn text(&self) -> String {
        let mut facts = vec![self.kind.to_owned()];
        facts.extend(self.network.iter().map(|name| format!("network {name}")));
        if self.vlan_mode != "-" && self.vlan_mode != self.state {
            facts.push(self.vlan_mode.clone());
        }
        facts.push(self.state.to_owned());
        format!(
            "{}  {}\n  {:<10}{} packets, {} bytes\n  {:<10}{} packets, {} bytes\n{}",
            self.port,
            facts.join(", "),
            "sent",
            self.rx_packets,
            self.rx_bytes,
            "got",
            self.tx_packets,
            self.tx_bytes,
            self.detail.text()
        )
    }
}

/// Reads the ports.
pub(super) fn list(maps: &Maps) -> Result<Vec<Port>> {
    let (networks, now) = (network::names(maps)?, clock()?);
    let running = super::running_links()?;
    let mut details = detail::read(maps)?;
    let mut ports = Vec::new();
    for (slot, row) in maps.ports()? {
        let stats = maps.port_stats(slot)?;
        let vlans = maps.port_vlans(slot)?;
        let vlan_mode = match row.kind {
            kind::GUEST | kind::TRUNK => trace::mode(&row, |vid| vlans.contains(vid)),
            _ => "-".to_owned(),
        };
        let is_shut = now < maps.holder(slot)?.shut_until;
        ports.push(Port {
            network: networks.get(&row.network).cloned(),
            port: name_str(&row.name).into(),
            ifindex: row.ifindex,
            kind: kind_name(row.kind),
            state: state(is_shut, &vlan_mode, running.contains(&row.ifindex)),
            vlan_mode,
            rx_packets: stats.rx_packets,
            rx_bytes: stats.rx_bytes,
            tx_packets: stats.tx_packets,
            tx_bytes: stats.tx_bytes,
            detail: details.of(slot, &row, &stats),
        });
    }
    ports.sort_by(|a, b| (&a.network, &a.port).cmp(&(&b.network, &b.port)));
    Ok(ports)
}

fn state(is_shut: bool, vlan_mode: &str, is_running: bool) -> &'static str {
    match (is_shut, vlan_mode, is_running) {
        (true, ..) => "shut (loop)",
        (false, "blocked", _) => "blocked",
        (false, _, true) => "up",
        (false, _, false) => "down",
    }
}

/// Returns the word for a port's kind.
fn kind_name(kind: u32) -> &'static str {
    match kind {
        kind::GUEST => "guest",
        kind::HOST => "host",
        kind::UPLINK => "uplink",
        kind::TRUNK => "trunk",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(network: &str, mode: &str, is_shut: bool) -> Port {
        Port {
            network: Some(network.into()),
            port: "vnet1".into(),
            ifindex: 7,
            kind: "guest",
            state: state(is_shut, mode, true),
            vlan_mode: mode.into(),
            rx_packets: 1,
            rx_bytes: 60,
            tx_packets: 2,
            tx_bytes: 120,
            detail: Detail::default(),
        }
    }

    #[test]
    fn vlans_and_states_are_shown() {
        let rows = [
            port("blue", "trunk 1001,1002 (native 1)", false),
            port("red", "-", true),
        ];
        let text = output::table(&rows);
        assert!(
            text.starts_with("NETWORK  PORT   KIND   VLAN                        STATE "),
            "{text}"
        );
        assert!(text.contains("trunk 1001,1002 (native 1)  up "), "{text}");
        assert!(
            text.contains(" -                           shut (loop) "),
            "{text}"
        );
        let plain = output::table(&[port("red", "-", false)]);
        assert!(
            plain.starts_with("NETWORK  PORT   KIND   STATE "),
            "{plain}"
        );
        assert!(output::table(&[port("red", "blocked", false)]).contains("blocked  blocked"));
        assert_eq!(state(false, "-", false), "down");
        assert_eq!(state(true, "-", false), "shut (loop)");
    }

    #[test]
    fn json_names_are_stable() {
        let json = serde_json::to_value(port("blue", "access 7", false)).unwrap();
        for name in [
            "network",
            "port",
            "ifindex",
            "kind",
            "vlan_mode",
            "state",
            "rx_packets",
            "rx_bytes",
            "tx_packets",
            "tx_bytes",
            "replicas",
            "merged",
            "passed",
            "fdb",
            "fdb_limit",
            "mtu",
            "bum_limit",
            "security",
            "isolated",
            "allowed",
        ] {
            assert!(json.get(name).is_some(), "{name}");
        }
    }
}
