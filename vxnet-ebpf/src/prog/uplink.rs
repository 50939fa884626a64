//! Ingress of an uplink in TC: frames that XDP stripped, and VXLAN packets that it left alone.

use aya_ebpf::{bindings::TC_ACT_UNSPEC, macros::classifier, programs::TcContext};
use vxnet_common::{
    forward::{self, From},
    frame::Ethernet,
    map::NO_SLOT,
    meta::Stripped,
    reason::Reason,
    vxlan::{self, Outer},
};

use super::gro;
use crate::{
    account,
    arrival::{self, Arrival},
    deliver, maps,
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
    let note = skb.stripped();
    // A tag that the kernel took out is another network of the host's, on the same wire. XDP did not
    // see it.
    if skb.has_tag() {
        return match note {
            Some(_) => account::drop(&skb, uplink, Reason::Tagged),
            None => TC_ACT_UNSPEC,
        };
    }
    let arrival = if let Some(note) = note {
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
            Outer::Vxlan(packet) => {
                arrival::tunnelled(&mut skb, local.gro, uplink, &packet, is_gso, now)
            }
        }
    };
    let outcome = arrival.and_then(|arrival| match arrival {
        Arrival::Segments(segment_slot) => gro::regroup(&mut skb, local.gro, segment_slot, uplink),
        Arrival::Uncut => Ok(gro::cut(&mut skb, local.gro, uplink)),
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
