//! The end of the detour: what the kernel's VXLAN device took out of its packets.

use aya_ebpf::{macros::classifier, programs::TcContext};
use vxnet_common::{
    forward::{self, From, Tables as _},
    frame::{Ethernet, Packet as _},
    map::NO_SLOT,
    reason::Reason,
};

use crate::{
    account, deliver, detour,
    packet::Skb,
    tables::{self, Live},
};

/// Ingress of the VXLAN device at the end of the detour. Nothing but what was sent on the
/// detour comes in.
#[classifier]
fn vx_detour(ctx: TcContext) -> i32 {
    let mut skb = Skb { ctx };
    let mut uplink = NO_SLOT;
    match arrive(&mut skb, &mut uplink) {
        Ok(action) => action,
        Err(reason) => account::drop(&skb, uplink, reason),
    }
}

/// Delivers what came out. It was admitted and counted, and its sender learned, where it came in; the
/// tables may have changed since.
#[inline(always)]
fn arrive(skb: &mut Skb, uplink: &mut u32) -> Result<i32, Reason> {
    let now = tables::now();
    let Some(local) = tables::local() else {
        return Err(Reason::StaleStrip);
    };
    let Some((vni, source)) = skb.tunnel(local.family) else {
        account::port_rx(NO_SLOT, skb.len());
        return Err(Reason::StaleStrip);
    };
    *uplink = detour::uplink(source);
    let Some(segment_slot) = Live.vni(vni) else {
        return Err(Reason::UnknownVni);
    };
    let Some(segment) = Live.segment(segment_slot).filter(|it| it.vni == vni) else {
        return Err(Reason::UnknownVni);
    };
    skb.linearise(deliver::HEADERS);
    let Some(frame) = Ethernet::parse(skb, 0) else {
        return Err(Reason::ShortFrame);
    };
    let from = From::Vtep(NO_SLOT);
    let to = forward::decide(&Live, segment_slot, segment, from, 0, frame.dst, now)?;
    let context = deliver::Context {
        local,
        segment_slot,
        segment,
        except: NO_SLOT,
        sender: 0,
        priority: 0,
        count_for: *uplink,
        now,
    };
    deliver::deliver_locally(skb, &context, to)
}
