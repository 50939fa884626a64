//! The rules that make the kernel bridge an anchor and not a switch.
//!
//! A new port of a bridge learns and floods until a program of ours consumes its frames, and
//! libvirt adds ports while no daemon runs. These rules stay in the kernel: what the bridge itself
//! would forward, deliver or send on our bridges is dropped. Frames that our programs redirect
//! never pass these hooks.

use std::fmt::Write as _;

use crate::{
    model::Network,
    state::{Facts, Guard, Link},
};

/// Name of our table in nftables' bridge family.
pub const TABLE: &str = "vxnet";

/// Returns the rules for the host's networks, as `nft list` prints them.
pub(super) fn guard(networks: &[&Network], facts: &Facts) -> Guard {
    let bridges: Vec<&str> = networks
        .iter()
        .map(|network| network.bridge.as_str())
        .collect();
    let rules = if facts.can_match_bridge {
        exact(&bridges)
    } else {
        inverted(&foreign_ports(&bridges, facts))
    };
    Guard { rules }
}

/// The hooks: where the bridge forwards, where it delivers to the host, where the host sends.
const CHAINS: [(&str, &str, &str); 3] = [
    ("forward", "ibrname", "iifname"),
    ("input", "ibrname", "iifname"),
    ("output", "obrname", "oifname"),
];

/// Drops by the bridge's name, which needs the kernel's `nft_meta_bridge`.
fn exact(bridges: &[&str]) -> String {
    table(|rules, (_, bridge_match, _)| {
        for bridge in bridges {
            let _ = writeln!(rules, "\t\tmeta {bridge_match} \"{bridge}\" drop");
        }
    })
}

/// Drops everything that does not come from (or go to) a known port of someone else's bridge: for
/// kernels that cannot tell the bridge. A port that joins another bridge while no daemon runs is
/// cut off until one does: on such a kernel, closing is the safe way to fail.
fn inverted(foreign: &[&str]) -> String {
    table(|rules, (_, _, link_match)| {
        for port in foreign {
            let _ = writeln!(rules, "\t\t{link_match} \"{port}\" accept");
        }
        let _ = writeln!(rules, "\t\tdrop");
    })
}

fn table(fill: impl Fn(&mut String, (&str, &str, &str))) -> String {
    let mut text = format!("table bridge {TABLE} {{\n");
    for (index, chain) in CHAINS.into_iter().enumerate() {
        if index > 0 {
            text.push('\n');
        }
        let name = chain.0;
        let _ = writeln!(text, "\tchain {name} {{");
        let _ = writeln!(
            text,
            "\t\ttype filter hook {name} priority filter; policy accept;"
        );
        fill(&mut text, chain);
        text.push_str("\t}\n");
    }
    text.push_str("}\n");
    text
}

/// Returns the ports of bridges that are none of ours.
fn foreign_ports<'a>(bridges: &[&str], facts: &'a Facts) -> Vec<&'a str> {
    let is_foreign = |link: &&Link| {
        link.master
            .and_then(|master| facts.links.get(&master))
            .is_some_and(|master| master.kind == "bridge" && !bridges.contains(&&*master.name))
    };
    facts
        .links
        .values()
        .filter(is_foreign)
        .map(|link| link.name.as_str())
        .collect()
}
