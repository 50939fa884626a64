//! `vxnet check`: is this file a fabric?

use std::{
    collections::BTreeSet,
    io::{self, IsTerminal, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use serde::Serialize;

use super::output;
use crate::{
    config::{self, Report},
    model::{Fabric, Host, Network},
    trace::ranges,
};

/// Check a fabric file, for all of its hosts and on any machine
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The fabric file
    file: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// Prints what the file says, or all that is wrong with it.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let checked = config::load(&args.file);
    match &checked {
        _ if args.json => {
            output::json(&Outcome::new(checked.as_ref().err()))?;
        }
        Ok(fabric) => {
            output::text(&summary(fabric))?;
        }
        Err(report) => {
            // The exit code tells it too, if nobody reads this.
            let _ = writeln!(io::stderr(), "{}", report.render(color_on(&io::stderr())));
        }
    }
    Ok(if checked.is_ok() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Returns whether to print colours: only for a person, and not if they said no
/// (<https://no-color.org>).
fn color_on(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[derive(Serialize)]
struct Outcome<'a> {
    ok: bool,
    errors: Vec<Fault<'a>>,
}

#[derive(Serialize)]
struct Fault<'a> {
    file: &'a str,
    line: Option<usize>,
    column: Option<usize>,
    key: &'a str,
    message: &'a str,
    help: Option<&'a str>,
}

impl<'a> Outcome<'a> {
    fn new(report: Option<&'a Report>) -> Self {
        let faults = report.into_iter().flat_map(|report| {
            report.diagnostics().iter().map(|diagnostic| {
                let (line, column) = report.position(diagnostic).unzip();
                Fault {
                    file: report.file_name(),
                    line,
                    column,
                    key: &diagnostic.key,
                    message: &diagnostic.message,
                    help: diagnostic.help.as_deref(),
                }
            })
        });
        Self {
            ok: report.is_none(),
            errors: faults.collect(),
        }
    }
}

fn summary(fabric: &Fabric) -> String {
    let mut lines = vec![format!(
        "ok: {}, {}, VXLAN on UDP port {}",
        count(fabric.hosts.len(), "host"),
        count(fabric.networks.len(), "network"),
        fabric.port,
    )];
    lines.extend(fabric.hosts.values().map(|host| of_host(fabric, host)));
    lines.extend(
        fabric
            .networks
            .values()
            .map(|network| of_network(fabric, network)),
    );
    lines.join("\n") + "\n"
}

fn of_host(fabric: &Fabric, host: &Host) -> String {
    let networks: Vec<_> = fabric
        .networks_of(&host.name)
        .map(|network| network.name.as_str())
        .collect();
    let mut facts = vec![format!("underlay {}", host.underlay)];
    facts.push(if networks.is_empty() {
        "no network".to_owned()
    } else {
        networks.join(", ")
    });
    facts.extend(host.trunks.iter().map(|(network, trunk)| {
        let native = trunk
            .native
            .map(|native| format!(", untagged is VLAN {native}"));
        format!(
            "trunk {} into {network}{}",
            trunk.link,
            native.unwrap_or_default()
        )
    }));
    if !host.ports.is_empty() {
        facts.push(count(host.ports.len(), "known port"));
    }
    format!("host {}: {}", host.name, facts.join(", "))
}

fn of_network(fabric: &Fabric, network: &Network) -> String {
    let mut facts = ids(network);
    facts.push(format!("bridge {}", network.bridge));
    facts.extend(mtu(fabric, network));
    facts.extend(ageing(network));
    facts.extend(groups(network));
    facts.extend(
        network
            .subnets
            .iter()
            .map(|subnet| format!("subnet {subnet}")),
    );
    facts.extend(network.gateways.iter().flat_map(|(host, addresses)| {
        addresses
            .iter()
            .map(move |address| format!("gateway {} on {host}", address.addr()))
    }));
    if !network.portgroups.is_empty() {
        let names: Vec<_> = network.portgroups.keys().map(String::as_str).collect();
        facts.push(format!("portgroups {}", names.join(" ")));
    }
    if network.is_vlan_aware() && network.default_portgroup.is_none() {
        facts.push("ports without a portgroup are blocked".to_owned());
    }
    if !network.is_on_overlay() {
        facts.push("nothing goes over the underlay".to_owned());
    } else if network.hosts.len() < 2 {
        facts.push("on one host only: nothing goes over the underlay".to_owned());
    }
    format!("network {}: {}", network.name, facts.join(", "))
}

/// Tells the VNI, or the VLANs and how many of them have one.
fn ids(network: &Network) -> Vec<String> {
    let vids: Vec<_> = network.segments.keys().flatten().copied().collect();
    let on_overlay: Vec<_> = network
        .segments
        .iter()
        .filter_map(|(vid, segment)| Some((*vid, segment.vni?)))
        .collect();
    let mut facts = Vec::new();
    if !vids.is_empty() {
        let noun = if vids.len() == 1 { "VLAN" } else { "VLANs" };
        facts.push(format!(
            "{noun} {}",
            ranges(vids.iter().map(|vid| vid.value()))
        ));
    }
    match on_overlay[..] {
        [] => {}
        [(None, vni)] => facts.push(format!("VNI {vni}")),
        [(Some(vid), vni)] => facts.push(format!("VNI {vni} for VLAN {vid}")),
        _ => facts.push(format!("{} for VLANs", count(on_overlay.len(), "VNI"))),
    }
    facts
}

fn ageing(network: &Network) -> Option<String> {
    let seconds = || {
        network
            .segments
            .values()
            .map(|segment| segment.ageing.as_secs())
    };
    let (least, most) = (seconds().min()?, seconds().max()?);
    Some(if least == most {
        format!("ageing {least} s")
    } else {
        format!("ageing {least} to {most} s")
    })
}

/// Tells the multicast groups of the underlay.
fn groups(network: &Network) -> Option<String> {
    let groups: BTreeSet<_> = network
        .segments
        .values()
        .filter_map(|segment| segment.group)
        .collect();
    let first = groups.first()?;
    Some(if groups.len() == 1 {
        format!("flooded to {first}")
    } else {
        format!("flooded to {}", count(groups.len(), "group"))
    })
}

/// Tells the MTU as far as the file decides it: the rest is known on the host alone.
fn mtu(fabric: &Fabric, network: &Network) -> Option<String> {
    if !network.is_on_overlay() {
        return network.mtu.map(|mtu| format!("MTU {mtu}"));
    }
    let mut underlays = network
        .hosts
        .iter()
        .filter_map(|name| fabric.hosts.get(name));
    // Inner Ethernet 14, VXLAN 8, UDP 8 and an IP header of 20 or 40 bytes.
    let overhead = if underlays.any(|host| host.underlay.is_ipv6()) {
        70
    } else {
        50
    };
    Some(match network.mtu {
        Some(mtu) => format!(
            "MTU {mtu} (needs {} on the underlay)",
            u32::from(mtu) + overhead
        ),
        None => format!("MTU of the underlay less {overhead}"),
    })
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}
