//! What a host should be, given the fabric and what it is: a pure function.

mod datapath;
mod guard;
mod underlay;

use anyhow::{Result, bail};
use vxnet_common::{addr::Mac, outer};

use self::underlay::Underlay;
use crate::{
    model::{Fabric, Network},
    state::{Bridge, Id, Observed, Spec, State, anchor_names},
};

/// Returns the state that the host of that name should be in.
pub fn desired(fabric: &Fabric, host: &str, observed: &Observed) -> Result<State> {
    let Some(host) = fabric.hosts.get(host) else {
        bail!("the fabric has no host \"{host}\"\nhint: name one of its hosts with --host");
    };
    let mut state = State::new();
    let underlay = Underlay::find(fabric, host, &observed.facts)?;
    let (key, value) = underlay.forwarding();
    state.insert(Id::Sysctl(key), Spec::Sysctl(value));
    let networks: Vec<&Network> = fabric.networks_of(&host.name).collect();
    let guard = guard::guard(&networks, &underlay, &observed.facts);
    state.insert(Id::Guard, Spec::Guard(guard));
    for network in &networks {
        let mtu = mtu(network, &underlay);
        let bridge = Bridge {
            mac: bridge_mac(&host.name, network),
            mtu,
            up: true,
        };
        state.insert(Id::Bridge(network.bridge.clone()), Spec::Bridge(bridge));
        let (port, _) = anchor_names(network.vni.value());
        state.insert(
            Id::Anchor(network.bridge.clone()),
            Spec::Anchor { port, mtu },
        );
        for address in network.gateways.get(&host.name).into_iter().flatten() {
            state.insert(Id::Address(network.bridge.clone(), *address), Spec::Address);
        }
    }
    datapath::fill(&mut state, fabric, host, &networks, &underlay, observed)?;
    Ok(state)
}

/// Returns the MTU of a network: what the user says, or what the underlay leaves room for.
fn mtu(network: &Network, underlay: &Underlay) -> u32 {
    let derived = underlay
        .mtu
        .saturating_sub(outer::overhead(underlay.family));
    network.mtu.map_or(derived, u32::from)
}

/// Returns the MAC address of a host's bridge: always the same, and locally administered. The
/// kernel would take one of the ports', which changes as guests come and go.
fn bridge_mac(host: &str, network: &Network) -> Mac {
    // FNV-1a: stable over versions, which the standard library's hashes do not promise.
    let text = format!("{host}/{}", network.vni);
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let [a, b, c, d, e, ..] = hash.to_be_bytes();
    Mac([0x02, a, b, c, d, e])
}

#[cfg(test)]
pub(crate) mod tests;
