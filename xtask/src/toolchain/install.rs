//! Installing the BPF toolchain: rustup's nightly where downloads work, else Debian's compiler.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use super::{
    Bpf,
    detect::{self, LINKED, OVERRIDE, Toolchain},
};
use crate::{apt, cargo, privilege};

/// Debian's current compiler for web browsers, with its source, LLVM plugins and clippy. Security
/// updates move it forward: its version is asked from the tool, never written down.
const DEBIAN: &[&str] = &[
    "rustc-web",
    "cargo-web",
    "rust-web-src",
    "rust-web-llvm",
    "rust-web-clippy",
];

/// The series of bpf-linker that builds with the Rust of this workspace.
const LINKER: &str = "^0.13";

/// Installs a toolchain; `why` is what is wrong with those that are there.
pub(super) fn toolchain(why: &str) -> Result<Toolchain> {
    if std::env::var_os(OVERRIDE).is_some() {
        bail!("no toolchain can build the BPF object: {why}\nhint: unset {OVERRIDE}");
    }
    let mut rustup = Command::new("rustup");
    rustup.args(["toolchain", "install", "nightly", "--profile", "minimal"]);
    rustup.args(["--component", "rust-src,clippy"]);
    if !privilege::is_root() {
        bail!(
            "no toolchain can build the BPF object: {why}; installing one takes root\n\
             hint: {}\n\
             hint: or on Debian: apt-get install --no-install-recommends {} && \
             rustup toolchain link {LINKED} /usr",
            cargo::line(&rustup),
            DEBIAN.join(" ")
        );
    }
    println!("no toolchain can build the BPF object: {why}");
    println!("installing a nightly with rust-src: bpfel-unknown-none builds its own `core`");
    match cargo::spawn(&mut rustup) {
        Ok(()) => detect::toolchain().map_err(|error| anyhow!(error)),
        Err(error) => {
            println!("{error}; taking the distribution's compiler");
            debian()
        }
    }
}

/// Installs Debian's compiler and links it under its rustup name.
fn debian() -> Result<Toolchain> {
    apt::install(DEBIAN, "a compiler with the source of `core`")?;
    cargo::spawn(Command::new("rustup").args(["toolchain", "link", LINKED, "/usr"]))?;
    Toolchain::probe(LINKED).map_err(|error| anyhow!(error))
}

/// Installs bpf-linker against the LLVM of `toolchain`; if that LLVM is not to be had, against
/// that of Debian's compiler, which is then the toolchain.
pub(super) fn linker(toolchain: Toolchain) -> Result<Bpf> {
    match build_linker(&toolchain) {
        Ok(()) => found(toolchain),
        Err(error) if toolchain.name.starts_with("nightly") && privilege::is_root() => {
            println!("{error:#}; taking the distribution's compiler");
            let debian = debian()?;
            build_linker(&debian)?;
            // Else the next build would find the nightly first, with an LLVM the linker is not for.
            let name = toolchain.name.as_str();
            let mut rustup = Command::new("rustup");
            rustup.args(["component", "remove", "rust-src", "--toolchain", name]);
            cargo::spawn(&mut rustup)?;
            found(debian)
        }
        Err(error) => Err(error),
    }
}

fn found(toolchain: Toolchain) -> Result<Bpf> {
    let linker = detect::linker().context("bpf-linker was installed but is not found")?;
    Ok(Bpf { toolchain, linker })
}

/// Builds bpf-linker: it reads the compiler's bitcode, so both need the same LLVM.
fn build_linker(toolchain: &Toolchain) -> Result<()> {
    let major = toolchain.llvm;
    let packages = [format!("llvm-{major}-dev"), format!("libpolly-{major}-dev")];
    let prefix = format!("/usr/lib/llvm-{major}");
    let mut cargo = Command::new("cargo");
    cargo.args([
        "install",
        "bpf-linker",
        "--version",
        LINKER,
        "--no-default-features",
    ]);
    cargo.args(["--features", &format!("llvm-{major}")]);
    let library = |name: &str| Path::new(&prefix).join("lib").join(name).exists();
    if !(library("libLLVM.so") && library("libPolly.a")) {
        let names: Vec<_> = packages.iter().map(String::as_str).collect();
        if !privilege::is_root() {
            bail!(
                "bpf-linker is missing\n\
                 hint: apt-get install --no-install-recommends {}\n\
                 hint: LLVM_PREFIX={prefix} {}",
                names.join(" "),
                cargo::line(&cargo)
            );
        }
        ensure!(
            apt::knows(names[0]),
            "no package has LLVM {major} for bpf-linker"
        );
        apt::install(
            &names,
            &format!("bpf-linker for LLVM {major} is built against them"),
        )?;
    }
    println!("installing bpf-linker: it links the BPF object");
    cargo::spawn(cargo.env("LLVM_PREFIX", &prefix))
}
