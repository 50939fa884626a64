//! Single settings of links that are not vxnet's own.

use anyhow::Result;
use rtnetlink::LinkUnspec;

use super::Netlink;
use crate::host::sysctl;

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

    /// Sets a link of ours up that has no addresses, so that it sends no router solicitations.
    ///
    /// Below 1280 bytes the kernel has no IPv6 on a link, nor its parameters, and makes both anew
    /// when the MTU grows again: so the parameter is written after the MTU, where there is one.
    pub(in crate::host) async fn set_up_without_ipv6(&self, name: &str, mtu: u32) -> Result<()> {
        self.set_mtu(name, mtu).await?;
        sysctl::write_if_there(&format!("net/ipv6/conf/{name}/disable_ipv6"), "1")?;
        self.set_up(name, true).await
    }

    /// Sets a link down, if it is there.
    pub(in crate::host) async fn shut(&self, name: &str) -> Result<()> {
        match self.find_bare(name).await? {
            Some(_) => self.set_up(name, false).await,
            None => Ok(()),
        }
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
