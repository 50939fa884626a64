//! The real `vxnet` binary on one hypervisor: its files, its daemon, its command line.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::command::{Background, Cmd, DEFAULT_TIMEOUT, Output};
use crate::netns::Netns;
use crate::wait::eventually;

const READY: Duration = Duration::from_secs(15);
const PROGRAM: &str = "VXNET_BIN";

/// vxnet on one hypervisor.
#[derive(Debug)]
pub struct Vxnet {
    netns: Netns,
    binary: PathBuf,
    host: String,
    directory: PathBuf,
    pins: PathBuf,
    daemon: Option<Background>,
    starts: u32,
    uses_clsact: bool,
    /// How long the daemon may take until it is ready, and a teardown until all is gone.
    patience: Duration,
}

impl Vxnet {
    /// Prepares vxnet for `host`, whose files go below `directory` and whose pins to `pins`.
    pub fn new(
        netns: &Netns,
        binary: &Path,
        host: &str,
        directory: PathBuf,
        pins: PathBuf,
    ) -> Result<Self> {
        fs::create_dir_all(directory.join("run"))?;
        Ok(Self {
            netns: netns.clone(),
            binary: binary.to_owned(),
            host: host.to_owned(),
            directory,
            pins,
            daemon: None,
            starts: 0,
            uses_clsact: false,
            patience: READY,
        })
    }

    /// Gives it more time to get ready and to tear down, for a large fabric.
    pub fn be_patient(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The namespace that it runs in.
    pub fn netns(&self) -> &Netns {
        &self.netns
    }

    /// The program under test.
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    pub fn config_path(&self) -> PathBuf {
        self.directory.join("fabric.toml")
    }

    pub fn pin_directory(&self) -> &Path {
        &self.pins
    }

    pub fn run_directory(&self) -> PathBuf {
        self.directory.join("run")
    }

    pub fn write_config(&self, toml: &str) -> Result<()> {
        fs::write(self.config_path(), toml).context("the lab's configuration file")
    }

    /// Makes vxnet attach to TC as on kernels without TCX.
    pub fn use_clsact(&mut self) {
        self.uses_clsact = true;
    }

    /// What to export before calling the binary by hand.
    pub fn environment(&self) -> Vec<(&'static str, PathBuf)> {
        let mut variables = vec![
            ("VXNET_PIN_DIR", self.pins.clone()),
            ("VXNET_RUN_DIR", self.run_directory()),
        ];
        if self.uses_clsact {
            variables.push(("VXNET_ATTACH", "clsact".into()));
        }
        variables
    }

    /// Starts the daemon and waits until it says that forwarding is programmed.
    pub fn start(&mut self) -> Result<()> {
        ensure!(
            self.daemon.is_none(),
            "{}: the daemon runs already",
            self.host
        );
        self.starts += 1;
        let log = self.directory.join(format!("daemon-{}.log", self.starts));
        let mut daemon = self.with_config(["daemon"]).spawn(&log)?;
        daemon.wait_for("ready", self.patience)?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// Kills the daemon outright: `kill -9`.
    pub fn kill(&mut self) -> Result<()> {
        self.end(Signal::SIGKILL)
    }

    /// Asks the daemon to end (SIGTERM), which must leave the data path in place.
    pub fn stop(&mut self) -> Result<()> {
        self.end(Signal::SIGTERM)
    }

    fn end(&mut self, signal: Signal) -> Result<()> {
        let mut daemon = self.daemon.take().context("the daemon does not run")?;
        let status = daemon.stop(signal)?;
        ensure!(
            signal == Signal::SIGKILL || status.success(),
            "{}: daemon ended with {status}\n{}",
            self.host,
            daemon.log()
        );
        Ok(())
    }

    /// Tells whether the daemon that this handle started still runs.
    pub fn is_running(&mut self) -> bool {
        self.daemon.as_mut().is_some_and(Background::is_running)
    }

    /// The process id of the daemon.
    pub fn pid(&self) -> Result<u32> {
        let daemon = self.daemon.as_ref().context("the daemon does not run")?;
        Ok(daemon.pid())
    }

    /// The daemon's resident memory (`VmRSS` of proc(5)), in KiB.
    pub fn resident_kib(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let figure = line.and_then(|rest| rest.split_whitespace().next());
        Ok(figure.context("no VmRSS")?.parse()?)
    }

    /// All that the current daemon has logged.
    pub fn log(&self) -> String {
        self.daemon
            .as_ref()
            .map(Background::log)
            .unwrap_or_default()
    }

    pub fn apply(&self) -> Result<String> {
        self.with_config(["apply"]).run()
    }

    pub fn teardown(&self) -> Result<String> {
        let command = self.command(["teardown", "--force"]);
        command.timeout(self.patience.max(DEFAULT_TIMEOUT)).run()
    }

    pub fn check(&self) -> Result<Output> {
        self.command([OsStr::new("check"), self.config_path().as_os_str()])
            .output()
    }

    /// Runs `vxnet <words>` and returns what it prints.
    pub fn cli(&self, words: &str) -> Result<String> {
        self.command(words.split_whitespace()).run()
    }

    /// Runs `vxnet <words> --json`.
    pub fn json(&self, words: &str) -> Result<Value> {
        self.command(words.split_whitespace()).arg("--json").json()
    }

    /// Runs `vxnet <words> --json` and returns the rows of the array that it prints.
    pub fn rows(&self, words: &str) -> Result<Vec<Value>> {
        match self.json(words)? {
            Value::Array(rows) => Ok(rows),
            other => bail!("`vxnet {words} --json` printed no array: {other}"),
        }
    }

    /// The FDB rows of `mac`.
    pub fn fdb(&self, network: &str, mac: &str) -> Result<Vec<Value>> {
        let mut rows = self.rows("fdb show")?;
        rows.retain(|row| row["network"] == network && row["mac"] == mac);
        Ok(rows)
    }

    /// The sum of the drop counters for `reason`, over all ports.
    pub fn drops(&self, reason: &str) -> Result<u64> {
        let rows = self.rows("drop show")?;
        let of_reason = rows.iter().filter(|row| row["reason"] == reason);
        Ok(of_reason.filter_map(|row| row["count"].as_u64()).sum())
    }

    /// The drop counter for `reason` of one port.
    pub fn drops_of(&self, port: &str, reason: &str) -> Result<u64> {
        let rows = self.rows("drop show")?;
        let row = rows
            .iter()
            .find(|row| row["port"] == port && row["reason"] == reason);
        Ok(row.and_then(|row| row["count"].as_u64()).unwrap_or(0))
    }

    /// Waits until `network`'s guest port `link` is known to vxnet. A port of no VLAN belongs to
    /// nothing that has a name.
    pub fn wait_for_port(&self, network: &str, link: &str) -> Result<()> {
        eventually(Duration::from_secs(5), || {
            let rows = self.rows("port show")?;
            let known = rows.iter().any(|row| {
                let of_network = row["network"] == network || row["network"].is_null();
                of_network && row["port"] == link
            });
            ensure!(known, "port {link} is not in {rows:?}");
            Ok(())
        })
    }

    /// Returns the command for `vxnet <words>` with the fabric file of this hypervisor.
    pub fn with_config<const N: usize>(&self, words: [&str; N]) -> Cmd {
        self.command(words)
            .arg("--config")
            .arg(self.config_path())
            .args(["--host", &self.host])
    }

    /// Returns the command for `vxnet <words>` on this hypervisor.
    pub fn command<A: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = A>) -> Cmd {
        let command = self.netns.command(&self.binary).args(words);
        self.environment()
            .into_iter()
            .fold(command, |command, (name, value)| command.env(name, value))
    }
}

/// Finds the binary under test: `VXNET_BIN`, or the one built beside this program.
pub fn find_binary() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os(PROGRAM) {
        return Ok(path.into());
    }
    let own = std::env::current_exe()?;
    let beside = own
        .ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join("vxnet"));
    beside
        .into_iter()
        .find(|path| path.is_file())
        .with_context(|| {
            format!(
                "no vxnet binary beside {}: build it or set {PROGRAM}",
                own.display()
            )
        })
}
