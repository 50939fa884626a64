//! Installing Debian packages, as root and only what is missing.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::Once,
};

use anyhow::{Result, bail};

use crate::{cargo, privilege};

/// Returns where `binary` is. An unprivileged PATH often lacks the sbin directories.
pub(crate) fn find(binary: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(binary))
        .find(|file| file.is_file())
}

/// Installs `packages`, or says how to when it may not; `why` ends the line that announces it.
pub(crate) fn install(packages: &[&str], why: &str) -> Result<()> {
    static UPDATED: Once = Once::new();

    let list = packages.join(" ");
    let hint = format!("hint: apt-get install --no-install-recommends {list}");
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!(
            "{list} missing, needed for {why}; this system has no apt-get\n\
             hint: install them with its own package manager"
        );
    }
    if !privilege::is_root() {
        bail!("{list} missing, needed for {why}; installing them takes root\n{hint}");
    }
    println!("installing {list}: {why}");
    let mut updated = Ok(());
    UPDATED.call_once(|| updated = cargo::spawn(apt_get().arg("update")));
    updated?;
    let mut command = apt_get();
    command
        .args(["install", "--yes", "--no-install-recommends"])
        .args(packages);
    cargo::spawn(&mut command)
}

/// Returns whether apt knows `package`.
pub(crate) fn knows(package: &str) -> bool {
    cargo::capture(Command::new("apt-cache").args(["show", "--no-all-versions", package]))
        .is_some_and(|text| !text.is_empty())
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    // tshark asks who may capture; nobody is there to answer.
    command
        .arg("-qq")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(std::process::Stdio::null());
    command
}
