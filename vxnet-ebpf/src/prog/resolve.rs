//! Resolving next hops for packets that the kernel did not know to be IP.
//!
//! A frame of another EtherType (ARP, say) keeps that type in the skb when TC encapsulates it, and
//! neighbour output refuses it. Coming in on a link of ours it is typed anew, by its outer header.

use aya_ebpf::{bindings::TC_ACT_UNSPEC, macros::classifier, programs::TcContext};
use network_types::{
    ip::{Ipv4Hdr, Ipv6Hdr},
    udp::UdpHdr,
};
use vxnet_common::{
    addr::VtepAddr,
    frame::{Ethernet, Packet as _},
    map::{NO_SLOT, local::Local},
    reason::Reason,
};

use crate::{account, next_hop, packet::Skb, tables};

/// Ingress of the link that `LOCAL` names as resolver. Nothing but our own detour comes in there.
#[classifier]
fn vx_resolve(ctx: TcContext) -> i32 {
    let skb = Skb { ctx };
    let Some(local) = tables::local() else {
        return TC_ACT_UNSPEC;
    };
    let sent = match destination(&skb, local) {
        Some(address) => next_hop::neighbour_output(&skb, local, address).ok_or(Reason::NoRoute),
        None => Err(Reason::BadOuter),
    };
    match sent {
        Ok(action) => action,
        Err(reason) => {
            // It was counted as sent to its peer: here it has come in again.
            account::port_rx(NO_SLOT, skb.len());
            account::drop(&skb, NO_SLOT, reason)
        }
    }
}

/// Returns the outer destination of a packet that this VTEP encapsulated.
#[inline(always)]
fn destination(skb: &Skb, local: &Local) -> Option<VtepAddr> {
    let (source, destination, l4) = if local.family == 6 {
        let ip: Ipv6Hdr = skb.read(Ethernet::LEN)?;
        (
            VtepAddr::v6(ip.src_addr),
            VtepAddr::v6(ip.dst_addr),
            Ethernet::LEN + Ipv6Hdr::LEN,
        )
    } else {
        let ip: Ipv4Hdr = skb.read(Ethernet::LEN)?;
        (
            VtepAddr::v4(ip.src_addr),
            VtepAddr::v4(ip.dst_addr),
            Ethernet::LEN + Ipv4Hdr::LEN,
        )
    };
    let udp: UdpHdr = skb.read(l4)?;
    let ours = source == local.underlay && u16::from_be_bytes(udp.dst) == local.port;
    ours.then_some(destination)
}
