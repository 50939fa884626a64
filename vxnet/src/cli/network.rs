//! `vxnet network`.

use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;
use vxnet_common::map::{MAX_VTEPS, name_str, port::kind};

use super::output::{self, Format, Row};
use crate::host::{
    Paths,
    maps::{Maps, clock},
};

/// Verbs of `vxnet network`.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Show the networks of this host
    Show(Format),
}

pub(super) fn run(command: &Command, paths: &Paths) -> Result<ExitCode> {
    let Command::Show(format) = command;
    output::rows(*format, &list(&Maps::open(paths)?)?)
}

/// A network of this host.
#[derive(Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "the fields are the names of the JSON"
)]
pub(super) struct Network {
    network: String,
    bridge: String,
    vni: u32,
    mtu: u32,
    ageing_s: u64,
    /// How many guests' links are in it.
    ports: usize,
    /// How many other hosts share it.
    vteps: usize,
    /// How many addresses are known.
    fdb: usize,
}

impl Row for Network {
    const HEADINGS: &'static [&'static str] = &[
        "NETWORK", "BRIDGE", "VNI", "MTU", "AGEING", "PORTS", "VTEPS", "FDB",
    ];

    fn cells(&self) -> Vec<String> {
        vec![
            self.network.clone(),
            self.bridge.clone(),
            self.vni.to_string(),
            self.mtu.to_string(),
            format!("{}s", self.ageing_s),
            self.ports.to_string(),
            self.vteps.to_string(),
            self.fdb.to_string(),
        ]
    }
}

/// Reads the networks.
pub(super) fn list(maps: &Maps) -> Result<Vec<Network>> {
    let (ports, fdb, now) = (maps.ports()?, maps.fdb()?, clock()?);
    let network = |(slot, row): (u32, vxnet_common::map::segment::Segment)| Network {
        network: name_str(&row.name).into(),
        bridge: name_str(&row.bridge_name).into(),
        vni: row.vni,
        mtu: row.mtu,
        ageing_s: row.ageing / 1_000_000_000,
        ports: ports
            .iter()
            .filter(|(_, port)| port.segment == slot && port.kind == kind::GUEST)
            .count(),
        vteps: (0..MAX_VTEPS).filter(|vtep| row.has_vtep(*vtep)).count(),
        fdb: fdb
            .iter()
            .filter(|(key, entry)| key.segment == slot && entry.is_live(now, row.ageing))
            .count(),
    };
    let mut networks: Vec<Network> = maps.segments()?.into_iter().map(network).collect();
    networks.sort_by(|a, b| a.network.cmp(&b.network));
    Ok(networks)
}
