//! The copy of the tree in which mutants live, and its tests.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, Result};

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
            let built = self.cargo(suite, &["--no-run"])?;
            if !built.status.success() {
                return Ok(Verdict::Broken(
                    String::from_utf8_lossy(&built.stderr).into_owned(),
                ));
            }
            let output = self.cargo(suite, &[])?;
            if !output.status.success() {
                return Ok(Verdict::Killed(killer(&output)));
            }
        }
        Ok(Verdict::Survived)
    }

    fn cargo(&self, suite: &[&str], args: &[&str]) -> Result<Output> {
        // coreutils' timeout ends the tests that cargo started too.
        let mut timeout = Command::new("timeout");
        let building = args.contains(&"--no-run");
        let deadline = if building { 0 } else { DEADLINE_SECONDS };
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
            .stdin(std::process::Stdio::null());
        timeout.output().context("cannot run `timeout cargo test`")
    }
}

/// Returns the name of the first failed test in what libtest printed.
fn killer(output: &Output) -> String {
    if output.status.code() == Some(124) {
        return format!("hung for {DEADLINE_SECONDS} s");
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let failed = text
        .lines()
        .find_map(|line| line.strip_suffix(" ... FAILED"));
    failed.map_or("a test program died".to_owned(), |line| {
        line.strip_prefix("test ").unwrap_or(line).to_owned()
    })
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
