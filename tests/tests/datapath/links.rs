//! The links of a world.

use std::{fmt::Write as _, time::Duration};

use anyhow::{Result, ensure};
use vxnet::state::{DETOUR, DETOUR_END};
use vxnet_common::map::local::DETOUR_MAC;
use vxnet_tests::{netns::Netns, scope::Scope, wait::eventually};

use crate::fabric::{GATEWAY_MAC, GATEWAY_RED_MAC, HOST, HOST_RED, LINKS, UPLINK_MAC};
use crate::green::{GATEWAY_GREEN_MAC, HOST_GREEN};

/// How long the kernel may take to bring the links up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Returns whether the link in a slot of `PORTS` is a bridge device.
pub(crate) fn is_bridge(slot: u32) -> bool {
    matches!(slot, HOST | HOST_RED | HOST_GREEN)
}

/// Makes a namespace with all links, none of which says anything by itself.
pub(crate) fn make(scope: &Scope) -> Result<Netns> {
    let netns = Netns::create(scope, "dp")?;
    for section in ["all", "default"] {
        netns.sysctl(&format!("net.ipv6.conf.{section}.disable_ipv6"), "1")?;
    }
    let mut batch = String::new();
    for (slot, link) in (1..).zip(LINKS) {
        if is_bridge(slot) {
            let mac = match slot {
                HOST => GATEWAY_MAC,
                HOST_RED => GATEWAY_RED_MAC,
                _ => GATEWAY_GREEN_MAC,
            };
            let mac = vxnet_common::addr::Mac(mac);
            writeln!(
                batch,
                "link add {link} address {mac} up type bridge mcast_snooping 0"
            )?;
        } else {
            writeln!(batch, "link add {link} type veth peer name {link}p")?;
            writeln!(batch, "link set {link} up\nlink set {link}p up")?;
        }
    }
    let mac = vxnet_common::addr::Mac(UPLINK_MAC);
    // Room for a full-sized frame with its outer header.
    write!(
        batch,
        "link set ul address {mac} mtu 1600\nlink set ulp mtu 1600\n"
    )?;
    netns.line("ip -batch -").stdin(batch).run()?;
    detour(scope, &netns)?;
    await_queues(&netns)?;
    Ok(netns)
}

/// Makes a detour like the daemon's, with tools that are not its own.
fn detour(scope: &Scope, netns: &Netns) -> Result<()> {
    let room = Netns::create(scope, "room")?;
    for (key, value) in [("all.rp_filter", "0"), ("all.accept_local", "1")] {
        room.sysctl(&format!("net.ipv4.conf.{key}"), value)?;
    }
    let (host, mac) = (netns.name(), vxnet_common::addr::Mac(DETOUR_MAC));
    let batch = format!(
        "link set lo up\n\
         route add local default dev lo\n\
         route add local ::/0 dev lo\n\
         link add room address {mac} mtu 65535 type veth peer name {DETOUR} netns {host}\n\
         link add {DETOUR_END} netns {host} type vxlan external dstport 4789 udp6zerocsumrx\n\
         link set room addrgenmode none up\n"
    );
    room.line("ip -batch -").stdin(batch).run()?;
    netns.ip(&format!("link set {DETOUR} mtu 65535 up"))?;
    netns.ip(&format!("link set {DETOUR_END} up"))?;
    netns
        .line(&format!("ethtool -K {DETOUR_END} gro off"))
        .run()?;
    Ok(())
}

/// Waits until frames can leave by every link: the kernel gives the first end of a veth its queue
/// after the command that brings the other end up, and loses what is sent before.
fn await_queues(netns: &Netns) -> Result<()> {
    eventually(PATIENCE, || {
        let links = netns.ip("-o link show")?;
        for link in links.lines().filter(|link| !link.contains("LOOPBACK")) {
            ensure!(!link.contains("qdisc noop "), "no queue: {link}");
        }
        Ok(())
    })
}
