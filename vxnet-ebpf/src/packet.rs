//! Packets as the kernel hands them over. Only this room touches raw packet pointers.

mod copy;

use core::ptr;

use aya_ebpf::{
    EbpfContext as _,
    bindings::{__sk_buff, BPF_F_INGRESS, BPF_F_TUNINFO_IPV6, bpf_adj_room_mode::BPF_ADJ_ROOM_MAC},
    helpers::{
        bpf_clone_redirect, bpf_get_hash_recalc, bpf_redirect, bpf_set_hash, bpf_skb_adjust_room,
        bpf_skb_change_tail, bpf_skb_get_tunnel_key, bpf_skb_load_bytes, bpf_skb_vlan_pop,
        bpf_skb_vlan_push,
    },
    programs::{TcContext, XdpContext},
};
use network_types::ip::Ipv6Hdr;
use vxnet_common::{
    flow,
    frame::{Ethernet, Packet, PacketMut, Wire, ethertype},
    ipv6::{self, Upper},
    meta::Stripped,
    too_big,
    vlan::Tag,
};

use self::copy::{load, store};

/// The largest offset that a read may have. The verifier wants a bound; headers end far below.
const MAX_OFFSET: usize = 256;

/// Returns a pointer to a `T` at `offset`, if the bytes from `data` to `end` hold one.
#[inline(always)]
fn at<T>(data: usize, end: usize, offset: usize) -> Option<*mut T> {
    if offset > MAX_OFFSET || data + offset + size_of::<T>() > end {
        return None;
    }
    Some((data + offset) as *mut T)
}

/// Sends the packet that a TC program runs on out of a link, once it returns this action.
#[inline(always)]
pub(crate) fn redirect(ifindex: u32) -> i32 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_redirect(ifindex, 0) as i32 }
}

/// Lets the packet that a TC program runs on come in on a link.
#[inline(always)]
pub(crate) fn redirect_ingress(ifindex: u32) -> i32 {
    // SAFETY: the helper has no preconditions.
    unsafe { bpf_redirect(ifindex, u64::from(BPF_F_INGRESS)) as i32 }
}

/// What every kernel fills of `struct bpf_tunnel_key`: all before `local_ipv4`.
#[repr(C)]
#[derive(Default)]
struct TunnelKey {
    id: u32,
    remote: [u32; 4],
    tos: u8,
    ttl: u8,
    ext: u16,
    label: u32,
}

/// A packet in a TC program.
pub(crate) struct Skb {
    pub(crate) ctx: TcContext,
}

impl Skb {
    /// Makes the first `bytes` readable and writable, if the packet has them.
    #[inline(always)]
    pub(crate) fn linearise(&self, bytes: u32) {
        let bytes = bytes.min(self.len());
        if self.ctx.data() + bytes as usize > self.ctx.data_end() {
            // A failure shows as a short read right after.
            let _ = self.ctx.pull_data(bytes);
        }
    }

    /// Returns a field of the context.
    #[inline(always)]
    fn raw(&self) -> *mut __sk_buff {
        self.ctx.as_ptr().cast()
    }

    /// Returns the link that the program runs on.
    #[inline(always)]
    pub(crate) fn ifindex(&self) -> u32 {
        // SAFETY: the context pointer is valid for the whole run of the program.
        unsafe { (*self.raw()).ifindex }
    }

    /// Returns `skb->protocol` in host order, which decides whether the kernel makes room for an
    /// outer header by itself. It can differ from the frame's EtherType.
    #[inline(always)]
    pub(crate) fn protocol(&self) -> u16 {
        // SAFETY: as above.
        u16::from_be(unsafe { (*self.raw()).protocol } as u16)
    }

    /// Returns the payload bytes of one segment of a super-packet, or 0.
    #[inline(always)]
    pub(crate) fn gso_size(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.raw()).gso_size }
    }

    /// Returns how many segments the kernel says a super-packet has; 0 if it does not say, which it
    /// need not before it cuts what a guest made.
    #[inline(always)]
    pub(crate) fn gso_segs(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.raw()).gso_segs }
    }

    /// Returns whether the kernel took a VLAN tag out of the frame.
    #[inline(always)]
    pub(crate) fn has_tag(&self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.raw()).vlan_present != 0 }
    }

    /// Returns the tag that the kernel took out of the frame, or that we gave it beside the frame.
    #[inline(always)]
    pub(crate) fn tag(&self) -> u16 {
        // SAFETY: as above.
        unsafe { (*self.raw()).vlan_tci as u16 }
    }

    /// Returns whether the tag beside the frame is none of 802.1Q.
    #[inline(always)]
    pub(crate) fn has_service_tag(&self) -> bool {
        // SAFETY: as above.
        let protocol = u16::from_be(unsafe { (*self.raw()).vlan_proto } as u16);
        self.has_tag() && protocol != ethertype::VLAN
    }

    /// Returns the frame's VLAN tag, wherever it stands: the kernel takes it out of what a link
    /// receives, but a raw socket of the host can send it in the frame.
    #[inline(always)]
    pub(crate) fn vlan_tag(&self, frame: &Ethernet) -> Tag {
        if !self.has_tag() {
            return frame.tag(self);
        }
        if !self.has_service_tag() && !frame.is_tagged() {
            Tag::Customer(self.tag())
        } else {
            Tag::Other
        }
    }

    /// Gives the packet a tag beside the frame; returns whether the kernel did.
    #[inline(always)]
    pub(crate) fn push_tag(&self, tag: u16) -> bool {
        // SAFETY: the helper takes the context of a TC program.
        unsafe { bpf_skb_vlan_push(self.raw(), ethertype::VLAN.to_be(), tag) == 0 }
    }

    /// Takes the tag that stands beside the frame away; returns whether the kernel did.
    #[inline(always)]
    pub(crate) fn pop_tag(&self) -> bool {
        // SAFETY: the helper takes the context of a TC program.
        unsafe { bpf_skb_vlan_pop(self.raw()) == 0 }
    }

    /// Returns the VNI of the VXLAN packet that the kernel took the frame out of, and the last four
    /// bytes of its source address; `None` if it did not.
    #[inline(always)]
    pub(crate) fn tunnel(&self, family: u8) -> Option<(u32, [u8; 4])> {
        let mut key = TunnelKey::default();
        let is_ipv6 = family == 6;
        let flags = if is_ipv6 { BPF_F_TUNINFO_IPV6 } else { 0 };
        // SAFETY: the helper takes the context of a TC program, and fills as many bytes as it is
        // told: those that the structure began with, which every kernel takes.
        let filled = unsafe {
            bpf_skb_get_tunnel_key(
                self.raw(),
                (&raw mut key).cast(),
                size_of::<TunnelKey>() as u32,
                u64::from(flags),
            )
        };
        if filled != 0 {
            return None;
        }
        // IPv6 stands there as on the wire, IPv4 in the order of the machine.
        let source = if is_ipv6 {
            key.remote[3].to_ne_bytes()
        } else {
            key.remote[0].to_be_bytes()
        };
        Some((key.id, source))
    }

    /// Returns the hash of the packet's flow: our own where that can be had for less than the
    /// kernel's dissection. The kernel's may be there already, but that a NIC made of a datagram is
    /// often one of its addresses only.
    #[inline(always)]
    pub(crate) fn flow_hash(&self, ether_type: u16) -> u32 {
        let Some(hash) = flow::hash(self, ether_type, Ethernet::LEN) else {
            // SAFETY: the helper takes the context of a TC program.
            return unsafe { bpf_get_hash_recalc(self.raw()) };
        };
        // SAFETY: as for `ifindex`; the helper takes the context of a TC program.
        unsafe {
            if (*self.raw()).hash == 0 {
                // For the queues on the packet's way: the kernel would dissect it for them.
                bpf_set_hash(self.raw(), hash);
            }
        }
        hash
    }

    /// Returns what the XDP program of the same uplink left, if it stripped the frame.
    #[inline(always)]
    pub(crate) fn stripped(&self) -> Option<Stripped> {
        // SAFETY: as for `ifindex`.
        let meta = unsafe { (*self.raw()).data_meta } as usize;
        let stripped: *mut Stripped = at(meta, self.ctx.data(), 0)?;
        // SAFETY: `at` checked that the metadata holds a whole `Stripped`; metadata is aligned
        // to 4 bytes by the kernel.
        let stripped = unsafe { *stripped };
        stripped.is_ours().then_some(stripped)
    }

    /// Makes a packet of `bytes` out of a longer one, which owes nobody a checksum; returns whether
    /// the kernel did. What stands behind the Ethernet header is not what stood there: see
    /// [`vxnet_common::too_big`].
    #[inline(always)]
    pub(crate) fn cut(&self, bytes: u32) -> bool {
        // SAFETY: the helpers take the context of a TC program.
        unsafe {
            bpf_skb_change_tail(self.raw(), bytes + too_big::SPARE as u32, 0) == 0
                && bpf_skb_adjust_room(self.raw(), -(too_big::SPARE as i32), BPF_ADJ_ROOM_MAC, 0)
                    == 0
        }
    }

    /// Copies the packet's first bytes to `to`, as many as both have, and returns how many.
    #[inline(always)]
    pub(crate) fn copy_head<const N: usize>(&self, to: *mut [u8; N]) -> u32 {
        let length = self.len();
        let most = N as u32;
        let bytes = if length < most { length } else { most };
        if bytes == 0 {
            return 0;
        }
        // SAFETY: `to` has room for `N` bytes, and `bytes` is not more.
        match unsafe { bpf_skb_load_bytes(self.raw().cast(), 0, to.cast(), bytes) } {
            0 => bytes,
            _ => 0,
        }
    }

    /// Sends a copy out of a link, or lets it come in on it.
    #[inline(always)]
    pub(crate) fn copy_to(&self, ifindex: u32, ingress: bool) -> bool {
        let flags = if ingress { u64::from(BPF_F_INGRESS) } else { 0 };
        // SAFETY: the helper takes the context of a TC program.
        unsafe { bpf_clone_redirect(self.raw(), ifindex, flags) == 0 }
    }
}

impl Packet for Skb {
    #[inline(always)]
    fn len(&self) -> u32 {
        // Volatile, so that the compiler does not read the length late through one of several
        // pointers, which the verifier refuses.
        // SAFETY: the context pointer is valid for the whole run of the program.
        unsafe { (&raw const (*self.raw()).len).read_volatile() }
    }

    #[inline(always)]
    fn read<T: Wire>(&self, offset: usize) -> Option<T> {
        let header: *mut T = at(self.ctx.data(), self.ctx.data_end(), offset)?;
        // SAFETY: `at` checked the bounds against the packet.
        Some(unsafe { load(header) })
    }

    #[inline(always)]
    fn upper(&self, _ip: &Ipv6Hdr) -> Upper {
        Upper::unpack(vx_upper(self.ctx.skb.skb))
    }
}

/// See [`Packet::upper`]. Exported, so that the verifier checks it by itself.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn vx_upper(skb: *mut __sk_buff) -> u64 {
    let skb = Skb {
        ctx: TcContext::new(skb),
    };
    match skb.read::<Ipv6Hdr>(Ethernet::LEN) {
        Some(ip) => ipv6::upper(&skb, &ip).pack(),
        None => Upper::Unseen.pack(),
    }
}

impl PacketMut for Skb {
    #[inline(always)]
    fn write<T: Wire>(&mut self, offset: usize, header: &T) -> bool {
        let Some(place) = at::<T>(self.ctx.data(), self.ctx.data_end(), offset) else {
            return false;
        };
        // SAFETY: `at` checked the bounds; the kernel makes the linear part writable for programs
        // that write to it.
        unsafe { store(place, header) };
        true
    }
}

/// A packet in an XDP program.
pub(crate) struct Frame {
    pub(crate) ctx: XdpContext,
}

impl Frame {
    /// Returns a place for metadata in front of the packet, if the program made room for it.
    #[inline(always)]
    pub(crate) fn metadata(&mut self) -> Option<&mut Stripped> {
        let stripped: *mut Stripped = at(self.ctx.metadata(), self.ctx.metadata_end(), 0)?;
        // SAFETY: `at` checked the bounds, the kernel aligns metadata to 4 bytes, and nobody else
        // sees the packet while the program runs.
        Some(unsafe { &mut *stripped })
    }
}

impl Packet for Frame {
    #[inline(always)]
    fn len(&self) -> u32 {
        (self.ctx.data_end() - self.ctx.data()) as u32
    }

    #[inline(always)]
    fn read<T: Wire>(&self, offset: usize) -> Option<T> {
        let header: *mut T = at(self.ctx.data(), self.ctx.data_end(), offset)?;
        // SAFETY: as in `Skb::read`.
        Some(unsafe { load(header) })
    }
}

impl PacketMut for Frame {
    #[inline(always)]
    fn write<T: Wire>(&mut self, offset: usize, header: &T) -> bool {
        let Some(place) = at::<T>(self.ctx.data(), self.ctx.data_end(), offset) else {
            return false;
        };
        // SAFETY: as in `Skb::write`.
        unsafe { store(place, header) };
        true
    }
}

/// Bytes that may be written to a packet as they stand.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub(crate) struct Bytes<const N: usize>(pub(crate) [u8; N]);

// SAFETY: an array of bytes has no padding and no forbidden values.
unsafe impl<const N: usize> Wire for Bytes<N> {}

impl<const N: usize> Bytes<N> {
    /// Copies the first `N` bytes of a longer array.
    #[inline(always)]
    pub(crate) fn head<const M: usize>(from: &[u8; M]) -> Self {
        const { assert!(N <= M) };
        // SAFETY: `from` has at least `N` bytes, as just asserted.
        Self(unsafe { ptr::from_ref(from).cast::<[u8; N]>().read() })
    }
}
