//! `vxnet drop`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use serde::Serialize;
use vxnet_common::{
    map::{NO_SLOT, name_str},
    reason::Reason,
};

use super::output::{self, Format, Row};
use crate::host::{Paths, maps::Maps};

/// Verbs of `vxnet drop`.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Show how many frames were dropped, by port and reason
    Show {
        /// Only frames of this port
        #[arg(long, value_name = "LINK")]
        port: Option<String>,
        #[command(flatten)]
        format: Format,
    },
}

pub(super) fn run(command: &Command, paths: &Paths) -> Result<ExitCode> {
    let Command::Show { port, format } = command;
    let maps = Maps::open(paths)?;
    let mut drops = list(&maps)?;
    if let Some(name) = port {
        if !maps
            .ports()?
            .iter()
            .any(|(_, row)| name_str(&row.name) == name)
        {
            bail!("there is no port \"{name}\"\nhint: `vxnet port show` lists them");
        }
        drops.retain(|drop| drop.port == *name);
    }
    output::rows(*format, &drops)
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
    // Slot 0 counts for links that were in no table.
    let mut ports = vec![(NO_SLOT, "(unknown)".to_owned())];
    ports.extend(
        maps.ports()?
            .into_iter()
            .map(|(slot, row)| (slot, name_str(&row.name).to_owned())),
    );
    let mut drops = Vec::new();
    for (slot, port) in ports {
        for reason in Reason::ALL {
            let count = maps.drops(slot, *reason)?;
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
