//! `cargo xtask run`: the lab, or the program itself.

use std::{env, ffi::OsString, os::unix::process::CommandExt as _, path::Path, process::Command};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{cargo, lab, privilege, toolchain};

#[derive(Args)]
pub(crate) struct Options {
    /// Leave the lab standing at the end
    #[arg(long, conflicts_with = "args")]
    keep: bool,
    /// Measure for a shorter time
    #[arg(long, conflicts_with = "args")]
    quick: bool,
    /// Arguments for `vxnet`, which is then run instead of the lab
    #[arg(last = true)]
    args: Vec<OsString>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if !options.args.is_empty() {
        toolchain::ensure_bpf()?;
        let vxnet = cargo::build(&["vxnet"])?.join("vxnet");
        return exec(&vxnet, &options.args);
    }

    let lacking = privilege::lacking()?;
    if !lacking.is_empty() {
        return Err(privilege::Refused(format!(
            "the lab builds network namespaces and loads programs; this process lacks {}\n\
             hint: sudo -E env PATH=\"$PATH\" cargo xtask run",
            lacking.join(", ")
        ))
        .into());
    }
    toolchain::ensure_bpf()?;
    lab::ensure()?;
    let built = cargo::build(&["vxnet", "vxnet-lab"])?;
    let mut args = vec!["--vxnet".into(), built.join("vxnet").into_os_string()];
    args.extend(options.keep.then(|| "--keep".into()));
    args.extend(options.quick.then(|| "--quick".into()));
    exec(&built.join("vxnet-lab"), &args)
}

/// Becomes `program`: Ctrl-C reaches it alone, and its exit code is ours.
pub(crate) fn exec(program: &Path, args: &[OsString]) -> Result<()> {
    let mut command = Command::new(program);
    // cargo lets the libraries of its toolchain leak into what it runs.
    for name in env::vars_os().map(|(name, _)| name) {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO") || text == "LD_LIBRARY_PATH" {
            command.env_remove(&name);
        }
    }
    let error = command.args(args).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}
