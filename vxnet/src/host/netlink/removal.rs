//! Removing links.

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use rtnetlink::{
    LinkUnspec,
    packet_route::link::{LinkAttribute, LinkMessage},
};

use super::{Netlink, seen::seen};
use crate::state::Link;

/// The group (`IFLA_GROUP`) that links of ours are in while they go: "vxnt".
const DOOMED: u32 = u32::from_be_bytes(*b"vxnt");

impl Netlink {
    /// Removes a link of ours, which may be gone already.
    pub(in crate::host) async fn remove_link(&self, name: &str) -> Result<()> {
        match self.find_bare(name).await? {
            Some(seen) => Ok(self.handle.link().del(seen.link.ifindex).execute().await?),
            None => Ok(()),
        }
    }

    /// Removes links of ours, those that are still there.
    ///
    /// All at once, as a group: with each removal the kernel waits several times for all CPUs
    /// (`unregister_netdevice_many`), and nobody else can change a link meanwhile.
    pub(in crate::host) async fn remove_links(&self, names: &[String]) -> Result<()> {
        let mut doomed = Vec::new();
        for name in names {
            if let Some(seen) = self.find_bare(name).await?.filter(|seen| seen.link.is_ours) {
                self.set_group(seen.link.ifindex, DOOMED).await?;
                doomed.push(seen.link.ifindex);
            }
        }
        let mut is_only_ours = true;
        for link in self.marked().await? {
            if doomed.contains(&link.ifindex) {
                continue;
            }
            if link.is_ours {
                // Of a removal that was killed; it may be in use again.
                self.set_group(link.ifindex, 0).await?;
            } else {
                // Somebody else uses that number: their links stay.
                is_only_ours = false;
            }
        }
        if doomed.is_empty() {
            return Ok(());
        }
        if !is_only_ours {
            for ifindex in doomed {
                self.handle.link().del(ifindex).execute().await?;
            }
            return Ok(());
        }
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::Group(DOOMED));
        let mut request = self.handle.link().del(0);
        *request.message_mut() = message;
        Ok(request.execute().await?)
    }

    async fn set_group(&self, ifindex: u32, group: u32) -> Result<()> {
        let message = LinkUnspec::new_with_index(ifindex)
            .append_extra_attribute(LinkAttribute::Group(group))
            .build();
        let set = self.handle.link().set(message).execute().await;
        set.with_context(|| format!("cannot set the group of link {ifindex}"))
    }

    /// Returns the links in the group.
    async fn marked(&self) -> Result<Vec<Link>> {
        let mut marked = Vec::new();
        let mut links = self.handle.link().get().execute();
        while let Some(message) = links.try_next().await.context("cannot list the links")? {
            if message.attributes.contains(&LinkAttribute::Group(DOOMED)) {
                marked.push(seen(&message).link);
            }
        }
        Ok(marked)
    }
}
