//! The device of the GRO socket: what comes through it goes nowhere.

use aya_ebpf::{bindings::TC_ACT_SHOT, macros::classifier, programs::TcContext};
use vxnet_common::{map::NO_SLOT, reason::Reason};

use crate::{account, packet::Skb};

/// Ingress of the VXLAN device that is there for its socket only. A packet gets here that an uplink
/// left to the host, or that came in by another link: the host has no other use for it.
#[classifier]
fn vx_gro_socket(ctx: TcContext) -> i32 {
    let skb = Skb { ctx };
    account::notice(NO_SLOT, Reason::StrayVxlan);
    account::keep(&skb, NO_SLOT, Reason::StrayVxlan);
    TC_ACT_SHOT
}
