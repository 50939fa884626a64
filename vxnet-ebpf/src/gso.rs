//! How long the frames are that a super-packet will be cut into, and how many.

use aya_ebpf::{bindings::__sk_buff, programs::TcContext};
use network_types::{ip::Ipv4Hdr, ip::Ipv6Hdr, tcp::TcpHdr, udp::UdpHdr};
use vxnet_common::{
    frame::{Ethernet, Packet as _, ethertype, protocol},
    gso,
    map::port::Port,
};

use crate::packet::{Bytes, Skb};

/// Returns the bytes of the longest frame that leaves: the frame itself, or one segment of a
/// super-packet, which is judged by what crosses the wire and not by its own length.
#[inline(always)]
pub(crate) fn segment_len(skb: &Skb, ether_type: u16) -> u32 {
    let payload = skb.gso_size();
    if payload == 0 {
        return skb.len();
    }
    match headers_len(skb, ether_type) {
        Some(headers) => headers + payload,
        None => skb.len(),
    }
}

/// Returns whether a port takes a frame without a tag, or each of those that it will be cut into.
#[inline(always)]
pub(crate) fn takes(port: &Port, skb: &Skb) -> bool {
    port.takes(skb.len()) || (skb.gso_size() != 0 && port.takes(longest(skb.ctx.skb.skb)))
}

/// As [`segment_len`]. A call of its own: the callers' stack is short.
#[inline(never)]
fn longest(skb: *mut __sk_buff) -> u32 {
    let skb = Skb {
        ctx: TcContext::new(skb),
    };
    match Ethernet::parse(&skb, 0) {
        Some(frame) => segment_len(&skb, frame.ethertype),
        None => skb.len(),
    }
}

/// Returns how many frames a packet will be cut into, or was made of.
#[inline(always)]
pub(crate) fn segments(skb: &Skb) -> u32 {
    let payload = skb.gso_size();
    if payload == 0 {
        return 1;
    }
    let said = skb.gso_segs();
    if said != 0 {
        return said;
    }
    let headers = Ethernet::parse(skb, 0).and_then(|frame| headers_len(skb, frame.ethertype));
    let headers = headers.unwrap_or(0);
    gso::segments(skb.len(), headers, payload)
}

/// Returns the bytes of a super-packet in front of its payload: of Ethernet, IP, and TCP or UDP.
#[inline(always)]
fn headers_len(skb: &Skb, ether_type: u16) -> Option<u32> {
    let (headers, l4) = match ether_type {
        ethertype::IPV4 => {
            let ip = skb.read::<Ipv4Hdr>(Ethernet::LEN)?;
            (Ethernet::LEN + ip.ihl() as usize, ip.proto)
        }
        ethertype::IPV6 => {
            let ip = skb.read::<Ipv6Hdr>(Ethernet::LEN)?;
            (Ethernet::LEN + Ipv6Hdr::LEN, ip.next_hdr)
        }
        _ => return None,
    };
    let l4 = match l4 {
        protocol::UDP => UdpHdr::LEN as u32,
        _ => match skb.read::<Bytes<13>>(headers) {
            // The data offset of a TCP header counts words of four bytes.
            Some(Bytes(tcp)) => u32::from(tcp[12] >> 4) * 4,
            None => TcpHdr::LEN as u32,
        },
    };
    Some(headers as u32 + l4)
}
