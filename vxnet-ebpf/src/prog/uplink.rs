//! Ingress of an uplink in TC: frames that XDP stripped, and VXLAN packets that it left alone.

use aya_ebpf::{bindings::TC_ACT_UNSPEC, macros::classifier, programs::TcContext};
use vxnet_common::{
    ecn,
    forward::{self, From, To},
    frame::{self, Ethernet},
    map::{NO_SLOT, local::Local, port::flag, segment::Segment},
    meta::Stripped,
    reason::Reason,
    vxlan::{self, Outer, Tunnelled},
};

use super::gro;
use crate::{
    account, decap, deliver, maps,
    packet::Skb,
    tables::{self, Live},
};

/// Ingress of an uplink. What is not for this VTEP goes on to the host.
#[classifier]
fn vx_uplink(ctx: TcContext) -> i32 {
    let mut skb = Skb { ctx };
    let uplink = tables::port_of(skb.ifindex()).map_or(NO_SLOT, |(slot, _)| slot);
    let Some(local) = tables::local() else {
        return TC_ACT_UNSPEC;
    };
    let now = tables::now();
    let arrival = if let Some(note) = skb.stripped() {
        stripped(&skb, uplink, &note, now)
    } else {
        skb.linearise(2 * deliver::HEADERS);
        let is_gso = skb.gso_size() != 0;
        match vxlan::classify(&skb, local, is_gso) {
            Outer::Foreign => return TC_ACT_UNSPEC,
            Outer::NotOurs => {
                account::notice(uplink, Reason::NotOurs);
                return TC_ACT_UNSPEC;
            }
            Outer::Bad(reason) => Err(reason),
            Outer::Vxlan(packet) => tunnelled(&mut skb, local, uplink, &packet, is_gso, now),
        }
    };
    let outcome = arrival.and_then(|arrival| match arrival {
        Arrival::Segments(segment_slot) => gro::regroup(&mut skb, local.gro, segment_slot, uplink),
        Arrival::Frame {
            segment_slot,
            segment,
            to,
        } => {
            let context = deliver::Context {
                local,
                segment_slot,
                segment,
                except: NO_SLOT,
                count_for: uplink,
                now,
            };
            deliver::deliver_locally(&mut skb, &context, to)
        }
    });
    match outcome {
        Ok(action) => action,
        Err(reason) => account::drop(&skb, uplink, reason),
    }
}

/// An inner frame without its outer header.
enum Arrival<'a> {
    /// A frame to be delivered.
    Frame {
        segment_slot: u32,
        segment: &'a Segment,
        to: To,
    },
    /// TCP of the segment in that slot, to be regrouped first.
    Segments(u32),
}

/// Takes a frame that XDP admitted, counted and stripped; GRO may have merged it since.
#[inline(always)]
fn stripped<'a>(skb: &Skb, uplink: u32, note: &Stripped, now: u64) -> Result<Arrival<'a>, Reason> {
    if !note.is_current() {
        return Err(Reason::StaleStrip);
    }
    let Some(segment) = maps::SEGMENTS.get(note.segment) else {
        return Err(Reason::StaleStrip);
    };
    let Some(frame) = Ethernet::parse(skb, 0) else {
        return Err(Reason::ShortFrame);
    };
    let from = From::Vtep(note.vtep);
    tables::learn(uplink, note.segment, segment, frame.src, from, now)?;
    let to = forward::decide(&Live, note.segment, segment, from, frame.dst, now)?;
    Ok(Arrival::Frame {
        segment_slot: note.segment,
        segment,
        to,
    })
}

/// Returns whether the receiver takes super-packets that have been in VXLAN: all but taps do, which
/// XDP frames can be sent to.
#[inline(always)]
fn takes_whole(to: To) -> bool {
    match to {
        To::Port { flags, .. } => flags & flag::XDP_TARGET == 0,
        To::Host { .. } => true,
        To::Vtep(_) | To::Flood { .. } => false,
    }
}

/// Admits and strips a VXLAN packet.
#[inline(always)]
fn tunnelled<'a>(
    skb: &mut Skb,
    local: &Local,
    uplink: u32,
    packet: &Tunnelled,
    is_gso: bool,
    now: u64,
) -> Result<Arrival<'a>, Reason> {
    let (segment_slot, vtep) = forward::admit(&Live, packet)?;
    let bytes = packet.end - packet.start;
    account::port_rx(uplink, bytes);
    account::vtep_rx(vtep, bytes, now);
    let Some(segment) = maps::SEGMENTS.get(segment_slot) else {
        return Err(Reason::UnknownVni);
    };
    let start = packet.start as usize;
    let Some(frame) = Ethernet::parse(skb, start) else {
        return Err(Reason::BadOuter);
    };
    if frame.is_tagged() {
        return Err(Reason::Tagged);
    }
    let from = From::Vtep(vtep);
    tables::learn(uplink, segment_slot, segment, frame.src, from, now)?;
    let payload = start + Ethernet::LEN;
    let to = forward::decide(&Live, segment_slot, segment, from, frame.dst, now)?;
    // By what is equal in every packet of a flow, or they would overtake each other. Where
    // super-packets come whole, only taps need them cut and merged anew.
    let whole = account::comes_whole(vtep, is_gso, now);
    let regroups = local.gro != 0
        && !frame.dst.is_group()
        && frame::is_tcp(skb, frame.ethertype, payload)
        && !(whole && takes_whole(to));
    ecn::decapsulate(skb, frame.ethertype, payload, packet.traffic_class)?;
    decap::strip(skb, packet, is_gso)?;
    if regroups {
        return Ok(Arrival::Segments(segment_slot));
    }
    Ok(Arrival::Frame {
        segment_slot,
        segment,
        to,
    })
}
