//! How long the frames are that a super-packet will be cut into.

use network_types::{ip::Ipv4Hdr, ip::Ipv6Hdr, tcp::TcpHdr, udp::UdpHdr};
use vxnet_common::frame::{Ethernet, Packet as _, ethertype, protocol};

use crate::packet::{Bytes, Skb};

/// Returns the bytes of the longest frame that leaves: the frame itself, or one segment of a
/// super-packet, which is judged by what crosses the wire and not by its own length.
#[inline(always)]
pub(crate) fn segment_len(skb: &Skb, ether_type: u16) -> u32 {
    let payload = skb.gso_size();
    if payload == 0 {
        return skb.len();
    }
    let (headers, l4) = match ether_type {
        ethertype::IPV4 => match skb.read::<Ipv4Hdr>(Ethernet::LEN) {
            Some(ip) => (Ethernet::LEN + ip.ihl() as usize, ip.proto),
            None => return skb.len(),
        },
        ethertype::IPV6 => match skb.read::<Ipv6Hdr>(Ethernet::LEN) {
            Some(ip) => (Ethernet::LEN + Ipv6Hdr::LEN, ip.next_hdr),
            None => return skb.len(),
        },
        _ => return skb.len(),
    };
    let l4 = match l4 {
        protocol::UDP => UdpHdr::LEN as u32,
        _ => match skb.read::<Bytes<13>>(headers) {
            // The data offset of a TCP header counts words of four bytes.
            Some(Bytes(tcp)) => u32::from(tcp[12] >> 4) * 4,
            None => TcpHdr::LEN as u32,
        },
    };
    headers as u32 + l4 + payload
}
