//! TC filters in a clsact qdisc, for kernels without TCX.
//!
//! The kernel keeps a filter without anybody's help, but there is nothing to pin: a file in the run
//! folder notes each one, and another each qdisc that vxnet made.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use aya::programs::{
    Link as _, SchedClassifier, TcAttachType,
    tc::{self, NlOptions, SchedClassifierLink, TcAttachOptions, TcHandle},
};

use super::{Target, remove};
use crate::{host::Paths, state::Hook};

/// Priority and handle of our filters.
const PRIORITY: u16 = 4789;
const HANDLE: TcHandle = TcHandle::new(0, 1);

/// Returns the name and the id of the program in our filter.
pub(super) fn running(paths: &Paths, target: Target<'_>, hook: Hook) -> Option<(String, u32)> {
    let name = fs::read_to_string(marker(paths, target.ifindex, hook)).ok()?;
    Some((name, filter_program(target.name, hook)?))
}

/// Adds our filter with a program, or replaces the program in it.
pub(super) fn attach(
    paths: &Paths,
    program: &mut SchedClassifier,
    target: Target<'_>,
    hook: Hook,
    direction: TcAttachType,
    name: &str,
) -> Result<()> {
    if put_filter(program, target, direction)? {
        fs::write(qdisc_marker(paths, target.ifindex), "").context("cannot note the qdisc")?;
    }
    fs::write(marker(paths, target.ifindex, hook), name).context("cannot note the filter")
}

/// Removes our filter from a link, if there is one; the link may be gone already.
pub(super) fn detach(
    paths: &Paths,
    ifindex: u32,
    link: Option<&str>,
    hook: Hook,
    direction: TcAttachType,
) -> Result<()> {
    let marker = marker(paths, ifindex, hook);
    if !marker.exists() {
        return Ok(());
    }
    if let Some(link) = link {
        let filter = SchedClassifierLink::attached(link, direction, PRIORITY, HANDLE, None)?;
        // A filter that someone else removed is as good as detached.
        let _ = filter.detach();
    }
    remove(&marker)?;
    remove_qdisc(paths, ifindex, link);
    Ok(())
}

/// Removes the clsact qdisc of a link if vxnet made it and nobody has a filter in it any more.
fn remove_qdisc(paths: &Paths, ifindex: u32, link: Option<&str>) {
    let ours = [Hook::TcIngress, Hook::TcEgress];
    if ours
        .iter()
        .any(|hook| marker(paths, ifindex, *hook).exists())
        || !qdisc_marker(paths, ifindex).exists()
    {
        return;
    }
    if let Some(link) = link
        && ours.iter().all(|hook| filters(link, *hook).is_empty())
    {
        // The link may vanish at any moment, and its qdisc with it.
        let _ = Command::new("tc")
            .args(["qdisc", "del", "dev", link, "clsact"])
            .output();
    }
    let _ = fs::remove_file(qdisc_marker(paths, ifindex));
}

/// Adds or replaces the filter; returns whether the qdisc had to be made.
fn put_filter(
    program: &mut SchedClassifier,
    target: Target<'_>,
    direction: TcAttachType,
) -> Result<bool> {
    // The qdisc may be there already, ours or another's.
    let made = tc::qdisc_add_clsact(target.name).is_ok();
    let old = SchedClassifierLink::attached(target.name, direction, PRIORITY, HANDLE, None)?;
    let id = if let Ok(id) = program.attach_to_link(old) {
        id
    } else {
        let options = NlOptions {
            priority: PRIORITY,
            handle: HANDLE,
            classid: None,
        };
        program
            .attach_with_options(target.name, direction, TcAttachOptions::Netlink(options))
            .with_context(|| format!("cannot attach to {}", target.name))?
    };
    // The kernel holds the filter; dropping this handle would remove it.
    std::mem::forget(program.take_link(id)?);
    Ok(made)
}

/// Returns the id of the program in our clsact filter.
fn filter_program(link: &str, hook: Hook) -> Option<u32> {
    filters(link, hook).iter().find_map(|filter| {
        let ours = filter["pref"].as_u64() == Some(u64::from(PRIORITY));
        let id = filter["options"]["prog"]["id"].as_u64()?;
        ours.then_some(u32::try_from(id).ok()?)
    })
}

/// Returns the filters of a clsact qdisc, as `tc` describes them.
fn filters(link: &str, hook: Hook) -> Vec<serde_json::Value> {
    let direction = if hook == Hook::TcEgress {
        "egress"
    } else {
        "ingress"
    };
    let output = Command::new("tc")
        .args(["-json", "filter", "show", "dev", link, direction])
        .output();
    output
        .ok()
        .and_then(|output| serde_json::from_slice(&output.stdout).ok())
        .unwrap_or_default()
}

/// File that notes a clsact filter: there is no link to pin.
fn marker(paths: &Paths, ifindex: u32, hook: Hook) -> PathBuf {
    paths.run.join(format!("{ifindex}-{}", hook.name()))
}

/// File that notes that vxnet made a link's clsact qdisc.
fn qdisc_marker(paths: &Paths, ifindex: u32) -> PathBuf {
    paths.run.join(format!("{ifindex}.qdisc"))
}
