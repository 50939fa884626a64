//! Reading frames: one view over a packet in the kernel and over a slice in user space.

use network_types::{
    arp::ArpHdr,
    eth::EthHdr,
    ip::{Ipv4Hdr, Ipv6Hdr},
    udp::UdpHdr,
    vlan::VlanHdr,
    vxlan::VxlanHdr,
};

use crate::{
    addr::Mac,
    ipv6::{self, Upper},
    vlan::Tag,
};

/// EtherTypes that the data path tells apart, host order.
pub mod ethertype {
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const IPV6: u16 = 0x86dd;
    /// 802.1Q C-tag.
    pub const VLAN: u16 = 0x8100;
    /// 802.1ad S-tag.
    pub const SERVICE_VLAN: u16 = 0x88a8;
}

/// IP protocol numbers that the data path tells apart.
pub mod protocol {
    pub const ICMP: u8 = 1;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const ICMPV6: u8 = 58;
}

/// A header that may be copied out of a packet.
///
/// # Safety
/// Every bit pattern must be a value of the type, and the type must have no padding.
pub unsafe trait Wire: Copy {}

// SAFETY: `repr(C)` structs of integers and byte arrays without padding.
unsafe impl Wire for EthHdr {}
// SAFETY: as above.
unsafe impl Wire for VlanHdr {}
// SAFETY: as above.
unsafe impl Wire for Ipv4Hdr {}
// SAFETY: as above.
unsafe impl Wire for Ipv6Hdr {}
// SAFETY: as above.
unsafe impl Wire for UdpHdr {}
// SAFETY: as above.
unsafe impl Wire for VxlanHdr {}
// SAFETY: as above.
unsafe impl Wire for ArpHdr {}
// SAFETY: an array of integers has no padding and no forbidden values.
unsafe impl<const N: usize> Wire for [u8; N] {}
// SAFETY: as above.
unsafe impl<const N: usize> Wire for [u64; N] {}

/// A packet that can be read.
pub trait Packet {
    /// Returns the length in bytes, what is not in linear memory included.
    fn len(&self) -> u32;

    /// Returns whether the packet has no bytes at all.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies a header, or returns `None` if the packet ends before its end.
    ///
    /// At an offset that is not constant, take two bytes at least: of one the compiler makes a
    /// comparison (`>=` the end) that the verifier learns nothing from.
    fn read<T: Wire>(&self, offset: usize) -> Option<T>;

    /// Finds the upper layer behind the IPv6 header of a frame without a tag. In the kernel this is a
    /// call that the verifier checks once: followed into every caller, the loop is too much for it.
    fn upper(&self, ip: &Ipv6Hdr) -> Upper {
        ipv6::upper(self, ip)
    }
}

/// A packet that can be written.
pub trait PacketMut: Packet {
    /// Overwrites a header; returns whether the packet had room for it at `offset`.
    fn write<T: Wire>(&mut self, offset: usize, header: &T) -> bool;
}

impl Packet for [u8] {
    fn len(&self) -> u32 {
        u32::try_from(<[u8]>::len(self)).unwrap_or(u32::MAX)
    }

    fn read<T: Wire>(&self, offset: usize) -> Option<T> {
        let bytes = self.get(offset..offset.checked_add(size_of::<T>())?)?;
        // SAFETY: `bytes` is as long as `T`, and `Wire` says that any bytes make a `T`.
        Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
    }
}

impl PacketMut for [u8] {
    fn write<T: Wire>(&mut self, offset: usize, header: &T) -> bool {
        let Some(bytes) = offset
            .checked_add(size_of::<T>())
            .and_then(|end| self.get_mut(offset..end))
        else {
            return false;
        };
        // SAFETY: `bytes` is as long as `T`, which has no padding.
        unsafe { bytes.as_mut_ptr().cast::<T>().write_unaligned(*header) };
        true
    }
}

/// What the switch reads of a guest's frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet {
    pub dst: Mac,
    pub src: Mac,
    /// EtherType, host order.
    pub ethertype: u16,
}

impl Ethernet {
    /// Bytes of an Ethernet header without tags.
    pub const LEN: usize = EthHdr::LEN;

    /// Reads the header at `offset`.
    #[inline(always)]
    pub fn parse(packet: &(impl Packet + ?Sized), offset: usize) -> Option<Self> {
        let header: EthHdr = packet.read(offset)?;
        Some(Self {
            dst: Mac(header.dst_addr),
            src: Mac(header.src_addr),
            ethertype: u16::from_be(header.ether_type),
        })
    }
}

impl Ethernet {
    /// Returns the VLAN tag in the header of the frame, which starts at the packet's first byte.
    #[inline(always)]
    pub fn tag(&self, packet: &(impl Packet + ?Sized)) -> Tag {
        if !self.is_tagged() {
            return Tag::None;
        }
        match packet.read::<VlanHdr>(Self::LEN) {
            Some(header) if self.ethertype == ethertype::VLAN => {
                let inner = u16::from_be(header.ether_type);
                if matches!(inner, ethertype::VLAN | ethertype::SERVICE_VLAN) {
                    return Tag::Other;
                }
                Tag::Customer(u16::from_be_bytes(header.tci))
            }
            _ => Tag::Other,
        }
    }

    /// Returns whether the frame carries a VLAN tag in its header.
    #[inline(always)]
    pub const fn is_tagged(&self) -> bool {
        matches!(self.ethertype, ethertype::VLAN | ethertype::SERVICE_VLAN)
    }
}

/// Returns the TOS or traffic class byte of the IP header at `offset`, or `None` if the EtherType
/// is not IP's or the header is cut off.
#[inline(always)]
pub fn traffic_class(packet: &(impl Packet + ?Sized), ethertype: u16, offset: usize) -> Option<u8> {
    match ethertype {
        ethertype::IPV4 => Some(packet.read::<Ipv4Hdr>(offset)?.tos),
        ethertype::IPV6 => {
            let [high, low, ..] = packet.read::<Ipv6Hdr>(offset)?.vcf;
            Some(high << 4 | low >> 4)
        }
        _ => None,
    }
}

/// Returns whether the frame's IP payload is TCP: the one thing that is equal in every segment of
/// a flow and decides which way it takes through the receiving host.
#[inline(always)]
pub fn is_tcp(packet: &(impl Packet + ?Sized), ethertype: u16, offset: usize) -> bool {
    carries(packet, ethertype, offset, protocol::TCP)
}

/// Returns whether the frame's IP payload is UDP.
#[inline(always)]
pub fn is_udp(packet: &(impl Packet + ?Sized), ethertype: u16, offset: usize) -> bool {
    carries(packet, ethertype, offset, protocol::UDP)
}

#[inline(always)]
fn carries(packet: &(impl Packet + ?Sized), ethertype: u16, offset: usize, protocol: u8) -> bool {
    match ethertype {
        ethertype::IPV4 => {
            matches!(packet.read::<Ipv4Hdr>(offset), Some(ip) if ip.proto == protocol)
        }
        ethertype::IPV6 => {
            matches!(packet.read::<Ipv6Hdr>(offset), Some(ip) if ip.next_hdr == protocol)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack9_nothing_is_read_past_the_end() {
        for length in 0..Ethernet::LEN {
            let frame = [0u8; Ethernet::LEN];
            assert_eq!(Ethernet::parse(&frame[..length], 0), None, "{length}");
        }
        let frame = [0u8; 14];
        assert!(Ethernet::parse(&frame[..], 0).is_some());
        assert_eq!(Ethernet::parse(&frame[..], 1), None);
        assert_eq!(Ethernet::parse(&frame[..], usize::MAX), None);
    }

    #[test]
    fn writes_nothing_past_the_end() {
        let header = UdpHdr {
            src: [1; 2],
            dst: [2; 2],
            len: [3; 2],
            check: [4; 2],
        };
        let mut packet = [0u8; 9];
        assert!(!packet[..].write(2, &header));
        assert!(!packet[..].write(usize::MAX, &header));
        assert_eq!(packet, [0; 9]);
        assert!(packet[..].write(1, &header));
        assert_eq!(packet, [0, 1, 1, 2, 2, 3, 3, 4, 4]);
    }

    #[test]
    fn r7348_19_q_13_both_kinds_of_tag_are_seen() {
        let tagged = |ethertype: u16| {
            let mut frame = [0u8; 14];
            frame[12..].copy_from_slice(&ethertype.to_be_bytes());
            Ethernet::parse(&frame[..], 0).unwrap().is_tagged()
        };
        assert!(tagged(0x8100) && tagged(0x88a8));
        assert!(!tagged(0x0800) && !tagged(0x86dd) && !tagged(0x0806) && !tagged(0x0081));
    }

    #[test]
    fn q_13_q_14_only_a_single_customer_tag_is_read() {
        let tag = |bytes: &[u8]| {
            let mut frame = std::vec![0u8; 12];
            frame.extend_from_slice(bytes);
            Ethernet::parse(&frame[..], 0).unwrap().tag(&frame[..])
        };
        assert_eq!(tag(&[0x08, 0, 0x45, 0, 0, 0]), Tag::None);
        assert_eq!(tag(&[0x81, 0, 0xa3, 0xe9, 0x08, 0]), Tag::Customer(0xa3e9));
        assert_eq!(tag(&[0x81, 0, 0, 10, 0x81, 0]), Tag::Other, "two tags");
        assert_eq!(tag(&[0x81, 0, 0, 10, 0x88, 0xa8]), Tag::Other);
        assert_eq!(tag(&[0x88, 0xa8, 0, 10, 0x08, 0]), Tag::Other, "an S-tag");
        assert_eq!(
            tag(&[0x81, 0, 0, 10, 0x08]),
            Tag::Other,
            "attack10: cut off"
        );
    }

    #[test]
    fn traffic_class_of_both_families() {
        let mut v4 = [0u8; 20];
        v4[1] = 0xb9;
        assert_eq!(traffic_class(&v4[..], ethertype::IPV4, 0), Some(0xb9));
        let mut v6 = [0u8; 40];
        v6[0] = 0x6b;
        v6[1] = 0x9f;
        assert_eq!(traffic_class(&v6[..], ethertype::IPV6, 0), Some(0xb9));
        assert_eq!(traffic_class(&v6[..], 0x0806, 0), None);
        assert_eq!(traffic_class(&v6[..39], ethertype::IPV6, 0), None);
    }

    #[test]
    fn tcp_is_told_by_the_protocol_field() {
        let mut v4 = [0u8; 20];
        v4[9] = protocol::TCP;
        assert!(is_tcp(&v4[..], ethertype::IPV4, 0));
        v4[9] = protocol::UDP;
        assert!(!is_tcp(&v4[..], ethertype::IPV4, 0));
        let mut v6 = [0u8; 40];
        v6[6] = protocol::TCP;
        assert!(is_tcp(&v6[..], ethertype::IPV6, 0));
        v6[6] = protocol::UDP;
        assert!(!is_tcp(&v6[..], ethertype::IPV6, 0));
        assert!(!is_tcp(&v6[..], ethertype::IPV4 + 1, 0));
    }
}
