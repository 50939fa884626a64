//! Bridge: a plain Linux bridge on each host, with the uplink in it; no overlay.
//!
//! On a routed wire the stations of the two hosts are in different subnets, so that their own
//! packets cross the router, as the outer packets of an overlay do.

use anyhow::Result;
use vxnet_tests::netns::Netns;
use vxnet_tests::network::mac_text;

use crate::peer::bridge_name;
use crate::shell::Shell;
use crate::station::{Station, gateway};
use crate::wire::{UPLINK, Underlay, router_link};

/// Makes the bridges, and the router's addresses.
pub(crate) fn make(shell: &Shell, underlay: &Underlay) -> Result<()> {
    let bridge = bridge_name(1);
    for (index, host) in underlay.hosts.iter().enumerate() {
        without_netfilter(shell, host)?;
        shell.ip(host, &format!("link add {bridge} type bridge stp_state 0"))?;
        shell.ip(host, &format!("link set {UPLINK} master {bridge}"))?;
        shell.ip(host, &format!("link set {bridge} up"))?;
        if let Some(router) = &underlay.router {
            let (address, link) = (gateway(index + 1), router_link(index + 1));
            shell.ip(router, &format!("address add {address}/24 dev {link}"))?;
        }
    }
    Ok(())
}

/// Keeps bridges from calling netfilter for every packet: where the kernel has `br_netfilter`, it is
/// on in every new namespace.
pub(super) fn without_netfilter(shell: &Shell, host: &Netns) -> Result<()> {
    let keys = host.line("ls /proc/sys/net/bridge").output()?.stdout;
    let calls = keys
        .split_whitespace()
        .filter(|key| key.starts_with("bridge-nf-call-"));
    for key in calls {
        shell.sysctl(host, &format!("net.bridge.{key}"), "0")?;
    }
    Ok(())
}

/// Tells the router where a station is for good: a drained station answers no neighbour probes.
pub(crate) fn settle(shell: &Shell, router: &Netns, station: &Station) -> Result<()> {
    let (v4, link) = (station.address.v4, router_link(station.host));
    let mac = mac_text(station.address.mac);
    shell.ip(
        router,
        &format!("neighbour replace {v4} lladdr {mac} dev {link} nud permanent"),
    )?;
    Ok(())
}

/// Puts a port into the bridge of its network.
pub(crate) fn attach(shell: &Shell, station: &Station, network: usize) -> Result<()> {
    let (port, bridge) = (&station.port, bridge_name(network));
    let line = format!("link set {port} master {bridge} up");
    shell.ip(&station.host_netns, &line)?;
    Ok(())
}
