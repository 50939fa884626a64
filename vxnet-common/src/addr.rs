//! Addresses and ids as they stand on the wire.

use core::fmt;

/// An Ethernet address, in wire order.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The broadcast address.
    pub const BROADCAST: Self = Self([0xff; 6]);

    /// Returns whether this is a group address (multicast or broadcast, I/G bit of IEEE 802).
    #[inline(always)]
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// Returns whether this is the all-zero address, which no station may send from.
    #[inline(always)]
    pub const fn is_zero(self) -> bool {
        let [a, b, c, d, e, f] = self.0;
        a | b | c | d | e | f == 0
    }

    /// Returns whether this is one of 01:80:C2:00:00:00 to 0F, which a bridge must not forward
    /// (IEEE 802.1Q table 8-1).
    #[inline(always)]
    pub const fn is_link_local(self) -> bool {
        let [a, b, c, d, e, f] = self.0;
        a == 0x01 && b == 0x80 && c == 0xc2 && d == 0 && e == 0 && f & 0xf0 == 0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

/// A VXLAN network identifier: 24 bits, never 0 (RFC 7348 section 5).
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vni(u32);

impl Vni {
    /// The largest id that fits in 24 bits.
    pub const MAX: u32 = (1 << 24) - 1;

    /// Returns the id, or `None` if it is 0 or needs more than 24 bits.
    #[inline(always)]
    pub const fn new(id: u32) -> Option<Self> {
        if id == 0 || id > Self::MAX {
            None
        } else {
            Some(Self(id))
        }
    }

    /// Returns the id as a host-order integer.
    #[inline(always)]
    pub const fn value(self) -> u32 {
        self.0
    }

    /// Returns the id as it stands in the VXLAN header.
    #[inline(always)]
    pub const fn to_wire(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }

    /// Reads the id from the VXLAN header.
    #[inline(always)]
    pub const fn from_wire([a, b, c]: [u8; 3]) -> Option<Self> {
        Self::new(u32::from_be_bytes([0, a, b, c]))
    }
}

impl fmt::Display for Vni {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Returns an IPv4 address in its IPv4-mapped IPv6 form (RFC 4291 section 2.5.5.2), the form in
/// which every table keys an underlay address.
#[inline(always)]
pub const fn mapped([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vni_is_24_bits_and_not_zero() {
        assert_eq!(Vni::new(0), None);
        assert_eq!(Vni::new(1 << 24), None);
        assert_eq!(Vni::new(0xff_ffff).map(Vni::to_wire), Some([0xff; 3]));
        assert_eq!(
            Vni::new(0x12_3456).map(Vni::to_wire),
            Some([0x12, 0x34, 0x56])
        );
        assert_eq!(Vni::from_wire([0, 1, 2]).map(Vni::value), Some(0x102));
    }

    #[test]
    fn an_ipv4_address_is_keyed_as_rfc_4291_maps_it() {
        let expected = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 17];
        assert_eq!(mapped([192, 0, 2, 17]), expected);
    }

    #[test]
    fn mac_classes() {
        assert!(Mac::BROADCAST.is_group());
        assert!(Mac([1, 0, 0x5e, 0, 0, 1]).is_group());
        assert!(!Mac([2, 0, 0, 0, 0, 1]).is_group());
        assert!(Mac([0; 6]).is_zero());
        assert!(!Mac([0, 0, 0, 0, 0, 1]).is_zero());
        assert!(Mac([1, 0x80, 0xc2, 0, 0, 0x0f]).is_link_local());
        assert!(!Mac([1, 0x80, 0xc2, 0, 0, 0x10]).is_link_local());
    }
}
