//! Frames that enter the switch: from guests (ingress of their links) and from the host (egress of
//! the bridge device).

use aya_ebpf::{macros::classifier, programs::TcContext};
use vxnet_common::{
    forward::{self, From},
    frame::{Ethernet, Packet as _},
    map::NO_SLOT,
    reason::Reason,
};

use crate::{
    account, deliver,
    packet::Skb,
    tables::{self, Live},
};

/// Ingress of a guest's link, and egress of a bridge device: the host is one more port.
#[classifier]
fn vx_port(ctx: TcContext) -> i32 {
    let mut skb = Skb { ctx };
    let mut port = NO_SLOT;
    match switch(&mut skb, &mut port) {
        Ok(action) => action,
        Err(reason) => account::drop(&skb, port, reason),
    }
}

/// Finds out where the frame goes and sends it there; `counted` becomes the slot of its port.
#[inline(always)]
fn switch(skb: &mut Skb, counted: &mut u32) -> Result<i32, Reason> {
    let Some((slot, port)) = tables::port_of(skb.ifindex()) else {
        return Err(Reason::UnknownPort);
    };
    *counted = slot;
    let Some(segment_slot) = forward::segment_of(port) else {
        return Err(Reason::UnknownPort);
    };
    let (Some(local), Some(segment)) = (
        tables::local(),
        forward::Tables::segment(&Live, segment_slot),
    ) else {
        return Err(Reason::UnknownPort);
    };
    skb.linearise(deliver::HEADERS);
    account::port_rx(slot, skb.len());
    let Some(frame) = Ethernet::parse(skb, 0) else {
        return Err(Reason::ShortFrame);
    };
    if skb.has_tag() || frame.is_tagged() {
        return Err(Reason::Tagged);
    }
    let (from, now) = (From::Port(slot), tables::now());
    tables::learn(slot, segment_slot, segment, frame.src, from, now)?;
    let to = forward::decide(&Live, segment_slot, segment, from, frame.dst, now)?;
    let context = deliver::Context {
        local,
        segment_slot,
        segment,
        except: slot,
        count_for: slot,
        now,
    };
    deliver::deliver(skb, &context, &frame, to)
}
