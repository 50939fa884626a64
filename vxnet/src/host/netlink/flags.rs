//! Single settings of links that are not vxnet's own.

use anyhow::Result;
use rtnetlink::LinkUnspec;

use super::Netlink;

impl Netlink {
    /// Lets a link take frames for every address, or not. The setting is the link's own, as that of
    /// `ip link set promisc on`: no socket must stay open for it (`dev_change_flags`).
    pub(in crate::host) async fn set_promiscuous(&self, name: &str, on: bool) -> Result<()> {
        let link = LinkUnspec::new_with_index(self.index(name).await?);
        let message = link.promiscuous(on).build();
        Ok(self.handle.link().set(message).execute().await?)
    }

    /// Sets a link up or down.
    pub(in crate::host) async fn set_up(&self, name: &str, up: bool) -> Result<()> {
        let link = LinkUnspec::new_with_index(self.index(name).await?);
        let message = if up { link.up() } else { link.down() }.build();
        Ok(self.handle.link().set(message).execute().await?)
    }

    /// Sets the MTU of a link.
    pub(in crate::host) async fn set_mtu(&self, name: &str, mtu: u32) -> Result<()> {
        let link = LinkUnspec::new_with_index(self.index(name).await?);
        Ok(self
            .handle
            .link()
            .set(link.mtu(mtu).build())
            .execute()
            .await?)
    }
}
