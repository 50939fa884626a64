//! `loops.json` in the run folder: the loops of now, for `vxnet status`.

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::Loops;
use crate::{
    daemon::lock,
    host::{Paths, maps::clock, memory},
};

/// A port that is shut because of a loop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loop {
    pub network: String,
    pub port: String,
    /// The other end; the port itself if what it sends comes back to it.
    pub other_host: String,
    pub other_port: String,
    /// For how long, in seconds. (In the file: since when, on the clock of the data path.)
    pub since_s: u64,
}

fn file(paths: &Paths) -> PathBuf {
    paths.run.join("loops.json")
}

/// Returns the loops that the daemon knows. Without one there are none: what it shut opens by
/// itself.
pub fn loops(paths: &Paths) -> Result<Vec<Loop>> {
    if !lock::is_running(paths) {
        return Ok(Vec::new());
    }
    let now = clock()? / 1_000_000_000;
    let mut loops: Vec<Loop> = memory::read(&file(paths))?;
    for known in &mut loops {
        known.since_s = now.saturating_sub(known.since_s);
    }
    Ok(loops)
}

/// Writes down the loops of now.
pub(in crate::daemon) fn note(paths: &Paths, loops: &Loops) -> Result<()> {
    if loops.shut().is_empty() {
        return forget(paths);
    }
    let notes: Vec<Loop> = loops
        .shut()
        .values()
        .map(|shut| Loop {
            network: shut.network.clone(),
            port: shut.port.clone(),
            other_host: shut.other.host.clone(),
            other_port: shut.other.port.clone(),
            since_s: shut.since / 1_000_000_000,
        })
        .collect();
    memory::write(&file(paths), &notes)
}

/// Removes the note.
pub(in crate::daemon) fn forget(paths: &Paths) -> Result<()> {
    memory::remove(&file(paths))
}
