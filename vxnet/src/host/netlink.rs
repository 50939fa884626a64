//! Links, addresses and routes, through route netlink.

mod detour;
mod flags;
mod gro_socket;
mod group;
mod removal;
mod seen;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use anyhow::{Context as _, Result, bail};
use futures_util::TryStreamExt as _;
use ipnet::IpNet;
use rtnetlink::{
    AddressMessageBuilder, Handle, LinkBridge, LinkUnspec, LinkVeth, RouteMessageBuilder,
    packet_route::{
        address::{AddressAttribute, AddressProtocol, AddressScope},
        link::{BridgeStpState, LinkAttribute},
        route::{RouteAttribute, RouteMetric},
    },
};
use std::net::{Ipv4Addr, Ipv6Addr};

use self::seen::seen;
use crate::state::Bridge;

pub(super) use self::seen::Seen;

/// Marks the links that vxnet made, in their alias.
const OURS: &str = "vxnet";
/// Marks bridges that vxnet found and uses, with their former address and MTU behind it.
const ADOPTED: &str = "vxnet (adopted) ";
/// Marks bridges that vxnet made and let go of because they had guests: ours again once a network
/// wants them, and till then like anybody's.
const LEFT: &str = "vxnet (left)";
/// Marks the addresses that vxnet added (`IFA_PROTO`; the kernel only stores it).
const PROTOCOL: AddressProtocol = AddressProtocol::Other(0x76);

/// A connection to the kernel's route netlink.
#[derive(Clone)]
pub struct Netlink {
    handle: Handle,
}

/// A way through the underlay.
pub(super) struct Route {
    /// The link that it leaves by.
    pub(super) ifindex: u32,
    /// The MTU of the path, where a route or a router on the way has told one.
    pub(super) mtu: Option<u32>,
}

impl Netlink {
    /// Connects, in the network namespace of the calling thread.
    pub fn connect() -> Result<Self> {
        let (connection, handle, _) =
            rtnetlink::new_connection().context("cannot open a netlink socket")?;
        tokio::spawn(connection);
        Ok(Self { handle })
    }

    /// Returns all links with their addresses.
    pub(super) async fn links(&self) -> Result<BTreeMap<u32, Seen>> {
        let mut links = BTreeMap::new();
        let mut stream = self.handle.link().get().execute();
        while let Some(message) = stream.try_next().await.context("cannot list the links")? {
            let seen = seen(&message);
            links.insert(seen.link.ifindex, seen);
        }
        let mut stream = self.handle.address().get().execute();
        while let Some(message) = stream
            .try_next()
            .await
            .context("cannot list the addresses")?
        {
            let local = message
                .attributes
                .iter()
                .find_map(|attribute| match attribute {
                    AddressAttribute::Local(address) => Some(*address),
                    _ => None,
                });
            let address = local.or_else(|| {
                message
                    .attributes
                    .iter()
                    .find_map(|attribute| match attribute {
                        AddressAttribute::Address(address) => Some(*address),
                        _ => None,
                    })
            });
            let (Some(seen), Some(address)) = (links.get_mut(&message.header.index), address)
            else {
                continue;
            };
            let is_own = message
                .attributes
                .contains(&AddressAttribute::Protocol(PROTOCOL));
            if address.is_multicast() {
                // No address of the host, but a group that the kernel keeps joined.
                if is_own {
                    seen.own_groups.push(address);
                }
                continue;
            }
            // A link-local address is the kernel's own business.
            if message.header.scope == AddressScope::Link {
                continue;
            }
            if let Ok(net) = IpNet::new(address, message.header.prefix_len) {
                seen.link.addresses.push(net);
                if is_own {
                    seen.own_addresses.push(net);
                }
            }
        }
        Ok(links)
    }

    /// Returns the links that let frames through, by ifindex.
    pub async fn running(&self) -> Result<BTreeSet<u32>> {
        let links = self.links().await?.into_iter();
        Ok(links
            .filter(|(_, seen)| seen.is_running)
            .map(|(ifindex, _)| ifindex)
            .collect())
    }

    /// Returns the way that packets to an address leave by, if there is a route.
    pub(super) async fn route(&self, to: IpAddr) -> Option<Route> {
        let request = match to {
            IpAddr::V4(to) => RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(to, 32)
                .build(),
            IpAddr::V6(to) => RouteMessageBuilder::<Ipv6Addr>::new()
                .destination_prefix(to, 128)
                .build(),
        };
        let mut request = self.handle.route().get(request);
        // A question about one destination, not a dump.
        request.message_mut().header.table = 0;
        let reply = Box::pin(request.execute()).try_next().await.ok()??;
        let ifindex = reply
            .attributes
            .iter()
            .find_map(|attribute| match attribute {
                RouteAttribute::Oif(ifindex) => Some(*ifindex),
                _ => None,
            })?;
        let metrics = reply.attributes.iter().filter_map(|attribute| {
            let RouteAttribute::Metrics(metrics) = attribute else {
                return None;
            };
            Some(metrics)
        });
        let mtu = metrics.flatten().find_map(|metric| match metric {
            RouteMetric::Mtu(mtu) => Some(*mtu),
            _ => None,
        });
        Some(Route { ifindex, mtu })
    }

    /// Makes a bridge, or adopts the one of that name, and sets it up.
    pub(super) async fn set_bridge(&self, name: &str, bridge: &Bridge) -> Result<()> {
        match self.find_bare(name).await? {
            None => {
                let message = LinkBridge::new(name)
                    .stp_state(BridgeStpState::Disabled)
                    .mcast_snooping(false)
                    .address(bridge.mac.0.to_vec())
                    .build();
                self.handle.link().add(message).execute().await?;
                self.set_alias(name, OURS).await?;
            }
            Some(seen) if seen.is_left => self.set_alias(name, OURS).await?,
            Some(seen) if seen.link.is_ours || seen.is_adopted() => {}
            Some(seen) => {
                let former = seen.link;
                let alias = format!("{ADOPTED}{} {}", former.mac, former.mtu);
                self.set_alias(name, &alias).await?;
            }
        }
        let ifindex = self.index(name).await?;
        let message = LinkUnspec::new_with_index(ifindex)
            .address(bridge.mac.0.to_vec())
            .mtu(bridge.mtu)
            .up()
            .build();
        self.handle
            .link()
            .set(message)
            .execute()
            .await
            .context("cannot set the bridge up")
    }

    /// Lets go of a bridge, and returns whether it is to be removed: vxnet made it. One that it
    /// adopted stays, with its former address and MTU; and one with guests in it stays unless
    /// forced, so that nobody is unplugged by a change of the file.
    pub(super) async fn release_bridge(&self, name: &str, force: bool) -> Result<bool> {
        let Some(seen) = self.find_bare(name).await? else {
            return Ok(false);
        };
        let ifindex = seen.link.ifindex;
        if let Some(former) = &seen.former {
            let message = LinkUnspec::new_with_index(ifindex)
                .address(former.mac.0.to_vec())
                .mtu(former.mtu)
                .build();
            self.handle.link().set(message).execute().await?;
            self.set_alias(name, "").await?;
            return Ok(false);
        }
        if !force && self.has_guests(ifindex).await? {
            log::warn!(
                "bridge {name} is in no network any more; it stays for the guests in it, who reach nobody"
            );
            self.set_alias(name, LEFT).await?;
            return Ok(false);
        }
        Ok(true)
    }

    /// Returns whether a bridge has ports that are not ours. The kernel lists its ports only: among
    /// thousands of links, a list of all for each bridge takes long.
    async fn has_guests(&self, bridge: u32) -> Result<bool> {
        let mut request = self.handle.link().get();
        let attributes = &mut request.message_mut().attributes;
        attributes.push(LinkAttribute::Controller(bridge));
        let ports = request.execute().try_collect::<Vec<_>>();
        let ports = ports.await.context("cannot list the ports of a bridge")?;
        let mut ports = ports.iter().map(seen);
        // A kernel that does not know the filter lists all links.
        Ok(ports.any(|port| port.link.master == Some(bridge) && !port.link.is_ours))
    }

    /// Makes the always-up port of a bridge: one end of a veth pair whose other end is idle.
    pub(super) async fn set_anchor(&self, bridge: &str, port: &str, mtu: u32) -> Result<()> {
        let peer = &port.replacen("vxa-", "vxp-", 1);
        let master = self.index(bridge).await?;
        if self.find_bare(port).await?.is_none() {
            let message = LinkVeth::new(port, peer).build();
            self.handle.link().add(message).execute().await?;
        }
        for name in [port, peer] {
            self.set_up_without_ipv6(name, mtu).await?;
            self.set_alias(name, OURS).await?;
        }
        let message = LinkUnspec::new_with_index(self.index(port).await?)
            .controller(master)
            .build();
        Ok(self.handle.link().set(message).execute().await?)
    }

    /// Adds an address to a link, or makes one that is there vxnet's own.
    pub(super) async fn add_address(&self, link: &str, net: IpNet) -> Result<()> {
        let index = self.index(link).await?;
        let addresses = self.handle.address();
        let mut request = addresses.add(index, net.addr(), net.prefix_len()).replace();
        request
            .message_mut()
            .attributes
            .push(AddressAttribute::Protocol(PROTOCOL));
        Ok(request.execute().await?)
    }

    /// Removes an address from a link.
    pub(super) async fn remove_address(&self, link: &str, net: IpNet) -> Result<()> {
        let Some(seen) = self.find_bare(link).await? else {
            return Ok(());
        };
        let message = address(seen.link.ifindex, net);
        match self.handle.address().del(message).execute().await {
            Err(error) if is(&error, libc::EADDRNOTAVAIL) => Ok(()),
            removed => Ok(removed?),
        }
    }

    async fn set_alias(&self, name: &str, alias: &str) -> Result<()> {
        let ifindex = self.index(name).await?;
        let message = LinkUnspec::new_with_index(ifindex)
            .append_extra_attribute(LinkAttribute::IfAlias(alias.into()))
            .build();
        Ok(self.handle.link().set(message).execute().await?)
    }

    /// Returns the number of a link.
    pub(super) async fn index(&self, name: &str) -> Result<u32> {
        match self.find_bare(name).await? {
            Some(seen) => Ok(seen.link.ifindex),
            None => bail!("link {name} has vanished"),
        }
    }

    /// Asks for one link, without its addresses: among thousands, a list of all takes long.
    async fn find_bare(&self, name: &str) -> Result<Option<Seen>> {
        let mut request = self
            .handle
            .link()
            .get()
            .match_name(name.to_owned())
            .execute();
        match request.try_next().await {
            // The kernel knows links by their alternative names too, and those are not ours to take.
            Ok(message) => Ok(message
                .as_ref()
                .map(seen)
                .filter(|seen| seen.link.name == name)),
            Err(error) if is(&error, libc::ENODEV) => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot look for link {name}")),
        }
    }
}

/// Returns whether the kernel does not know the kind of a link that it was to make.
pub(super) fn is_unknown_kind(error: &anyhow::Error) -> bool {
    let refused = |cause: &rtnetlink::Error| is(cause, libc::EOPNOTSUPP);
    error.downcast_ref().is_some_and(refused)
}

/// Returns whether the kernel refused with that code of `errno`.
fn is(error: &rtnetlink::Error, code: i32) -> bool {
    matches!(error, rtnetlink::Error::NetlinkError(message) if message.raw_code() == -code)
}

fn address(index: u32, net: IpNet) -> rtnetlink::packet_route::address::AddressMessage {
    match net {
        IpNet::V4(net) => AddressMessageBuilder::<Ipv4Addr>::new()
            .index(index)
            .address(net.addr(), net.prefix_len())
            .build(),
        IpNet::V6(net) => AddressMessageBuilder::<Ipv6Addr>::new()
            .index(index)
            .address(net.addr(), net.prefix_len())
            .build(),
    }
}
