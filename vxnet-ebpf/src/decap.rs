//! Taking the outer header off.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        BPF_F_ADJ_ROOM_DECAP_L3_IPV4, BPF_F_ADJ_ROOM_DECAP_L3_IPV6, BPF_F_ADJ_ROOM_FIXED_GSO,
        bpf_adj_room_mode::BPF_ADJ_ROOM_MAC,
    },
    helpers::{bpf_skb_change_tail, bpf_xdp_adjust_head, bpf_xdp_adjust_meta},
};
use network_types::ip::{Ipv4Hdr, Ipv6Hdr};
use vxnet_common::{
    frame::{Ethernet, Packet as _, PacketMut as _, ethertype},
    meta::Stripped,
    reason::Reason,
    vxlan::Tunnelled,
};

use crate::packet::{Bytes, Frame, Skb};

/// The kernel keeps at least an IPv4 header behind the Ethernet header when it shrinks a packet,
const MINIMUM: u32 = Ipv4Hdr::LEN as u32;
/// or an IPv6 header if the outer one is, unless it is told otherwise (since 6.3).
const MINIMUM_IPV6: u32 = Ipv6Hdr::LEN as u32;

/// Makes the kernel forget that a super-packet was in UDP (`BPF_F_ADJ_ROOM_DECAP_L4_UDP`, newer than
/// the bindings). Kernels without it refuse at once; there, taps get such packets cut.
const DECAP_L4_UDP: u32 = 1 << 10;

/// Strips the outer header of a packet in TC, and what follows the inner frame.
///
/// The length of a super-packet's segments stays (`FIXED_GSO`): they were cut for the inner MTU.
/// A checksum that the NIC found good was the outer one, so the kernel forgets it (the default of
/// the helper) and the guest verifies its own.
#[inline(always)]
pub(crate) fn strip(skb: &mut Skb, packet: &Tunnelled, is_gso: bool) -> Result<(), Reason> {
    let Some(inner) = skb.read::<Bytes<{ Ethernet::LEN }>>(packet.start as usize) else {
        return Err(Reason::DecapFailed);
    };
    let inner_len = packet.end - packet.start;
    // Tells the kernel which family comes to light, if it is the other one: it types the packet
    // anew, or the segments that a tap cuts from an IPv6 super-packet behind IPv4 are lost.
    let is_ipv6 = inner.0[12..] == ethertype::IPV6.to_be_bytes();
    let family = match (skb.protocol(), is_ipv6) {
        (ethertype::IPV4, true) => BPF_F_ADJ_ROOM_DECAP_L3_IPV6,
        (ethertype::IPV6, false) => BPF_F_ADJ_ROOM_DECAP_L3_IPV4,
        _ => 0,
    };
    // Growing is for frames that no IP stack sends: the kernel refuses it where a checksum is left
    // to the hardware (`skb->encapsulation`).
    if !is_gso {
        pad(skb, packet, inner_len, MINIMUM)?;
    }
    let shrunk = is_gso && shrink(skb, packet.start, family | DECAP_L4_UDP);
    if !shrunk && !shrink(skb, packet.start, family) {
        // Before 6.3 there are no such flags, but more bytes do as well for what is not GSO.
        if !is_gso {
            pad(skb, packet, inner_len, MINIMUM_IPV6)?;
        }
        if !shrink(skb, packet.start, 0) {
            return Err(Reason::DecapFailed);
        }
    }
    if !is_gso && inner_len != skb.len() {
        resize(skb, inner_len)?;
    }
    skb.linearise(Ethernet::LEN as u32);
    if skb.write(0, &inner) {
        Ok(())
    } else {
        Err(Reason::DecapFailed)
    }
}

/// Takes `bytes` out behind the Ethernet header; returns whether the kernel did.
#[inline(always)]
fn shrink(skb: &Skb, bytes: u32, family: u32) -> bool {
    let flags = u64::from(BPF_F_ADJ_ROOM_FIXED_GSO | family);
    let change = -(bytes as i32);
    skb.ctx.adjust_room(change, BPF_ADJ_ROOM_MAC, flags).is_ok()
}

/// Cuts what follows the inner frame, but leaves or adds enough that `minimum` bytes follow its
/// Ethernet header.
#[inline(always)]
fn pad(skb: &Skb, packet: &Tunnelled, inner_len: u32, minimum: u32) -> Result<(), Reason> {
    let minimum = Ethernet::LEN as u32 + minimum;
    let end = packet.start
        + if inner_len < minimum {
            minimum
        } else {
            inner_len
        };
    if end == skb.len() {
        Ok(())
    } else {
        resize(skb, end)
    }
}

/// Cuts the packet's tail or fills it up with zeros.
#[inline(always)]
fn resize(skb: &Skb, len: u32) -> Result<(), Reason> {
    // SAFETY: the helper takes the context of a TC program.
    match unsafe { bpf_skb_change_tail(skb.ctx.as_ptr().cast(), len, 0) } {
        0 => Ok(()),
        _ => Err(Reason::DecapFailed),
    }
}

/// Strips the outer header of a packet in XDP and leaves a note for TC; returns whether it did.
/// If not, the packet is as it was.
#[inline(always)]
pub(crate) fn strip_with_note(frame: &mut Frame, start: u32, note: &Stripped) -> bool {
    let ctx = frame.ctx.as_ptr().cast();
    // The note's room first: some drivers have none, and then nothing has happened yet.
    // SAFETY: the helpers take the context of an XDP program.
    unsafe {
        if bpf_xdp_adjust_meta(ctx, -(Stripped::LEN as i32)) != 0 {
            return false;
        }
    }
    if let Some(place) = frame.metadata() {
        *place = Stripped { magic: 0, ..*note };
    }
    // SAFETY: as above. The note moves along with the head.
    if unsafe { bpf_xdp_adjust_head(ctx, start as i32) } != 0 {
        return false;
    }
    match frame.metadata() {
        Some(place) => {
            place.magic = Stripped::MAGIC;
            true
        }
        // Not reached: the room was made above. The verifier does not know.
        None => false,
    }
}

/// Strips the outer header of a packet in XDP; returns whether it did.
#[inline(always)]
pub(crate) fn strip_bare(frame: &Frame, start: u32) -> bool {
    // SAFETY: the helper takes the context of an XDP program.
    unsafe { bpf_xdp_adjust_head(frame.ctx.as_ptr().cast(), start as i32) == 0 }
}
