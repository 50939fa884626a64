//! The VXLAN device that is there for its socket.

use anyhow::Result;
use rtnetlink::{LinkMessageBuilder, LinkVxlan, packet_route::link::InfoVxlan};

use super::{Netlink, OURS, is};
use crate::state::GRO_SOCKET;

/// The MTU of the link behind the socket, which carries nothing.
const IDLE_MTU: u32 = 1500;

/// Describes a VXLAN device that takes packets of every peer and VNI.
pub(super) fn collecting(name: &str, port: u16) -> LinkMessageBuilder<LinkVxlan> {
    LinkVxlan::new(name, 0)
        .port(port)
        .learning(false)
        .append_info_data(InfoVxlan::CollectMetadata(true))
        .append_info_data(InfoVxlan::UDPZeroCsumRX(true))
}

impl Netlink {
    /// Makes the VXLAN device that makes GRO join VXLAN packets of any peer and VNI: the kernel does
    /// that where a VXLAN socket is bound to their port (`udp_gro_receive`). Packets reach it only if
    /// nobody took them before, and it takes no VNI (`vnifilter`), so that the kernel drops them.
    ///
    /// Returns whether the port was free.
    pub(in crate::host) async fn set_gro_socket(&self, port: u16) -> Result<bool> {
        let found = self.find_bare(GRO_SOCKET).await?;
        if found.is_some_and(|seen| seen.vxlan_port != Some(port)) {
            self.remove_gro_socket().await?;
        }
        if self.find_bare(GRO_SOCKET).await?.is_none() {
            let message = collecting(GRO_SOCKET, port)
                .append_info_data(InfoVxlan::Vnifilter(true))
                .build();
            self.handle.link().add(message).execute().await?;
            self.set_alias(GRO_SOCKET, OURS).await?;
        }
        let opened = self.set_up_without_ipv6(GRO_SOCKET, IDLE_MTU).await;
        let is_taken = |error: &rtnetlink::Error| is(error, libc::EADDRINUSE);
        match opened {
            Err(error) if error.downcast_ref().is_some_and(is_taken) => Ok(false),
            opened => opened.map(|()| true),
        }
    }

    /// Removes the device, if it is there and ours.
    pub(in crate::host) async fn remove_gro_socket(&self) -> Result<()> {
        let found = self.find_bare(GRO_SOCKET).await?;
        if found.is_some_and(|seen| seen.link.is_ours) {
            self.remove_link(GRO_SOCKET).await?;
        }
        Ok(())
    }
}
