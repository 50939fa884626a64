//! nftables, through its command: the guard of our bridges.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};

/// Name of our table in the bridge family.
const TABLE: &str = "vxnet";
const MISSING: &str = "cannot run nft\nhint: install nftables (`apt install nftables`)";

/// Returns our table as `nft list` prints it, if it is there.
pub(super) fn list() -> Result<Option<String>> {
    let output = Command::new("nft")
        .args(["--stateless", "list", "table", "bridge", TABLE])
        .stdin(Stdio::null())
        .output()
        .context(MISSING)?;
    Ok(output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Replaces our table, in one transaction.
pub(super) fn replace(rules: &str) -> Result<()> {
    // `add` first, so that `delete` finds a table in any case.
    run(&format!(
        "add table bridge {TABLE}\ndelete table bridge {TABLE}\n{rules}"
    ))
}

/// Removes our table.
pub(super) fn remove() -> Result<()> {
    run(&format!("delete table bridge {TABLE}\n"))
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
