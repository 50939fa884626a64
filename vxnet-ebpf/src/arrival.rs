//! VXLAN packets for this host, from the underlay to an inner frame and where it goes.

use vxnet_common::{
    ecn,
    forward::{self, To},
    frame::{self, Ethernet, Packet as _},
    map::{
        port::flag,
        segment::{self, Segment},
    },
    reason::Reason,
    vxlan::Tunnelled,
};

use crate::{
    account::{self, Whole},
    decap, deliver,
    learning::{self, Sender},
    maps,
    packet::Skb,
    suppress,
    tables::Live,
};

/// What is to be done with a packet.
pub(crate) enum Arrival<'a> {
    /// It is an inner frame now, to be delivered.
    Frame {
        segment_slot: u32,
        segment: &'a Segment,
        to: To,
    },
    /// It is TCP of the segment in that slot now, to be regrouped first.
    Segments(u32),
    /// It is as it was, and must be cut first.
    Uncut,
}

/// Admits and strips a VXLAN packet. `gro` is the link that regroups, or 0 behind it.
#[inline(always)]
pub(crate) fn tunnelled<'a>(
    skb: &mut Skb,
    gro: u32,
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
    // The way depends on what is equal in every packet of a flow, and on the peer: packets that
    // took different ones would overtake each other.
    let is_tcp = frame::is_tcp(skb, frame.ethertype, payload);
    let kind = if is_tcp { Whole::Tcp } else { Whole::Other };
    let whole = account::comes_whole(vtep, kind, is_gso, now);
    // Stripped, a super-packet still looks like one of a tunnel; only TCP is cut rightly then.
    if gro != 0 && whole && !is_tcp {
        return Ok(Arrival::Uncut);
    }
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
    decap::strip(skb, packet, is_gso)?;
    if segment.flags & segment::flag::SUPPRESS != 0 && suppress::is_heard(&frame) {
        skb.linearise(deliver::HEADERS);
        suppress::overhear(skb, segment_slot, vtep, &frame, now);
    }
    // Where super-packets come whole, only taps need them cut and merged anew.
    if gro != 0 && is_tcp && !frame.dst.is_group() && !(whole && takes_whole(to)) {
        return Ok(Arrival::Segments(segment_slot));
    }
    Ok(Arrival::Frame {
        segment_slot,
        segment,
        to,
    })
}

/// Returns whether the receiver takes TCP super-packets that have been in VXLAN: all but taps do,
/// which XDP frames can be sent to.
#[inline(always)]
fn takes_whole(to: To) -> bool {
    match to {
        To::Port { flags, .. } => flags & flag::XDP_TARGET == 0,
        To::Host { .. } => true,
        To::Vtep(_) | To::Flood { .. } => false,
    }
}
