//! What a guest may claim to be: `vxnet_common::security` over the live maps.

use aya_ebpf::{bindings::__sk_buff, programs::TcContext};
use vxnet_common::{frame::Ethernet, reason::Reason, security};

use crate::{
    maps,
    packet::Skb,
    tables::{self, Live},
};

/// Checks a frame of a guarded port.
#[inline(always)]
pub(crate) fn check(skb: &Skb, slot: u32, segment: u32, frame: &Ethernet) -> Result<(), Reason> {
    match check_raw(skb.ctx.skb.skb, slot, segment, frame) {
        FINE => Ok(()),
        reason => Err(reasons(reason)),
    }
}

/// No reason has this code.
const FINE: u32 = u32::MAX;

/// See [`check`]. A call of its own: the verifier then follows the checks once, and not again for
/// every way that a frame can have come in.
#[inline(never)]
fn check_raw(skb: *mut __sk_buff, slot: u32, segment: u32, frame: *const Ethernet) -> u32 {
    let skb = Skb {
        ctx: TcContext::new(skb),
    };
    let (Some(port), Some(local)) = (maps::PORTS.get(slot), tables::local()) else {
        return Reason::UnknownPort as u32;
    };
    // SAFETY: the caller passed a reference.
    let frame = unsafe { &*frame };
    match security::check(&Live, slot, port, segment, local, &skb, frame) {
        Ok(()) => FINE,
        Err(reason) => reason as u32,
    }
}

/// Returns the reason of a code that [`check_raw`] gives.
#[inline(always)]
fn reasons(code: u32) -> Reason {
    const LOCKED: u32 = Reason::Locked as u32;
    const MAC: u32 = Reason::SpoofedMac as u32;
    const IP: u32 = Reason::SpoofedIp as u32;
    const DHCP: u32 = Reason::RogueDhcp as u32;
    const RA: u32 = Reason::RogueRa as u32;
    const VXLAN: u32 = Reason::GuestVxlan as u32;
    match code {
        LOCKED => Reason::Locked,
        MAC => Reason::SpoofedMac,
        IP => Reason::SpoofedIp,
        DHCP => Reason::RogueDhcp,
        RA => Reason::RogueRa,
        VXLAN => Reason::GuestVxlan,
        _ => Reason::UnknownPort,
    }
}
