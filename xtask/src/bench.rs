//! `cargo xtask bench`: the benchmark, on the binary that is shipped.

use std::{ffi::OsString, path::PathBuf};

use anyhow::Result;
use clap::Args;

use crate::{cargo, lab, privilege, run, toolchain};

#[derive(Args)]
pub(crate) struct Options {
    /// Write all figures to this file too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure only this case
    #[arg(long, value_name = "CASE")]
    only: Option<String>,
    /// Compare with this peer only
    #[arg(long, value_name = "PEER")]
    peer: Option<String>,
    /// Only show that everything works: one short round, not a measurement
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,
    /// How many rounds [default: 5]
    #[arg(long, value_name = "N")]
    rounds: Option<u16>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let lacking = privilege::lacking()?;
    if !lacking.is_empty() {
        return Err(privilege::Refused(format!(
            "the benchmark builds network namespaces and loads programs; this process lacks {}\n\
             hint: sudo -E env PATH=\"$PATH\" cargo xtask bench",
            lacking.join(", ")
        ))
        .into());
    }
    toolchain::ensure_bpf()?;
    lab::ensure()?;
    ensure_ovs(options.peer.as_deref());
    let built = cargo::build(&["vxnet", "vxnet-bench"])?;
    let mut args = vec!["--vxnet".into(), built.join("vxnet").into_os_string()];
    let mut add = |name: &str, value: Option<OsString>| {
        args.extend(value.into_iter().flat_map(|value| [name.into(), value]));
    };
    add("--json", options.json.clone().map(Into::into));
    add("--only", options.only.clone().map(Into::into));
    add("--peer", options.peer.clone().map(Into::into));
    add(
        "--rounds",
        options.rounds.map(|rounds| rounds.to_string().into()),
    );
    args.extend(options.quick.then(|| "--quick".into()));
    run::exec(&built.join("vxnet-bench"), &args)
}

/// Installs Open vSwitch if it is to be compared with. Without it the others are still compared,
/// and the report says who is missing.
fn ensure_ovs(peer: Option<&str>) {
    let is_wanted = peer.is_none_or(|peer| peer.starts_with("ovs"));
    if is_wanted && let Err(error) = lab::ensure_open_vswitch() {
        eprintln!("warning: OVS userspace will be left out: {error:#}");
    }
}
