//! Frames that enter the switch: from guests (ingress of their links) and from the host (egress of
//! the bridge device).

use aya_ebpf::{macros::classifier, programs::TcContext};
use vxnet_common::{
    forward::{self, Tables as _, To},
    frame::{Ethernet, Packet as _},
    loop_probe,
    map::{NO_SLOT, dropped, holder, port::flag, segment},
    reason::Reason,
    vlan::{self, Tag},
};

use crate::{
    account, deliver, guard,
    learning::{self, Sender},
    maps,
    packet::Skb,
    probe, suppress,
    tables::{self, Live},
};

/// Ingress of a guest's or trunk's link, and egress of a bridge device: the host is one more port.
#[classifier]
fn vx_port(ctx: TcContext) -> i32 {
    let mut skb = Skb { ctx };
    let mut came = Came {
        port: NO_SLOT,
        tag: 0,
    };
    match switch(&mut skb, &mut came) {
        Ok(action) => action,
        Err(reason) => account::drop_untagged(&skb, came.port, came.tag, reason),
    }
}

/// How a frame came, for the account of its drop.
struct Came {
    /// Slot of its port, or none.
    port: u32,
    /// The tag that was taken off, as in [`dropped::Dropped`].
    tag: u32,
}

/// Finds out how the frame came and where it goes, and sends it there.
#[inline(always)]
fn switch(skb: &mut Skb, came: &mut Came) -> Result<i32, Reason> {
    let Some((slot, port)) = tables::port_of(skb.ifindex()) else {
        account::port_rx(NO_SLOT, skb.len());
        return Err(Reason::UnknownPort);
    };
    came.port = slot;
    skb.linearise(deliver::HEADERS);
    account::port_rx(slot, skb.len());
    let Some(local) = tables::local() else {
        return Err(Reason::UnknownPort);
    };
    let Some(frame) = Ethernet::parse(skb, 0) else {
        return Err(Reason::ShortFrame);
    };
    let now = tables::now();
    let tag = skb.vlan_tag(&frame);
    let at = vlan::ingress(&Live, slot, port, tag);
    let frame = untagged(skb, frame, tag)?;
    if let Tag::Customer(tci) = tag {
        came.tag = dropped::TAGGED | u32::from(tci);
    }
    if loop_probe::is_probe(&frame) {
        probe::tell(skb, slot, at.unwrap_or(NO_SLOT));
        return Err(Reason::LoopProbe);
    }
    if deliver::is_shut(slot, now) {
        return Err(Reason::Looped);
    }
    let segment_slot = at?;
    let Some(segment) = Live.segment(segment_slot) else {
        return Err(Reason::UnknownPort);
    };
    if port.flags & flag::SECURITY != 0 {
        guard::check(skb, slot, segment_slot, &frame)?;
    }
    let sender = Sender::port(slot, port);
    learning::learn(slot, segment_slot, segment, frame.src, sender, now)?;
    let context = deliver::Context {
        local,
        segment_slot,
        segment,
        except: slot,
        sender: port.flags,
        priority: tag.priority(),
        count_for: slot,
        now,
    };
    if segment.flags & segment::flag::SUPPRESS != 0
        && suppress::is_heard(&frame)
        && suppress::hear(skb, &context, &frame, port)?
    {
        return Ok(suppress::reply(port));
    }
    let to = forward::decide(
        &Live,
        segment_slot,
        segment,
        sender.from,
        port.flags,
        frame.dst,
        now,
    )?;
    if matches!(to, To::Flood { .. }) && port.bum_limit != 0 && !within(slot, port.bum_limit, now) {
        return Err(Reason::Storm);
    }
    deliver::deliver(skb, &context, &frame, to)
}

/// Takes the tag off, and returns the header that comes to light.
#[inline(always)]
fn untagged(skb: &Skb, frame: Ethernet, tag: Tag) -> Result<Ethernet, Reason> {
    if !matches!(tag, Tag::Customer(_)) {
        return Ok(frame);
    }
    if !skb.pop_tag() {
        return Err(Reason::Tagged);
    }
    match Ethernet::parse(skb, 0) {
        // The kernel left it, since it does not know the frame as tagged.
        Some(frame) if frame.is_tagged() || skb.has_tag() => Err(Reason::Tagged),
        Some(frame) => Ok(frame),
        None => Err(Reason::ShortFrame),
    }
}

/// Returns whether a port may flood one more frame now.
#[inline(always)]
fn within(slot: u32, limit: u32, now: u64) -> bool {
    let Some(state) = maps::HOLDERS.get_ptr_mut(slot) else {
        return false;
    };
    // SAFETY: array rows are never freed, and a `u64` is read and written whole. CPUs that count at
    // once may lose a count: the limit is one of order, not an account.
    unsafe {
        let (counted, within) = holder::budget((*state).bum, limit, now);
        (*state).bum = counted;
        within
    }
}
