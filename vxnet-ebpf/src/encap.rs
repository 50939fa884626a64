//! Sending frames over the overlay: outer header, egress link, super-packets included.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        __sk_buff, BPF_ADJ_ROOM_ENCAP_L2_SHIFT, BPF_F_ADJ_ROOM_ENCAP_L2_ETH,
        BPF_F_ADJ_ROOM_ENCAP_L3_IPV4, BPF_F_ADJ_ROOM_ENCAP_L3_IPV6, BPF_F_ADJ_ROOM_ENCAP_L4_UDP,
        BPF_F_ADJ_ROOM_FIXED_GSO, BPF_F_ADJ_ROOM_NO_CSUM_RESET,
        bpf_adj_room_mode::BPF_ADJ_ROOM_MAC,
    },
    helpers::bpf_skb_change_head,
    programs::TcContext,
};
use network_types::{
    eth::EthHdr,
    ip::{Ipv4Hdr, Ipv6Hdr},
};
use vxnet_common::{
    frame::{Ethernet, Packet as _, PacketMut as _, ethertype, traffic_class},
    map::{local::Local, vtep::Vtep},
    outer::{self, Fields},
    reason::Reason,
};

use crate::{
    account, gso, maps,
    next_hop::{self, Way},
    packet::{self, Bytes, Skb},
};

/// Bytes of an inner Ethernet header, which the kernel must know to segment a super-packet. Not
/// more: with the VXLAN header counted in, every super-packet dies in `validate_xmit_skb`.
const INNER_L2: u64 = Ethernet::LEN as u64;

/// A frame on its way into the overlay, and what is equal in all its copies.
pub(crate) struct Departure {
    fields: Fields,
    inner: Bytes<{ Ethernet::LEN }>,
    /// Bytes of the IP packet that one frame becomes on the wire.
    wire_len: u32,
    /// The kernel takes the encapsulated packet for IP, and knows what is inner and outer.
    typed: bool,
}

impl Departure {
    /// Reads what encapsulation needs to know; the frame stays as it is.
    #[inline(always)]
    pub(crate) fn new(skb: &Skb, local: &Local, frame: &Ethernet, vni: u32) -> Option<Self> {
        let class = traffic_class(skb, frame.ethertype, Ethernet::LEN).unwrap_or(0);
        let segment = gso::segment_len(skb, frame.ethertype);
        Some(Self {
            fields: Fields {
                inner_len: skb.len(),
                traffic_class: class,
                source_port: outer::source_port(skb.flow_hash(frame.ethertype)),
                vni,
            },
            inner: skb.read(0)?,
            wire_len: segment + outer::header_len(local.family) as u32,
            typed: is_ip(skb),
        })
    }

    /// Returns the bytes of the longest IP packet that the frame becomes on the underlay.
    #[inline(always)]
    pub(crate) const fn wire_len(&self) -> u32 {
        self.wire_len
    }

    /// Makes room for the outer header. The kernel segments super-packets at the uplink and needs
    /// to know what is inner and outer; for other EtherTypes than IP it refuses to, so those get
    /// plain headroom. So does what only calls itself IP: the mark (`skb->encapsulation`) crosses
    /// a veth, and with it the peer's kernel would not pad what is too short (`decap::strip`).
    #[inline(always)]
    pub(crate) fn make_room(&self, skb: &Skb, local: &Local) -> Result<(), Reason> {
        let room = outer::header_len(local.family) + Ethernet::LEN;
        let l3 = if local.family == 6 {
            BPF_F_ADJ_ROOM_ENCAP_L3_IPV6
        } else {
            BPF_F_ADJ_ROOM_ENCAP_L3_IPV4
        };
        let made = if self.typed {
            let flags = u64::from(
                BPF_F_ADJ_ROOM_FIXED_GSO
                    | BPF_F_ADJ_ROOM_NO_CSUM_RESET
                    | BPF_F_ADJ_ROOM_ENCAP_L4_UDP
                    | BPF_F_ADJ_ROOM_ENCAP_L2_ETH
                    | l3,
            ) | INNER_L2 << BPF_ADJ_ROOM_ENCAP_L2_SHIFT;
            skb.ctx
                .adjust_room(room as i32, BPF_ADJ_ROOM_MAC, flags)
                .is_ok()
        } else {
            // SAFETY: the helper takes the context of a TC program.
            unsafe { bpf_skb_change_head(skb.ctx.as_ptr().cast(), room as u32, 0) == 0 }
        };
        if made {
            Ok(())
        } else {
            Err(Reason::EncapFailed)
        }
    }

    /// Sends the encapsulated frame on its way; it is gone afterwards.
    #[inline(always)]
    pub(crate) fn send(
        &self,
        skb: &Skb,
        local: &Local,
        slot: u32,
        way: Way,
    ) -> Result<i32, Reason> {
        let action = if way.is_resolved() && !(way.is_renewed() && self.typed) {
            packet::redirect(way.ifindex())
        } else if self.typed {
            let Some(vtep) = maps::VTEPS.get(slot) else {
                return Err(Reason::NoRoute);
            };
            match next_hop::neighbour_output(skb, local, vtep.address) {
                Some(action) => action,
                None => return Err(Reason::NoRoute),
            }
        } else if local.resolver != 0 {
            // A packet that the kernel does not know to be IP takes a detour through the ingress
            // hook of a link of ours: there it is typed anew, and `vx_resolve` sends it on.
            packet::redirect_ingress(local.resolver)
        } else {
            return Err(Reason::NoNeighbour);
        };
        account::vtep_tx(slot, self.fields.inner_len);
        Ok(action)
    }

    /// Sends a copy of the encapsulated frame; the frame stays for the next peer. What cannot be
    /// sent is counted for `payer`.
    #[inline(always)]
    pub(crate) fn send_copy(&self, skb: &Skb, local: &Local, slot: u32, way: Way, payer: u32) {
        let sent = if way.is_resolved() {
            skb.copy_to(way.ifindex(), false)
        } else if local.resolver != 0 {
            skb.copy_to(local.resolver, true)
        } else {
            return account::notice(payer, Reason::NoNeighbour);
        };
        account::vtep_copy(slot, self.fields.inner_len, sent, payer);
    }

    /// Addresses the frame to the peer in `slot`: finds the way, checks that the frame fits it,
    /// and writes the outer header into the room made before.
    #[inline(always)]
    pub(crate) fn address(
        &self,
        skb: &Skb,
        local: &Local,
        slot: u32,
        now: u64,
    ) -> Result<Way, Reason> {
        let packed = address(skb.ctx.skb.skb, local, self, slot, now);
        if packed >> REASON_SHIFT == 0 {
            return Ok(Way::unpack(packed));
        }
        Err(match (packed >> REASON_SHIFT) as u32 {
            NO_ROUTE => Reason::NoRoute,
            TOO_BIG => Reason::TooBig,
            _ => Reason::EncapFailed,
        })
    }
}

/// Returns whether the frame has an IP EtherType, and room for the header that this promises.
#[inline(always)]
fn is_ip(skb: &Skb) -> bool {
    let header = match skb.protocol() {
        ethertype::IPV4 => Ipv4Hdr::LEN,
        ethertype::IPV6 => Ipv6Hdr::LEN,
        _ => return false,
    };
    skb.len() >= (Ethernet::LEN + header) as u32
}

/// Where [`address`] packs a reason, above the bits of a [`Way`].
const REASON_SHIFT: u32 = 40;
/// Reasons, packed: never 0.
const NO_ROUTE: u32 = Reason::NoRoute as u32;
const TOO_BIG: u32 = Reason::TooBig as u32;
const ENCAP_FAILED: u64 = (Reason::EncapFailed as u64) << REASON_SHIFT;

/// See [`Departure::address`]. A call of its own, because it serves the one peer of a unicast and
/// each peer of a flood, and because the stack of a program and its callbacks is 512 bytes.
#[inline(never)]
fn address(
    skb: *mut __sk_buff,
    local: *const Local,
    departure: *const Departure,
    slot: u32,
    now: u64,
) -> u64 {
    let mut skb = Skb {
        ctx: TcContext::new(skb),
    };
    // SAFETY: the only caller passed references.
    let (local, departure) = unsafe { (&*local, &*departure) };
    let Some(vtep) = maps::VTEPS.get_ptr_mut(slot) else {
        return u64::from(NO_ROUTE) << REASON_SHIFT;
    };
    let (way, hop) = next_hop::to(&skb, local, vtep, now);
    if way.ifindex() == 0 {
        return u64::from(NO_ROUTE) << REASON_SHIFT;
    }
    if hop.mtu != 0 && departure.wire_len > hop.mtu {
        return u64::from(TOO_BIG) << REASON_SHIFT;
    }
    let protocol = if local.family == 6 {
        ethertype::IPV6
    } else {
        ethertype::IPV4
    };
    let ethernet = EthHdr {
        dst_addr: hop.dst,
        src_addr: hop.src,
        ether_type: protocol.to_be(),
    };
    let written = skb.write(0, &ethernet)
        && if local.family == 6 {
            write_header::<{ outer::header_len(6) }>(&mut skb, departure, vtep)
        } else {
            write_header::<{ outer::header_len(4) }>(&mut skb, departure, vtep)
        };
    if written { way.pack() } else { ENCAP_FAILED }
}

/// Writes IP, UDP and VXLAN header, and the inner Ethernet header behind them.
#[inline(always)]
fn write_header<const N: usize>(skb: &mut Skb, departure: &Departure, vtep: *const Vtep) -> bool {
    // SAFETY: `vtep` points into an array map, whose rows are never freed.
    let (template, checksum) = unsafe { ((*vtep).header, (*vtep).checksum) };
    let mut header = Bytes::<N>::head(&template.0);
    outer::complete(&mut header.0, checksum, &departure.fields);
    skb.write(Ethernet::LEN, &header) && skb.write(Ethernet::LEN + N, &departure.inner)
}
