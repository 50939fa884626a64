//! Flooding: one copy for everyone in the segment but the sender.
//!
//! First the local ports and the host, then one copy a peer (head-end replication, RFC 7348
//! section 4.2). A receiver waits until the next one is found: the last gets the frame itself, not
//! a copy, so that a broadcast of the host's own stack counts as sent there.

use core::ffi::c_void;

use aya_ebpf::{bindings::TC_ACT_SHOT, helpers::bpf_loop};
use vxnet_common::{
    frame::Packet as _,
    map::{
        local::Local,
        port,
        segment::{FloodKey, list},
    },
    reason::Reason,
};

use crate::{
    account,
    deliver::Context,
    encap::Departure,
    maps,
    next_hop::Way,
    packet::{self, Skb},
};

/// What the copying loops share.
struct Flood {
    skb: *mut Skb,
    local: *const Local,
    departure: *const Departure,
    now: u64,
    /// Slot of the segment.
    segment: u32,
    /// Slot of the port that the frame came from, or none.
    except: u32,
    /// Whose drops these are.
    count_for: u32,
    bytes: u32,
    /// Ifindex of the local receiver that waits, or 0.
    waiting_link: u32,
    /// The local receiver that waits is the host.
    waiting_host: bool,
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
        count_for,
        now,
    } = *context;
    let bytes = skb.len();
    let mut flood = Flood {
        skb,
        local,
        departure: departure.map_or(core::ptr::null(), core::ptr::from_ref),
        now,
        segment: segment_slot,
        except,
        count_for,
        bytes,
        waiting_link: 0,
        waiting_host: false,
        waiting_vtep: 0,
        waiting_way: 0,
    };
    each(segment.flood_ports, to_port, &mut flood);
    if segment.host_port != except && segment.bridge != 0 {
        account::port_tx(segment.host_port, bytes);
        release_local(&mut flood);
        flood.waiting_link = segment.bridge;
        flood.waiting_host = true;
    }
    if let Some(departure) = departure
        && segment.flood_vteps != 0
    {
        release_local(&mut flood);
        departure.make_room(skb, local)?;
        each(segment.flood_vteps, to_vtep, &mut flood);
        if flood.waiting_vtep == 0 {
            // Each peer that could not be reached has been counted.
            return Ok(TC_ACT_SHOT);
        }
        let way = Way::unpack(flood.waiting_way);
        return departure.send(skb, local, flood.waiting_vtep, way);
    }
    match (flood.waiting_link, flood.waiting_host) {
        (0, _) => Err(Reason::NoDestination),
        (bridge, true) => Ok(packet::redirect_ingress(bridge)),
        (link, false) => Ok(packet::redirect(link)),
    }
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
    if !skb.copy_to(flood.waiting_link, flood.waiting_host) {
        account::notice(flood.count_for, Reason::RedirectFailed);
    }
    flood.waiting_link = 0;
    flood.waiting_host = false;
}

/// Lets one local port wait for its copy.
extern "C" fn to_port(index: u32, flood: *mut c_void) -> i64 {
    // SAFETY: `each` passes a `Flood`.
    let flood = unsafe { &mut *flood.cast::<Flood>() };
    let key = FloodKey {
        segment: flood.segment,
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
    // A slot can be reused by a port of another network: never deliver across segments.
    let Some(port) = maps::PORTS.get(slot) else {
        return 0;
    };
    if port.segment != flood.segment || port.kind != port::kind::GUEST {
        return 0;
    }
    account::port_tx(slot, flood.bytes);
    release_local(flood);
    flood.waiting_link = port.ifindex;
    0
}

/// Sends a copy to the peer that waits, and writes the header of the next one.
extern "C" fn to_vtep(index: u32, flood: *mut c_void) -> i64 {
    // SAFETY: `each` passes a `Flood`.
    let flood = unsafe { &mut *flood.cast::<Flood>() };
    let key = FloodKey {
        segment: flood.segment,
        list: list::VTEPS,
        index,
    };
    // SAFETY: a `u32` is read whole.
    let Some(slot) = (unsafe { maps::FLOOD.get(key) }).copied() else {
        return 0;
    };
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
        if let Err(reason) = departure.send_copy(skb, local, waiting, way) {
            account::notice(flood.count_for, reason);
        }
    }
    flood.waiting_way = departure.address(skb, local, slot, flood.now)?.pack();
    flood.waiting_vtep = slot;
    Ok(())
}
