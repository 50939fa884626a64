//! What a port may do, and what it holds.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::Result;
use serde::Serialize;
use vxnet_common::{
    addr::{Mac, VtepAddr},
    map::{
        allowed::{AllowedKey, family},
        fdb::place,
        port::{Port, flag},
        stats::PortStats,
    },
};

use crate::host::maps::{Maps, clock};

/// What a port may do, and what it holds.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Detail {
    /// Frames that the switch made of the port's.
    replicas: u64,
    /// Segments that the kernel joined to others after they were counted.
    merged: u64,
    /// Packets that the host got as they came.
    passed: u64,
    /// How many addresses are known behind it.
    fdb: usize,
    /// How many there may be; none for any number.
    fdb_limit: Option<u32>,
    /// At that limit, a new address is not learned; otherwise the oldest goes.
    fdb_keeps: bool,
    /// The longest packet that it gets, in bytes; none if its link takes any.
    mtu: Option<u32>,
    /// How many flooded frames it may send a second; none for any number.
    bum_limit: Option<u32>,
    /// What is checked of its frames.
    security: Vec<&'static str>,
    /// It exchanges nothing with other isolated ports.
    isolated: bool,
    /// The addresses that it may send from, where they are checked.
    allowed: Vec<String>,
}

/// What is known of all ports.
pub(super) struct Details {
    fdb: BTreeMap<u32, usize>,
    allowed: BTreeMap<u32, Vec<String>>,
}

/// Reads what is known of all ports.
pub(super) fn read(maps: &Maps) -> Result<Details> {
    let now = clock()?;
    let ageing: BTreeMap<u32, u64> = maps
        .segments()?
        .into_iter()
        .map(|(slot, row)| (slot, row.ageing))
        .collect();
    let mut fdb = BTreeMap::new();
    for (key, row) in maps.fdb()? {
        let ageing = ageing.get(&key.segment).copied().unwrap_or(0);
        if row.place == place::PORT && row.is_live(now, ageing) {
            *fdb.entry(row.slot).or_default() += 1;
        }
    }
    let mut allowed: BTreeMap<u32, Vec<String>> = BTreeMap::new();
    for key in maps.allowed()? {
        allowed.entry(key.port).or_default().push(address(&key));
    }
    Ok(Details { fdb, allowed })
}

impl Details {
    /// Returns what is known of the port in a slot.
    pub(super) fn of(&mut self, slot: u32, row: &Port, stats: &PortStats) -> Detail {
        Detail {
            replicas: stats.replicas,
            merged: stats.merged,
            passed: stats.passed,
            fdb: self.fdb.get(&slot).copied().unwrap_or(0),
            fdb_limit: (row.fdb_limit != 0).then_some(row.fdb_limit),
            fdb_keeps: row.flags & flag::KEEP_ROWS != 0,
            mtu: (row.mtu != 0).then_some(row.mtu),
            bum_limit: (row.bum_limit != 0).then_some(row.bum_limit),
            security: checks(row.flags),
            isolated: row.flags & flag::ISOLATED != 0,
            allowed: self.allowed.remove(&slot).unwrap_or_default(),
        }
    }
}

impl Detail {
    /// Writes it for people, a line for each kind.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<10}{value}");
        };
        line("made", format!("{} copies", self.replicas));
        if self.merged != 0 {
            line(
                "joined",
                format!("{} segments to others (GRO)", self.merged),
            );
        }
        if self.passed != 0 {
            line("passed", format!("{} packets to the host", self.passed));
        }
        let limit = self
            .fdb_limit
            .map_or(String::new(), |limit| format!(" of {limit}"));
        line("addresses", format!("{}{limit}", self.fdb));
        if let Some(mtu) = self.mtu {
            line("MTU", format!("{mtu}: what is longer does not reach it"));
        }
        if let Some(limit) = self.bum_limit {
            line("floods", format!("{limit} frames a second at most"));
        }
        if !self.security.is_empty() {
            line("checks", self.security.join(", "));
        }
        if self.isolated {
            line("isolated", "from other isolated ports".to_owned());
        }
        if !self.allowed.is_empty() {
            line("allowed", self.allowed.join(", "));
        }
        text
    }
}

fn address(key: &AllowedKey) -> String {
    if key.family == family::MAC {
        let [a, b, c, d, e, f, ..] = key.address;
        return Mac([a, b, c, d, e, f]).to_string();
    }
    VtepAddr::v6(key.address).to_string()
}

/// Returns the names of a port's checks.
fn checks(flags: u32) -> Vec<&'static str> {
    [
        (flag::LOCKED, "locked"),
        (flag::CHECK_MAC, "mac"),
        (flag::CHECK_IP, "ip"),
        (flag::NO_DHCP_SERVER, "no-dhcp-server"),
        (flag::NO_RA, "no-ra"),
        (flag::NO_VXLAN, "no-vxlan"),
    ]
    .into_iter()
    .filter(|(bit, _)| flags & bit != 0)
    .map(|(_, name)| name)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_tells_its_limits_and_checks() {
        let mut details = Details {
            fdb: BTreeMap::from([(4, 2)]),
            allowed: BTreeMap::from([(
                4,
                vec![
                    address(&AllowedKey::mac(4, Mac([2, 0, 0, 0, 0, 1]))),
                    address(&AllowedKey::ip(4, VtepAddr::v4([10, 0, 0, 1]))),
                ],
            )]),
        };
        let row = Port {
            flags: flag::CHECK_MAC | flag::CHECK_IP | flag::ISOLATED,
            fdb_limit: 16,
            bum_limit: 100,
            mtu: 1300,
            ..Port::FREE
        };
        let stats = PortStats {
            replicas: 5,
            merged: 7,
            ..PortStats::default()
        };
        assert_eq!(
            details.of(4, &row, &stats).text(),
            "  made      5 copies\n  joined    7 segments to others (GRO)\n  \
             addresses 2 of 16\n  MTU       1300: what is longer does not reach it\n  floods    100 frames a second at most\n  checks    mac, ip\n  isolated  from other isolated ports\n  \
             allowed   02:00:00:00:00:01, 10.0.0.1\n"
        );
        let bare = details.of(5, &Port::FREE, &PortStats::default());
        assert_eq!(bare.text(), "  made      0 copies\n  addresses 0\n");
    }
}
