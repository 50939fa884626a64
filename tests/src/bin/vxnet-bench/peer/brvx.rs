//! Brvx: a Linux bridge and the kernel's VXLAN device on each host, set up in vxnet's favour
//! nowhere: no outer checksums, the MTU of the others, no netfilter.

use std::net::Ipv4Addr;

use anyhow::Result;
use vxnet_tests::netns::Netns;

use crate::peer::{bridge, bridge_name, vni};
use crate::shell::Shell;
use crate::wire::GUEST_MTU;

/// Makes the bridges and devices of that many networks on one host.
pub(crate) fn make(
    shell: &Shell,
    host: &Netns,
    local: Ipv4Addr,
    others: &[Ipv4Addr],
    networks: usize,
    ageing: u32,
) -> Result<()> {
    bridge::without_netfilter(shell, host)?;
    for network in 1..=networks {
        let (bridge, vni) = (bridge_name(network), vni(network));
        let device = format!("vx{vni}");
        let centiseconds = ageing * 100;
        shell.ip(
            host,
            &format!(
                "link add {bridge} mtu {GUEST_MTU} type bridge stp_state 0 \
                 ageing_time {centiseconds}"
            ),
        )?;
        shell.ip(
            host,
            &format!(
                "link add {device} mtu {GUEST_MTU} type vxlan id {vni} local {local} \
                 dstport 4789 noudpcsum learning ageing {ageing}"
            ),
        )?;
        shell.ip(host, &format!("link set {device} master {bridge} up"))?;
        shell.ip(host, &format!("link set {bridge} up"))?;
        for other in others {
            shell.run(
                host,
                &format!("bridge fdb append 00:00:00:00:00:00 dev {device} dst {other}"),
            )?;
        }
    }
    Ok(())
}
