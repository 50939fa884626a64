//! What the kernel announces: links, addresses and routes.
//!
//! An event only says that it is time to look. So a lost one costs nothing but the message that
//! some were lost, which says the same.

use anyhow::{Result, bail};
use futures_util::{FutureExt as _, StreamExt as _, stream::BoxStream};
use rtnetlink::MulticastGroup;

/// A stream of announcements.
pub(super) struct Events {
    messages: BoxStream<'static, ()>,
}

impl Events {
    /// Starts to listen.
    pub(super) fn listen() -> Result<Self> {
        let (connection, _, messages) = rtnetlink::new_multicast_connection(&[
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv6Route,
        ])?;
        tokio::spawn(connection);
        Ok(Self {
            messages: messages.map(|_| ()).boxed(),
        })
    }

    /// Waits for one announcement.
    pub(super) async fn wait(&mut self) -> Result<()> {
        match self.messages.next().await {
            Some(()) => Ok(()),
            None => bail!("the kernel's announcements have ended"),
        }
    }

    /// Forgets the announcements that have arrived: one look serves them all.
    pub(super) fn drain(&mut self) {
        while let Some(Some(())) = self.messages.next().now_or_never() {}
    }
}
