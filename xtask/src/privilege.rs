//! What this process may do.

use std::{fmt, fs, os::unix::fs::MetadataExt as _};

use anyhow::{Context as _, Result};

/// A command was refused before it did anything: exit code 2, as for a wrong argument.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) String);

impl fmt::Display for Refused {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// What network namespaces, bpffs mounts and loading programs take (linux/capability.h).
const NEEDED: &[(&str, u32)] = &[
    ("CAP_NET_ADMIN", 12),
    ("CAP_NET_RAW", 13),
    ("CAP_SYS_ADMIN", 21),
    ("CAP_BPF", 39),
];

/// Returns whether packages may be installed.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Returns the capabilities that this process lacks to run labs: root in a container may lack
/// some, and a user may have them all.
pub(crate) fn lacking() -> Result<Vec<&'static str>> {
    let status = fs::read_to_string("/proc/self/status").context("cannot read own status")?;
    lacking_in(&status).context("/proc/self/status has no CapEff line")
}

fn lacking_in(status: &str) -> Option<Vec<&'static str>> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    let effective = u64::from_str_radix(line.trim(), 16).ok()?;
    let missing = NEEDED.iter().filter(|(_, bit)| effective >> bit & 1 == 0);
    Some(missing.map(|(name, _)| *name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_capability_is_named() {
        assert_eq!(lacking_in("CapEff:\t000001ffffffffff\n"), Some(vec![]));
        assert_eq!(
            lacking_in("CapEff:\t0000017fffffffff\n"),
            Some(vec!["CAP_BPF"])
        );
        assert_eq!(
            lacking_in("CapEff:\t0\n").map(|names| names.len()),
            Some(NEEDED.len())
        );
        assert_eq!(lacking_in("Name:\tx\n"), None);
    }
}
