//! `vxnet drop`.

mod explain;
mod last;

use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;
use vxnet_common::{
    map::{NO_SLOT, name_str},
    reason::Reason,
};

use super::{
    output::{self, Format, Row},
    port::find,
    words::Named,
};
use crate::host::{Paths, maps::Maps};

/// Verbs of `vxnet drop`.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Show how many frames were dropped, by port and reason, or the last ones themselves
    Show {
        /// Show the headers of the frames that were dropped last
        #[arg(long)]
        last: bool,
        /// Only frames of this port
        #[arg(long, value_name = "LINK")]
        port: Option<String>,
        /// Only frames dropped for this reason
        #[arg(long, hide_possible_values = true)]
        reason: Option<Named>,
        /// With --last, show the bytes that were kept
        #[arg(long, requires = "last")]
        hex: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Explain what a reason means and what to do about it
    Explain {
        /// The reason; without one, all are explained
        #[arg(hide_possible_values = true)]
        reason: Option<Named>,
        #[command(flatten)]
        format: Format,
    },
}

pub(super) fn run(command: &Command, paths: &Paths) -> Result<ExitCode> {
    match command {
        Command::Explain { reason, format } => explain::run(reason.map(|named| named.0), *format),
        Command::Show {
            last,
            port,
            reason,
            hex,
            format,
        } => {
            let maps = Maps::open(paths)?;
            let port = port.as_deref();
            if let Some(name) = port.filter(|name| *name != UNKNOWN) {
                find(&maps, name)?;
            }
            let reason = reason.map(|named| named.0);
            if *last {
                return last::run(&maps, port, reason, *hex, *format);
            }
            let mut drops = list(&maps)?;
            drops.retain(|drop| {
                port.is_none_or(|port| drop.port == port)
                    && reason.is_none_or(|reason| drop.reason == reason.name())
            });
            output::rows(*format, &drops)
        }
    }
}

/// Stands for links that were in no table.
const UNKNOWN: &str = "(unknown)";

/// Returns the names of all slots that frames are counted for.
fn names(maps: &Maps) -> Result<Vec<(u32, String)>> {
    let mut ports = vec![(NO_SLOT, UNKNOWN.to_owned())];
    ports.extend(
        maps.ports()?
            .into_iter()
            .map(|(slot, row)| (slot, name_str(&row.name).to_owned())),
    );
    Ok(ports)
}

/// A counter that is not 0.
#[derive(Serialize)]
struct Drop {
    port: String,
    reason: &'static str,
    count: u64,
    meaning: &'static str,
}

impl Row for Drop {
    const HEADINGS: &'static [&'static str] = &["PORT", "REASON", "COUNT", "MEANING"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.port.clone(),
            self.reason.into(),
            self.count.to_string(),
            self.meaning.into(),
        ]
    }
}

fn list(maps: &Maps) -> Result<Vec<Drop>> {
    let mut drops = Vec::new();
    for (slot, port) in names(maps)? {
        let counted = maps.drops(slot)?;
        for reason in Reason::ALL {
            let count = counted.of(*reason);
            if count != 0 {
                let port = port.clone();
                drops.push(Drop {
                    port,
                    reason: reason.name(),
                    count,
                    meaning: reason.meaning(),
                });
            }
        }
    }
    drops.sort_by(|a, b| (&a.port, a.reason).cmp(&(&b.port, b.reason)));
    Ok(drops)
}
