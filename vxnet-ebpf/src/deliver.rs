//! Carrying out a decision in TC.

use vxnet_common::{
    forward::To,
    frame::{Ethernet, Packet as _},
    map::{local::Local, segment::Segment},
    outer,
    reason::Reason,
    vlan,
};

use crate::{
    account,
    encap::Departure,
    flood, gso, maps, next_hop,
    packet::{self, Skb},
    tell,
};

/// Bytes of a frame that the programs look at: Ethernet, IP and TCP header with a few options, or a
/// neighbour discovery message, or the head of a DHCP message.
pub(crate) const HEADERS: u32 = 128;

/// Where a frame is, and on whose account its copies go.
pub(crate) struct Context<'a> {
    pub(crate) local: &'a Local,
    pub(crate) segment_slot: u32,
    pub(crate) segment: &'a Segment,
    /// Slot of the port that must not get the frame back, or none.
    pub(crate) except: u32,
    /// Flags of that port, or 0.
    pub(crate) sender: u32,
    /// Priority bits of the tag that the frame came with.
    pub(crate) priority: u16,
    /// Slot of the port that pays for drops.
    pub(crate) count_for: u32,
    pub(crate) now: u64,
}

impl Context<'_> {
    /// Returns the control information of the tag that the frame leaves with where it needs one.
    #[inline(always)]
    pub(crate) fn tag(&self) -> u16 {
        self.priority | self.segment.vid & vlan::VID
    }
}

/// Sends a frame of a local port where the decision says.
#[inline(always)]
pub(crate) fn deliver(
    skb: &mut Skb,
    context: &Context<'_>,
    frame: &Ethernet,
    to: To,
) -> Result<i32, Reason> {
    let Context {
        local,
        segment,
        now,
        ..
    } = *context;
    let most = 'too_big: {
        if segment.vni == 0 || !matches!(to, To::Vtep(_) | To::Flood { overlay: true }) {
            let most = match to {
                To::Port { slot, .. } => exceeded(skb, slot),
                _ => 0,
            };
            if most != 0 {
                break 'too_big most;
            }
            return hand_over(skb, context, to);
        }
        let Some(departure) = Departure::new(skb, local, frame, segment.vni) else {
            return Err(Reason::ShortFrame);
        };
        let To::Vtep(slot) = to else {
            // Whoever it is for: its sender is told if no way to a peer is wide enough.
            let path = flood::unfit(skb, context, departure.wire_len());
            if path != 0 {
                break 'too_big inner(local, path);
            }
            return flood::flood(skb, context, Some(&departure));
        };
        let fits = |most: u32| most == 0 || departure.wire_len() <= most;
        if !fits(path_mtu(slot)) {
            // Only who sends renews what is known of the way, so who is too big for it has to as
            // well.
            let path = next_hop::renewed_mtu(skb, local, slot, now);
            if !fits(path) {
                break 'too_big inner(local, path);
            }
        }
        departure.make_room(skb, local)?;
        let way = departure.address(skb, local, slot, now)?;
        return departure.send(skb, local, slot, way);
    };
    tell::too_big(skb, context, most)
}

/// Returns how long the packet in a frame may be for a path with that MTU.
#[inline(always)]
const fn inner(local: &Local, path: u32) -> u32 {
    path.saturating_sub(outer::overhead(local.family))
}

/// Returns the MTU of a port if the frame is too big for it, or else 0.
#[inline(always)]
fn exceeded(skb: &Skb, slot: u32) -> u32 {
    match maps::PORTS.get(slot) {
        Some(port) if !gso::takes(port, skb) => port.mtu,
        _ => 0,
    }
}

/// Returns the MTU of the way to a peer as it was last known, or 0.
#[inline(always)]
fn path_mtu(vtep: u32) -> u32 {
    maps::VTEPS.get(vtep).map_or(0, |vtep| {
        let [first, second] = &vtep.next_hop;
        if vtep.active & 1 == 0 {
            first.mtu
        } else {
            second.mtu
        }
    })
}

/// Sends a frame from the overlay where the decision says: never back. Its sender is somebody
/// else's guest, and is not told what a port of ours does not take.
#[inline(always)]
pub(crate) fn deliver_locally(skb: &mut Skb, context: &Context<'_>, to: To) -> Result<i32, Reason> {
    if let To::Port { slot, .. } = to
        && exceeded(skb, slot) != 0
    {
        return Err(Reason::TooBig);
    }
    hand_over(skb, context, to)
}

/// Sends a frame to whom it fits.
#[inline(always)]
fn hand_over(skb: &mut Skb, context: &Context<'_>, to: To) -> Result<i32, Reason> {
    match to {
        To::Port {
            slot,
            ifindex,
            tagged,
            ..
        } => {
            if is_shut(slot, context.now) {
                return Err(Reason::Looped);
            }
            if tagged && !skb.push_tag(context.tag()) {
                return Err(Reason::RedirectFailed);
            }
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

/// Returns whether the daemon has shut a port because it is part of a loop.
#[inline(always)]
pub(crate) fn is_shut(port: u32, now: u64) -> bool {
    maps::HOLDERS
        .get(port)
        .is_some_and(|holder| now < holder.shut_until)
}
