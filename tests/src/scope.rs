//! The life of a lab: everything it makes carries its name, so that it can be swept by name.
//!
//! A [`Scope`] is swept on drop (also while a panic unwinds) and on SIGINT, SIGTERM and SIGHUP. A
//! lab whose process was killed outright is swept by the next process that opens a scope: the name
//! holds the process id.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Once};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::command::Cmd;
use crate::wait::eventually;

const ROOT: &str = "/run/vxnet-lab";
const PREFIX: &str = "vx";

static OPEN: Mutex<Vec<String>> = Mutex::new(Vec::new());
static COUNT: AtomicU32 = AtomicU32::new(0);
static START: Once = Once::new();

/// A unique name, a directory of its own, and the duty to leave nothing behind.
#[derive(Debug)]
pub struct Scope {
    name: String,
}

impl Scope {
    /// Opens a scope; `label` only makes its name easier to recognise.
    pub fn open(label: &str) -> Result<Self> {
        ensure!(
            geteuid().is_root(),
            "labs need root: run them through `cargo xtask`"
        );
        START.call_once(|| {
            sweep_dead();
            sweep_on_signals();
        });
        let serial = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}{label}{serial}", std::process::id());
        OPEN.lock()
            .expect("no panic while locked")
            .push(name.clone());
        let scope = Self { name };
        fs::create_dir_all(scope.directory())?;
        Ok(scope)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The directory for configuration files, sockets, logs, captures and the bpffs.
    pub fn directory(&self) -> PathBuf {
        Path::new(ROOT).join(&self.name)
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        sweep(&self.name);
        forget(&self.name);
    }
}

fn forget(name: &str) {
    if let Ok(mut open) = OPEN.lock() {
        open.retain(|other| other != name);
    }
}

/// Ends the scope's processes and removes its namespaces, mounts and files, as far as they exist.
pub fn sweep(name: &str) {
    for netns in namespaces(name) {
        let ended = eventually(Duration::from_secs(5), || {
            let pids = Cmd::new("ip").args(["netns", "pids", &netns]).run()?;
            for pid in pids.split_whitespace().filter_map(|pid| pid.parse().ok()) {
                // A lab's own threads that entered the namespace are not processes to be killed.
                if Pid::from_raw(pid) != Pid::this() {
                    kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
                }
            }
            let own = Pid::this().to_string();
            ensure!(
                pids.split_whitespace().all(|pid| pid == own),
                "{netns} is in use"
            );
            Ok(())
        });
        drop(ended);
        Cmd::new("ip").args(["netns", "del", &netns]).output().ok();
    }
    let directory = Path::new(ROOT).join(name);
    for mount in mounts_below(&directory) {
        umount2(&mount, MntFlags::MNT_DETACH).ok();
    }
    fs::remove_dir_all(&directory).ok();
    // Only succeeds for the last lab.
    fs::remove_dir(ROOT).ok();
}

fn namespaces(scope: &str) -> Vec<String> {
    let prefix = format!("{scope}-");
    names_in(Path::new("/run/netns"))
        .filter(|name| name.starts_with(&prefix))
        .collect()
}

/// The mounts in a directory, the last one first.
fn mounts_below(directory: &Path) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let below = points
        .map(PathBuf::from)
        .filter(|point| point.starts_with(directory));
    let mut below: Vec<_> = below.collect();
    below.reverse();
    below
}

fn names_in(directory: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

fn sweep_dead() {
    for name in names_in(Path::new(ROOT)).collect::<Vec<_>>() {
        let digits = name
            .trim_start_matches(PREFIX)
            .split(|c: char| !c.is_ascii_digit())
            .next();
        let Some(pid) = digits.and_then(|digits| digits.parse::<u32>().ok()) else {
            continue;
        };
        // A zombie still has a directory, but no program.
        let program = Path::new("/proc").join(pid.to_string()).join("exe");
        if fs::read_link(program).is_err() {
            sweep(&name);
        }
    }
}

fn sweep_on_signals() {
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("signal handlers") else {
        return;
    };
    std::thread::spawn(move || {
        if let Some(signal) = signals.forever().next() {
            let open = OPEN.lock().map(|open| open.clone()).unwrap_or_default();
            for name in open {
                sweep(&name);
            }
            std::process::exit(128 + signal);
        }
    });
}
