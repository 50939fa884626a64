//! `cargo xtask check`: everything about the code that needs no test run.

use std::{fs, path::Path, time::SystemTime};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{cargo, toolchain};

mod arrows;
mod code;
mod files;

#[derive(Args)]
pub(crate) struct Options {
    /// Check only what needs no compiler
    #[arg(long)]
    fast: bool,
}

/// The crates for the machine itself, all at once: see [`cargo::TOGETHER`].
const USERSPACE: &[&str] = &[
    "-p",
    "vxnet",
    "-p",
    "vxnet-common",
    "-p",
    "vxnet-tests",
    "-p",
    "xtask",
];

type Step = (&'static str, fn() -> Result<()>);

const FAST: &[Step] = &[("format", format), ("rooms and files", sources)];
const SLOW: &[Step] = &[("clippy", clippy), ("clippy for BPF", bpf), ("docs", docs)];

pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.fast {
        toolchain::ensure_bpf()?;
    }
    let slow = if options.fast { &[] } else { SLOW };
    let mut lines = Vec::new();
    let mut failed = false;
    // All of them, also after one failed: the next run should not bring the next surprise.
    for (name, step) in FAST.iter().chain(slow) {
        println!("=== {name} ===");
        let start = SystemTime::now();
        let word = match step() {
            Ok(()) => "ok    ",
            Err(error) => {
                println!("{error:#}");
                failed = true;
                "FAILED"
            }
        };
        lines.push(format!(
            "{name:<16} {word} in {:.1} s",
            cargo::seconds(start)
        ));
    }
    println!("=== summary ===\n{}", lines.join("\n"));
    if failed {
        bail!("checks failed");
    }
    Ok(())
}

fn format() -> Result<()> {
    cargo::spawn(cargo::cargo("fmt").args(["--all", "--check"]))
}

/// Checks the sources themselves.
fn sources() -> Result<()> {
    let mut errors = Vec::new();
    for path in cargo::tracked()? {
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let source = fs::read_to_string(cargo::root().join(&path))
            .with_context(|| format!("cannot read {}", path.display()))?;
        errors.extend(arrows::check(&path, &source));
        errors.extend(files::check(&path, &source));
    }
    if !errors.is_empty() {
        bail!("{}", errors.join("\n"));
    }
    Ok(())
}

/// For release, because the tests are: both then share the BPF object, and `core` is built once.
fn clippy() -> Result<()> {
    let mut command = cargo::cargo("clippy");
    command.args(["--release", "--all-targets"]).args(USERSPACE);
    cargo::spawn(command.args(["--", "-D", "warnings"]))
}

fn docs() -> Result<()> {
    let mut command = cargo::cargo("doc");
    command
        .args(["--release", "--no-deps", "--document-private-items"])
        .args(USERSPACE);
    cargo::spawn(command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Lints the kernel programs with the compiler that builds them.
fn bpf() -> Result<()> {
    let bpf = toolchain::ensure_bpf()?;
    let mut command = bpf.toolchain.command("cargo");
    if bpf.toolchain.has_clippy() {
        command.arg("clippy");
    } else {
        println!(
            "toolchain `{}` has no clippy: only the warnings of rustc are checked",
            bpf.toolchain.name
        );
        command.arg("check");
    }
    command
        .args([
            "--package",
            "vxnet-ebpf",
            "--release",
            "--target",
            "bpfel-unknown-none",
        ])
        .args(["-Z", "build-std=core", "--target-dir"])
        // Not the build's own: two compilers in one directory make each other start over.
        .arg(cargo::target_dir()?.join("bpf-check"))
        // Not RUSTFLAGS: those would reach `core`, whose warnings are not ours.
        .args(["-Z", "warnings", "--config", "build.warnings=\"deny\""])
        .env("PATH", toolchain::path_with(&bpf.linker))
        .current_dir(cargo::root());
    cargo::spawn(&mut command)
}

/// Returns whether a file (relative to the workspace or a crate) holds nothing but tests.
fn is_test(path: &Path) -> bool {
    let in_tests = path
        .parent()
        .is_some_and(|dir| dir.iter().any(|part| part == "tests"));
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    in_tests || stem == "tests" || stem.ends_with("_tests")
}
