//! `cargo xtask fuzz`: the parsers of what others wrote under libFuzzer, guided by coverage.
//!
//! The crate `tests/fuzz` is built with the compiler of the workspace: what cargo-fuzz would add are
//! only the flags here. Inputs that reach new code are kept in the target directory and are the
//! start of the next run; those that find a bug are named at the end.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{apt, cargo};

mod report;

use report::Run;

#[derive(Args)]
pub(crate) struct Options {
    /// Fuzz only this target [default: all]
    target: Option<String>,
    /// How long each target is fuzzed
    #[arg(long, value_name = "N", default_value_t = 30)]
    seconds: u32,
    /// Only list the targets
    #[arg(long, conflicts_with_all = ["target", "seconds"])]
    list: bool,
}

/// What libFuzzer needs of the compiler: counters at every edge, and the operands of comparisons.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
];

/// Tells of reads behind the end, also where no bound is checked.
const ADDRESS_SANITIZER: &str = "-Zsanitizer=address";

/// Longer inputs are slower and reach no more: frames and small files.
const LONGEST_INPUT: u32 = 4096;

/// An input that takes longer is a finding.
const SLOWEST: Duration = Duration::from_secs(10);

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut targets = targets()?;
    if options.list {
        println!("{}", targets.join("\n"));
        return Ok(());
    }
    if let Some(wanted) = &options.target {
        if !targets.contains(wanted) {
            bail!("no target is named `{wanted}`\nhint: cargo xtask fuzz --list");
        }
        targets.retain(|target| target == wanted);
    }
    let output = cargo::target_dir()?.join("fuzz");
    let program = build(&output)?;
    let mut lines = Vec::new();
    let mut failed = false;
    for target in &targets {
        println!("=== {target} ===");
        let (run, found) = fuzz(&program, &output, target, options.seconds)?;
        println!("{run}");
        lines.push(format!("{target:<16} {run}"));
        for input in &found {
            let line = format!("{:<16} FOUND {}", "", input.display());
            println!("{line}");
            lines.push(line);
        }
        failed |= run.failed;
    }
    println!("=== summary ===\n{}", lines.join("\n"));
    if failed {
        bail!(
            "bugs were found\n\
             hint: copy their inputs to tests/fuzz/corpus/TARGET/: `cargo xtask test --tier unit` \
             runs them from then on"
        );
    }
    Ok(())
}

/// Returns the names of the targets: each has a directory of seeds.
fn targets() -> Result<Vec<String>> {
    let dir = crate_dir().join("corpus");
    let entries = fs::read_dir(&dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn crate_dir() -> PathBuf {
    cargo::root().join("tests/fuzz")
}

/// Builds the program and returns where it is.
fn build(output: &Path) -> Result<PathBuf> {
    if apt::find("c++").is_none() {
        apt::install(&["g++"], "libFuzzer is written in C++")?;
    }
    let host = cargo::capture(Command::new("rustc").arg("-vV")).context("cannot run rustc")?;
    let host = host
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("`rustc -vV` names no host")?;
    let mut flags = COVERAGE.to_vec();
    if has_address_sanitizer(host) {
        flags.push(ADDRESS_SANITIZER);
    } else {
        println!(
            "warning: this rustc has no runtime of AddressSanitizer (librustc-*_rt.asan.a): reads \
             behind an end are only noticed where bounds are checked"
        );
    }
    let mut command = cargo::cargo("build");
    command
        .current_dir(crate_dir())
        .args(["--release", "--locked", "--target", host, "--target-dir"])
        .arg(output)
        // The flags for coverage and sanitizers are not stable.
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    cargo::spawn(&mut command)?;
    Ok(output.join(host).join("release/vxnet-fuzz"))
}

/// Returns whether rustc brings the runtime that a program with AddressSanitizer links.
fn has_address_sanitizer(host: &str) -> bool {
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "target-libdir", "--target", host]);
    let Some(dir) = cargo::capture(&mut rustc) else {
        return false;
    };
    let Ok(mut entries) = fs::read_dir(dir.trim()) else {
        return false;
    };
    entries.any(|entry| {
        entry.is_ok_and(|entry| entry.file_name().to_string_lossy().ends_with("_rt.asan.a"))
    })
}

/// Fuzzes one target; returns how it went, and the inputs that found a bug.
fn fuzz(program: &Path, output: &Path, target: &str, seconds: u32) -> Result<(Run, Vec<PathBuf>)> {
    let grown = output.join("corpus").join(target);
    let crashes = output.join("crashes").join(target);
    for dir in [&grown, &crashes] {
        fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    let log = output.join(format!("{target}.log"));
    let file =
        fs::File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
    let mut command = Command::new(program);
    command
        .env("VXNET_FUZZ_TARGET", target)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={LONGEST_INPUT}"))
        .arg(format!("-timeout={}", SLOWEST.as_secs()))
        .arg("-print_final_stats=1")
        // With the slash: it is put before the names of files.
        .arg(format!("-artifact_prefix={}/", crashes.display()));
    let words = crate_dir().join(format!("{target}.dict"));
    if words.is_file() {
        command.arg(format!("-dict={}", words.display()));
    }
    // New inputs go into the first directory; the seeds stay as they are.
    command
        .arg(&grown)
        .arg(crate_dir().join("corpus").join(target))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file);
    let start = SystemTime::now();
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let text = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let text = String::from_utf8_lossy(&text);
    if !status.success() {
        println!("{}\n({})", report::cause(&text), log.display());
    }
    let run = Run::read(&text, cargo::seconds(start), !status.success());
    Ok((run, since(&crashes, start)?))
}

/// Returns the files in `dir` that were written since `start`.
fn since(dir: &Path, start: SystemTime) -> Result<Vec<PathBuf>> {
    // Timestamps of files are coarser than the clock.
    let start = start - Duration::from_secs(1);
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.metadata()?.modified()? >= start {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}
