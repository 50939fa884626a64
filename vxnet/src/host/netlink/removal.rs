//! Removing links.

use anyhow::{Context as _, Result};
use futures_util::TryStreamExt as _;
use rtnetlink::{
    LinkUnspec,
    packet_route::link::{LinkAttribute, LinkMessage},
};

use super::{Netlink, seen::seen};

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
        for name in names {
            let Some(seen) = self.find_bare(name).await?.filter(|seen| seen.link.is_ours) else {
                continue;
            };
            let message = LinkUnspec::new_with_index(seen.link.ifindex)
                .append_extra_attribute(LinkAttribute::Group(DOOMED))
                .build();
            let marked = self.handle.link().set(message).execute().await;
            marked.with_context(|| format!("cannot mark link {name} for removal"))?;
        }
        let doomed = self.doomed().await?;
        // Somebody else uses that number: their links stay.
        if doomed.contains(&false) {
            for name in names {
                self.remove_link(name).await?;
            }
            return Ok(());
        }
        if doomed.is_empty() {
            return Ok(());
        }
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::Group(DOOMED));
        let mut request = self.handle.link().del(0);
        *request.message_mut() = message;
        Ok(request.execute().await?)
    }

    /// Returns the links in the group: for each whether it is ours.
    async fn doomed(&self) -> Result<Vec<bool>> {
        let mut doomed = Vec::new();
        let mut links = self.handle.link().get().execute();
        while let Some(message) = links.try_next().await.context("cannot list the links")? {
            if message.attributes.contains(&LinkAttribute::Group(DOOMED)) {
                doomed.push(seen(&message).link.is_ours);
            }
        }
        Ok(doomed)
    }
}
