//! Regrouping of TCP segments that TC stripped.
//!
//! GRO has seen these segments before TC did, as VXLAN packets, and merged nothing. So the uplink's
//! program sends them through a veth pair of ours, whose other end runs GRO once more, now on the
//! inner TCP, and this program behind it. On the way a VLAN tag beside the frame names the segment
//! (GRO never merges packets with different ones), and the mark the uplink.

use aya_ebpf::{macros::classifier, programs::TcContext};
use vxnet_common::{
    forward::{self, From},
    frame::Ethernet,
    map::NO_SLOT,
    reason::Reason,
};

use crate::{
    account, deliver, maps,
    packet::{self, Skb},
    tables::{self, Live},
};

/// Sends a stripped segment to the GRO link.
#[inline(always)]
pub(crate) fn regroup(
    skb: &mut Skb,
    link: u32,
    segment_slot: u32,
    uplink: u32,
) -> Result<i32, Reason> {
    skb.set_mark(uplink);
    // A slot of a segment has 12 bits, as a VLAN id has.
    if skb.push_tag(segment_slot as u16) {
        Ok(packet::redirect(link))
    } else {
        Err(Reason::DecapFailed)
    }
}

/// Ingress of the GRO link's other end. Nothing but stripped segments comes in there.
#[classifier]
fn vx_gro(ctx: TcContext) -> i32 {
    let mut skb = Skb { ctx };
    let uplink = skb.mark();
    match arrive(&mut skb, uplink) {
        Ok(action) => action,
        Err(reason) => account::drop(&skb, uplink, reason),
    }
}

/// Delivers a segment, or several that GRO merged.
#[inline(always)]
fn arrive(skb: &mut Skb, uplink: u32) -> Result<i32, Reason> {
    // Without a tag, this is slot 0, which is no segment's.
    let segment_slot = u32::from(skb.tag() & 0xfff);
    skb.set_mark(0);
    let (Some(local), Some(segment)) = (tables::local(), maps::SEGMENTS.get(segment_slot)) else {
        return Err(Reason::StaleStrip);
    };
    if segment.vni == 0 || !skb.pop_tag() {
        return Err(Reason::StaleStrip);
    }
    let Some(frame) = Ethernet::parse(skb, 0) else {
        return Err(Reason::ShortFrame);
    };
    let now = tables::now();
    let from = From::Vtep(NO_SLOT);
    let to = forward::decide(&Live, segment_slot, segment, from, frame.dst, now)?;
    let context = deliver::Context {
        local,
        segment_slot,
        segment,
        except: NO_SLOT,
        count_for: uplink,
        now,
    };
    deliver::deliver_locally(skb, &context, to)
}
