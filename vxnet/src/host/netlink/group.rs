//! Multicast groups that the kernel keeps joined without a process: `ip address add … autojoin`.
//!
//! The group is added to the link as an address of its own kind (`IFA_F_MCAUTOJOIN`), and a socket
//! of the kernel's joins it (`net/ipv4/devinet.c`, `ip_mc_autojoin_config`).

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use ipnet::IpNet;
use rtnetlink::packet_route::{
    AddressFamily,
    address::{AddressAttribute, AddressFlags, AddressMessage},
};

use super::{Netlink, PROTOCOL};

impl Netlink {
    /// Joins a group on a link for good.
    pub(in crate::host) async fn join(&self, link: &str, group: IpAddr) -> Result<()> {
        let index = self.index(link).await?;
        let mut request = self.handle.address().add(index, group, 0);
        *request.message_mut() = message(index, group);
        let attributes = &mut request.message_mut().attributes;
        attributes.push(AddressAttribute::Flags(AddressFlags::Mcautojoin));
        attributes.push(AddressAttribute::Protocol(PROTOCOL));
        request
            .execute()
            .await
            .with_context(|| format!("the kernel does not join {group} on {link}"))
    }

    /// Leaves a group that [`Netlink::join`] joined, if the link still has it.
    pub(in crate::host) async fn leave(&self, link: &str, group: IpAddr) -> Result<()> {
        let links = self.links().await?;
        let Some(seen) = links.values().find(|seen| seen.link.name == link) else {
            return Ok(());
        };
        if !seen.own_groups.contains(&group) {
            return Ok(());
        }
        let message = message(seen.link.ifindex, group);
        Ok(self.handle.address().del(message).execute().await?)
    }
}

/// Returns the message that names a group as an address: the library's builder leaves groups out.
fn message(index: u32, group: IpAddr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match group {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = IpNet::from(group).prefix_len();
    message.header.index = index;
    message.attributes = vec![
        AddressAttribute::Address(group),
        AddressAttribute::Local(group),
    ];
    message
}
