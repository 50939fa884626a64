//! Regrouping of TCP segments that TC stripped.
//!
//! GRO has seen these segments before TC did, as VXLAN packets, and merged nothing. So the uplink's
//! program sends them through a veth pair of ours, whose other end runs GRO once more, now on the
//! inner TCP, and this program behind it. On the way a VLAN tag beside the frame names the segment
//! (GRO never merges packets with different ones), and the mark the uplink.

use aya_ebpf::{macros::classifier, programs::TcContext};
use vxnet_common::{
    forward::{self, From},
    frame::{Ethernet, Packet as _},
    map::{NO_SLOT, local::Local},
    reason::Reason,
    vxlan::{self, Outer},
};

use crate::{
    account,
    arrival::{self, Arrival},
    deliver, gso, maps,
    packet::{self, Skb},
    tables::{self, Live},
};

/// Sends a stripped segment to the GRO link.
#[inline(always)]
pub(crate) fn regroup(
    skb: &mut Skb,
    link: u32,
    segment_slot: u32,
    uplink: u32,
) -> Result<i32, Reason> {
    skb.set_mark(uplink);
    let segments = gso::segments(skb);
    // All 16 bits of the tag carry the slot: nobody but `vx_gro` sees it.
    if skb.push_tag(segment_slot as u16) {
        if segments > 1 {
            account::replicas(uplink, segments - 1);
        }
        Ok(packet::redirect(link))
    } else {
        Err(Reason::DecapFailed)
    }
}

/// Sends a VXLAN packet to the GRO link as it is, where the kernel cuts it into single packets.
#[inline(always)]
pub(crate) fn cut(skb: &mut Skb, link: u32, uplink: u32) -> i32 {
    skb.set_mark(uplink);
    packet::redirect(link)
}

/// Ingress of the GRO link's other end. Nothing but what the two functions above sent comes in.
#[classifier]
fn vx_gro(ctx: TcContext) -> i32 {
    let mut skb = Skb { ctx };
    let uplink = skb.mark();
    match arrive(&mut skb, uplink) {
        Ok(action) => action,
        Err(reason) => account::drop(&skb, uplink, reason),
    }
}

/// Delivers what came out.
#[inline(always)]
fn arrive(skb: &mut Skb, uplink: u32) -> Result<i32, Reason> {
    let now = tables::now();
    skb.set_mark(0);
    let Some(local) = tables::local() else {
        return Err(Reason::StaleStrip);
    };
    let arrival = if skb.has_tag() {
        regrouped(skb, uplink, now)
    } else {
        single(skb, local, uplink, now)
    };
    let Arrival::Frame {
        segment_slot,
        segment,
        to,
    } = arrival?
    else {
        return Err(Reason::StaleStrip);
    };
    let context = deliver::Context {
        local,
        segment_slot,
        segment,
        except: NO_SLOT,
        sender: 0,
        priority: 0,
        count_for: uplink,
        now,
    };
    deliver::deliver_locally(skb, &context, to)
}

/// Takes a segment, or several that GRO merged.
#[inline(always)]
fn regrouped<'a>(skb: &Skb, uplink: u32, now: u64) -> Result<Arrival<'a>, Reason> {
    let segment_slot = u32::from(skb.tag());
    let Some(segment) = maps::SEGMENTS.get(segment_slot) else {
        return Err(Reason::StaleStrip);
    };
    if !skb.pop_tag() {
        return Err(Reason::StaleStrip);
    }
    let Some(frame) = Ethernet::parse(skb, 0) else {
        return Err(Reason::ShortFrame);
    };
    account::merged(uplink, skb);
    let from = From::Vtep(NO_SLOT);
    let to = forward::decide(&Live, segment_slot, segment, from, 0, frame.dst, now)?;
    Ok(Arrival::Frame {
        segment_slot,
        segment,
        to,
    })
}

/// Takes one of the packets that a super-packet was cut into.
#[inline(always)]
fn single<'a>(skb: &mut Skb, local: &Local, uplink: u32, now: u64) -> Result<Arrival<'a>, Reason> {
    skb.linearise(2 * deliver::HEADERS);
    let is_gso = skb.gso_size() != 0;
    match vxlan::classify(skb, local, is_gso) {
        Outer::Vxlan(packet) => arrival::tunnelled(skb, 0, uplink, &packet, is_gso, now),
        Outer::Bad(reason) => {
            account::port_rx(uplink, skb.len());
            Err(reason)
        }
        Outer::Foreign | Outer::NotOurs => {
            account::port_rx(uplink, skb.len());
            Err(Reason::StaleStrip)
        }
    }
}
