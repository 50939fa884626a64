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
    port,
};
use crate::{
    daemon::{self, Loop, loops},
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
    /// Ports that nothing passes, because they have no VLAN.
    blocked: Vec<Named>,
    /// Ports whose link lets nothing through.
    down: Vec<Named>,
    /// Ports that are shut because of a loop.
    loops: Vec<Loop>,
    /// Why the host is not as the file says: of the daemon, or else of the last `apply`.
    degraded: Option<String>,
    /// What is probably not meant so.
    warnings: Vec<String>,
}

/// A port that is in trouble.
#[derive(Serialize)]
struct Named {
    network: Option<String>,
    port: String,
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
    text.push_str(&troubles(&status.blocked, &status.down, &status.loops));
    if let Some(reason) = &status.degraded {
        let _ = writeln!(text, "\ndegraded\n  {}", reason.replace('\n', "\n  "));
    }
    if !status.warnings.is_empty() {
        text.push_str("\nwarnings\n");
    }
    for warning in &status.warnings {
        let _ = writeln!(text, "  {}", warning.replace('\n', "\n  "));
    }
    output::text(&text)
}

/// Tells what is not as it should be.
fn troubles(blocked: &[Named], down: &[Named], loops: &[Loop]) -> String {
    let mut text = String::new();
    if !blocked.is_empty() {
        text.push_str("\nblocked ports (no_vlan)\n");
    }
    for port in blocked {
        let network = port.network.as_deref().unwrap_or("-");
        let _ = writeln!(
            text,
            "  {} of network {network} has no portgroup",
            port.port
        );
    }
    if !down.is_empty() {
        text.push_str("\nports that are down (what is sent to them is lost)\n");
    }
    for port in down {
        let _ = match &port.network {
            Some(network) => writeln!(text, "  {} of network {network}", port.port),
            None => writeln!(text, "  {}", port.port),
        };
    }
    if !loops.is_empty() {
        text.push_str("\nloops\n");
    }
    for known in loops {
        let Loop {
            network,
            port,
            other_host,
            other_port,
            since_s,
        } = known;
        let _ = writeln!(
            text,
            "  {port} of network {network} is shut: what it sends comes back by {other_port} of \
             host {other_host}, for {since_s}s"
        );
    }
    text
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
    let known = port::list(&maps)?;
    let named = |state: &str| {
        let of_state = known.iter().filter(|port| port.state == state);
        let named = of_state.map(|port| Named {
            network: port.network.clone(),
            port: port.port.clone(),
        });
        named.collect()
    };
    let told = daemon::told(paths)?;
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
        blocked: named("blocked"),
        down: named("down"),
        loops: loops(paths)?,
        degraded: told.degraded,
        warnings: told.warnings,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_name_both_ends_of_a_loop() {
        assert_eq!(troubles(&[], &[], &[]), "");
        let named = |network: Option<&str>, port: &str| Named {
            network: network.map(str::to_owned),
            port: port.into(),
        };
        let blocked = named(Some("blue"), "vnet3");
        let down = [named(Some("blue"), "vnet4"), named(None, "eth1")];
        let known = Loop {
            network: "blue".into(),
            port: "vnet1".into(),
            other_host: "hv2".into(),
            other_port: "vnet9".into(),
            since_s: 3,
        };
        assert_eq!(
            troubles(&[blocked], &down, &[known]),
            "\nblocked ports (no_vlan)\n  vnet3 of network blue has no portgroup\n\nports that \
             are down (what is sent to them is lost)\n  vnet4 of network blue\n  eth1\n\nloops\n  vnet1 of \
             network blue is shut: what it sends comes back by vnet9 of host hv2, for 3s\n"
        );
    }
}
