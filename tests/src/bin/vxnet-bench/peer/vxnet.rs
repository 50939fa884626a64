//! vxnet: the shipped binary with the configuration a user would write.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::Path;

use anyhow::{Context as _, Result};
use vxnet_tests::bpffs::Bpffs;
use vxnet_tests::netns::Netns;
use vxnet_tests::network::mac_text;
use vxnet_tests::scope::Scope;
use vxnet_tests::vxnet::Vxnet;

use crate::bed::Spec;
use crate::peer::{Receive, bridge_name, port_name, vni};
use crate::shell::Shell;
use crate::station::{Address, Kind};

/// The ageing time that vxnet and the kernel's bridge have by default.
pub(crate) const AGEING: u32 = 300;

/// The configuration file of a fabric of these hosts.
pub(crate) fn config(vteps: &[Ipv4Addr], spec: Spec, receive: Receive, ageing: u32) -> String {
    let mut text = String::new();
    for (index, vtep) in vteps.iter().enumerate() {
        let number = index + 1;
        writeln!(text, "[host.hv{number}]\nunderlay = \"{vtep}\"").ok();
        if receive != Receive::Auto {
            writeln!(text, "receive = \"{}\"", receive.label()).ok();
        }
        if spec.features {
            bind(&mut text, number);
        }
    }
    for network in 1..=spec.networks {
        let (bridge, vni) = (bridge_name(network), vni(network));
        writeln!(text, "[network.n{network}]\nbridge = \"{bridge}\"").ok();
        if spec.features {
            writeln!(text, "{}", FEATURES.replace("VNI", &vni.to_string())).ok();
        } else {
            writeln!(text, "vni = {vni}").ok();
        }
        if ageing != AGEING {
            writeln!(text, "ageing = \"{ageing}s\"").ok();
        }
    }
    text
}

/// A network in which frames are checked for all that they can be checked for.
const FEATURES: &str = "\
vlans = [1001, 1002]
[network.n1.vlan.1001]
vni = VNI
suppress = true
[network.n1.portgroup.guests]
vlan = 1001
default = true
bum-limit = 1000000";

/// Binds the ports of host `number` to the addresses of their stations.
fn bind(text: &mut String, number: usize) {
    for kind in [Kind::Veth, Kind::Tap, Kind::Mute] {
        let Address { mac, v4, .. } = Address::bridged(kind, number);
        let (port, mac) = (port_name(1, kind), mac_text(mac));
        writeln!(
            text,
            "[host.hv{number}.port.{port}]\nmac = \"{mac}\"\nip = \"{v4}\""
        )
        .ok();
    }
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
