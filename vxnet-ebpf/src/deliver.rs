//! Carrying out a decision in TC.

use vxnet_common::{
    forward::To,
    frame::{Ethernet, Packet as _},
    map::{local::Local, segment::Segment},
    reason::Reason,
};

use crate::{account, encap, encap::Departure, flood, packet::Skb};

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

/// Sends the frame where the decision says.
#[inline(always)]
pub(crate) fn deliver(
    skb: &mut Skb,
    context: &Context<'_>,
    frame: &Ethernet,
    to: To,
) -> Result<i32, Reason> {
    match to {
        To::Port { slot, ifindex, .. } => {
            account::port_tx(slot, skb.len());
            Ok(skb.redirect(ifindex))
        }
        To::Host { slot, ifindex } => {
            account::port_tx(slot, skb.len());
            Ok(skb.redirect_ingress(ifindex))
        }
        To::Vtep(slot) => {
            let departure = departure(skb, context, frame)?;
            encap::unicast(skb, context.local, &departure, slot, context.now)
        }
        To::Flood { overlay: true } => {
            let departure = departure(skb, context, frame)?;
            flood::flood(skb, context, Some(&departure))
        }
        To::Flood { overlay: false } => flood::flood(skb, context, None),
    }
}

#[inline(always)]
fn departure(skb: &Skb, context: &Context<'_>, frame: &Ethernet) -> Result<Departure, Reason> {
    Departure::new(skb, context.local, frame, context.segment.vni).ok_or(Reason::ShortFrame)
}
