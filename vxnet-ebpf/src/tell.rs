//! Telling a guest that its packet is too big for the overlay (RFC 1191, RFC 8201): never silence.

use aya_ebpf::{bindings::__sk_buff, programs::TcContext};
use network_types::ip::{Ipv4Hdr, Ipv6Hdr};
use vxnet_common::{
    frame::{Ethernet, Packet as _, ethertype},
    map::holder,
    reason::Reason,
    too_big,
};

use crate::{account, deliver::Context, maps, packet::Skb, suppress, tables};

/// How many messages a second a port gets.
const LIMIT: u32 = 100;

/// Drops a frame whose packet is longer than `most` bytes, and sends its sender a message instead
/// if there is one to be sent.
#[inline(always)]
pub(crate) fn too_big(skb: &mut Skb, context: &Context<'_>, most: u32) -> Result<i32, Reason> {
    let slot = context.except;
    // Only who may be told uses up what the port may be.
    let family = may_tell(skb.ctx.skb.skb);
    if family == 0 || !within(slot, context.now) {
        return Err(Reason::TooBig);
    }
    // The message is made out of it.
    account::keep(skb, slot, Reason::TooBig);
    if tell(skb.ctx.skb.skb, family, context.segment_slot, most) == 0 {
        return Err(Reason::TooBig);
    }
    let Some(port) = maps::PORTS.get(slot) else {
        return Err(Reason::TooBig);
    };
    account::notice(slot, Reason::TooBig);
    account::replicas(slot, 1);
    let tagged = vxnet_common::vlan::egress(
        &tables::Live,
        slot,
        port,
        context.segment_slot,
        context.segment,
    );
    if tagged == Some(true) && !skb.push_tag(context.tag()) {
        return Err(Reason::RedirectFailed);
    }
    account::port_tx(slot, skb.len());
    Ok(suppress::reply(port))
}

/// Makes the message out of the packet; returns whether it did, as 1 or 0. Calls of their own, one
/// after the other: all in one do not fit the stack.
#[inline(always)]
fn tell(skb: *mut __sk_buff, family: u32, segment: u32, most: u32) -> u32 {
    match family {
        4 => tell_v4(skb, segment, most, quote_v4(skb)),
        6 => tell_v6(skb, segment, most, quote_v6(skb)),
        _ => 0,
    }
}

/// Returns the family of the packet if its sender may be told, else 0.
#[inline(never)]
pub(crate) fn may_tell(skb: *mut __sk_buff) -> u32 {
    let skb = Skb {
        ctx: TcContext::new(skb),
    };
    skb.linearise(too_big::NEEDED as u32);
    match Ethernet::parse(&skb, 0) {
        Some(frame) if !too_big::may_tell(&skb, &frame) => 0,
        Some(frame) if frame.ethertype == ethertype::IPV4 => 4,
        Some(_) => 6,
        None => 0,
    }
}

/// No sum of a quote is as large.
const NO_QUOTE: u64 = u64::MAX;

#[inline(never)]
fn quote_v4(skb: *mut __sk_buff) -> u64 {
    let mut skb = Skb {
        ctx: TcContext::new(skb),
    };
    too_big::quote_v4(&mut skb).unwrap_or(NO_QUOTE)
}

#[inline(never)]
fn quote_v6(skb: *mut __sk_buff) -> u64 {
    let mut skb = Skb {
        ctx: TcContext::new(skb),
    };
    too_big::quote_v6(&mut skb).unwrap_or(NO_QUOTE)
}

#[inline(never)]
fn tell_v4(skb: *mut __sk_buff, segment: u32, most: u32, quoted: u64) -> u32 {
    let mut skb = Skb {
        ctx: TcContext::new(skb),
    };
    let (Some(segment), Some(frame), Some(ip)) = (
        maps::SEGMENTS.get(segment),
        Ethernet::parse(&skb, 0),
        skb.read::<Ipv4Hdr>(Ethernet::LEN),
    ) else {
        return 0;
    };
    // The gateway speaks, or else it looks as if the addressee did.
    let source = match segment.gateway_v4 {
        [0, 0, 0, 0] => ip.dst_addr,
        gateway => gateway,
    };
    let told = quoted != NO_QUOTE
        && skb.cut(too_big::LEN_V4 as u32)
        && too_big::write_v4(&mut skb, &frame, quoted, source, most as u16);
    u32::from(told)
}

#[inline(never)]
fn tell_v6(skb: *mut __sk_buff, segment: u32, most: u32, quoted: u64) -> u32 {
    let mut skb = Skb {
        ctx: TcContext::new(skb),
    };
    let (Some(segment), Some(frame), Some(ip)) = (
        maps::SEGMENTS.get(segment),
        Ethernet::parse(&skb, 0),
        skb.read::<Ipv6Hdr>(Ethernet::LEN),
    ) else {
        return 0;
    };
    let source = match segment.gateway_v6[0] {
        0 => ip.dst_addr,
        _ => segment.gateway_v6,
    };
    let told = quoted != NO_QUOTE
        && skb.cut(too_big::LEN_V6 as u32)
        && too_big::write_v6(&mut skb, &frame, quoted, source, most);
    u32::from(told)
}

/// Returns whether a port may be told one more time now.
#[inline(always)]
fn within(slot: u32, now: u64) -> bool {
    let Some(state) = maps::HOLDERS.get_ptr_mut(slot) else {
        return false;
    };
    // SAFETY: as for the limit of floods, in `prog::port`.
    unsafe {
        let (counted, within) = holder::budget((*state).told, LIMIT, now);
        (*state).told = counted;
        within
    }
}
