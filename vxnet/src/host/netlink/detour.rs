//! The links of the detour: a veth into a network namespace of vxnet's, and the VXLAN device that
//! has its socket there and stands on the host itself.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    os::fd::{AsRawFd as _, BorrowedFd},
};

use anyhow::{Context as _, Result};
use rtnetlink::{
    LinkUnspec, LinkVeth, RouteMessageBuilder,
    packet_route::{
        link::{InfoData, InfoVeth, LinkAttribute},
        route::{RouteScope, RouteType},
    },
};
use vxnet_common::map::local::DETOUR_MAC;

use super::{Netlink, OURS, gro_socket::collecting};
use crate::state::{DETOUR, DETOUR_END, DETOUR_ROOM};

/// The largest MTU that a veth can have: super-packets of any network cross the detour.
const LARGEST_MTU: u32 = 65_535;
/// More than any super-packet, whose Ethernet header comes on top of the 64 KiB that GRO makes them:
/// the kernel would cut what is longer before it enters.
const LARGEST_GSO: u32 = 128 << 10;
/// The VXLAN device sends nothing.
const IDLE_MTU: u32 = 1500;
/// `lo` is the first link of every namespace.
const LOOPBACK: u32 = 1;

impl Netlink {
    /// Makes the links, from within the namespace of vxnet's; `host` is the host's.
    pub(in crate::host) async fn make_detour(&self, host: BorrowedFd<'_>, port: u16) -> Result<()> {
        let near = LinkUnspec::new_with_name(DETOUR)
            .setns_by_fd(host.as_raw_fd())
            .build();
        let veth = LinkVeth::new(DETOUR_ROOM, DETOUR)
            .address(DETOUR_MAC.to_vec())
            .mtu(LARGEST_MTU)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(near)))
            .build();
        let added = self.handle.link().add(veth).execute().await;
        added.context("cannot make the link to the detour")?;
        let vxlan = collecting(DETOUR_END, port)
            .setns_by_fd(host.as_raw_fd())
            .build();
        let added = self.handle.link().add(vxlan).execute().await;
        added.context("cannot make the VXLAN device of the detour")?;
        self.set_up(DETOUR_ROOM, true).await
    }

    /// Has the namespace that this is in take packets to any address for its own.
    pub(in crate::host) async fn take_everything(&self) -> Result<()> {
        let lo = LinkUnspec::new_with_index(LOOPBACK).up().build();
        self.handle.link().set(lo).execute().await?;
        let v4 = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(Ipv4Addr::UNSPECIFIED, 0)
            .output_interface(LOOPBACK)
            .table_id(libc::RT_TABLE_LOCAL.into())
            .scope(RouteScope::Host)
            .kind(RouteType::Local)
            .build();
        let added = self.handle.route().add(v4).replace().execute().await;
        added.context("cannot add a local route")?;
        let v6 = RouteMessageBuilder::<Ipv6Addr>::new()
            .destination_prefix(Ipv6Addr::UNSPECIFIED, 0)
            .output_interface(LOOPBACK)
            .table_id(libc::RT_TABLE_LOCAL.into())
            .kind(RouteType::Local)
            .build();
        // A kernel without IPv6 has no packets of it either.
        if let Err(error) = self.handle.route().add(v6).replace().execute().await {
            log::debug!("no local route for IPv6: {error}");
        }
        Ok(())
    }

    /// Brings the ends on the host up.
    pub(in crate::host) async fn open_detour(&self) -> Result<()> {
        let message = LinkUnspec::new_with_index(self.index(DETOUR).await?)
            .append_extra_attribute(LinkAttribute::GsoMaxSize(LARGEST_GSO))
            .append_extra_attribute(LinkAttribute::GsoIpv4MaxSize(LARGEST_GSO))
            .build();
        if let Err(error) = self.handle.link().set(message).execute().await {
            // Kernels before 6.3 have one limit for both.
            log::debug!("{DETOUR} keeps its limit of super-packets: {error}");
        }
        for (name, mtu) in [(DETOUR, LARGEST_MTU), (DETOUR_END, IDLE_MTU)] {
            self.set_alias(name, OURS).await?;
            self.set_up_without_ipv6(name, mtu).await?;
        }
        Ok(())
    }

    /// Removes the ends on the host that are there and ours, and what hangs on them.
    pub(in crate::host) async fn remove_detour(&self) -> Result<()> {
        for name in [DETOUR, DETOUR_END] {
            let found = self.find_bare(name).await?;
            if found.is_some_and(|seen| seen.link.is_ours) {
                self.remove_link(name).await?;
            }
        }
        Ok(())
    }
}
