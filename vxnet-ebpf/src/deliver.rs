//! Carrying out a decision in TC.

use vxnet_common::{
    forward::To,
    frame::{Ethernet, Packet as _},
    map::{local::Local, segment::Segment},
    reason::Reason,
};

use crate::{
    account,
    encap::Departure,
    flood,
    packet::{self, Skb},
};

/// Bytes of a frame that the programs look at: Ethernet, IP and TCP header with a few options.
pub(crate) const HEADERS: u32 = 14 + 60 + 20;

/// Where a frame is, and on whose account its copies go.
pub(crate) struct Context<'a> {
    pub(crate) local: &'a Local,
    pub(crate) segment_slot: u32,
    pub(crate) segment: &'a Segment,
    /// Slot of the port that must not get the frame back, or none.
    pub(crate) except: u32,
    /// Slot of the port that pays for drops.
    pub(crate) count_for: u32,
    pub(crate) now: u64,
}

/// Sends a frame of a local port where the decision says.
#[inline(always)]
pub(crate) fn deliver(
    skb: &mut Skb,
    context: &Context<'_>,
    frame: &Ethernet,
    to: To,
) -> Result<i32, Reason> {
    let (To::Vtep(_) | To::Flood { overlay: true }) = to else {
        return deliver_locally(skb, context, to);
    };
    let Context {
        local,
        segment,
        now,
        ..
    } = *context;
    let Some(departure) = Departure::new(skb, local, frame, segment.vni) else {
        return Err(Reason::ShortFrame);
    };
    let To::Vtep(slot) = to else {
        return flood::flood(skb, context, Some(&departure));
    };
    departure.make_room(skb, local)?;
    let way = departure.address(skb, local, slot, now)?;
    departure.send(skb, local, slot, way)
}

/// Sends a frame where the decision says, but never over the overlay.
#[inline(always)]
pub(crate) fn deliver_locally(skb: &mut Skb, context: &Context<'_>, to: To) -> Result<i32, Reason> {
    match to {
        To::Port { slot, ifindex, .. } => {
            account::port_tx(slot, skb.len());
            Ok(packet::redirect(ifindex))
        }
        To::Host { slot, ifindex } => {
            account::port_tx(slot, skb.len());
            Ok(packet::redirect_ingress(ifindex))
        }
        To::Flood { .. } => flood::flood(skb, context, None),
        To::Vtep(_) => Err(Reason::SplitHorizon),
    }
}
