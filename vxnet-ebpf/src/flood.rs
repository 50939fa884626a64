//! Flooding: one copy for everyone in the segment but the sender.
//!
//! First the local ports and the host, then one copy a peer (head-end replication, RFC 7348
//! section 4.2). A receiver waits until the next one is found: the last gets the frame itself, not
//! a copy, so that a broadcast of the host's own stack counts as sent there.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{__sk_buff, TC_ACT_SHOT},
    helpers::bpf_loop,
};
use vxnet_common::{
    frame::Packet as _,
    map::{
        local::Local,
        port::flag,
        segment::{FloodKey, Segment, list},
    },
    reason::Reason,
    vlan,
};

use crate::{
    account,
    deliver::{Context, is_shut},
    encap::Departure,
    gso, maps,
    next_hop::Way,
    packet::{self, Skb},
    tables::Live,
    tell,
};

/// What the copying loops share.
struct Flood {
    skb: *mut Skb,
    local: *const Local,
    departure: *const Departure,
    segment: *const Segment,
    now: u64,
    /// Slot of the segment.
    segment_slot: u32,
    /// Slot of the port that the frame came from, or none.
    except: u32,
    /// Flags of that port.
    sender: u32,
    /// Whose drops these are.
    count_for: u32,
    bytes: u32,
    /// The tag for receivers that want one.
    tag: u32,
    /// How many receivers were found, whether they got the frame or not.
    receivers: u32,
    /// Ifindex of the local receiver that waits, or 0.
    waiting_link: u32,
    /// Slot of its port.
    waiting_port: u32,
    /// It is the host.
    waiting_host: bool,
    /// It wants a tag.
    waiting_tagged: bool,
    /// Slot of the peer that waits, or 0: its header is in the packet.
    waiting_vtep: u32,
    waiting_way: u64,
}

/// Sends the frame to everyone in the segment but the port that it came from; to the peers only
/// with a departure.
#[inline(always)]
pub(crate) fn flood(
    skb: &mut Skb,
    context: &Context<'_>,
    departure: Option<&Departure>,
) -> Result<i32, Reason> {
    let Context {
        local,
        segment_slot,
        segment,
        except,
        sender,
        count_for,
        now,
        ..
    } = *context;
    let bytes = skb.len();
    let mut flood = Flood {
        skb,
        local,
        departure: departure.map_or(core::ptr::null(), core::ptr::from_ref),
        segment,
        now,
        segment_slot,
        except,
        sender,
        count_for,
        bytes,
        tag: u32::from(context.tag()),
        receivers: 0,
        waiting_link: 0,
        waiting_port: 0,
        waiting_host: false,
        waiting_tagged: false,
        waiting_vtep: 0,
        waiting_way: 0,
    };
    each(segment.flood_ports, to_port, &mut flood);
    if segment.bridge != 0 && segment.host_port != except {
        release_local(&mut flood);
        flood.receivers += 1;
        flood.waiting_link = segment.bridge;
        flood.waiting_port = segment.host_port;
        flood.waiting_host = true;
        flood.waiting_tagged = false;
    }
    let outcome = match departure {
        Some(departure) if segment.flood_vteps != 0 => {
            release_local(&mut flood);
            to_vteps(skb, &mut flood, local, departure, segment.flood_vteps)
        }
        _ => last_local(skb, &flood),
    };
    if flood.receivers > 1 {
        account::replicas(count_for, flood.receivers - 1);
    }
    outcome
}

/// What the look for a way that is wide enough shares.
struct Unfit {
    segment: u32,
    wire_len: u32,
    now: u64,
    /// The widest of the ways so far, none of which will do.
    widest: u32,
}

/// Returns the MTU of the widest way to the peers if none of them takes a packet of so many bytes, and
/// its sender may be told; else 0. A way that has not been looked up lately may have become wider:
/// flooding renews it.
#[inline(always)]
pub(crate) fn unfit(skb: &Skb, context: &Context<'_>, wire_len: u32) -> u32 {
    widest(
        skb.ctx.skb.skb,
        context.segment_slot,
        context.segment.flood_vteps,
        wire_len,
        context.now,
    )
}

/// See [`unfit`]. A call of its own: the callers' stack is short.
#[inline(never)]
fn widest(skb: *mut __sk_buff, segment: u32, count: u32, wire_len: u32, now: u64) -> u32 {
    let mut unfit = Unfit {
        segment,
        wire_len,
        now,
        widest: 0,
    };
    let state = (&raw mut unfit).cast();
    // SAFETY: as in `each`.
    unsafe { bpf_loop(count, unfit_way as *mut c_void, state, 0) };
    // Nobody is told of what is for a group.
    if unfit.widest != 0 && tell::may_tell(skb) == 0 {
        return 0;
    }
    unfit.widest
}

/// Ends the loop at a way that will do.
extern "C" fn unfit_way(index: u32, unfit: *mut c_void) -> i64 {
    // SAFETY: `widest` passes an `Unfit`.
    let unfit = unsafe { &mut *unfit.cast::<Unfit>() };
    let key = FloodKey {
        segment: unfit.segment,
        list: list::VTEPS,
        index,
    };
    // SAFETY: a `u32` is read whole.
    let Some(slot) = (unsafe { maps::FLOOD.get(key) }).copied() else {
        return 0;
    };
    let Some(vtep) = maps::VTEPS.get(slot) else {
        return 0;
    };
    let (ifindex, mtu) = (vtep.next_hop().ifindex, vtep.next_hop().mtu);
    if unfit.now >= vtep.deadline || (ifindex != 0 && (mtu == 0 || unfit.wire_len <= mtu)) {
        unfit.widest = 0;
        return 1;
    }
    if ifindex == 0 {
        return 0;
    }
    if unfit.widest < mtu {
        unfit.widest = mtu;
    }
    0
}

/// Gives the frame itself to the local receiver that waits.
#[inline(always)]
fn last_local(skb: &Skb, flood: &Flood) -> Result<i32, Reason> {
    if flood.waiting_link == 0 {
        return if flood.receivers == 0 {
            Err(Reason::NoDestination)
        } else {
            Ok(TC_ACT_SHOT)
        };
    }
    if flood.waiting_tagged && !skb.push_tag(flood.tag as u16) {
        return Err(Reason::RedirectFailed);
    }
    account::port_tx(flood.waiting_port, flood.bytes);
    Ok(if flood.waiting_host {
        packet::redirect_ingress(flood.waiting_link)
    } else {
        packet::redirect(flood.waiting_link)
    })
}

/// Sends a copy to each peer, and the frame itself to the last.
#[inline(always)]
fn to_vteps(
    skb: &Skb,
    flood: &mut Flood,
    local: &Local,
    departure: &Departure,
    count: u32,
) -> Result<i32, Reason> {
    if let Err(reason) = departure.make_room(skb, local) {
        flood.receivers += 1;
        return Err(reason);
    }
    each(count, to_vtep, flood);
    if flood.waiting_vtep == 0 {
        // Each peer that could not be reached has been counted.
        return if flood.receivers == 0 {
            Err(Reason::NoDestination)
        } else {
            Ok(TC_ACT_SHOT)
        };
    }
    let way = Way::unpack(flood.waiting_way);
    departure.send(skb, local, flood.waiting_vtep, way)
}

/// Calls back for each member of a list.
#[inline(always)]
fn each(count: u32, callback: extern "C" fn(u32, *mut c_void) -> i64, flood: &mut Flood) {
    let flood: *mut Flood = flood;
    // SAFETY: the callback has the signature that the helper asks for, and the verifier checks it
    // against the memory behind `flood`.
    unsafe { bpf_loop(count, callback as *mut c_void, flood.cast(), 0) };
}

/// Sends a copy to the local receiver that waits, if one does.
#[inline(always)]
fn release_local(flood: &mut Flood) {
    if flood.waiting_link == 0 {
        return;
    }
    // SAFETY: `flood` lives in the frame of the caller, which holds the packet.
    let skb = unsafe { &*flood.skb };
    let mut sent = !flood.waiting_tagged || skb.push_tag(flood.tag as u16);
    if sent {
        sent = skb.copy_to(flood.waiting_link, flood.waiting_host);
        if flood.waiting_tagged {
            skb.pop_tag();
        }
    }
    account::port_copy(flood.waiting_port, flood.bytes, sent, flood.count_for);
    flood.waiting_link = 0;
    flood.waiting_host = false;
}

/// Lets one local port wait for its copy.
extern "C" fn to_port(index: u32, flood: *mut c_void) -> i64 {
    // SAFETY: `each` passes a `Flood`.
    let flood = unsafe { &mut *flood.cast::<Flood>() };
    let key = FloodKey {
        segment: flood.segment_slot,
        list: list::PORTS,
        index,
    };
    // SAFETY: a `u32` is read whole.
    let Some(slot) = (unsafe { maps::FLOOD.get(key) }).copied() else {
        return 0;
    };
    if slot == flood.except {
        return 0;
    }
    let Some(port) = maps::PORTS.get(slot) else {
        return 0;
    };
    // SAFETY: the caller of `each` holds the row of `SEGMENTS`.
    let segment = unsafe { &*flood.segment };
    let Some(tagged) = vlan::egress(&Live, slot, port, flood.segment_slot, segment) else {
        return 0;
    };
    if flood.sender & port.flags & flag::ISOLATED != 0 || is_shut(slot, flood.now) {
        return 0;
    }
    flood.receivers += 1;
    // SAFETY: as in `release_local`.
    if !gso::takes(port, unsafe { &*flood.skb }) {
        account::notice(flood.count_for, Reason::TooBig);
        return 0;
    }
    release_local(flood);
    flood.waiting_link = port.ifindex;
    flood.waiting_port = slot;
    flood.waiting_tagged = tagged;
    0
}

/// Sends a copy to the peer that waits, and writes the header of the next one.
extern "C" fn to_vtep(index: u32, flood: *mut c_void) -> i64 {
    // SAFETY: `each` passes a `Flood`.
    let flood = unsafe { &mut *flood.cast::<Flood>() };
    let key = FloodKey {
        segment: flood.segment_slot,
        list: list::VTEPS,
        index,
    };
    // SAFETY: a `u32` is read whole.
    let Some(slot) = (unsafe { maps::FLOOD.get(key) }).copied() else {
        return 0;
    };
    flood.receivers += 1;
    if let Err(reason) = replace_header(flood, slot) {
        account::notice(flood.count_for, reason);
    }
    0
}

/// See [`to_vtep`].
#[inline(always)]
fn replace_header(flood: &mut Flood, slot: u32) -> Result<(), Reason> {
    // SAFETY: the caller of `each` holds the packet, the departure and the row of `LOCAL`; it
    // passes peers only with a departure.
    let (skb, local, departure) = unsafe { (&*flood.skb, &*flood.local, &*flood.departure) };
    if flood.waiting_vtep != 0 {
        let waiting = core::mem::take(&mut flood.waiting_vtep);
        let way = Way::unpack(flood.waiting_way);
        // A peer that cannot be reached does not cost the next one its copy.
        departure.send_copy(skb, local, waiting, way, flood.count_for);
    }
    flood.waiting_way = departure.address(skb, local, slot, flood.now)?.pack();
    flood.waiting_vtep = slot;
    Ok(())
}
