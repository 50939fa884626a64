//! An underlay without a router: one Ethernet that all hypervisors are on.
//!
//! For multicast: a router forwards groups only with a routing daemon (PIM), and what matters to a
//! VTEP, joining and sending on a link, is the same without. The bridge in the middle snoops and
//! queries as a switch does, so that a group reaches only those who have joined it.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context as _, Result};

use crate::hypervisor::Kind;
use crate::lab::Lab;
use crate::netns::Netns;
use crate::underlay::plain_nic;

/// The link of every hypervisor to the shared Ethernet.
pub const LINK: &str = "eth1";
const BRIDGE: &str = "lan";

/// Joins all hypervisors of a lab that has not been started, and makes the addresses there their
/// VTEPs. In the namespace returned, `hvN` is the port of hypervisor N.
pub fn join_all(lab: &mut Lab) -> Result<Netns> {
    let lan = Netns::create(&lab.scope, "lan")?;
    // After a second, groups that nobody joined are no longer flooded.
    lan.ip(&format!(
        "link add {BRIDGE} type bridge mcast_snooping 1 mcast_querier 1 \
         mcast_query_response_interval 100"
    ))?;
    lan.ip(&format!("link set {BRIDGE} up"))?;
    for hypervisor in &mut lab.hypervisors {
        let (name, netns) = (&hypervisor.name, &hypervisor.netns);
        netns.ip(&format!(
            "link add {LINK} type veth peer name {name} netns {lan}"
        ))?;
        plain_nic(netns, LINK, lab.wire)?;
        plain_nic(&lan, name, lab.wire)?;
        let last = u8::try_from(hypervisor.number).context("labs are small")?;
        let address = Ipv4Addr::new(10, 78, 0, last);
        netns.ip(&format!("address add {address}/24 dev {LINK}"))?;
        lan.ip(&format!("link set {name} master {BRIDGE} up"))?;
        netns.ip(&format!("link set {LINK} up"))?;
        hypervisor.vtep = IpAddr::V4(address);
    }
    let config = lab.config();
    for hypervisor in &mut lab.hypervisors {
        if hypervisor.kind == Kind::Vxnet {
            hypervisor.vxnet()?.write_config(&config)?;
        }
    }
    Ok(lan)
}
