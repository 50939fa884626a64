//! The copy of the tree in which mutants live, and its tests.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result};
use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

use crate::cargo;

/// Long enough for the slowest test, so that only a mutant that hangs is cut off.
const DEADLINE_SECONDS: u32 = 300;

const UNIT: &[&str] = &["--lib", "-p", "vxnet-common", "-p", "vxnet"];
const DATAPATH: &[&str] = &["--test", "datapath", "-p", "vxnet-tests"];

/// A copy of the tree with a target directory of its own, both kept for the next time.
pub(super) struct Tree {
    path: PathBuf,
    target: PathBuf,
    suites: Vec<&'static [&'static str]>,
}

/// What the tests said about the tree as it is.
pub(super) enum Verdict {
    /// The first test that failed.
    Killed(String),
    Survived,
    /// What the compiler said.
    Broken(String),
}

impl Tree {
    /// Brings the copy under `dir` up to date with `root`.
    pub(super) fn copy(root: &Path, dir: &Path, datapath: bool) -> Result<Self> {
        let path = dir.join("tree");
        let tracked = cargo::tracked()?;
        for file in &tracked {
            let contents = fs::read(root.join(file))
                .with_context(|| format!("cannot read {}", file.display()))?;
            // An equal file keeps its time, so that cargo does not build it again.
            if fs::read(path.join(file)).is_ok_and(|copy| copy == contents) {
                continue;
            }
            write(&path.join(file), &contents)?;
        }
        for file in walk(&path)? {
            let own = file.strip_prefix(&path).unwrap_or(&file);
            // cargo writes the lock file itself where git does not track it.
            if !tracked.iter().any(|known| known == own) && own != Path::new("Cargo.lock") {
                fs::remove_file(&file)
                    .with_context(|| format!("cannot remove {}", file.display()))?;
            }
        }
        let suites = if datapath {
            vec![UNIT, DATAPATH]
        } else {
            vec![UNIT]
        };
        Ok(Self {
            path,
            target: dir.join("target"),
            suites,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Tests the tree with `text` in place of what stands in `file`, and puts that back.
    pub(super) fn with(&self, file: &Path, text: &str) -> Result<Verdict> {
        let path = self.path.join(file);
        let original =
            fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        write(&path, text.as_bytes())?;
        // Whatever happens to the tests; a kill -9 in between is repaired by the next `copy`.
        let verdict = self.test();
        write(&path, &original)?;
        verdict
    }

    /// Runs the suites, the cheapest first, until one fails.
    pub(super) fn test(&self) -> Result<Verdict> {
        for suite in &self.suites {
            let built = self
                .cargo(suite, &["--no-run"], 0)
                .output()
                .context("cannot run `timeout cargo test --no-run`")?;
            if !built.status.success() {
                return Ok(Verdict::Broken(
                    String::from_utf8_lossy(&built.stderr).into_owned(),
                ));
            }
            if let Some(by) = first_failed(self.cargo(suite, &[], DEADLINE_SECONDS))? {
                return Ok(Verdict::Killed(by));
            }
        }
        Ok(Verdict::Survived)
    }

    /// Returns `cargo test` of a suite, that ends after so many seconds (0: does not).
    fn cargo(&self, suite: &[&str], args: &[&str], deadline: u32) -> Command {
        // coreutils' timeout ends the tests that cargo started too, on the deadline and if it
        // is ended itself.
        let mut timeout = Command::new("timeout");
        timeout.arg(deadline.to_string());
        let inner = cargo::cargo("test");
        timeout.arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => timeout.env(name, value),
                None => timeout.env_remove(name),
            };
        }
        timeout.args(suite).args(args).current_dir(&self.path);
        timeout
            .env("CARGO_TARGET_DIR", &self.target)
            .stdin(Stdio::null());
        timeout
    }
}

/// Runs tests until one fails, and returns its name. The others are not waited for: one says
/// enough.
fn first_failed(mut tests: Command) -> Result<Option<String>> {
    let mut running = tests
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot run `timeout cargo test`")?;
    let mut by = None;
    if let Some(output) = running.stdout.take() {
        for line in BufReader::new(output).lines() {
            let line = line.context("cannot read what the tests print")?;
            if by.is_none()
                && let Some(name) = failed(&line)
            {
                by = Some(name.to_owned());
                let pid = i32::try_from(running.id()).context("a process id beyond i32")?;
                signal::kill(Pid::from_raw(pid), Signal::SIGTERM)
                    .context("cannot end the other tests")?;
            }
        }
    }
    let status = running.wait().context("cannot wait for the tests")?;
    Ok(match by {
        None if status.code() == Some(124) => Some(format!("hung for {DEADLINE_SECONDS} s")),
        None if !status.success() => Some("a test program died".to_owned()),
        by => by,
    })
}

/// Returns the name of the test that failed by this line of libtest's.
fn failed(line: &str) -> Option<&str> {
    let name = line.strip_suffix(" ... FAILED")?;
    Some(name.strip_prefix("test ").unwrap_or(name))
}

fn write(path: &Path, contents: &[u8]) -> Result<()> {
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    fs::write(path, contents).with_context(|| format!("cannot write {}", path.display()))
}

/// Returns all files under `dir`.
fn walk(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    for entry in entries {
        let path = entry
            .with_context(|| format!("cannot list {}", dir.display()))?
            .path();
        if path.is_dir() {
            found.extend(walk(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}
