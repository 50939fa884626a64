//! `cargo xtask toolchain`: what builds the BPF object, and how to get it.

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::Command,
};

use anyhow::Result;
use clap::Args;

use crate::{cargo, lab};

mod detect;
mod install;

pub(crate) use detect::{Toolchain, path_with};

#[derive(Args)]
pub(crate) struct Options {
    /// Install what is missing
    #[arg(long)]
    install: bool,
}

/// What builds the BPF object.
pub(crate) struct Bpf {
    pub(crate) toolchain: Toolchain,
    pub(crate) linker: PathBuf,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.install {
        ensure_bpf()?;
        lab::ensure()?;
    }
    let missing = show();
    if missing && !options.install {
        println!("\nhint: run `cargo xtask toolchain --install`");
    }
    Ok(())
}

/// Makes sure that the BPF object can be built, installing what is missing.
pub(crate) fn ensure_bpf() -> Result<Bpf> {
    let toolchain = match detect::toolchain() {
        Ok(toolchain) => toolchain,
        Err(why) => install::toolchain(&why)?,
    };
    match detect::linker() {
        Some(linker) => Ok(Bpf { toolchain, linker }),
        None => install::linker(toolchain),
    }
}

/// Prints the table, and returns whether something is missing.
fn show() -> bool {
    let mut missing = false;
    let userspace = cargo::capture(Command::new("rustc").arg("--version"));
    row(
        "rustc (userspace)",
        userspace.as_deref().unwrap_or("missing"),
    );

    match detect::toolchain() {
        Ok(toolchain) => {
            row(
                "BPF toolchain",
                &format!("{} ({})", toolchain.name, toolchain.release),
            );
            row("  LLVM", &toolchain.llvm.to_string());
            row(
                "  source of core",
                &toolchain.source().display().to_string(),
            );
        }
        Err(why) => {
            missing = true;
            row("BPF toolchain", &format!("missing: {why}"));
        }
    }
    if let Some(linker) = detect::linker() {
        let version = cargo::capture(Command::new(&linker).arg("--version"));
        let version = version.as_deref().unwrap_or("does not run");
        row(
            "bpf-linker",
            &format!("{} ({})", version.trim(), linker.display()),
        );
    } else {
        missing = true;
        row("bpf-linker", "missing");
    }
    for tool in lab::TOOLS {
        let found = tool.path();
        missing |= found.is_none();
        let found = found.map_or("missing".to_owned(), |path| path.display().to_string());
        row(tool.binary, &format!("{found:<20} {}", tool.purpose));
    }
    missing
}

fn row(name: &str, value: &str) {
    // A reader such as `head` may have seen enough.
    let _ = writeln!(io::stdout(), "{name:<18} {}", value.trim());
}
