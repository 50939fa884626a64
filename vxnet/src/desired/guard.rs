//! The rules that make the kernel bridge an anchor and not a switch.
//!
//! A new port of a bridge learns and floods until a program of ours consumes its frames, and
//! libvirt adds ports while no daemon runs. These rules stay in the kernel: what the bridge itself
//! would forward, deliver or send on our bridges is dropped. Frames that our programs redirect
//! never pass these hooks. Likewise a fence behind the uplinks keeps frames that XDP has stripped
//! from the host while the TC program that takes them is missing.

use std::{collections::BTreeSet, fmt::Write as _, net::IpAddr};

use super::underlay::{Underlay, peers};
use crate::{
    model::{Fabric, Host, Network},
    state::{Facts, Guard, Link},
};

/// Name of our tables in nftables.
const TABLE: &str = "vxnet";

/// Returns the rules for the host's networks and its uplinks.
pub(super) fn guard(
    networks: &[&Network],
    fabric: &Fabric,
    host: &Host,
    underlay: &Underlay<'_>,
    facts: &Facts,
) -> Guard {
    // Those that are in no network any more let nothing through either: whatever their guests were
    // kept from, the kernel's bridge does not know of.
    let kept = facts.kept_bridges().map(|link| link.name.as_str());
    let bridges: BTreeSet<&str> = networks
        .iter()
        .map(|network| network.bridge.as_str())
        .chain(kept)
        .collect();
    let bridges: Vec<&str> = bridges.into_iter().collect();
    let mut rules = if facts.can_match_bridge {
        exact(&bridges)
    } else {
        inverted(&foreign_ports(&bridges, facts))
    };
    rules.push_str(&no_vxlan(&bridges, fabric, host));
    let stripping = underlay.stripping(facts);
    if !stripping.is_empty() {
        rules.push_str(&fence(&stripping));
    }
    Guard { rules }
}

/// A chain: its name, what it hooks, and its rules.
type Chain = (String, String, Vec<String>);

/// The hooks: where the bridge forwards, where it delivers to the host, where the host sends.
const HOOKS: [(&str, &str, &str); 3] = [
    ("forward", "ibrname", "iifname"),
    ("input", "ibrname", "iifname"),
    ("output", "obrname", "oifname"),
];

/// Drops by the bridge's name, which needs the kernel's `nft_meta_bridge`.
fn exact(bridges: &[&str]) -> String {
    // One look-up, however many there are; and no set is empty.
    let names = set(bridges);
    bridge_table(|bridge_match, _| {
        let drop = format!("meta {bridge_match} {names} drop");
        if bridges.is_empty() {
            vec![]
        } else {
            vec![drop]
        }
    })
}

/// Drops everything that does not come from (or go to) a known port of someone else's bridge: for
/// kernels that cannot tell the bridge. A port that joins another bridge while no daemon runs is
/// cut off until one does: on such a kernel, closing is the safe way to fail.
fn inverted(foreign: &[&str]) -> String {
    bridge_table(|_, link_match| {
        let accept = |port| format!("{link_match} \"{port}\" accept");
        let mut rules: Vec<String> = foreign.iter().map(accept).collect();
        rules.push("drop".into());
        rules
    })
}

fn bridge_table(rules: impl Fn(&str, &str) -> Vec<String>) -> String {
    let chain = |(hook, bridge_match, link_match): (&str, &str, &str)| {
        let base = format!("type filter hook {hook} priority filter; policy accept;");
        (hook.to_owned(), base, rules(bridge_match, link_match))
    };
    table("bridge", HOOKS.into_iter().map(chain))
}

/// Drops VXLAN that guests send to VTEPs through the host as their router. The ports' programs drop
/// it by its destination, which the host's rules may translate afterwards; here it is the final one.
/// A fragment without ports is useless without the first one, which has them.
fn no_vxlan(bridges: &[&str], fabric: &Fabric, host: &Host) -> String {
    if bridges.is_empty() {
        return String::new();
    }
    let vteps = |is_v4: bool| {
        let all: BTreeSet<IpAddr> = peers(fabric, host).chain([host.underlay]).collect();
        let of_family = all.into_iter().filter(|address| address.is_ipv4() == is_v4);
        of_family
            .map(|address| address.to_string())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let bridges = set(bridges);
    let mut rules = Vec::new();
    for (family, vteps) in [("ip", vteps(true)), ("ip6", vteps(false))] {
        if !vteps.is_empty() {
            rules.push(format!(
                "iifname {bridges} {family} daddr {{ {vteps} }} udp dport {} drop",
                fabric.port
            ));
        }
    }
    let base = "type filter hook forward priority filter; policy accept;".to_owned();
    table("inet", [("no-vxlan".into(), base, rules)].into_iter())
}

/// Writes names of links as a set.
fn set(links: &[&str]) -> String {
    let links: Vec<String> = links.iter().map(|name| format!("\"{name}\"")).collect();
    format!("{{ {} }}", links.join(", "))
}

/// Drops, behind our TC program, what an uplink received for another address than its own. The
/// host ignores such frames anyway, and so they are what a frame looks like that XDP stripped: if
/// the TC program that takes them is missing, they end here and nobody sees them.
fn fence(uplinks: &[&Link]) -> String {
    let chain = |link: &&Link| {
        let base = format!(
            "type filter hook ingress device \"{}\" priority -500; policy accept;",
            link.name
        );
        let rule = "meta pkttype other drop".to_owned();
        (format!("uplink-{}", link.ifindex), base, vec![rule])
    };
    table("netdev", uplinks.iter().map(chain))
}

fn table(family: &str, chains: impl Iterator<Item = Chain>) -> String {
    let mut text = format!("table {family} {TABLE} {{\n");
    for (name, base, rules) in chains {
        let _ = writeln!(text, "\tchain {name} {{\n\t\t{base}");
        for rule in rules {
            let _ = writeln!(text, "\t\t{rule}");
        }
        text.push_str("\t}\n");
    }
    text.push_str("}\n");
    text
}

/// Returns the ports of bridges that are none of ours.
fn foreign_ports<'a>(bridges: &[&str], facts: &'a Facts) -> Vec<&'a str> {
    let bridges: BTreeSet<&str> = bridges.iter().copied().collect();
    let is_foreign = |link: &&Link| {
        link.master
            .and_then(|master| facts.links.get(&master))
            .is_some_and(|master| master.kind == "bridge" && !bridges.contains(&*master.name))
    };
    facts
        .links
        .values()
        .filter(is_foreign)
        .map(|link| link.name.as_str())
        .collect()
}
