//! The state of a namespace as independent tools see it, to prove that nothing is left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::Result;
use serde_json::Value;

use crate::command::Cmd;
use crate::netns::Netns;

/// Lines of state by the tool that reported them. Counters, ages and ids are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<&'static str, BTreeSet<String>>);

impl Snapshot {
    pub fn take(netns: &Netns) -> Result<Self> {
        let mut sections = BTreeMap::new();
        sections.insert("link", links(netns)?);
        for (section, line) in [
            ("address", "ip -o address"),
            ("route", "ip route show table all"),
            ("route6", "ip -6 route show table all"),
            ("rule", "ip rule"),
            ("neighbour", "ip neighbour show nud permanent"),
            ("managed neighbour", "ip neighbour show managed"),
            ("qdisc", "tc qdisc show"),
            ("nft", "nft -s list ruleset"),
            ("socket", "ss -Hnlpa --udp --tcp --raw"),
            (
                "sysctl",
                "sysctl -ae --pattern ^net[.](ipv4|ipv6|bridge)[.]",
            ),
        ] {
            // `sysctl -a` stumbles over write-only keys, old iproute2 over `managed`.
            let text = netns.line(line).output()?.stdout;
            sections.insert(section, text.lines().map(stable).collect());
        }
        sections.insert("tc filter", filters(netns)?);
        sections.insert("bpf", attachments(netns)?);
        Ok(Self(sections))
    }

    /// Describes what differs: `-` was there in `self`, `+` is there in `later`. Empty if nothing.
    pub fn diff(&self, later: &Self) -> String {
        let mut text = String::new();
        for (section, before) in &self.0 {
            let after = later.0.get(section).cloned().unwrap_or_default();
            for line in before.difference(&after) {
                writeln!(text, "- {section}: {line}").expect("a String grows");
            }
            for line in after.difference(before) {
                writeln!(text, "+ {section}: {line}").expect("a String grows");
            }
        }
        text
    }
}

/// Cuts off what changes by itself: life times, ages, usage counts.
fn stable(line: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    let mut skip = false;
    for word in line.split_whitespace() {
        if skip {
            skip = false;
        } else if matches!(
            word,
            "valid_lft" | "preferred_lft" | "expires" | "refcnt" | "used"
        ) {
            skip = true;
        } else {
            words.push(word);
        }
    }
    words.join(" ")
}

fn links(netns: &Netns) -> Result<BTreeSet<String>> {
    let links = netns.ip("-j -d link")?;
    let links: Vec<Value> = serde_json::from_str(&links)?;
    let fields = [
        "ifname",
        "flags",
        "mtu",
        "master",
        "address",
        "promiscuity",
        "linkinfo",
        "xdp",
    ];
    let describe = |link: &Value| {
        let parts = fields.iter().filter(|&field| !link[field].is_null());
        parts
            .map(|field| format!("{field}={}", without_timers(&link[field])))
            .collect::<Vec<_>>()
    };
    Ok(links.iter().map(|link| describe(link).join(" ")).collect())
}

/// A bridge shows when its timers will fire next.
fn without_timers(value: &Value) -> Value {
    let Value::Object(map) = value else {
        return value.clone();
    };
    let keep = map.iter().filter(|(key, _)| !key.contains("timer"));
    keep.map(|(key, value)| (key.clone(), without_timers(value)))
        .collect()
}

fn filters(netns: &Netns) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for name in link_names(netns)? {
        for direction in ["ingress", "egress"] {
            let output = netns
                .line(&format!("tc filter show dev {name} {direction}"))
                .output()?;
            found.extend(
                output
                    .stdout
                    .lines()
                    .map(|line| format!("{name} {direction} {line}")),
            );
        }
    }
    Ok(found)
}

fn link_names(netns: &Netns) -> Result<Vec<String>> {
    let links: Vec<Value> = serde_json::from_str(&netns.ip("-j link")?)?;
    Ok(links
        .iter()
        .filter_map(|link| link["ifname"].as_str().map(str::to_owned))
        .collect())
}

/// Programs on links (XDP, TC, TCX, netfilter) in this namespace.
fn attachments(netns: &Netns) -> Result<BTreeSet<String>> {
    let report = netns.line("bpftool -j net").json()?;
    let mut found = BTreeSet::new();
    for hooks in report.as_array().into_iter().flatten() {
        for (hook, programs) in hooks.as_object().into_iter().flatten() {
            for program in programs.as_array().into_iter().flatten() {
                let (device, kind) = (&program["devname"], &program["kind"]);
                found.insert(format!("{hook} {device} {kind} {}", program["name"]));
            }
        }
    }
    Ok(found)
}

/// The kernel's BPF objects, by type and id: those of all namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BpfObjects(BTreeSet<(&'static str, u64)>);

impl BpfObjects {
    /// Lists every program, map and link of the machine.
    pub fn all() -> Result<Self> {
        let mut objects = BTreeSet::new();
        for kind in ["prog", "map", "link"] {
            let report = Cmd::new("bpftool").args(["-j", kind, "show"]).json()?;
            let ids = report
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|row| row["id"].as_u64());
            objects.extend(ids.map(|id| (kind, id)));
        }
        Ok(Self(objects))
    }

    /// Lists the objects that belong to the pins below `directory`: the maps and links pinned
    /// there, and the programs that use those maps or hang on those links.
    pub fn pinned_below(directory: &std::path::Path) -> Result<Self> {
        let show = |kind| Cmd::new("bpftool").args(["-j", "-f", kind, "show"]).json();
        let rows = |report: &Value| report.as_array().cloned().unwrap_or_default();
        let below = |row: &Value| {
            let pins = row["pinned"].as_array().into_iter().flatten();
            pins.filter_map(Value::as_str)
                .any(|pin| std::path::Path::new(pin).starts_with(directory))
        };
        let mut objects = BTreeSet::new();
        let mut programs = BTreeSet::new();
        for link in rows(&show("link")?).iter().filter(|row| below(row)) {
            objects.extend(link["id"].as_u64().map(|id| ("link", id)));
            programs.extend(link["prog_id"].as_u64());
        }
        let maps: BTreeSet<u64> = rows(&show("map")?)
            .iter()
            .filter(|row| below(row))
            .filter_map(|row| row["id"].as_u64())
            .collect();
        for program in rows(&show("prog")?) {
            let used = program["map_ids"].as_array().into_iter().flatten();
            let ours =
                below(&program) || used.filter_map(Value::as_u64).any(|id| maps.contains(&id));
            programs.extend(program["id"].as_u64().filter(|_| ours));
        }
        objects.extend(maps.into_iter().map(|id| ("map", id)));
        objects.extend(programs.into_iter().map(|id| ("prog", id)));
        Ok(Self(objects))
    }

    /// Those of `self` that still exist in `later`.
    #[must_use]
    pub fn still_in(&self, later: &Self) -> Self {
        Self(self.0.intersection(&later.0).copied().collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}
