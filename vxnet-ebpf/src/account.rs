//! Counting: what a port sent and got, what a peer sent and got, and every drop with its reason.

use aya_ebpf::bindings::TC_ACT_SHOT;
use aya_log_ebpf::debug;
use vxnet_common::{map::MAX_PORTS, reason::Reason};

use crate::{maps, packet::Skb};

/// Counts a drop and returns the action that carries it out.
#[inline(always)]
pub(crate) fn drop(skb: &Skb, port: u32, reason: Reason) -> i32 {
    notice(port, reason);
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
    vx_count(port, reason as u32);
}

/// Counts an event. Exported, so that the verifier checks it once by itself and forgets at each
/// call which reason it was: followed through every call, the reasons alone multiply the paths of
/// `vx_port` by ten.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn vx_count(port: u32, reason: u32) -> u32 {
    if port >= MAX_PORTS || reason >= Reason::SLOTS {
        return 0;
    }
    if let Some(count) = maps::DROPS.get_ptr_mut(port * Reason::SLOTS + reason) {
        // SAFETY: the row is this CPU's own, and programs on one CPU do not interleave.
        unsafe { *count += 1 };
    }
    0
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

/// How long one super-packet tells that others will come whole too, in nanoseconds.
const WHOLE: u64 = 10_000_000_000;

/// What comes whole, or does not.
#[derive(Clone, Copy)]
pub(crate) enum Whole {
    Tcp,
    Other,
}

/// Returns whether super-packets of a peer come whole, of which this one may be the first.
#[inline(always)]
pub(crate) fn comes_whole(vtep: u32, kind: Whole, is_gso: bool, now: u64) -> bool {
    let Some(stats) = maps::VTEP_STATS.get_ptr_mut(vtep) else {
        return false;
    };
    // SAFETY: as in `vx_count`.
    unsafe {
        let last = match kind {
            Whole::Tcp => &raw mut (*stats).last_whole_tcp,
            Whole::Other => &raw mut (*stats).last_whole_other,
        };
        if is_gso {
            *last = now;
        }
        *last != 0 && now.saturating_sub(*last) < WHOLE
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
