//! ARP and neighbour discovery: what is heard is remembered, and what is known is answered in place.

use aya_ebpf::{bindings::__sk_buff, programs::TcContext};
use vxnet_common::{
    addr::Mac,
    forward::Tables as _,
    frame::{Ethernet, Packet as _, ethertype},
    learn::REFRESH,
    map::{
        fdb::{FdbKey, place},
        holder,
        neighbour::{self as row, Neighbour, NeighbourKey},
        port::{Port, kind},
    },
    neighbour::{self, Claim, Heard},
    reason::Reason,
    vlan,
};

use crate::{
    account,
    deliver::Context,
    maps,
    packet::{self, Skb},
    tables::{self, Live},
};

/// Returns whether a frame may be ARP or neighbour discovery.
#[inline(always)]
pub(crate) fn is_heard(frame: &Ethernet) -> bool {
    frame.ethertype == ethertype::ARP || frame.ethertype == ethertype::IPV6
}

/// Remembers what a frame of a port says. If it asks for what is known, the frame becomes the
/// answer, and the result is true.
#[inline(always)]
pub(crate) fn hear(
    skb: &mut Skb,
    context: &Context<'_>,
    frame: &Ethernet,
    asker: &Port,
) -> Result<bool, Reason> {
    let (raw, segment, port, now) = (
        skb.ctx.skb.skb,
        context.segment_slot,
        context.except,
        context.now,
    );
    match listen(raw, segment, frame, now, port) {
        BAD => return Err(Reason::BadNeighbour),
        STOLEN => return Err(Reason::SpoofedIp),
        _ => {}
    }
    if answer(raw, segment, port, frame, now) == GOES_ON {
        return Ok(false);
    }
    // As every frame of the segment leaves by that port, however the question came in.
    let tagged = vlan::egress(&Live, port, asker, segment, context.segment);
    if tagged == Some(true) && !skb.push_tag(context.tag()) {
        return Err(Reason::RedirectFailed);
    }
    account::notice(port, Reason::Answered);
    account::port_tx(port, skb.len());
    Ok(true)
}

/// Remembers what a frame of the peer in a slot of `VTEPS` says.
#[inline(always)]
pub(crate) fn overhear(skb: &Skb, segment_slot: u32, vtep: u32, frame: &Ethernet, now: u64) {
    let holder = holder::of_vtep(vtep);
    listen(skb.ctx.skb.skb, segment_slot, frame, now, holder);
}

/// Sends a frame back to where it came from, which now is an answer.
#[inline(always)]
pub(crate) fn reply(port: &Port) -> i32 {
    if port.kind == kind::HOST {
        packet::redirect_ingress(port.ifindex)
    } else {
        packet::redirect(port.ifindex)
    }
}

/// Outcomes of [`listen`] and [`answer`].
const GOES_ON: u32 = 0;
const ANSWERED: u32 = 1;
const BAD: u32 = 2;
const STOLEN: u32 = 3;

/// Remembers what a frame claims that came from a holder of addresses. A call of its own, as `guard`
/// explains, and apart from [`answer`]: both together do not fit the stack.
#[inline(never)]
fn listen(skb: *mut __sk_buff, segment: u32, frame: *const Ethernet, now: u64, holder: u32) -> u32 {
    let skb = Skb {
        ctx: TcContext::new(skb),
    };
    // SAFETY: the caller passed a reference.
    let frame = unsafe { &*frame };
    let Ok(heard) = neighbour::hear(&skb, frame) else {
        return BAD;
    };
    if let Some(claim) = heard.claim {
        let key = NeighbourKey::new(segment, claim.address);
        let owner = tables::owner(&key);
        if neighbour::may_have(owner, holder) {
            remember(&key, &claim, now);
        }
        if neighbour::is_stolen(owner, holder) {
            return STOLEN;
        }
    }
    GOES_ON
}

/// Makes the answer out of a frame that asks for what is known.
#[inline(never)]
fn answer(skb: *mut __sk_buff, segment: u32, port: u32, frame: *const Ethernet, now: u64) -> u32 {
    let mut skb = Skb {
        ctx: TcContext::new(skb),
    };
    // SAFETY: the caller passed a reference.
    let frame = unsafe { &*frame };
    let Ok(Heard {
        question: Some(question),
        ..
    }) = neighbour::hear(&skb, frame)
    else {
        return GOES_ON;
    };
    let key = NeighbourKey::new(segment, question.target);
    let Some((mac, router)) = known(&key, segment, port, now) else {
        return GOES_ON;
    };
    if neighbour::answer(&mut skb, frame, &question, mac, router) {
        ANSWERED
    } else {
        GOES_ON
    }
}

/// Writes down who has an address, at most every half a second.
#[inline(always)]
fn remember(key: &NeighbourKey, claim: &Claim, now: u64) {
    let mut router = claim.router == Some(true);
    if let Some(known) = Live.neighbour(key) {
        let is_same = known.mac == claim.mac.0;
        let was_router = known.flags & row::flag::ROUTER != 0;
        // Only an advertisement tells; what else a router says does not make it none.
        if claim.router.is_none() && is_same {
            router = was_router;
        }
        let is_fresh = now.saturating_sub(known.last_seen) < REFRESH;
        if is_same && is_fresh && router == was_router {
            return;
        }
    }
    let neighbour = Neighbour {
        mac: claim.mac.0,
        flags: if router { row::flag::ROUTER } else { 0 },
        last_seen: now,
    };
    let _ = maps::NEIGHBOURS.insert(key, neighbour, 0);
}

/// Returns who has an address, and whether it is a router, if that is certain, and the station does
/// not sit behind the asker's own port.
#[inline(always)]
fn known(key: &NeighbourKey, segment_slot: u32, port: u32, now: u64) -> Option<(Mac, bool)> {
    let segment = Live.segment(segment_slot)?;
    let known = Live.neighbour(key)?;
    let mac = Mac(known.mac);
    let station = Live.fdb(&FdbKey::new(segment_slot, mac))?;
    let is_elsewhere = station.place != place::PORT || station.slot != port;
    let owner = tables::owner(key);
    let router = known.flags & row::flag::ROUTER != 0;
    (is_elsewhere && neighbour::is_certain(known, station, owner, now, segment.ageing))
        .then_some((mac, router))
}
