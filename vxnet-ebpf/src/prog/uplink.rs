//! Ingress of an uplink in TC: frames that XDP stripped, and VXLAN packets that it left alone.

use aya_ebpf::{bindings::TC_ACT_UNSPEC, macros::classifier, programs::TcContext};
use vxnet_common::{
    forward,
    frame::{Ethernet, Packet as _},
    map::{NO_SLOT, segment},
    meta::Stripped,
    reason::Reason,
    vxlan::{self, Outer},
};

use crate::{
    account,
    arrival::{self, Arrival},
    deliver,
    learning::{self, Sender},
    maps,
    packet::Skb,
    suppress,
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
    let note = skb.stripped();
    // A tag that the kernel took out is another network of the host's, on the same wire. XDP did not
    // see it.
    if skb.has_tag() {
        return match note {
            Some(_) => account::drop(&skb, uplink, Reason::Tagged),
            None => pass(&skb, uplink),
        };
    }
    let arrival = if let Some(note) = note {
        stripped(&skb, uplink, &note, now)
    } else {
        skb.linearise(2 * deliver::HEADERS);
        let is_gso = skb.gso_size() != 0;
        match vxlan::classify(&skb, local, is_gso) {
            Outer::Foreign => return pass(&skb, uplink),
            Outer::NotOurs => Err(Reason::NotOurs),
            Outer::Bad(reason) => {
                account::port_rx(uplink, skb.len());
                Err(reason)
            }
            Outer::Vxlan(packet) => {
                arrival::tunnelled(&mut skb, local, uplink, &packet, is_gso, now)
            }
        }
    };
    let outcome = arrival.and_then(|arrival| match arrival {
        Arrival::Detour(action) => Ok(action),
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
                sender: 0,
                priority: 0,
                count_for: uplink,
                now,
            };
            deliver::deliver_locally(&mut skb, &context, to)
        }
    });
    match outcome {
        Ok(action) => action,
        Err(Reason::NotOurs) => {
            account::notice(uplink, Reason::NotOurs);
            pass(&skb, uplink)
        }
        Err(reason) => account::drop(&skb, uplink, reason),
    }
}

/// Leaves a packet to the host, as it came.
#[inline(always)]
fn pass(skb: &Skb, uplink: u32) -> i32 {
    account::passed(uplink, skb.len());
    TC_ACT_UNSPEC
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
    account::merged(uplink, skb);
    let sender = Sender::vtep(note.vtep);
    learning::learn(uplink, note.segment, segment, frame.src, sender, now)?;
    let to = forward::decide(&Live, note.segment, segment, sender.from, 0, frame.dst, now)?;
    if segment.flags & segment::flag::SUPPRESS != 0 && suppress::is_heard(&frame) {
        suppress::overhear(skb, note.segment, note.vtep, &frame, now);
    }
    Ok(Arrival::Frame {
        segment_slot: note.segment,
        segment,
        to,
    })
}
