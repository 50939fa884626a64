//! What stands behind an IPv6 header (RFC 8200 section 4).

use network_types::ip::Ipv6Hdr;

use crate::frame::{Ethernet, Packet};

/// How many extension headers are followed.
pub const HEADERS: usize = 8;
/// How far into the frame they are followed, in bytes; programs cannot read much further.
pub const REACH: usize = 224;

/// Extension headers that carry an upper layer.
mod extension {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const DESTINATION: u8 = 60;
}

/// Bits of a fragment header that hold the offset (RFC 8200 section 4.5).
const FRAGMENT_OFFSET: u16 = 0xfff8;

/// The upper layer of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upper {
    /// A header of this protocol stands at this offset in the frame, unless the frame ends before.
    At { protocol: u8, offset: usize },
    /// It stood in an earlier fragment.
    Earlier,
    /// It is cut off, or behind more headers than are followed.
    Unseen,
}

impl Upper {
    /// Packs it into an integer, for a call in the kernel.
    #[inline(always)]
    pub const fn pack(self) -> u64 {
        match self {
            Self::At { protocol, offset } => 1 << 32 | (protocol as u64) << 16 | offset as u64,
            Self::Earlier => 2 << 32,
            Self::Unseen => 0,
        }
    }

    /// Unpacks what [`Upper::pack`] made.
    #[inline(always)]
    pub const fn unpack(packed: u64) -> Self {
        match packed >> 32 {
            1 => Self::At {
                protocol: (packed >> 16) as u8,
                offset: packed as usize & 0xff,
            },
            2 => Self::Earlier,
            _ => Self::Unseen,
        }
    }
}

/// Finds the upper layer of the packet in a frame without a tag, whose IP header is `ip`.
#[inline(always)]
pub fn upper(packet: &(impl Packet + ?Sized), ip: &Ipv6Hdr) -> Upper {
    let mut protocol = ip.next_hdr;
    let mut offset = Ethernet::LEN + Ipv6Hdr::LEN;
    let mut headers = 0;
    while is_extension(protocol) {
        if headers == HEADERS || offset > REACH {
            return Upper::Unseen;
        }
        headers += 1;
        let Some([next, units, high, low, ..]) = packet.read::<[u8; 8]>(offset) else {
            return Upper::Unseen;
        };
        if protocol == extension::FRAGMENT {
            if u16::from_be_bytes([high, low]) & FRAGMENT_OFFSET != 0 {
                return Upper::Earlier;
            }
            offset += 8;
        } else {
            offset += (units as usize + 1) * 8;
        }
        protocol = next;
    }
    if offset > REACH {
        return Upper::Unseen;
    }
    Upper::At { protocol, offset }
}

#[inline(always)]
const fn is_extension(protocol: u8) -> bool {
    use extension::{DESTINATION, FRAGMENT, HOP_BY_HOP, ROUTING};

    matches!(protocol, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    /// Finds the upper layer behind headers given as protocol and eight-byte units, the last of
    /// them TCP's, in a frame that holds `spare` bytes behind them.
    fn find(chain: &[(u8, u8)], fragment: u16, spare: usize) -> Upper {
        let mut frame = Vec::from([0; 54]);
        frame[20] = chain.first().map_or(6, |(protocol, _)| *protocol);
        for (index, (protocol, units)) in chain.iter().enumerate() {
            let next = chain.get(index + 1).map_or(6, |(protocol, _)| *protocol);
            let start = frame.len();
            frame.resize(start + usize::from(*units) * 8, 0);
            frame[start..start + 2].copy_from_slice(&[next, units - 1]);
            if *protocol == 44 {
                frame[start + 1] = 0xff; // reserved, ignored
                frame[start + 2..start + 4].copy_from_slice(&fragment.to_be_bytes());
            }
        }
        frame.resize(frame.len() + spare, 0);
        upper(&frame[..], &frame[..].read::<Ipv6Hdr>(14).unwrap())
    }

    fn tcp(offset: usize) -> Upper {
        Upper::At {
            protocol: 6,
            offset,
        }
    }

    #[test]
    fn rfc7113_attack12_headers_are_followed_as_far_as_said() {
        assert_eq!(
            find(&[], 0, 0),
            tcp(54),
            "whether it is there is asked later"
        );
        assert_eq!(find(&[(0, 1)], 0, 20), tcp(62));
        assert_eq!(find(&[(60, 3), (43, 2), (0, 1)], 0, 20), tcp(102));
        assert_eq!(find(&[(60, 1); 8], 0, 20), tcp(118));
        assert_eq!(find(&[(60, 1); 9], 0, 20), Upper::Unseen);
        assert_eq!(find(&[(60, 1); 100], 0, 20), Upper::Unseen);
        assert_eq!(find(&[(60, 21)], 0, 20), tcp(222));
        assert_eq!(find(&[(60, 22)], 0, 20), Upper::Unseen);
        assert_eq!(find(&[(60, 22), (60, 1)], 0, 20), Upper::Unseen);
        assert_eq!(find(&[(44, 1)], 0x0001, 20), tcp(62), "first fragment");
        assert_eq!(find(&[(44, 1)], 0x0006, 20), tcp(62), "reserved bits");
        assert_eq!(find(&[(44, 1)], 0x0008, 20), Upper::Earlier);
        assert_eq!(find(&[(0, 1), (44, 1)], 0xfff8, 20), Upper::Earlier);
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        for upper in [Upper::Unseen, Upper::Earlier, tcp(54), tcp(REACH)] {
            assert_eq!(Upper::unpack(upper.pack()), upper);
        }
    }

    #[test]
    fn a_header_that_is_cut_off_hides_what_follows() {
        let mut frame = [0u8; 61];
        frame[20] = 60;
        for len in 54..=61 {
            let ip = frame[..].read::<Ipv6Hdr>(14).unwrap();
            assert_eq!(upper(&frame[..len], &ip), Upper::Unseen, "{len} bytes");
        }
    }
}
