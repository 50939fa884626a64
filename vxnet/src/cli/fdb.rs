//! `vxnet fdb`.

mod add;
mod load;

use std::{collections::BTreeMap, net::IpAddr, process::ExitCode};

use anyhow::{Result, bail};
use serde::Serialize;
use vxnet_common::{
    addr::Mac,
    learn,
    map::{
        fdb::{FdbEntry, FdbKey, flag, origin, place},
        name_str,
        port::{self, kind},
        segment::Segment,
        vtep::Vtep,
    },
};

use super::{
    output::{self, Format, Row, or_dash},
    words::parse_mac,
};
use crate::{
    host::{
        Paths,
        maps::{Maps, clock},
    },
    trace::ranges,
};

/// Verbs of `vxnet fdb`.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Show which address is where
    Show {
        #[command(flatten)]
        filter: Filter,
        #[command(flatten)]
        format: Format,
    },
    /// Say where an address is: it never ages and never moves
    Add(add::Add),
    /// Add the addresses that a file lists, or none if one of them is wrong
    Load(load::Load),
    /// Forget one address
    Del(add::Del),
    /// Forget learned addresses
    Flush {
        #[command(flatten)]
        filter: Filter,
        /// Forget those of `fdb add` too
        #[arg(long)]
        all_manual: bool,
        #[command(flatten)]
        format: Format,
    },
}

/// Which rows are meant; without a filter, all.
#[derive(clap::Args)]
pub(super) struct Filter {
    /// Only rows of this network
    #[arg(long, value_name = "NAME")]
    network: Option<String>,
    /// Only rows of this VLAN
    #[arg(long, value_name = "VID")]
    vlan: Option<u16>,
    /// Only rows of this address
    #[arg(long, value_name = "MAC", value_parser = parse_mac)]
    mac: Option<Mac>,
    /// Only rows behind this local port
    #[arg(long, value_name = "LINK")]
    port: Option<String>,
    /// Only rows at this peer
    #[arg(long, value_name = "ADDRESS")]
    vtep: Option<IpAddr>,
}

impl Filter {
    /// Returns whether the row is meant.
    fn matches(&self, row: &Entry) -> bool {
        self.network
            .as_ref()
            .is_none_or(|name| *name == row.network)
            && self.vlan.is_none_or(|vlan| row.vlan == Some(vlan))
            && self.mac.is_none_or(|mac| mac.to_string() == row.mac)
            && self
                .port
                .as_ref()
                .is_none_or(|name| row.port.as_ref() == Some(name))
            && self
                .vtep
                .is_none_or(|address| row.vtep == Some(address.to_string()))
    }
}

/// How many rows a flush removed.
#[derive(Serialize)]
struct Flushed {
    flushed: usize,
}

pub(super) fn run(command: &Command, paths: &Paths) -> Result<ExitCode> {
    let mut maps = Maps::open(paths)?;
    let view = View::read(&maps)?;
    match command {
        Command::Show { filter, format } => {
            view.check(filter)?;
            let mut rows = view.rows(&maps)?;
            rows.retain(|row| filter.matches(row));
            output::rows(*format, &rows)
        }
        Command::Add(args) => args.run(&view, &mut maps),
        Command::Load(args) => args.run(&view, &mut maps),
        Command::Del(args) => args.run(&view, &mut maps),
        Command::Flush {
            filter,
            all_manual,
            format,
        } => {
            view.check(filter)?;
            let flushed = maps.remove_fdb(|key, entry| {
                let may_go = entry.origin == origin::LEARNED
                    || (*all_manual && entry.origin == origin::MANUAL);
                may_go && view.row(key, entry).is_some_and(|row| filter.matches(&row))
            })?;
            if format.json {
                return output::json(&Flushed { flushed });
            }
            output::text(&format!("{flushed} addresses forgotten\n"))
        }
    }
}

/// A row of the table.
#[derive(Serialize)]
struct Entry {
    network: String,
    vlan: Option<u16>,
    mac: String,
    /// `local`, `vtep` or `host`.
    r#where: &'static str,
    port: Option<String>,
    vtep: Option<String>,
    /// Seconds since the address was last a source; none for what does not age.
    age_s: Option<u64>,
    /// `learned`, `sticky` (learned, but does not move), `static` or `manual`.
    origin: &'static str,
    /// `frozen`: it has moved too often, and moves no more for a while.
    flags: Vec<&'static str>,
}

impl Row for Entry {
    const HEADINGS: &'static [&'static str] = &[
        "NETWORK", "VLAN", "MAC", "WHERE", "PORT", "VTEP", "AGE", "ORIGIN", "FLAGS",
    ];
    const SPARSE: &'static [&'static str] = &["VLAN", "FLAGS"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.network.clone(),
            or_dash(self.vlan.as_ref()),
            self.mac.clone(),
            self.r#where.into(),
            or_dash(self.port.as_ref()),
            or_dash(self.vtep.as_ref()),
            self.age_s
                .map_or_else(|| "-".into(), |age| format!("{age}s")),
            self.origin.into(),
            or_dash(
                (!self.flags.is_empty())
                    .then(|| self.flags.join(","))
                    .as_ref(),
            ),
        ]
    }
}

/// What the slots of the table's rows stand for.
struct View {
    segments: BTreeMap<u32, Segment>,
    ports: BTreeMap<u32, port::Port>,
    vteps: BTreeMap<u32, Vtep>,
    now: u64,
}

impl View {
    fn read(maps: &Maps) -> Result<Self> {
        Ok(Self {
            segments: maps.segments()?.into_iter().collect(),
            ports: maps.ports()?.into_iter().collect(),
            vteps: maps.vteps()?.into_iter().collect(),
            now: clock()?,
        })
    }

    /// Refuses a filter that names nothing: a typing error must not look like an empty table.
    fn check(&self, filter: &Filter) -> Result<()> {
        if let Some(name) = &filter.network
            && !self
                .segments
                .values()
                .any(|row| name_str(&row.name) == name)
        {
            bail!("there is no network \"{name}\"\nhint: `vxnet network show` lists them");
        }
        if let Some(vlan) = filter.vlan {
            self.check_vlan(filter.network.as_deref(), vlan)?;
        }
        if let Some(name) = &filter.port
            && !self.ports.values().any(|row| name_str(&row.name) == name)
        {
            bail!("there is no port \"{name}\"\nhint: `vxnet port show` lists them");
        }
        if let Some(address) = &filter.vtep
            && !self
                .vteps
                .values()
                .any(|row| IpAddr::from(row.address) == *address)
        {
            bail!("there is no VTEP {address}\nhint: `vxnet vtep show` lists them");
        }
        Ok(())
    }

    /// Refuses a VLAN that the network, or without one no network, has on this host.
    fn check_vlan(&self, network: Option<&str>, vlan: u16) -> Result<()> {
        if let Some(network) = network {
            return self.segment(network, Some(vlan)).map(|_| ());
        }
        // Segments without a VLAN have 0 there.
        let mut segments = self.segments.values();
        if vlan == 0 || segments.all(|row| row.vid != vlan) {
            bail!("no network has VLAN {vlan} on this host\nhint: `vxnet network show` lists them");
        }
        Ok(())
    }

    fn rows(&self, maps: &Maps) -> Result<Vec<Entry>> {
        let mut rows: Vec<Entry> = maps
            .fdb()?
            .iter()
            .filter_map(|(key, entry)| self.row(key, entry))
            .collect();
        rows.sort_by(|a, b| (&a.network, a.vlan, &a.mac).cmp(&(&b.network, b.vlan, &b.mac)));
        Ok(rows)
    }

    /// Describes a row; none if it has expired or what it refers to is gone.
    fn row(&self, key: &FdbKey, entry: &FdbEntry) -> Option<Entry> {
        let segment = self.segments.get(&key.segment)?;
        if !entry.is_live(self.now, segment.ageing) {
            return None;
        }
        let (place, port, vtep) = if entry.place == place::VTEP {
            let vtep = self.vteps.get(&entry.slot)?;
            ("vtep", None, Some(vtep.address.to_string()))
        } else {
            let port = self.ports.get(&entry.slot)?;
            let place = if port.kind == kind::HOST {
                "host"
            } else {
                "local"
            };
            (place, Some(name_str(&port.name).to_owned()), None)
        };
        let is_learned = entry.origin == origin::LEARNED;
        Some(Entry {
            network: name_str(&segment.name).into(),
            vlan: (segment.vid != 0).then_some(segment.vid),
            mac: Mac(key.mac).to_string(),
            r#where: place,
            port,
            vtep,
            age_s: is_learned.then(|| self.now.saturating_sub(entry.last_seen) / 1_000_000_000),
            origin: origin_name(entry),
            flags: if is_learned && learn::is_frozen(entry, self.now) {
                vec!["frozen"]
            } else {
                Vec::new()
            },
        })
    }

    /// Returns the slot and the row of a segment: a network, or one VLAN of it.
    fn segment(&self, network: &str, vlan: Option<u16>) -> Result<(u32, &Segment)> {
        let of_network: Vec<(u32, &Segment)> = self
            .segments
            .iter()
            .filter(|(_, row)| name_str(&row.name) == network)
            .map(|(slot, row)| (*slot, row))
            .collect();
        if of_network.is_empty() {
            bail!("there is no network \"{network}\"\nhint: `vxnet network show` lists them");
        }
        if let Some(found) = of_network
            .iter()
            .find(|(_, row)| row.vid == vlan.unwrap_or(0))
        {
            return Ok(*found);
        }
        let mut vids: Vec<u16> = of_network.iter().map(|(_, row)| row.vid).collect();
        vids.sort_unstable();
        let vids = ranges(vids);
        match vlan {
            None => bail!("network {network} has VLANs\nhint: add --vlan, one of {vids}"),
            Some(_) if vids == "0" => {
                bail!("network {network} has no VLANs\nhint: leave --vlan out")
            }
            Some(vlan) => {
                bail!("network {network} has no VLAN {vlan} on this host\nhint: it has {vids}")
            }
        }
    }
}

/// Returns the word for who wrote a row.
fn origin_name(row: &FdbEntry) -> &'static str {
    match row.origin {
        origin::LEARNED if row.flags & flag::STICKY != 0 => "sticky",
        origin::LEARNED => "learned",
        origin::MANUAL => "manual",
        origin::CONTROL => "control",
        _ => "static",
    }
}

#[cfg(test)]
mod tests;
