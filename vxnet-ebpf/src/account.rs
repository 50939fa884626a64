//! Counting: what a port sent and got, what a peer sent and got, and every drop with its reason.

use aya_ebpf::{
    bindings::{__sk_buff, TC_ACT_SHOT},
    programs::TcContext,
};
use aya_log_ebpf::debug;
use vxnet_common::{frame::Packet as _, map::dropped, reason::Reason};

use crate::{gso, maps, packet::Skb};

/// Counts a drop, keeps the frame's headers, and returns the action that carries it out.
#[inline(always)]
pub(crate) fn drop(skb: &Skb, port: u32, reason: Reason) -> i32 {
    drop_untagged(skb, port, 0, reason)
}

/// As [`drop`], of a frame that came with `tag` (as in [`dropped::Dropped`]), which may be off by
/// now.
#[inline(always)]
pub(crate) fn drop_untagged(skb: &Skb, port: u32, tag: u32, reason: Reason) -> i32 {
    // What comes back is the reason, but the verifier does not know, and so looks at what follows
    // only once.
    let counted = vx_count(port, reason as u64);
    remember(skb.ctx.skb.skb, port, tag, counted);
    // Compiled in, but pruned by the verifier unless the daemon was started to log packets.
    debug!(
        &skb.ctx,
        "dropped: reason {}, port slot {}", reason as u32, port
    );
    TC_ACT_SHOT
}

/// Counts an event without dropping anything.
#[inline(always)]
pub(crate) fn notice(port: u32, reason: Reason) {
    vx_count(port, reason as u64);
}

/// Counts an event, and returns its reason. Exported, so that the verifier checks it once by itself
/// and forgets at each call which reason it was: followed through every call, the reasons alone
/// multiply the paths of `vx_port` by ten.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn vx_count(port: u32, reason: u64) -> u32 {
    // Of 64 bits, for the verifier to see that this bounds the place below.
    if reason >= u64::from(Reason::SLOTS) {
        return 0;
    }
    if let Some(row) = maps::DROPS.get_ptr_mut(port) {
        // SAFETY: the row is this CPU's own, and programs on one CPU do not interleave. It has a
        // count for each reason below `Reason::SLOTS`.
        unsafe { *row.cast::<u64>().add(reason as usize) += 1 };
    }
    reason as u32
}

/// Keeps the headers of a frame that is about to be made something else, in place of being dropped.
#[inline(always)]
pub(crate) fn keep(skb: &Skb, port: u32, reason: Reason) {
    remember(skb.ctx.skb.skb, port, 0, reason as u32);
}

/// Keeps the headers of a dropped frame in `LAST_DROPS`.
#[inline(never)]
fn remember(skb: *mut __sk_buff, port: u32, tag: u32, reason: u32) {
    let skb = Skb {
        ctx: TcContext::new(skb),
    };
    let Some(next) = maps::LAST_PLACES.get_ptr_mut(reason) else {
        return;
    };
    // SAFETY: array rows are never freed. Two CPUs may take one place; then one of the two frames
    // is kept, or a header of one with the length of the other.
    let place = unsafe {
        let place = *next;
        *next = place.wrapping_add(1);
        place % dropped::KEPT
    };
    let Some(row) = maps::LAST_DROPS.get_ptr_mut(reason * dropped::KEPT + place) else {
        return;
    };
    // SAFETY: as above.
    unsafe {
        (*row).time = crate::tables::now();
        (*row).port = port;
        (*row).len = skb.len();
        (*row).tag = if skb.has_service_tag() {
            dropped::SERVICE | dropped::TAGGED | u32::from(skb.tag())
        } else if skb.has_tag() {
            dropped::TAGGED | u32::from(skb.tag())
        } else {
            tag
        };
        (*row).kept = skb.copy_head(&raw mut (*row).header);
    }
}

/// Counts a frame that a port sent into the switch.
#[inline(always)]
pub(crate) fn port_rx(port: u32, bytes: u32) {
    if let Some(stats) = maps::PORT_STATS.get_ptr_mut(port) {
        // SAFETY: as in `vx_count`.
        unsafe {
            (*stats).rx_packets += 1;
            (*stats).rx_bytes += u64::from(bytes);
        }
    }
}

/// Counts a packet that goes on to the host as it came.
#[inline(always)]
pub(crate) fn passed(port: u32, bytes: u32) {
    if let Some(stats) = maps::PORT_STATS.get_ptr_mut(port) {
        // SAFETY: as in `vx_count`.
        unsafe {
            (*stats).rx_packets += 1;
            (*stats).rx_bytes += u64::from(bytes);
            (*stats).passed += 1;
        }
    }
}

/// Counts frames that the switch made of one that a port sent.
#[inline(always)]
pub(crate) fn replicas(port: u32, count: u32) {
    if let Some(stats) = maps::PORT_STATS.get_ptr_mut(port) {
        // SAFETY: as in `vx_count`.
        unsafe { (*stats).replicas += u64::from(count) };
    }
}

/// Counts the segments that GRO joined to the first of a packet, each of which had been counted.
#[inline(always)]
pub(crate) fn merged(port: u32, skb: &Skb) {
    let segments = gso::segments(skb);
    if segments < 2 {
        return;
    }
    if let Some(stats) = maps::PORT_STATS.get_ptr_mut(port) {
        // SAFETY: as in `vx_count`.
        unsafe { (*stats).merged += u64::from(segments - 1) };
    }
}

/// Counts a copy that the kernel was asked to hand to a port; if it did not, `payer`, whose frame
/// it is, has lost it.
#[inline(always)]
pub(crate) fn port_copy(port: u32, bytes: u32, sent: bool, payer: u32) {
    vx_port_copy(port, bytes, u32::from(sent), payer);
}

/// See [`port_copy`]; exported for the same reason as [`vx_count`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn vx_port_copy(port: u32, bytes: u32, sent: u32, payer: u32) -> u32 {
    if sent == 0 {
        return vx_count(payer, Reason::RedirectFailed as u64);
    }
    vx_port_sent(port, bytes)
}

/// As [`port_copy`], to a peer.
#[inline(always)]
pub(crate) fn vtep_copy(vtep: u32, bytes: u32, sent: bool, payer: u32) {
    vx_vtep_copy(vtep, bytes, u32::from(sent), payer);
}

/// See [`vtep_copy`]; exported for the same reason as [`vx_count`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn vx_vtep_copy(vtep: u32, bytes: u32, sent: u32, payer: u32) -> u32 {
    if sent == 0 {
        return vx_count(payer, Reason::RedirectFailed as u64);
    }
    vx_vtep_sent(vtep, bytes)
}

/// Counts a frame that the switch sent to a port.
#[inline(always)]
pub(crate) fn port_tx(port: u32, bytes: u32) {
    vx_port_sent(port, bytes);
}

/// See [`port_tx`]; exported for the same reason as [`vx_count`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn vx_port_sent(port: u32, bytes: u32) -> u32 {
    if let Some(stats) = maps::PORT_STATS.get_ptr_mut(port) {
        // SAFETY: as in `vx_count`.
        unsafe {
            (*stats).tx_packets += 1;
            (*stats).tx_bytes += u64::from(bytes);
        }
    }
    0
}

/// Counts an inner frame that a peer sent.
#[inline(always)]
pub(crate) fn vtep_rx(vtep: u32, bytes: u32, now: u64) {
    if let Some(stats) = maps::VTEP_STATS.get_ptr_mut(vtep) {
        // SAFETY: as in `vx_count`.
        unsafe {
            (*stats).rx_packets += 1;
            (*stats).rx_bytes += u64::from(bytes);
            (*stats).last_heard = now;
        }
    }
}

/// Counts an inner frame that a peer was sent.
#[inline(always)]
pub(crate) fn vtep_tx(vtep: u32, bytes: u32) {
    vx_vtep_sent(vtep, bytes);
}

/// See [`vtep_tx`]; exported for the same reason as [`vx_count`].
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn vx_vtep_sent(vtep: u32, bytes: u32) -> u32 {
    if let Some(stats) = maps::VTEP_STATS.get_ptr_mut(vtep) {
        // SAFETY: as in `vx_count`.
        unsafe {
            (*stats).tx_packets += 1;
            (*stats).tx_bytes += u64::from(bytes);
        }
    }
    0
}
