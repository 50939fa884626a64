//! Captures by tcpdump, read by tshark: two decoders that share no code with vxnet.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;

use crate::command::{Background, Cmd};
use crate::netns::Netns;
use crate::scope::Scope;
use crate::wait::eventually;

const START: Duration = Duration::from_secs(5);
/// A file that has not grown for so long is complete.
const QUIET: Duration = Duration::from_millis(150);

/// Enough for a frame of MTU size. In immediate mode every packet takes so much of the buffer, so
/// that whole super-packets would leave room for a few only.
const SNAP: u32 = 2048;
const BUFFER_KIB: u32 = 32 << 10;

/// A running tcpdump.
#[derive(Debug)]
pub struct Capture {
    tcpdump: Background,
    file: PathBuf,
}

impl Capture {
    /// Starts to capture on `link` in `netns` what `filter` (pcap syntax) accepts.
    pub fn start(scope: &Scope, netns: &Netns, link: &str, filter: &str) -> Result<Self> {
        let file = scope.directory().join(format!("{netns}-{link}.pcap"));
        let mut tcpdump = netns
            .line(&format!(
                "tcpdump -i {link} -n -U -s {SNAP} -B {BUFFER_KIB} --immediate-mode -Z root -w"
            ))
            .arg(&file)
            .args(filter.split_whitespace())
            .spawn(&file.with_extension("log"))?;
        tcpdump.wait_for("listening on", START)?;
        Ok(Self { tcpdump, file })
    }

    /// Ends the capture once tcpdump has written what has arrived: a signal makes it forget the
    /// rest.
    pub fn finish(mut self) -> Result<Pcap> {
        let mut size = None;
        eventually(START, || {
            std::thread::sleep(QUIET);
            let before = size.replace(std::fs::metadata(&self.file)?.len());
            ensure!(before == size, "the capture still grows");
            Ok(())
        })?;
        self.tcpdump.stop(Signal::SIGINT)?;
        Ok(Pcap { file: self.file })
    }
}

/// A finished capture.
#[derive(Debug, Clone)]
pub struct Pcap {
    file: PathBuf,
}

impl Pcap {
    pub fn path(&self) -> &Path {
        &self.file
    }

    /// Returns these tshark fields of every packet that `filter` (display syntax) accepts.
    ///
    /// A field that occurs more than once (outer and inner) has its values joined by commas, the
    /// outermost first.
    pub fn fields(&self, filter: &str, fields: &[&str]) -> Result<Vec<Vec<String>>> {
        let mut command = self
            .tshark(filter)
            .args(["-T", "fields", "-E", "separator=|"]);
        for field in fields {
            command = command.args(["-e", field]);
        }
        let text = command.run()?;
        Ok(text
            .lines()
            .map(|line| line.split('|').map(str::to_owned).collect())
            .collect())
    }

    /// Returns the number of packets that `filter` (display syntax) accepts.
    pub fn count(&self, filter: &str) -> Result<usize> {
        Ok(self.tshark(filter).run()?.lines().count())
    }

    /// Returns tshark's one-line summaries.
    pub fn summary(&self, filter: &str) -> Result<String> {
        self.tshark(filter).run()
    }

    /// Returns tshark's full decode of the packets.
    pub fn decode(&self, filter: &str) -> Result<String> {
        self.tshark(filter).arg("-V").run()
    }

    /// Fails if tshark finds any packet malformed or any of its checksums wrong.
    pub fn ensure_well_formed(&self) -> Result<()> {
        let bad = "_ws.malformed || ip.checksum.status == 0";
        let found = self.summary(bad)?;
        ensure!(found.is_empty(), "bad packets on the wire:\n{found}");
        Ok(())
    }

    fn tshark(&self, filter: &str) -> Cmd {
        Cmd::new("tshark")
            .arg("-n")
            .arg("-r")
            .arg(&self.file)
            .args([
                "-o",
                "ip.check_checksum:TRUE",
                "-Y",
                if filter.is_empty() { "frame" } else { filter },
            ])
    }
}
