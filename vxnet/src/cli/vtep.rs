//! `vxnet vtep`.

use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;
use vxnet_common::{addr::Mac, map::name_str};

use super::output::{self, Format, Row, or_dash};
use crate::{
    host::{
        Paths,
        maps::{Maps, clock},
    },
    trace::ranges,
};

/// Verbs of `vxnet vtep`.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Show the other hosts, the way to them and what they sent and got
    Show(Format),
}

pub(super) fn run(command: &Command, paths: &Paths) -> Result<ExitCode> {
    let Command::Show(format) = command;
    output::rows(*format, &list(&Maps::open(paths)?)?)
}

/// Another host.
#[derive(Serialize)]
struct Vtep {
    host: String,
    address: String,
    vnis: Vec<u32>,
    rx_packets: u64,
    rx_bytes: u64,
    tx_packets: u64,
    tx_bytes: u64,
    last_heard_s: Option<u64>,
    /// The link that packets to the peer leave by, as last looked up.
    egress: Option<String>,
    next_hop: Option<String>,
    path_mtu: Option<u32>,
}

impl Row for Vtep {
    const HEADINGS: &'static [&'static str] = &[
        "HOST",
        "ADDRESS",
        "VNIS",
        "RX PACKETS",
        "RX BYTES",
        "TX PACKETS",
        "TX BYTES",
        "HEARD",
        "EGRESS",
        "NEXT HOP",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.host.clone(),
            self.address.clone(),
            ranges(self.vnis.iter().copied()),
            self.rx_packets.to_string(),
            self.rx_bytes.to_string(),
            self.tx_packets.to_string(),
            self.tx_bytes.to_string(),
            self.last_heard_s
                .map_or_else(|| "never".into(), |age| format!("{age}s ago")),
            or_dash(self.egress.as_ref()),
            or_dash(self.next_hop.as_ref()),
        ]
    }
}

fn list(maps: &Maps) -> Result<Vec<Vtep>> {
    let (segments, ports, now) = (maps.segments()?, maps.ports()?, clock()?);
    let mut vteps = Vec::new();
    for (slot, row) in maps.vteps()? {
        let stats = maps.vtep_stats(slot)?;
        let hop = row.next_hop();
        let egress = ports
            .iter()
            .find(|(_, port)| hop.ifindex != 0 && port.ifindex == hop.ifindex);
        let mut vnis: Vec<u32> = segments
            .iter()
            .filter(|(_, segment)| segment.has_vtep(slot))
            .map(|(_, segment)| segment.vni)
            .collect();
        vnis.sort_unstable();
        vteps.push(Vtep {
            host: name_str(&row.name).into(),
            address: row.address.to_string(),
            vnis,
            rx_packets: stats.rx_packets,
            rx_bytes: stats.rx_bytes,
            tx_packets: stats.tx_packets,
            tx_bytes: stats.tx_bytes,
            last_heard_s: (stats.last_heard != 0)
                .then(|| now.saturating_sub(stats.last_heard) / 1_000_000_000),
            egress: egress
                .map(|(_, port)| name_str(&port.name).into())
                .or_else(|| (hop.ifindex != 0).then(|| format!("link {}", hop.ifindex))),
            next_hop: (hop.dst != [0; 6]).then(|| Mac(hop.dst).to_string()),
            path_mtu: (hop.mtu != 0).then_some(hop.mtu),
        });
    }
    vteps.sort_by(|a, b| a.host.cmp(&b.host));
    Ok(vteps)
}
