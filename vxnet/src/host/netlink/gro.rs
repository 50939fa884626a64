//! The links that GRO needs.

use anyhow::Result;
use rtnetlink::{
    LinkUnspec, LinkVeth, LinkVxlan,
    packet_route::link::{InfoVxlan, LinkAttribute},
};

use super::{Netlink, OURS, is};
use crate::{
    host::offload,
    state::{GRO_END, GRO_LINK, GRO_SOCKET},
};

/// Limits that super-packets exceed, so that the kernel cuts them. By the number of segments, where
/// it is known; the kernel takes no limit of bytes below `MAX_TCP_HEADER`.
const ONE_SEGMENT: u32 = 1;
pub(in crate::host) const SHORTEST_GSO: u32 = 512;
/// The largest MTU that a veth can have: super-packets of any network cross the GRO link.
const LARGEST_MTU: u32 = 65_535;
/// The MTU of the link behind the socket, which carries nothing.
const IDLE_MTU: u32 = 1500;

impl Netlink {
    /// Makes the veth pair on which GRO runs once more: the kernel polls it like a NIC, and so
    /// regroups what crosses it, if its near end sends single segments only and its far end wants
    /// GRO.
    pub(in crate::host) async fn set_gro_link(&self) -> Result<()> {
        let ends = [
            self.find_bare(GRO_LINK).await?,
            self.find_bare(GRO_END).await?,
        ];
        if ends.iter().any(Option::is_none) {
            // An end that was renamed or moved away goes with the other one.
            self.remove_gro_link().await?;
            let message = LinkVeth::new(GRO_LINK, GRO_END).build();
            self.handle.link().add(message).execute().await?;
            for name in [GRO_LINK, GRO_END] {
                self.set_alias(name, OURS).await?;
            }
        }
        // However the packets were put together: none leaves the near end whole.
        let message = LinkUnspec::new_with_index(self.index(GRO_LINK).await?)
            .append_extra_attribute(LinkAttribute::GsoMaxSize(SHORTEST_GSO))
            .append_extra_attribute(LinkAttribute::GsoMaxSegs(ONE_SEGMENT))
            .build();
        self.handle.link().set(message).execute().await?;
        for name in [GRO_LINK, GRO_END] {
            self.set_up_without_ipv6(name, LARGEST_MTU).await?;
        }
        offload::set_tso(GRO_LINK, false)?;
        offload::set_gro(GRO_END, true)
    }

    /// Removes both ends of the GRO link, if one of them is there and ours.
    pub(in crate::host) async fn remove_gro_link(&self) -> Result<()> {
        for name in [GRO_LINK, GRO_END] {
            if self
                .find_bare(name)
                .await?
                .is_some_and(|seen| seen.link.is_ours)
            {
                self.remove_link(name).await?;
            }
        }
        Ok(())
    }

    /// Makes the VXLAN device that makes GRO join VXLAN packets of any peer and VNI: the kernel does
    /// that where a VXLAN socket is bound to their port (`udp_gro_receive`). Packets reach it only if
    /// nobody took them before, and then its program.
    ///
    /// `up` opens the socket. Returns whether the port was free.
    pub(in crate::host) async fn set_gro_socket(&self, port: u16, up: bool) -> Result<bool> {
        let found = self.find_bare(GRO_SOCKET).await?;
        if found.is_some_and(|seen| seen.vxlan_port != Some(port)) {
            self.remove_gro_socket().await?;
        }
        if self.find_bare(GRO_SOCKET).await?.is_none() {
            let message = LinkVxlan::new(GRO_SOCKET, 0)
                .port(port)
                .learning(false)
                .append_info_data(InfoVxlan::CollectMetadata(true))
                .append_info_data(InfoVxlan::UDPZeroCsumRX(true))
                .build();
            self.handle.link().add(message).execute().await?;
            self.set_alias(GRO_SOCKET, OURS).await?;
        }
        if !up {
            return self.set_up(GRO_SOCKET, false).await.map(|()| true);
        }
        let opened = self.set_up_without_ipv6(GRO_SOCKET, IDLE_MTU).await;
        match &opened {
            Err(error)
                if error
                    .downcast_ref()
                    .is_some_and(|error| is(error, libc::EADDRINUSE)) =>
            {
                Ok(false)
            }
            _ => opened.map(|()| true),
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
