//! `vxnet status`.

use std::{fmt::Write as _, process::ExitCode};

use anyhow::{Context as _, Result};
use serde::Serialize;
use vxnet_common::map::{
    LAYOUT, name_str,
    port::{flag, kind},
};

use super::{
    network::{self, Network},
    output::{self, Format},
};
use crate::{
    daemon,
    host::{Paths, maps::Maps},
};

/// Arguments of `vxnet status`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    format: Format,
}

/// What this host is and does.
#[derive(Serialize)]
struct Status {
    host: String,
    underlay: String,
    udp_port: u16,
    layout: u32,
    daemon: &'static str,
    uplinks: Vec<Uplink>,
    networks: Vec<Network>,
}

/// A link to the underlay.
#[derive(Serialize)]
struct Uplink {
    link: String,
    receive: &'static str,
}

pub(super) fn run(args: &Args, paths: &Paths) -> Result<ExitCode> {
    let status = read(paths)?;
    if args.format.json {
        return output::json(&status);
    }
    let mut text = format!(
        "host {}  underlay {}  UDP port {}  daemon {}\n\nuplinks\n",
        status.host, status.underlay, status.udp_port, status.daemon
    );
    for uplink in &status.uplinks {
        let _ = writeln!(
            text,
            "  {}  receives through {}",
            uplink.link, uplink.receive
        );
    }
    text.push_str("\nnetworks\n");
    for line in output::table(&status.networks).lines() {
        let _ = writeln!(text, "  {line}");
    }
    output::text(&text)
}

/// Returns the word for the way that an uplink's flags allow.
fn receive(flags: u32) -> &'static str {
    match (flags & flag::STRIP != 0, flags & flag::WIRE_CSUM != 0) {
        (true, true) => "xdp-direct",
        (true, false) => "xdp",
        (false, _) => "tc",
    }
}

fn read(paths: &Paths) -> Result<Status> {
    let maps = Maps::open(paths)?;
    let local = maps.local()?.context("the host row is gone")?;
    let uplink = |(_, row): &(u32, vxnet_common::map::port::Port)| Uplink {
        link: name_str(&row.name).into(),
        receive: receive(row.flags),
    };
    let ports = maps.ports()?;
    Ok(Status {
        host: name_str(&local.name).into(),
        underlay: local.underlay.to_string(),
        udp_port: local.port,
        layout: LAYOUT,
        daemon: if daemon::is_running(paths) {
            "running"
        } else {
            "stopped"
        },
        uplinks: ports
            .iter()
            .filter(|(_, row)| row.kind == kind::UPLINK)
            .map(uplink)
            .collect(),
        networks: network::list(&maps)?,
    })
}
