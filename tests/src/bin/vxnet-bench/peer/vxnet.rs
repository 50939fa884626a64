//! vxnet: the shipped binary with the configuration a user would write.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context as _, Result};
use vxnet_tests::bpffs::Bpffs;
use vxnet_tests::netns::Netns;
use vxnet_tests::scope::Scope;
use vxnet_tests::vxnet::Vxnet;

use crate::peer::{Receive, bridge_name, vni};
use crate::shell::Shell;

/// The ageing time that vxnet and the kernel's bridge have by default.
pub(crate) const AGEING: u32 = 300;

/// The configuration file of a fabric of these hosts.
pub(crate) fn config(vteps: &[Ipv4Addr], networks: usize, receive: Receive, ageing: u32) -> String {
    let mut text = String::new();
    for (index, vtep) in vteps.iter().enumerate() {
        let number = index + 1;
        writeln!(text, "[host.hv{number}]\nunderlay = \"{vtep}\"").ok();
        if receive != Receive::Auto {
            writeln!(text, "receive = \"{}\"", receive.label()).ok();
        }
    }
    for network in 1..=networks {
        let (bridge, vni) = (bridge_name(network), vni(network));
        writeln!(
            text,
            "[network.n{network}]\nbridge = \"{bridge}\"\nvni = {vni}"
        )
        .ok();
        if ageing != AGEING {
            writeln!(text, "ageing = \"{ageing}s\"").ok();
        }
    }
    text
}

/// Starts the daemon of host `number`.
pub(crate) fn start(
    scope: &Scope,
    shell: &Shell,
    bpffs: &Bpffs,
    binary: &Path,
    host: (&Netns, usize),
    config: &str,
) -> Result<Vxnet> {
    let (netns, number) = host;
    let name = format!("hv{number}");
    let (files, pins) = (scope.directory().join(&name), bpffs.pin_directory(&name));
    let mut vxnet = Vxnet::new(netns, binary, &name, files, pins)?;
    vxnet.write_config(config)?;
    let one_line = config.trim_end().replace('\n', "; ");
    shell.note(netns, &format!("cat > fabric.toml  # {one_line}"));
    shell.note(
        netns,
        &format!("vxnet daemon --config fabric.toml --host {name}"),
    );
    vxnet
        .start()
        .with_context(|| format!("vxnet on {name} with\n{config}"))?;
    Ok(vxnet)
}

/// The path that the uplinks of this host really receive through.
pub(crate) fn receives_through(vxnet: &Vxnet) -> Result<String> {
    let status = vxnet.json("status")?;
    let path = &status["uplinks"][0]["receive"];
    Ok(path
        .as_str()
        .map_or_else(|| path.to_string(), str::to_owned))
}
