//! The loops that the daemon has found: its note in the run folder.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::{
    daemon,
    host::{Paths, maps::clock},
};

/// A port that is shut because of a loop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Loop {
    pub(super) network: String,
    pub(super) port: String,
    /// The other end; the port itself if what it sends comes back to it.
    pub(super) other_host: String,
    pub(super) other_port: String,
    /// For how long, in seconds. (In the file: since when, on the clock of the data path.)
    pub(super) since_s: u64,
}

/// Returns the loops that the daemon knows. Without one there are none: what it shut opens by
/// itself.
pub(super) fn loops(paths: &Paths) -> Result<Vec<Loop>> {
    let file = paths.run.join("loops.json");
    if !daemon::is_running(paths) || !file.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("cannot read {}", file.display()))?;
    let mut loops: Vec<Loop> =
        serde_json::from_str(&text).with_context(|| format!("{} is damaged", file.display()))?;
    let now = clock()? / 1_000_000_000;
    for known in &mut loops {
        known.since_s = now.saturating_sub(known.since_s);
    }
    Ok(loops)
}
