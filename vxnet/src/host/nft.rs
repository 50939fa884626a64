//! nftables, through its command: the guard of our bridges and uplinks.

use std::{
    fmt::Write as _,
    fs,
    io::Write as _,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};

use super::Paths;

/// The families that we have a table in.
const FAMILIES: [&str; 3] = ["bridge", "inet", "netdev"];
/// Name of our tables.
const TABLE: &str = "vxnet";
const MISSING: &str = "cannot run nft\nhint: install nftables (`apt install nftables`)";

/// What was asked for, and how nft printed it then: versions of nft print the same rules in
/// different words, so that the rules themselves cannot be compared with what it prints.
#[derive(Serialize, Deserialize)]
struct Memory {
    rules: String,
    listing: String,
}

/// Returns the rules that are in force: those asked for, or whatever nft prints if someone has
/// changed them since; none if there are no tables of ours.
pub(super) fn observe(paths: &Paths) -> Result<Option<String>> {
    let listing = list()?;
    if listing.is_empty() {
        return Ok(None);
    }
    let memory = fs::read(memory(paths)).ok();
    let memory: Option<Memory> = memory.and_then(|text| serde_json::from_slice(&text).ok());
    Ok(Some(match memory {
        Some(memory) if memory.listing == listing => memory.rules,
        _ => listing,
    }))
}

/// Replaces our tables, in one transaction.
pub(super) fn replace(paths: &Paths, rules: &str) -> Result<()> {
    run(&format!("{}{rules}", without()))?;
    let memory = Memory {
        rules: rules.into(),
        listing: list()?,
    };
    fs::write(self::memory(paths), serde_json::to_vec(&memory)?)
        .context("cannot note the rules in force")
}

/// Removes our tables.
pub(super) fn remove() -> Result<()> {
    run(&without())
}

/// Returns commands that remove our tables; `add` first, so that `delete` finds one in any case.
fn without() -> String {
    let mut commands = String::new();
    for family in FAMILIES {
        let _ = writeln!(commands, "add table {family} {TABLE}");
        let _ = writeln!(commands, "delete table {family} {TABLE}");
    }
    commands
}

/// Returns our tables as nft prints them.
fn list() -> Result<String> {
    let mut listing = String::new();
    for family in FAMILIES {
        let output = Command::new("nft")
            .args(["--stateless", "list", "table", family, TABLE])
            .stdin(Stdio::null())
            .output()
            .context(MISSING)?;
        if output.status.success() {
            listing.push_str(&String::from_utf8_lossy(&output.stdout));
        }
    }
    Ok(listing)
}

fn memory(paths: &Paths) -> PathBuf {
    paths.run.join("guard.json")
}

/// Returns whether the kernel can match the bridge of a port (`nft_meta_bridge`).
pub(super) fn can_match_bridge() -> Result<bool> {
    let probe = "table bridge vxnet-probe { chain c { meta ibrname \"br0\" drop\n } }\n";
    Ok(feed(probe, true)?.is_none())
}

fn run(script: &str) -> Result<()> {
    match feed(script, false)? {
        None => Ok(()),
        Some(message) => bail!("nft refused the rules: {message}"),
    }
}

/// Feeds a script to nft and returns its complaint, if it has one.
fn feed(script: &str, dry_run: bool) -> Result<Option<String>> {
    let mut command = Command::new("nft");
    if dry_run {
        command.arg("--check");
    }
    let mut child = command
        .args(["--file", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context(MISSING)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin
            .write_all(script.as_bytes())
            .context("cannot write to nft")?;
    }
    let output = child.wait_with_output()?;
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Ok((!output.status.success()).then_some(complaint))
}
