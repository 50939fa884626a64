//! Open vSwitch in a namespace: its two programs, private to a lab, and their control socket.

use std::fs;
use std::io::{BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::command::{Background, Cmd};
use crate::netns::Netns;
use crate::wait::eventually;

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
const START: Duration = Duration::from_secs(10);
/// How long a command over the control socket may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running `ovsdb-server` and `ovs-vswitchd`.
#[derive(Debug)]
pub struct OpenVswitch {
    netns: Netns,
    directory: PathBuf,
    switch: Background,
    _database: Background,
}

impl OpenVswitch {
    /// Starts both programs with everything of theirs below `directory`; `options` are those of
    /// `ovs-vswitchd`.
    pub fn start(netns: &Netns, directory: &Path, options: &str) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let file = |name: &str| directory.join(name).display().to_string();
        let environment = |command: Cmd| {
            ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"]
                .iter()
                .fold(command, |command, name| command.env(name, directory))
        };
        Cmd::new("ovsdb-tool")
            .args(["create", &file("conf.db"), SCHEMA])
            .run()
            .context("Open vSwitch is not installed (package openvswitch-switch)")?;
        let line = format!(
            "ovsdb-server {} --remote=punix:{} --unixctl={} --pidfile={}",
            file("conf.db"),
            file("db.sock"),
            file("ovsdb.ctl"),
            file("ovsdb.pid")
        );
        let database = environment(netns.line(&line)).spawn(&directory.join("ovsdb.log"))?;
        eventually(START, || {
            // The socket is there a moment before anybody listens to it.
            let listens = UnixStream::connect(directory.join("db.sock")).is_ok();
            ensure!(listens, "ovsdb-server does not listen: {}", database.log());
            Ok(())
        })?;
        let line = format!(
            "ovs-vswitchd unix:{} {options} --unixctl={} --pidfile={}",
            file("db.sock"),
            file("switch.ctl"),
            file("switch.pid")
        );
        let switch = environment(netns.line(&line)).spawn(&directory.join("switch.log"))?;
        let open_vswitch = Self {
            netns: netns.clone(),
            directory: directory.to_owned(),
            switch,
            _database: database,
        };
        open_vswitch.vsctl("--no-wait init")?;
        Ok(open_vswitch)
    }

    /// Runs `ovs-vsctl <line>` and waits until the switch has taken it over.
    pub fn vsctl(&self, line: &str) -> Result<String> {
        let database = format!("--db=unix:{}", self.directory.join("db.sock").display());
        self.netns
            .command("ovs-vsctl")
            .args([database.as_str(), "--timeout=25"])
            .args(line.split_whitespace())
            .run()
            .with_context(|| self.switch.log())
    }

    /// The process id of `ovs-vswitchd`.
    pub fn pid(&self) -> u32 {
        self.switch.pid()
    }

    /// What `ovs-vswitchd` has said.
    pub fn log(&self) -> String {
        self.switch.log()
    }

    /// Connects to the switch as `ovs-appctl` does.
    pub fn control(&self) -> Result<Control> {
        let path = self.directory.join("switch.ctl");
        let stream = eventually(START, || Ok(UnixStream::connect(&path)?))
            .with_context(|| self.switch.log())?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Control {
            answers: BufReader::new(stream.try_clone()?),
            stream,
            requests: 0,
        })
    }
}

/// A connection to the control socket, for many commands: a process for each would take most of
/// the time. The protocol is JSON-RPC 1.0 (`ovs-appctl(8)`, `lib/unixctl.c`).
#[derive(Debug)]
pub struct Control {
    stream: UnixStream,
    answers: BufReader<UnixStream>,
    requests: u64,
}

impl Control {
    /// Runs a command and returns what it prints.
    pub fn call(&mut self, command: &str, arguments: &[&str]) -> Result<String> {
        self.requests += 1;
        let request = json!({"method": command, "params": arguments, "id": self.requests});
        self.stream.write_all(request.to_string().as_bytes())?;
        // The answer ends where the object does; nothing follows it.
        let answer = serde_json::Deserializer::from_reader(&mut self.answers)
            .into_iter::<Value>()
            .next()
            .with_context(|| format!("{command}: no answer"))??;
        let text = answer["result"].as_str();
        text.map(str::to_owned)
            .with_context(|| format!("{command} {arguments:?}: {}", answer["error"]))
    }
}
