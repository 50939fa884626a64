//! What the kernel announces: links, addresses and routes.
//!
//! An event only says that it is time to look. So a lost one costs nothing but the message that
//! some were lost, which says the same.

use anyhow::{Result, bail};
use futures_util::StreamExt as _;
use rtnetlink::MulticastGroup;
use tokio::sync::mpsc;

/// That something was announced, once for all that came since the last look: the thousands of
/// links that we make ourselves are not kept in memory.
pub(super) struct Events {
    heard: mpsc::Receiver<()>,
}

impl Events {
    /// Starts to listen.
    pub(super) fn listen() -> Result<Self> {
        let (connection, _, mut messages) = rtnetlink::new_multicast_connection(&[
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv6Route,
        ])?;
        tokio::spawn(connection);
        let (tell, heard) = mpsc::channel(1);
        tokio::spawn(async move {
            while messages.next().await.is_some() {
                // If there is no room, it has been told already.
                let _ = tell.try_send(());
            }
        });
        Ok(Self { heard })
    }

    /// Waits for one announcement.
    pub(super) async fn wait(&mut self) -> Result<()> {
        match self.heard.recv().await {
            Some(()) => Ok(()),
            None => bail!("the kernel's announcements have ended"),
        }
    }

    /// Forgets the announcements that have arrived: one look serves them all.
    pub(super) fn drain(&mut self) {
        while self.heard.try_recv().is_ok() {}
    }
}
