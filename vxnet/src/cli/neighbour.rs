//! `vxnet neighbour`.

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::Result;
use serde::Serialize;
use vxnet_common::{
    addr::{Mac, VtepAddr},
    map::{
        fdb::{FdbEntry, FdbKey},
        name_str,
        neighbour::{NOBODY, Neighbour as NeighbourRow, NeighbourKey, flag},
        segment::Segment,
    },
    neighbour,
};

use super::{
    network,
    output::{self, Format, Row, or_dash},
};
use crate::host::{
    Paths,
    maps::{Maps, clock},
};

/// Verbs of `vxnet neighbour`.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Show the IP addresses that ARP requests and solicitations are answered for
    Show {
        /// Only those of this network
        #[arg(long, value_name = "NAME")]
        network: Option<String>,
        #[command(flatten)]
        format: Format,
    },
}

pub(super) fn run(command: &Command, paths: &Paths) -> Result<ExitCode> {
    let Command::Show { network, format } = command;
    let maps = Maps::open(paths)?;
    if let Some(name) = network {
        network::find(&maps, name)?;
    }
    let (segments, now) = (maps.segments()?.into_iter().collect(), clock()?);
    let reserved: BTreeMap<NeighbourKey, u32> = maps.reserved()?.into_iter().collect();
    let mut rows: Vec<Neighbour> = reserved
        .iter()
        .filter(|(_, owner)| **owner == NOBODY)
        .filter_map(|(key, _)| Neighbour::exempt(key, &segments))
        .collect();
    for (key, row) in &maps.neighbours()? {
        let station = maps.fdb_row(&FdbKey::new(key.segment, Mac(row.mac)))?;
        let owner = reserved.get(key).copied();
        rows.extend(Neighbour::new(
            key,
            row,
            station.as_ref(),
            owner,
            &segments,
            now,
        ));
    }
    rows.retain(|row| network.as_ref().is_none_or(|name| row.network == *name));
    rows.sort_by(|a, b| (&a.network, a.vlan, &a.address).cmp(&(&b.network, b.vlan, &b.address)));
    output::rows(*format, &rows)
}

/// Who has an IP address.
#[derive(Serialize)]
struct Neighbour {
    network: String,
    vlan: Option<u16>,
    address: String,
    /// None for an address that is never answered for.
    mac: Option<String>,
    /// Seconds since the station said so.
    age_s: Option<u64>,
    /// `router`, or `exempt` if the fabric file says that it is never answered for.
    flags: Vec<&'static str>,
}

impl Row for Neighbour {
    const HEADINGS: &'static [&'static str] =
        &["NETWORK", "VLAN", "ADDRESS", "MAC", "AGE", "FLAGS"];
    const SPARSE: &'static [&'static str] = &["VLAN", "FLAGS"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.network.clone(),
            or_dash(self.vlan.as_ref()),
            self.address.clone(),
            or_dash(self.mac.as_ref()),
            or_dash(self.age_s.map(|age| format!("{age}s")).as_ref()),
            or_dash(
                (!self.flags.is_empty())
                    .then(|| self.flags.join(","))
                    .as_ref(),
            ),
        ]
    }
}

impl Neighbour {
    /// Describes a row; none if its segment is gone, or it is not answered from: it is too old, or
    /// the station's place is not known, or not one where the station may have the address.
    fn new(
        key: &NeighbourKey,
        row: &NeighbourRow,
        station: Option<&FdbEntry>,
        owner: Option<u32>,
        segments: &BTreeMap<u32, Segment>,
        now: u64,
    ) -> Option<Self> {
        let segment = segments.get(&key.segment)?;
        if !neighbour::is_certain(row, station?, owner, now, segment.ageing) {
            return None;
        }
        let is_router = row.flags & flag::ROUTER != 0;
        Some(Self {
            network: name_str(&segment.name).into(),
            vlan: (segment.vid != 0).then_some(segment.vid),
            address: VtepAddr::v6(key.address).to_string(),
            mac: Some(Mac(row.mac).to_string()),
            age_s: Some(now.saturating_sub(row.last_seen) / 1_000_000_000),
            flags: is_router.then_some("router").into_iter().collect(),
        })
    }

    /// Describes an address that is never answered for; none if its segment is gone.
    fn exempt(key: &NeighbourKey, segments: &BTreeMap<u32, Segment>) -> Option<Self> {
        let segment = segments.get(&key.segment)?;
        Some(Self {
            network: name_str(&segment.name).into(),
            vlan: (segment.vid != 0).then_some(segment.vid),
            address: VtepAddr::v6(key.address).to_string(),
            mac: None,
            age_s: None,
            flags: vec!["exempt"],
        })
    }
}

#[cfg(test)]
mod tests {
    use vxnet_common::map::{fdb::place, name};

    use super::*;

    #[test]
    fn rows_tell_who_has_an_address_and_how_sure_that_is() {
        let segment = Segment {
            ageing: 10_000_000_000,
            name: name("blue"),
            ..Segment::FREE
        };
        let segments = BTreeMap::from([(1, segment)]);
        let key = NeighbourKey::new(1, VtepAddr::v4([10, 0, 0, 1]));
        let row = NeighbourRow {
            mac: [2, 0, 0, 0, 0, 1],
            flags: flag::ROUTER,
            last_seen: 1_000_000_000,
        };
        let station = FdbEntry::learned(place::PORT, 3, 3_000_000_000);
        let rows = |station, owner, now| Neighbour::new(&key, &row, station, owner, &segments, now);
        let at = |now| rows(Some(&station), None, now).map(|row| row.cells());
        let cells = ["blue", "-", "10.0.0.1", "02:00:00:00:00:01", "2s", "router"];
        assert_eq!(at(3_500_000_000).unwrap(), cells);
        assert_eq!(at(11_000_000_000), None, "too old");
        assert!(rows(None, None, 3_500_000_000).is_none(), "gone");
        let elsewhere = rows(Some(&station), Some(4), 3_500_000_000);
        assert!(elsewhere.is_none(), "another's address");
        let exempt = Neighbour::exempt(&key, &segments).unwrap();
        assert_eq!(
            exempt.cells(),
            ["blue", "-", "10.0.0.1", "-", "-", "exempt"]
        );
        let gone = NeighbourKey { segment: 2, ..key };
        assert!(Neighbour::new(&gone, &row, Some(&station), None, &segments, 0).is_none());
        assert!(Neighbour::exempt(&gone, &segments).is_none());
    }
}
