//! VXLAN packets for this host, from the underlay to an inner frame and where it goes.

use vxnet_common::{
    ecn,
    forward::{self, To},
    frame::{self, Ethernet, Packet as _},
    map::{
        local::Local,
        port::flag,
        segment::{self, Segment},
    },
    reason::Reason,
    vxlan::Tunnelled,
};

use crate::{
    account, decap, deliver, detour,
    learning::{self, Sender},
    maps,
    packet::Skb,
    suppress,
    tables::Live,
    whole,
};

/// What is to be done with a packet.
pub(crate) enum Arrival<'a> {
    /// It is an inner frame now, to be delivered.
    Frame {
        segment_slot: u32,
        segment: &'a Segment,
        to: To,
    },
    /// It takes the detour, by this action.
    Detour(i32),
}

/// Admits a VXLAN packet, and strips it or sends it on the detour.
#[inline(always)]
pub(crate) fn tunnelled<'a>(
    skb: &mut Skb,
    local: &Local,
    uplink: u32,
    packet: &Tunnelled,
    is_gso: bool,
    now: u64,
) -> Result<Arrival<'a>, Reason> {
    let (segment_slot, vtep) = match forward::admit(&Live, packet) {
        Ok(admitted) => admitted,
        // A group that is others' too.
        Err(Reason::NotOurs) => return Err(Reason::NotOurs),
        Err(reason) => {
            account::port_rx(uplink, skb.len());
            return Err(reason);
        }
    };
    let start = packet.start as usize;
    let payload = start + Ethernet::LEN;
    let Some(frame) = Ethernet::parse(skb, start) else {
        return Err(Reason::BadOuter);
    };
    // TCP's way depends only on what is equal in every segment of a flow and on the receiver, not on
    // whether it comes whole: segments that took different ones would overtake each other.
    let is_tcp = frame::is_tcp(skb, frame.ethertype, payload);
    // Of UDP only: nothing else is cut wrongly, and suppression listens to what comes natively.
    let comes_whole = frame::is_udp(skb, frame.ethertype, payload)
        && whole::comes_whole(vtep, packet.source_port, is_gso, now);
    let bytes = packet.end - packet.start;
    account::port_rx(uplink, bytes);
    account::vtep_rx(vtep, bytes, now);
    let Some(segment) = maps::SEGMENTS.get(segment_slot) else {
        return Err(Reason::UnknownVni);
    };
    if frame.is_tagged() {
        return Err(Reason::Tagged);
    }
    let sender = Sender::vtep(vtep);
    learning::learn(uplink, segment_slot, segment, frame.src, sender, now)?;
    let to = forward::decide(&Live, segment_slot, segment, sender.from, 0, frame.dst, now)?;
    ecn::decapsulate(skb, frame.ethertype, payload, packet.traffic_class)?;
    // Stripped by a program, a super-packet still looks like one of a tunnel: what TCP is cut into is
    // slow at best, and what UDP is cut into is lost.
    let gains = comes_whole || is_tcp && !frame.dst.is_group() && !takes_marked(to);
    if gains && detour::is_open(local, packet) {
        return detour::send(skb, local, packet, uplink).map(Arrival::Detour);
    }
    decap::strip(skb, packet, is_gso)?;
    if segment.flags & segment::flag::SUPPRESS != 0 && suppress::is_heard(&frame) {
        skb.linearise(deliver::HEADERS);
        suppress::overhear(skb, segment_slot, vtep, &frame, now);
    }
    Ok(Arrival::Frame {
        segment_slot,
        segment,
        to,
    })
}

/// Returns whether the receiver takes TCP super-packets that a program stripped, whatever they look
/// like to the kernel. The host may route them to a NIC, as a link to a physical switch is one.
#[inline(always)]
fn takes_marked(to: To) -> bool {
    matches!(to, To::Port { flags, .. } if flags & flag::TAKES_MARKED != 0)
}
