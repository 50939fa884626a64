//! Network namespaces by name.
//!
//! Programs are run through `nsenter --net`: `ip netns exec` would also remount `/sys` and so hide
//! every bpffs. A thread stays in a namespace once it has entered, therefore [`Netns::enter`] uses
//! a fresh one.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use anyhow::{Context as _, Result, anyhow};
use nix::sched::{CloneFlags, setns};

use crate::command::Cmd;
use crate::scope::Scope;

const DIRECTORY: &str = "/run/netns";

/// A handle on a network namespace; the [`Scope`] that it was made in deletes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Netns {
    name: Arc<str>,
}

impl Netns {
    /// Creates the namespace `<scope>-<role>` with its loopback up and IPv6 addresses that are
    /// usable at once (no duplicate address detection).
    pub fn create(scope: &Scope, role: &str) -> Result<Self> {
        let name = format!("{}-{role}", scope.name());
        Cmd::new("ip").args(["netns", "add", &name]).run()?;
        let netns = Self { name: name.into() };
        for section in ["all", "default"] {
            netns.sysctl(&format!("net.ipv6.conf.{section}.accept_dad"), "0")?;
            netns.sysctl(
                &format!("net.ipv6.conf.{section}.router_solicitations"),
                "0",
            )?;
        }
        netns.ip("link set lo up")?;
        Ok(netns)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn path(&self) -> PathBuf {
        PathBuf::from(DIRECTORY).join(&*self.name)
    }

    /// Returns a command that will run in this namespace.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Cmd {
        let net = format!("--net={}", self.path().display());
        Cmd::new("nsenter").args([net.as_str(), "--"]).arg(program)
    }

    /// Returns a command, written as one would type it, that will run in this namespace.
    pub fn line(&self, line: &str) -> Cmd {
        let mut words = line.split_whitespace();
        self.command(words.next().expect("a command line names a program"))
            .args(words)
    }

    /// Runs `ip <arguments>` here.
    pub fn ip(&self, arguments: &str) -> Result<String> {
        self.line(&format!("ip {arguments}")).run()
    }

    /// Sets the sysctl `key` of this namespace. (The key's dots separate its parts.)
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/{}", key.replace('.', "/"));
        self.enter(|| std::fs::write(&path, value).with_context(|| format!("{path} = {value}")))?
    }

    /// Runs `work` on a fresh thread inside this namespace and waits for it.
    ///
    /// Sockets and taps opened by `work` stay in the namespace wherever they are used afterwards.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let file = self.open()?;
        thread::scope(|scope| {
            let thread = scope.spawn(move || -> Result<T> {
                setns(&file, CloneFlags::CLONE_NEWNET).context("setns")?;
                Ok(work())
            });
            thread
                .join()
                .map_err(|_| anyhow!("panic in namespace {}", self.name))?
        })
    }

    fn open(&self) -> Result<File> {
        let path = self.path();
        File::open(&path).with_context(|| format!("no namespace {}", path.display()))
    }
}

impl std::fmt::Display for Netns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}
