//! Loop probes that came back: the daemon judges them.

use aya_ebpf::{bindings::__sk_buff, programs::TcContext};
use vxnet_common::{
    event::{self, Event},
    map::segment::Segment,
};

use crate::{maps, packet::Skb};

/// Passes a probe to the daemon, with the port and the segment that it came in on.
#[inline(always)]
pub(crate) fn tell(skb: &Skb, port: u32, segment: u32) {
    tell_raw(skb.ctx.skb.skb, port, segment);
}

/// See [`tell`]. A call of its own: probes are few.
#[inline(never)]
fn tell_raw(skb: *mut __sk_buff, port: u32, segment: u32) {
    let skb = Skb {
        ctx: TcContext::new(skb),
    };
    let vid = maps::SEGMENTS
        .get(segment)
        .map_or(0, |segment: &Segment| segment.vid);
    let Some(mut event) = maps::EVENTS.reserve::<Event>(0) else {
        return;
    };
    let place = event.write(Event {
        kind: event::kind::PROBE,
        segment,
        holder: port,
        other: 0,
        mac: [0; 6],
        vid,
        frame: [0; event::PROBE_BYTES],
    });
    skb.copy_head(&raw mut place.frame);
    event.submit(0);
}
