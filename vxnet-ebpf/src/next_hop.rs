//! The way to a peer, as the kernel's route and neighbour tables say.
//!
//! Each VTEP row holds a copy that is at most [`LIFETIME`] old. Whichever program first finds it
//! expired looks it up again, so a changed route, egress link or neighbour is followed without
//! user space. The frame that did so leaves through the kernel's neighbour output, which starts
//! resolution and keeps the entry probed; redirected frames alone would not.

use core::mem;

use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        __sk_buff, BPF_FIB_LKUP_RET_NO_NEIGH, BPF_FIB_LKUP_RET_SUCCESS,
        bpf_fib_lookup as FibParams, bpf_redir_neigh,
    },
    helpers::{bpf_fib_lookup, bpf_redirect_neigh},
    programs::TcContext,
};
use vxnet_common::{
    addr::VtepAddr,
    map::{
        local::Local,
        vtep::{NextHop, Vtep},
    },
};

use crate::{maps, packet::Skb};

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Ifindex of `lo` in every network namespace. A look-up from there is one for local output.
const LOOPBACK: u32 = 1;
/// No TC action has this number.
const NO_WAY: i32 = i32::MIN;
/// How long a found way is believed, in nanoseconds.
const LIFETIME: u64 = 900_000_000;
/// How long the lack of one is believed.
const RETRY: u64 = 50_000_000;

/// The way to a peer, packed so that it fits a register.
#[derive(Clone, Copy)]
pub(crate) struct Way(u64);

impl Way {
    const RESOLVED: u64 = 1 << 32;
    const RENEWED: u64 = 1 << 33;

    /// Unpacks what [`Way::pack`] made.
    #[inline(always)]
    pub(crate) const fn unpack(packed: u64) -> Self {
        Self(packed)
    }

    /// Returns the way as an integer, which is never above 34 bits.
    #[inline(always)]
    pub(crate) const fn pack(self) -> u64 {
        self.0
    }

    #[inline(always)]
    fn new(hop: &NextHop, renewed: bool) -> Self {
        let resolved = if is_resolved(hop) { Self::RESOLVED } else { 0 };
        let renewed = if renewed { Self::RENEWED } else { 0 };
        Self(u64::from(hop.ifindex) | resolved | renewed)
    }

    /// Returns the egress link, or 0 without a route.
    #[inline(always)]
    pub(crate) const fn ifindex(self) -> u32 {
        self.0 as u32
    }

    /// Returns whether the next hop's address is known.
    #[inline(always)]
    pub(crate) const fn is_resolved(self) -> bool {
        self.0 & Self::RESOLVED != 0
    }

    /// Returns whether this frame made the kernel look the way up again.
    #[inline(always)]
    pub(crate) const fn is_renewed(self) -> bool {
        self.0 & Self::RENEWED != 0
    }
}

/// Returns the way to `vtep` and its next hop, renewing them if they have expired.
#[inline(always)]
pub(crate) fn to<'a>(skb: &Skb, local: &Local, vtep: *mut Vtep, now: u64) -> (Way, &'a NextHop) {
    // SAFETY: `vtep` points into an array map, whose rows are never freed. Concurrent renewals
    // write the same facts to the copy that is not in use.
    unsafe {
        let renewed = now >= (*vtep).deadline;
        if renewed {
            // First of all, so that other CPUs go on with the copy.
            (*vtep).deadline = now + RETRY;
            renew(skb.ctx.skb.skb, local, vtep, now);
        }
        let hop: *const NextHop = if (*vtep).active & 1 == 0 {
            &raw const (*vtep).next_hop[0]
        } else {
            &raw const (*vtep).next_hop[1]
        };
        (Way::new(&*hop, renewed), &*hop)
    }
}

/// Returns the MTU of the way to the peer in a slot, or 0, after renewing it if it has expired.
#[inline(always)]
pub(crate) fn renewed_mtu(skb: &Skb, local: &Local, slot: u32, now: u64) -> u32 {
    match maps::VTEPS.get_ptr_mut(slot) {
        Some(vtep) => to(skb, local, vtep, now).1.mtu,
        None => 0,
    }
}

/// Looks the next hop up and flips to it. A call of its own: its stack is needed once a second.
#[inline(never)]
fn renew(skb: *mut __sk_buff, local: *const Local, vtep: *mut Vtep, now: u64) {
    // SAFETY: as in `to`, the only caller.
    unsafe {
        let skb = Skb {
            ctx: TcContext::new(skb),
        };
        let found = look_up(&skb, &*local, (*vtep).address);
        let spare = (*vtep).active & 1 ^ 1;
        if spare == 0 {
            (*vtep).next_hop[0] = found;
        } else {
            (*vtep).next_hop[1] = found;
        }
        (&raw mut (*vtep).active).write_volatile(spare);
        if is_resolved(&found) {
            (*vtep).deadline = now + LIFETIME;
        }
    }
}

/// Returns whether packets can be addressed with this next hop.
#[inline(always)]
fn is_resolved(hop: &NextHop) -> bool {
    hop.dst != [0; 6]
}

/// Asks the kernel for the way to `address`.
#[inline(always)]
fn look_up(skb: &Skb, local: &Local, address: VtepAddr) -> NextHop {
    let mut params = request(local, address);
    match fib(skb, &mut params) {
        BPF_FIB_LKUP_RET_SUCCESS => NextHop {
            ifindex: params.ifindex,
            // SAFETY: the helper filled the union with the MTU, because the request has a length.
            mtu: u32::from(unsafe { params.__bindgen_anon_1.mtu_result }),
            dst: params.dmac,
            src: params.smac,
        },
        BPF_FIB_LKUP_RET_NO_NEIGH => NextHop {
            ifindex: params.ifindex,
            mtu: 0,
            dst: [0; 6],
            src: [0; 6],
        },
        _ => NextHop::default(),
    }
}

/// Prepares a look-up of the way from this VTEP to `address`, as for local output.
#[inline(always)]
fn request(local: &Local, address: VtepAddr) -> FibParams {
    // SAFETY: all fields are integers or unions of them.
    let mut params: FibParams = unsafe { mem::zeroed() };
    params.ifindex = LOOPBACK;
    // Any length makes the helper report the path's MTU; 1 never exceeds it.
    params.__bindgen_anon_1.tot_len = 1;
    if local.family == 6 {
        params.family = AF_INET6;
        params.__bindgen_anon_3.ipv6_src = local.underlay.words();
        params.__bindgen_anon_4.ipv6_dst = address.words();
    } else {
        params.family = AF_INET;
        params.__bindgen_anon_3.ipv4_src = local.underlay.words()[3];
        params.__bindgen_anon_4.ipv4_dst = address.words()[3];
    }
    params
}

/// Runs the look-up; the answer is in `params`, with a gateway in place of the destination.
#[inline(always)]
fn fib(skb: &Skb, params: &mut FibParams) -> u32 {
    // SAFETY: the context is that of a TC program, and `params` is as long as said.
    unsafe { bpf_fib_lookup(skb.ctx.as_ptr(), params, size_of::<FibParams>() as i32, 0) as u32 }
}

/// Sends an encapsulated packet to `address` through the kernel's neighbour output, which resolves
/// the next hop and waits for the answer with the packet in hand. Returns the action, or `None`
/// without a route.
///
/// The kernel takes only packets that it knows to be IP: a frame of another EtherType goes through
/// the `vx_resolve` program first.
#[inline(always)]
pub(crate) fn neighbour_output(skb: &Skb, local: &Local, address: VtepAddr) -> Option<i32> {
    match output(skb.ctx.skb.skb, local, &raw const address) {
        NO_WAY => None,
        action => Some(action),
    }
}

/// See [`neighbour_output`]; a call of its own for the sake of its stack.
#[inline(never)]
fn output(skb: *mut __sk_buff, local: *const Local, address: *const VtepAddr) -> i32 {
    let skb = Skb {
        ctx: TcContext::new(skb),
    };
    // SAFETY: the caller passed references.
    let (local, address) = unsafe { (&*local, *address) };
    let mut params = request(local, address);
    let found = fib(&skb, &mut params);
    if found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH {
        return NO_WAY;
    }
    // SAFETY: all fields are integers or unions of them.
    let mut neighbour: bpf_redir_neigh = unsafe { mem::zeroed() };
    // The answer's family is the gateway's, which may differ from the destination's.
    neighbour.nh_family = u32::from(params.family);
    // SAFETY: the helper filled the member that its family says; both are plain integers.
    unsafe {
        if params.family == AF_INET6 {
            neighbour.__bindgen_anon_1.ipv6_nh = params.__bindgen_anon_4.ipv6_dst;
        } else {
            neighbour.__bindgen_anon_1.ipv4_nh = params.__bindgen_anon_4.ipv4_dst;
        }
    }
    let length = size_of::<bpf_redir_neigh>() as i32;
    // SAFETY: `neighbour` is as long as said.
    unsafe { bpf_redirect_neigh(params.ifindex, &raw mut neighbour, length, 0) as i32 }
}
