//! The detour: where the kernel takes VXLAN off in our place.
//!
//! What a program strips keeps a super-packet's marks of a tunnel (`skb->encapsulation`,
//! `SKB_GSO_UDP_TUNNEL`; `bpf_skb_adjust_room` takes them off in kernels newer than all that there
//! are): taps get it cut into single frames, and what UDP is cut into is lost. The kernel's own VXLAN
//! device leaves none. So such packets go, admitted and looked at, into a network namespace of
//! vxnet's in which nothing is but the socket of such a device; the device itself is on the host, and
//! `prog/detour` takes from it what came out.

use aya_ebpf::{
    bindings::{__sk_buff, BPF_F_RECOMPUTE_CSUM},
    programs::TcContext,
};
use network_types::{ip::Ipv4Hdr, ip::Ipv6Hdr, udp::UdpHdr, vxlan::VxlanHdr};
use vxnet_common::{
    frame::{Ethernet, Packet as _, PacketMut as _},
    map::local::{DETOUR_MAC, Local},
    reason::Reason,
    vxlan::Tunnelled,
};

use crate::packet::{self, Bytes, Skb};

/// Bytes of UDP and VXLAN header, in front of the inner frame.
const UDP: usize = UdpHdr::LEN + VxlanHdr::LEN;
/// Where a UDP header has its checksum.
const CHECKSUM: usize = 6;
/// Where the source address stands in an IP header, and where an IPv4 header has its checksum.
const SOURCE: usize = Ethernet::LEN + 12;
const SOURCE_IPV6: usize = Ethernet::LEN + 8;
const IP_CHECKSUM: usize = Ethernet::LEN + 10;

/// Returns whether a packet can take the detour: if there is one, and the packet has no IP options,
/// which the kernel may not like, and which none of us sends.
#[inline(always)]
pub(crate) fn is_open(local: &Local, packet: &Tunnelled) -> bool {
    let ip = if local.family == 6 {
        Ipv6Hdr::LEN
    } else {
        Ipv4Hdr::LEN
    };
    local.detour != 0 && packet.start as usize == Ethernet::LEN + ip + UDP
}

/// Sends an admitted packet on the detour, in which the kernel is to find nothing to object to. Its
/// source is the uplink then, which is to pay for it if it is dropped.
#[inline(always)]
pub(crate) fn send(
    skb: &Skb,
    local: &Local,
    packet: &Tunnelled,
    uplink: u32,
) -> Result<i32, Reason> {
    if prepare(skb.ctx.skb.skb, local, packet.start, packet.vni, uplink) == 0 {
        return Err(Reason::DecapFailed);
    }
    Ok(packet::redirect(local.detour))
}

/// Readies the headers of a packet; returns whether it did. A call of its own: the stack is short.
#[inline(never)]
fn prepare(skb: *mut __sk_buff, local: *const Local, start: u32, vni: u32, uplink: u32) -> u32 {
    let mut skb = Skb {
        ctx: TcContext::new(skb),
    };
    // SAFETY: the only caller passed a reference.
    let local = unsafe { &*local };
    let (vxlan, udp) = (start as usize - VxlanHdr::LEN, start as usize - UDP);
    let [_, a, b, c] = vni.to_be_bytes();
    let header = Bytes([0x08, 0, 0, 0, a, b, c, 0]);
    let (Some(found), Some(checksum)) = (
        skb.read::<Bytes<{ VxlanHdr::LEN }>>(vxlan),
        skb.read::<Bytes<2>>(udp + CHECKSUM),
    ) else {
        return 0;
    };
    // As on the other ways: the checksum is not looked at, nor are reserved bits.
    let done = skb.write(0, &Bytes(DETOUR_MAC))
        && (found.0 == header.0 || replace(&skb, vxlan, &header))
        && (checksum.0 == [0; 2] || replace(&skb, udp + CHECKSUM, &Bytes([0; 2])))
        && readdress(&skb, local, uplink);
    u32::from(done)
}

/// Gives a packet the uplink for its source, and this host for its destination: nobody has joined a
/// group where it goes.
#[inline(always)]
fn readdress(skb: &Skb, local: &Local, uplink: u32) -> bool {
    let [_, _, high, low] = uplink.to_be_bytes();
    let destination = local.underlay.octets();
    if local.family == 6 {
        let mut addresses = [0; 32];
        // Of a range that is nobody's in there (RFC 4193).
        addresses[0] = 0xfd;
        (addresses[14], addresses[15]) = (high, low);
        addresses[16..].copy_from_slice(&destination);
        return replace(skb, SOURCE_IPV6, &Bytes(addresses));
    }
    let [.., a, b, c, d] = destination;
    let Some(found) = skb.read::<Bytes<8>>(SOURCE) else {
        return false;
    };
    let addresses = [10, 0, high, low, a, b, c, d];
    // With its checksum changed too, the header adds up to what it did.
    let [from, to] = [found.0, addresses].map(words);
    let sum = |at: usize| {
        let (from, to) = (from[at].into(), to[at].into());
        skb.ctx.l3_csum_replace(IP_CHECKSUM, from, to, 4).is_ok()
    };
    sum(0) && sum(1) && skb.ctx.store(SOURCE, &Bytes(addresses), 0).is_ok()
}

/// Returns two addresses as the kernel sums them up.
#[inline(always)]
fn words([a, b, c, d, e, f, g, h]: [u8; 8]) -> [u32; 2] {
    [[a, b, c, d], [e, f, g, h]].map(u32::from_ne_bytes)
}

/// Writes bytes to a packet whose checksum the hardware may have summed up.
#[inline(always)]
fn replace<const N: usize>(skb: &Skb, offset: usize, bytes: &Bytes<N>) -> bool {
    let flags = u64::from(BPF_F_RECOMPUTE_CSUM);
    skb.ctx.store(offset, bytes, flags).is_ok()
}

/// Returns the uplink that a packet says it comes from behind the detour.
#[inline(always)]
pub(crate) fn uplink([_, _, high, low]: [u8; 4]) -> u32 {
    u32::from_be_bytes([0, 0, high, low])
}
