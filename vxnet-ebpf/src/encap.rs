//! Sending frames over the overlay: outer header, egress link, super-packets included.

use aya_ebpf::{
    EbpfContext as _,
    bindings::{
        BPF_ADJ_ROOM_ENCAP_L2_SHIFT, BPF_F_ADJ_ROOM_ENCAP_L2_ETH, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4,
        BPF_F_ADJ_ROOM_ENCAP_L3_IPV6, BPF_F_ADJ_ROOM_ENCAP_L4_UDP, BPF_F_ADJ_ROOM_FIXED_GSO,
        BPF_F_ADJ_ROOM_NO_CSUM_RESET, bpf_adj_room_mode::BPF_ADJ_ROOM_MAC,
    },
    helpers::bpf_skb_change_head,
};
use vxnet_common::{
    frame::{Ethernet, Packet as _, PacketMut as _, ethertype, traffic_class},
    map::{local::Local, vtep::Vtep},
    outer::{self, Fields, TEMPLATE_LEN},
    reason::Reason,
};

use crate::{
    account, gso, maps,
    next_hop::{self, Way},
    packet::{Bytes, Skb},
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
    /// The kernel takes the encapsulated packet for IP.
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
                source_port: outer::source_port(skb.flow_hash()),
                vni,
            },
            inner: skb.read(0)?,
            wire_len: segment + outer::header_len(local.family) as u32,
            typed: matches!(skb.protocol(), ethertype::IPV4 | ethertype::IPV6),
        })
    }

    /// Makes room for the outer header. The kernel segments super-packets at the uplink and needs
    /// to know what is inner and outer; for other EtherTypes than IP it refuses to, so those get
    /// plain headroom.
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

    /// Finds the way to a peer and checks that the frame fits it.
    #[inline(always)]
    pub(crate) fn way(
        &self,
        skb: &Skb,
        local: &Local,
        vtep: *mut Vtep,
        now: u64,
    ) -> Result<Way, Reason> {
        let way = next_hop::to(skb, local, vtep, now);
        if way.hop.ifindex == 0 {
            return Err(Reason::NoRoute);
        }
        if way.hop.mtu != 0 && self.wire_len > way.hop.mtu {
            return Err(Reason::TooBig);
        }
        Ok(way)
    }

    /// Writes the outer header for one peer.
    #[inline(always)]
    pub(crate) fn write_header(
        &self,
        skb: &mut Skb,
        local: &Local,
        vtep: *const Vtep,
        way: &Way,
    ) -> Result<(), Reason> {
        // SAFETY: `vtep` points into an array map, whose rows are never freed.
        let (mut header, checksum): ([u8; TEMPLATE_LEN], u32) =
            unsafe { ((*vtep).header, (*vtep).checksum) };
        outer::complete(&mut header, checksum, local.family, &self.fields);
        let protocol = if local.family == 6 {
            ethertype::IPV6
        } else {
            ethertype::IPV4
        };
        let ok = skb.write(0, &Bytes(way.hop.dst))
            && skb.write(6, &Bytes(way.hop.src))
            && skb.write(12, &Bytes(protocol.to_be_bytes()))
            && if local.family == 6 {
                skb.write(
                    Ethernet::LEN,
                    &Bytes::<{ outer::header_len(6) }>::head(&header),
                ) && skb.write(Ethernet::LEN + outer::header_len(6), &self.inner)
            } else {
                skb.write(
                    Ethernet::LEN,
                    &Bytes::<{ outer::header_len(4) }>::head(&header),
                ) && skb.write(Ethernet::LEN + outer::header_len(4), &self.inner)
            };
        if ok { Ok(()) } else { Err(Reason::EncapFailed) }
    }

    /// Sends the encapsulated frame on its way; it is gone afterwards.
    #[inline(always)]
    pub(crate) fn send(
        &self,
        skb: &Skb,
        local: &Local,
        vtep: *const Vtep,
        way: &Way,
    ) -> Result<i32, Reason> {
        let resolved = next_hop::is_resolved(&way.hop);
        if resolved && !(way.renewed && self.typed) {
            return Ok(skb.redirect(way.hop.ifindex));
        }
        if self.typed {
            // SAFETY: `vtep` points into an array map, whose rows are never freed.
            let address = unsafe { (*vtep).address };
            return next_hop::neighbour_output(skb, local, &address).ok_or(Reason::NoRoute);
        }
        if local.resolver == 0 {
            Err(Reason::NoNeighbour)
        } else {
            Ok(self.detour(skb, local))
        }
    }

    /// Sends a packet that the kernel does not know to be IP through the ingress hook of a link of
    /// ours: coming in there it is typed anew, and `vx_resolve` hands it to neighbour output.
    #[inline(always)]
    fn detour(&self, skb: &Skb, local: &Local) -> i32 {
        skb.redirect_ingress(local.resolver)
    }

    /// Sends a copy of the encapsulated frame; the frame stays for the next peer.
    #[inline(always)]
    pub(crate) fn send_copy(&self, skb: &Skb, local: &Local, way: &Way) -> Result<(), Reason> {
        let sent = if next_hop::is_resolved(&way.hop) {
            skb.copy_to(way.hop.ifindex, false)
        } else if local.resolver != 0 {
            skb.copy_to(local.resolver, true)
        } else {
            return Err(Reason::NoNeighbour);
        };
        if sent {
            Ok(())
        } else {
            Err(Reason::RedirectFailed)
        }
    }

    /// Counts one copy as sent to a peer.
    #[inline(always)]
    pub(crate) fn count(&self, slot: u32) {
        account::vtep_tx(slot, self.fields.inner_len);
    }
}

/// Encapsulates a frame for the peer in `slot` and sends it.
#[inline(always)]
pub(crate) fn unicast(
    skb: &mut Skb,
    local: &Local,
    departure: &Departure,
    slot: u32,
    now: u64,
) -> Result<i32, Reason> {
    let Some(vtep) = maps::VTEPS.get_ptr_mut(slot) else {
        return Err(Reason::NoRoute);
    };
    let way = departure.way(skb, local, vtep, now)?;
    departure.make_room(skb, local)?;
    departure.write_header(skb, local, vtep, &way)?;
    let action = departure.send(skb, local, vtep, &way)?;
    departure.count(slot);
    Ok(action)
}
