//! The kernel's own counters in a namespace.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::netns::Netns;

/// `/proc/net/netstat` and `/proc/net/snmp`, as `TcpExt.TCPOFOQueue`, `Udp.InDatagrams`, ….
#[derive(Debug, Clone)]
pub struct Counters(BTreeMap<String, u64>);

impl Counters {
    pub fn read(netns: &Netns) -> Result<Self> {
        let text = netns
            .line("cat /proc/net/netstat /proc/net/snmp /proc/net/snmp6")
            .run()?;
        Ok(Self(parse(&text)))
    }

    /// The counter `name`; a counter that the kernel does not show is 0.
    pub fn value(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    /// How far `name` has grown since `earlier`.
    pub fn since(&self, earlier: &Self, name: &str) -> u64 {
        self.value(name).saturating_sub(earlier.value(name))
    }
}

/// Pairs the line of names with the line of values that follows it (`snmp6`: one pair a line).
fn parse(text: &str) -> BTreeMap<String, u64> {
    let mut counters = BTreeMap::new();
    let mut names: Option<(&str, Vec<&str>)> = None;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        let Some(section) = first.strip_suffix(':') else {
            if let Some(Ok(value)) = words.next().map(str::parse) {
                counters.insert(first.to_owned(), value);
            }
            continue;
        };
        match names.take() {
            Some((of, names)) if of == section => {
                for (name, value) in names.iter().zip(words) {
                    if let Ok(value) = value.parse() {
                        counters.insert(format!("{section}.{name}"), value);
                    }
                }
            }
            _ => names = Some((section, words.collect())),
        }
    }
    counters
}

/// A counter of `ip -s link`, for instance `("rx", "packets")`.
pub fn link_counter(netns: &Netns, link: &str, direction: &str, what: &str) -> Result<u64> {
    let counters = link_counters(netns, link)?;
    counters[direction][what]
        .as_u64()
        .with_context(|| format!("no {direction} {what} of {link} in {netns}"))
}

/// All counters of a link, as `ip -j -s link` prints them: by `rx` and `tx`.
pub fn link_counters(netns: &Netns, link: &str) -> Result<Value> {
    let mut links = netns
        .line(&format!("ip -j -s link show dev {link}"))
        .json()?;
    Ok(links[0]["stats64"].take())
}
