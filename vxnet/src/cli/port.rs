//! `vxnet port`.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::{Result, bail};
use serde::Serialize;
use vxnet_common::map::{name_str, port::kind};

use super::output::{self, Format, Row, or_dash};
use crate::host::{Paths, maps::Maps};

/// Verbs of `vxnet port`.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Show the links that vxnet runs on, with what they sent and got
    Show {
        /// Only ports of this network
        #[arg(long, value_name = "NAME")]
        network: Option<String>,
        #[command(flatten)]
        format: Format,
    },
}

pub(super) fn run(command: &Command, paths: &Paths) -> Result<ExitCode> {
    let Command::Show { network, format } = command;
    let maps = Maps::open(paths)?;
    let mut ports = list(&maps)?;
    if let Some(name) = network {
        if !maps
            .segments()?
            .iter()
            .any(|(_, row)| name_str(&row.name) == name)
        {
            bail!("there is no network \"{name}\"\nhint: `vxnet network show` lists them");
        }
        ports.retain(|port| port.network == *network);
    }
    output::rows(*format, &ports)
}

/// A link that vxnet runs on.
#[derive(Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "the fields are the names of the JSON"
)]
struct Port {
    network: Option<String>,
    port: String,
    ifindex: u32,
    kind: &'static str,
    rx_packets: u64,
    rx_bytes: u64,
    tx_packets: u64,
    tx_bytes: u64,
}

impl Row for Port {
    const HEADINGS: &'static [&'static str] = &[
        "NETWORK",
        "PORT",
        "KIND",
        "RX PACKETS",
        "RX BYTES",
        "TX PACKETS",
        "TX BYTES",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            or_dash(self.network.as_ref()),
            self.port.clone(),
            self.kind.into(),
            self.rx_packets.to_string(),
            self.rx_bytes.to_string(),
            self.tx_packets.to_string(),
            self.tx_bytes.to_string(),
        ]
    }
}

fn list(maps: &Maps) -> Result<Vec<Port>> {
    let networks: BTreeMap<u32, String> = maps
        .segments()?
        .into_iter()
        .map(|(slot, row)| (slot, name_str(&row.name).to_owned()))
        .collect();
    let mut ports = Vec::new();
    for (slot, row) in maps.ports()? {
        let stats = maps.port_stats(slot)?;
        ports.push(Port {
            network: networks.get(&row.segment).cloned(),
            port: name_str(&row.name).into(),
            ifindex: row.ifindex,
            kind: kind_name(row.kind),
            rx_packets: stats.rx_packets,
            rx_bytes: stats.rx_bytes,
            tx_packets: stats.tx_packets,
            tx_bytes: stats.tx_bytes,
        });
    }
    ports.sort_by(|a, b| (&a.network, &a.port).cmp(&(&b.network, &b.port)));
    Ok(ports)
}

/// Returns the word for a port's kind.
pub(super) fn kind_name(kind: u32) -> &'static str {
    match kind {
        kind::GUEST => "guest",
        kind::HOST => "host",
        kind::UPLINK => "uplink",
        _ => "unknown",
    }
}
