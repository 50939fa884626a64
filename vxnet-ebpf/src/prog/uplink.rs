//! Ingress of an uplink in TC: frames that XDP stripped, and VXLAN packets that it left alone.

use aya_ebpf::{bindings::TC_ACT_UNSPEC, macros::classifier, programs::TcContext};
use vxnet_common::{
    ecn,
    forward::{self, From, Tables as _},
    frame::{Ethernet, Packet as _},
    map::{NO_SLOT, local::Local},
    meta::Stripped,
    reason::Reason,
    vxlan::{self, Outer, Tunnelled},
};

use crate::{
    account, decap, deliver,
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
    let outcome = if let Some(note) = skb.stripped() {
        stripped(&mut skb, local, uplink, &note)
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
            Outer::Vxlan(packet) => tunnelled(&mut skb, local, uplink, &packet, is_gso),
        }
    };
    match outcome {
        Ok(action) => action,
        Err(reason) => account::drop(&skb, uplink, reason),
    }
}

/// Delivers a frame that XDP admitted and stripped; GRO may have merged it since.
#[inline(always)]
fn stripped(skb: &mut Skb, local: &Local, uplink: u32, note: &Stripped) -> Result<i32, Reason> {
    if note.generation != local.generation {
        return Err(Reason::StaleStrip);
    }
    let Some(segment) = Live.segment(note.segment) else {
        return Err(Reason::StaleStrip);
    };
    let Some(frame) = Ethernet::parse(skb, 0) else {
        return Err(Reason::ShortFrame);
    };
    let now = tables::now();
    let from = From::Vtep(note.vtep);
    let to = forward::decide(&Live, note.segment, segment, from, frame.dst, now)?;
    let context = deliver::Context {
        local,
        segment_slot: note.segment,
        segment,
        except: NO_SLOT,
        count_for: uplink,
        now,
    };
    deliver::deliver(skb, &context, &frame, to)
}

/// Admits, strips and delivers a VXLAN packet.
#[inline(always)]
fn tunnelled(
    skb: &mut Skb,
    local: &Local,
    uplink: u32,
    packet: &Tunnelled,
    is_gso: bool,
) -> Result<i32, Reason> {
    let (segment_slot, vtep) = forward::admit(&Live, packet)?;
    let Some(segment) = Live.segment(segment_slot) else {
        return Err(Reason::UnknownVni);
    };
    let start = packet.start as usize;
    let Some(frame) = Ethernet::parse(skb, start) else {
        return Err(Reason::BadOuter);
    };
    if frame.is_tagged() {
        return Err(Reason::Tagged);
    }
    let (from, now) = (From::Vtep(vtep), tables::now());
    tables::learn(uplink, segment_slot, segment, frame.src, from, now)?;
    let to = forward::decide(&Live, segment_slot, segment, from, frame.dst, now)?;
    ecn::decapsulate(
        skb,
        frame.ethertype,
        start + Ethernet::LEN,
        packet.traffic_class,
    )?;
    let bytes = if is_gso {
        skb.len() - packet.start
    } else {
        packet.end - packet.start
    };
    decap::strip(skb, packet, is_gso)?;
    account::port_rx(uplink, bytes);
    account::vtep_rx(vtep, bytes, now);
    let context = deliver::Context {
        local,
        segment_slot,
        segment,
        except: NO_SLOT,
        count_for: uplink,
        now,
    };
    deliver::deliver(skb, &context, &frame, to)
}
