//! Ingress of an uplink in XDP: the fast way for known unicast.
//!
//! It takes what it can finish and leaves everything else to TC, as it came: so a verdict other
//! than delivery is passed in one place, whichever way a packet arrives. The way depends only on
//! what is equal in every segment of a flow (addresses, protocol), or packets would overtake each
//! other.

use aya_ebpf::{
    bindings::xdp_action::XDP_PASS, helpers::bpf_redirect, macros::xdp, programs::XdpContext,
};
use vxnet_common::{
    addr::Mac,
    ecn,
    forward::{self, Tables as _, To},
    frame::{self, Ethernet, Packet as _, ethertype},
    map::{
        LAYOUT,
        port::{Port, flag},
        segment,
    },
    meta::Stripped,
    vxlan::{self, Outer},
};

use crate::{
    account, decap, deliver,
    learning::{self, Sender},
    packet::Frame,
    tables::{self, Live},
};

/// Ingress of an uplink whose driver runs XDP.
#[xdp]
fn vx_uplink_xdp(ctx: XdpContext) -> u32 {
    let ifindex = ctx.ingress_ifindex() as u32;
    let mut frame = Frame { ctx };
    match tables::port_of(ifindex) {
        Some((slot, uplink)) if uplink.flags & flag::STRIP != 0 => {
            receive(&mut frame, slot, uplink).unwrap_or(XDP_PASS)
        }
        _ => XDP_PASS,
    }
}

/// Strips a packet, and forwards it if that needs no skb; `None` leaves it to TC.
#[inline(always)]
fn receive(packet: &mut Frame, uplink_slot: u32, uplink: &Port) -> Option<u32> {
    let local = tables::local()?;
    let Outer::Vxlan(tunnelled) = vxlan::classify(packet, local, false) else {
        return None;
    };
    let (segment_slot, vtep) = forward::admit(&Live, &tunnelled).ok()?;
    let start = tunnelled.start as usize;
    let inner = Ethernet::parse(packet, start)?;
    // Group frames are flooded, which needs the whole packet in an skb; a frame to the uplink's own
    // address would look like underlay traffic if TC were missing; padding must be cut.
    if inner.dst.is_group()
        || inner.dst == Mac(uplink.mac)
        || inner.is_tagged()
        || tunnelled.end != packet.len()
    {
        return None;
    }
    let now = tables::now();
    let payload = start + Ethernet::LEN;
    let straight = if uplink.flags & flag::WIRE_CSUM != 0
        && !frame::is_tcp(packet, inner.ethertype, payload)
    {
        let segment = Live.segment(segment_slot)?;
        // What suppression listens to takes the way through TC.
        if segment.flags & segment::flag::SUPPRESS != 0
            && matches!(inner.ethertype, ethertype::ARP | ethertype::IPV6)
        {
            return None;
        }
        let sender = Sender::vtep(vtep);
        learning::learn(uplink_slot, segment_slot, segment, inner.src, sender, now).ok()?;
        let to = forward::decide(&Live, segment_slot, segment, sender.from, 0, inner.dst, now);
        target(to.ok()?, tunnelled.end - tunnelled.start, now)
    } else {
        None
    };
    ecn::decapsulate(packet, inner.ethertype, payload, tunnelled.traffic_class).ok()?;
    let bytes = tunnelled.end - tunnelled.start;
    let action = if let Some((slot, ifindex)) = straight {
        if !decap::strip_bare(packet, tunnelled.start) {
            return None;
        }
        account::port_tx(slot, bytes);
        // SAFETY: the helper has no preconditions.
        unsafe { bpf_redirect(ifindex, 0) as u32 }
    } else {
        let note = Stripped {
            magic: 0,
            layout: LAYOUT,
            segment: segment_slot,
            vtep,
        };
        if !decap::strip_with_note(packet, tunnelled.start, &note) {
            return None;
        }
        XDP_PASS
    };
    account::port_rx(uplink_slot, bytes);
    account::vtep_rx(vtep, bytes, now);
    Some(action)
}

/// Returns the slot and the ifindex of the link that a frame of so many bytes can leave by from XDP.
#[inline(always)]
fn target(to: To, bytes: u32, now: u64) -> Option<(u32, u32)> {
    match to {
        To::Port {
            slot,
            ifindex,
            flags,
            tagged: false,
        } if flags & flag::XDP_TARGET != 0
            && !deliver::is_shut(slot, now)
            && Live.port(slot)?.takes(bytes) =>
        {
            Some((slot, ifindex))
        }
        _ => None,
    }
}
