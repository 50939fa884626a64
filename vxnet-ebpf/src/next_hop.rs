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
        BPF_FIB_LKUP_RET_NO_NEIGH, BPF_FIB_LKUP_RET_SUCCESS, bpf_fib_lookup as FibParams,
        bpf_redir_neigh,
    },
    helpers::{bpf_fib_lookup, bpf_redirect_neigh},
};
use vxnet_common::map::{
    local::Local,
    vtep::{NextHop, Vtep},
};

use crate::packet::Skb;

const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// Ifindex of `lo` in every network namespace. A look-up from there is one for local output.
const LOOPBACK: u32 = 1;
/// How long a found way is believed, in nanoseconds.
const LIFETIME: u64 = 900_000_000;
/// How long the lack of one is believed.
const RETRY: u64 = 50_000_000;

/// The way to a peer, and what this frame should do for it.
pub(crate) struct Way {
    pub(crate) hop: NextHop,
    /// The copy was renewed with this frame.
    pub(crate) renewed: bool,
}

/// Returns the way to `vtep`, renewing it if it has expired.
#[inline(always)]
pub(crate) fn to(skb: &Skb, local: &Local, vtep: *mut Vtep, now: u64) -> Way {
    // SAFETY: `vtep` points into an array map, whose rows are never freed. Concurrent renewals
    // write the same facts to the row that is not in use.
    unsafe {
        let active = (*vtep).active & 1;
        if now < (*vtep).deadline {
            return Way {
                hop: hop(vtep, active),
                renewed: false,
            };
        }
        // First of all, so that other CPUs go on with the copy.
        (*vtep).deadline = now + RETRY;
        let found = look_up(skb, local, &(*vtep).address);
        let spare = active ^ 1;
        if spare == 0 {
            (*vtep).next_hop[0] = found;
        } else {
            (*vtep).next_hop[1] = found;
        }
        (&raw mut (*vtep).active).write_volatile(spare);
        if is_resolved(&found) {
            (*vtep).deadline = now + LIFETIME;
        }
        Way {
            hop: found,
            renewed: true,
        }
    }
}

/// Returns whether packets can be addressed with this next hop.
#[inline(always)]
pub(crate) fn is_resolved(hop: &NextHop) -> bool {
    hop.dst != [0; 6]
}

/// # Safety
/// `vtep` must point to a row of `VTEPS`.
#[inline(always)]
unsafe fn hop(vtep: *mut Vtep, index: u32) -> NextHop {
    // SAFETY: both indices are constants within the array, which spares the verifier a bound.
    unsafe {
        if index == 0 {
            (*vtep).next_hop[0]
        } else {
            (*vtep).next_hop[1]
        }
    }
}

/// Asks the kernel for the way to `address`.
#[inline(always)]
fn look_up(skb: &Skb, local: &Local, address: &[u8; 16]) -> NextHop {
    let mut params = request(local, address);
    match fib(skb, &mut params) {
        // SAFETY: the helper filled the union with the MTU, because the request has a length.
        BPF_FIB_LKUP_RET_SUCCESS => NextHop {
            ifindex: params.ifindex,
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
fn request(local: &Local, address: &[u8; 16]) -> FibParams {
    // SAFETY: all fields are integers or unions of them.
    let mut params: FibParams = unsafe { mem::zeroed() };
    params.ifindex = LOOPBACK;
    // Any length makes the helper report the path's MTU; 1 never exceeds it.
    params.__bindgen_anon_1.tot_len = 1;
    if local.family == 6 {
        params.family = AF_INET6;
        params.__bindgen_anon_3.ipv6_src = words(&local.underlay);
        params.__bindgen_anon_4.ipv6_dst = words(address);
    } else {
        params.family = AF_INET;
        params.__bindgen_anon_3.ipv4_src = words(&local.underlay)[3];
        params.__bindgen_anon_4.ipv4_dst = words(address)[3];
    }
    params
}

/// Runs the look-up; the answer is in `params`, with a gateway in place of the destination.
#[inline(always)]
fn fib(skb: &Skb, params: &mut FibParams) -> u32 {
    // SAFETY: the context is that of a TC program, and `params` is as long as said.
    unsafe { bpf_fib_lookup(skb.ctx.as_ptr(), params, size_of::<FibParams>() as i32, 0) as u32 }
}

/// Reads an address as four words in wire order, as the kernel's structures hold it.
#[inline(always)]
fn words(address: &[u8; 16]) -> [u32; 4] {
    let word =
        |i: usize| u32::from_ne_bytes([address[i], address[i + 1], address[i + 2], address[i + 3]]);
    [word(0), word(4), word(8), word(12)]
}

/// Sends an encapsulated packet to `address` through the kernel's neighbour output, which resolves
/// the next hop and waits for the answer with the packet in hand. Returns the action, or `None`
/// without a route.
///
/// The kernel takes only packets that it knows to be IP: a frame of another EtherType goes through
/// the `vx_resolve` program first.
#[inline(always)]
pub(crate) fn neighbour_output(skb: &Skb, local: &Local, address: &[u8; 16]) -> Option<i32> {
    let mut params = request(local, address);
    let found = fib(skb, &mut params);
    if found != BPF_FIB_LKUP_RET_SUCCESS && found != BPF_FIB_LKUP_RET_NO_NEIGH {
        return None;
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
    Some(unsafe { bpf_redirect_neigh(params.ifindex, &mut neighbour, length, 0) as i32 })
}
