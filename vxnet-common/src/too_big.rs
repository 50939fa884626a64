//! Telling a sender that its packet does not fit: ICMP "fragmentation needed" (RFC 792, RFC 1191
//! section 4) and ICMPv6 "packet too big" (RFC 4443 section 3.2).
//!
//! The message is made of the packet's own frame, without a copy beside it, for the stack of a
//! program is small: [`quote_v4`] or [`quote_v6`] moves what is quoted back to where the message has
//! it, [`SPARE`] bytes too far; the caller cuts the frame to [`LEN_V4`] or [`LEN_V6`] bytes and
//! `SPARE`, removes `SPARE` bytes behind the Ethernet header, and [`write_v4`] or [`write_v6`]
//! writes the rest.
//!
//! The two cuts are for a checksum that the kernel still owes the packet (`CHECKSUM_PARTIAL`): the
//! debt would go to the receiver, who may never look. With the place where the checksum starts it
//! is gone (`bpf_skb_change_tail`, which also makes one packet of a super-packet, then
//! `bpf_skb_adjust_room`: `skb_postpull_rcsum` of the kernel, from 6.2 and 6.1.2 on).

use network_types::{
    eth::EthHdr,
    ip::{Ipv4Hdr, Ipv6Hdr},
};

use crate::{
    addr::{Mac, VtepAddr},
    checksum,
    frame::{Ethernet, Packet, PacketMut, ethertype, protocol},
    ipv6::Upper,
    outer::TTL,
};

/// Words of 8 bytes that are quoted of an IPv4 packet: the longest header that is answered and
/// what identifies the flow (RFC 792: 64 bits of it).
pub const QUOTE_V4: usize = 8;
/// The same of an IPv6 packet: room for some extension headers.
pub const QUOTE_V6: usize = 11;
/// Bytes of an ICMP header.
const ICMP: usize = 8;
/// Bytes of the message's frame.
pub const LEN_V4: usize = Ethernet::LEN + Ipv4Hdr::LEN + ICMP + QUOTE_V4 * 8;
pub const LEN_V6: usize = Ethernet::LEN + Ipv6Hdr::LEN + ICMP + QUOTE_V6 * 8;
/// Bytes that the caller removes behind the Ethernet header: more than IP headers are long.
pub const SPARE: usize = 112;
/// Bytes of a packet that are read and written before it is cut.
pub const NEEDED: usize = LEN_V6 + SPARE;

// Programs reach offsets up to 256, and an IPv4 header with options and its checksum's start must
// be among what is removed.
const _: () = assert!(NEEDED - 8 <= 256 && SPARE > Ethernet::LEN + 15 * 4);

/// The "don't fragment" flag and the fragment offset of an IPv4 header.
const DONT_FRAGMENT: u16 = 0x4000;
const FRAGMENT_OFFSET: u16 = 0x1fff;
/// Destination unreachable because fragmentation is needed.
const UNREACHABLE: u8 = 3;
const FRAGMENTATION_NEEDED: u8 = 4;
/// ICMPv6 packet too big.
const TOO_BIG: u8 = 2;
/// The longest IPv4 header that a quote holds together with 8 bytes behind it.
const MAX_IHL: u8 = 14;
/// ICMPv6 types from here on are no errors (RFC 4443 section 2.1), but a redirect counts as one.
const FIRST_QUERY: u8 = 128;
const REDIRECT: u8 = 137;

/// Returns whether the sender of a frame without a tag may be told that it is too big.
///
/// Nobody is told about what went to a group or came from none, nor about errors, and an IPv4
/// sender only if it asked by "don't fragment" (RFC 1812 section 4.3.2.7, RFC 4443 section 2.4(e)).
#[inline(always)]
pub fn may_tell(packet: &(impl Packet + ?Sized), frame: &Ethernet) -> bool {
    if frame.dst.is_group() || frame.src.is_group() || frame.src.is_zero() {
        return false;
    }
    match frame.ethertype {
        ethertype::IPV4 => may_tell_v4(packet),
        ethertype::IPV6 => may_tell_v6(packet),
        _ => false,
    }
}

#[inline(always)]
fn may_tell_v4(packet: &(impl Packet + ?Sized)) -> bool {
    let Some(ip) = packet.read::<Ipv4Hdr>(Ethernet::LEN) else {
        return false;
    };
    let ihl = ip.vihl & 0x0f;
    let frags = u16::from_be_bytes(ip.frags);
    let [source, ..] = ip.src_addr;
    if ip.vihl >> 4 != 4
        || !(5..=MAX_IHL).contains(&ihl)
        || frags & DONT_FRAGMENT == 0
        || frags & FRAGMENT_OFFSET != 0
        // "This network", loopback, and the classes D and E with broadcast.
        || matches!(source, 0 | 127 | 224..)
        || ip.dst_addr[0] >= 224
    {
        return false;
    }
    if ip.proto != protocol::ICMP {
        return true;
    }
    // Echo, timestamp, information and address mask, each with its reply (RFC 1122 section 3.2.2).
    match packet.read::<[u8; 4]>(Ethernet::LEN + ihl as usize * 4) {
        Some([kind, ..]) => matches!(kind, 0 | 8 | 13..=18),
        None => false,
    }
}

#[inline(always)]
fn may_tell_v6(packet: &(impl Packet + ?Sized)) -> bool {
    let Some(ip) = packet.read::<Ipv6Hdr>(Ethernet::LEN) else {
        return false;
    };
    let source = VtepAddr::v6(ip.src_addr);
    if ip.vcf[0] >> 4 != 6
        || source == VtepAddr::NONE
        || source.is_multicast()
        || source.is_v4()
        || ip.dst_addr[0] == 0xff
    {
        return false;
    }
    match packet.upper(&ip) {
        Upper::At {
            protocol: protocol::ICMPV6,
            offset,
        } => match packet.read::<[u8; 4]>(offset) {
            Some([kind, ..]) => kind >= FIRST_QUERY && kind != REDIRECT,
            None => false,
        },
        // An error is never so long that it comes in fragments (RFC 4443 section 2.4(c)).
        Upper::At { .. } | Upper::Earlier => true,
        Upper::Unseen => false,
    }
}

/// Moves what is quoted of an IPv4 packet; returns its sum, or `None` if the packet is too short.
#[inline(always)]
pub fn quote_v4(packet: &mut (impl PacketMut + ?Sized)) -> Option<u64> {
    quote::<QUOTE_V4>(packet, Ipv4Hdr::LEN + ICMP + SPARE)
}

/// Moves what is quoted of an IPv6 packet; returns its sum, or `None` if the packet is too short.
#[inline(always)]
pub fn quote_v6(packet: &mut (impl PacketMut + ?Sized)) -> Option<u64> {
    quote::<QUOTE_V6>(packet, Ipv6Hdr::LEN + ICMP + SPARE)
}

/// Moves `N` words by some bytes, more than they are long.
#[inline(always)]
fn quote<const N: usize>(packet: &mut (impl PacketMut + ?Sized), by: usize) -> Option<u64> {
    let mut sum = 0;
    let mut word = 0;
    while word < N {
        let offset = Ethernet::LEN + word * 8;
        let words: [u64; 1] = packet.read(offset)?;
        if !packet.write(offset + by, &words) {
            return None;
        }
        sum += checksum::sum(&words);
        word += 1;
    }
    Some(sum)
}

/// Writes what the message from `source` has before its quote, whose sum is `quoted`; `mtu` is the
/// next hop's. Returns whether it could.
#[inline(always)]
pub fn write_v4(
    packet: &mut (impl PacketMut + ?Sized),
    frame: &Ethernet,
    quoted: u64,
    source: [u8; 4],
    mtu: u16,
) -> bool {
    const MESSAGE: usize = Ethernet::LEN + Ipv4Hdr::LEN;
    let mtu = mtu.to_be_bytes();
    let icmp = |[a, b]: [u8; 2]| {
        [u64::from_ne_bytes([
            UNREACHABLE,
            FRAGMENTATION_NEEDED,
            a,
            b,
            0,
            0,
            mtu[0],
            mtu[1],
        ])]
    };
    let sum = checksum::sum(&icmp([0; 2])) + quoted;
    let icmp = icmp((!checksum::fold(sum)).to_ne_bytes());

    let to = match packet.read::<Ipv4Hdr>(MESSAGE + ICMP) {
        Some(quoted) => quoted.src_addr,
        None => return false,
    };
    let [len, total] = ((LEN_V4 - Ethernet::LEN) as u16).to_be_bytes();
    let [a, b, c, d] = source;
    let [e, f, g, h] = to;
    let header = [
        u64::from_ne_bytes([0x45, 0, len, total, 0, 0, 0, 0]),
        u64::from_ne_bytes([TTL, protocol::ICMP, 0, 0, a, b, c, d]),
        u64::from_ne_bytes([e, f, g, h, 0, 0, 0, 0]),
    ];
    let ip = Ipv4Hdr {
        vihl: 0x45,
        tos: 0,
        tot_len: [len, total],
        id: [0; 2],
        frags: [0; 2],
        ttl: TTL,
        proto: protocol::ICMP,
        check: (!checksum::fold(checksum::sum(&header))).to_ne_bytes(),
        src_addr: source,
        dst_addr: to,
    };
    packet.write(MESSAGE, &icmp) && packet.write(Ethernet::LEN, &ip) && turn(packet, frame)
}

/// Writes what the message from `source` has before its quote, whose sum is `quoted`; `mtu` is the
/// next hop's. Returns whether it could.
#[inline(always)]
pub fn write_v6(
    packet: &mut (impl PacketMut + ?Sized),
    frame: &Ethernet,
    quoted: u64,
    source: [u8; 16],
    mtu: u32,
) -> bool {
    const MESSAGE: usize = Ethernet::LEN + Ipv6Hdr::LEN;
    const BYTES: u16 = (LEN_V6 - MESSAGE) as u16;
    let [a, b, c, d] = mtu.to_be_bytes();
    let icmp = |[x, y]: [u8; 2]| [u64::from_ne_bytes([TOO_BIG, 0, x, y, a, b, c, d])];
    let to = match packet.read::<Ipv6Hdr>(MESSAGE + ICMP) {
        Some(quoted) => VtepAddr::v6(quoted.src_addr),
        None => return false,
    };
    let sum = checksum::pseudo_v6(VtepAddr::v6(source), to, BYTES, protocol::ICMPV6)
        + checksum::sum(&icmp([0; 2]))
        + quoted;
    let icmp = icmp((!checksum::fold(sum)).to_ne_bytes());
    let ip = Ipv6Hdr {
        vcf: [6 << 4, 0, 0, 0],
        payload_len: BYTES.to_be_bytes(),
        next_hdr: protocol::ICMPV6,
        hop_limit: TTL,
        src_addr: source,
        dst_addr: to.octets(),
    };
    packet.write(MESSAGE, &icmp) && packet.write(Ethernet::LEN, &ip) && turn(packet, frame)
}

/// Sends a frame back to its sender.
#[inline(always)]
fn turn(packet: &mut (impl PacketMut + ?Sized), frame: &Ethernet) -> bool {
    let (Mac(dst_addr), Mac(src_addr)) = (frame.src, frame.dst);
    let header = EthHdr {
        dst_addr,
        src_addr,
        ether_type: frame.ethertype.to_be(),
    };
    packet.write(0, &header)
}

#[cfg(test)]
mod tests;
