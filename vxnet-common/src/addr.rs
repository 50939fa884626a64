//! Addresses and ids as they stand on the wire.

use core::{
    cmp::Ordering,
    fmt,
    net::{IpAddr, Ipv6Addr},
};

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

/// A VLAN id: 1 to 4094 (IEEE 802.1Q table 9-2).
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanId(u16);

impl VlanId {
    /// The largest id; 4095 is reserved.
    pub const MAX: u16 = 4094;

    /// Returns the id, or `None` if it is 0 or reserved.
    #[inline(always)]
    pub const fn new(id: u16) -> Option<Self> {
        if id == 0 || id > Self::MAX {
            None
        } else {
            Some(Self(id))
        }
    }

    /// Returns the id in host order.
    #[inline(always)]
    pub const fn value(self) -> u16 {
        self.0
    }
}

impl fmt::Display for VlanId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A VTEP's underlay address as the tables hold it: IPv4 in its IPv4-mapped IPv6 form (RFC 4291
/// section 2.5.5.2), as two words in wire order, which compare at once where bytes would not.
#[repr(transparent)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct VtepAddr([u64; 2]);

impl VtepAddr {
    /// No address.
    pub const NONE: Self = Self([0; 2]);

    /// Returns an IPv4 address in its mapped form.
    #[inline(always)]
    pub const fn v4([a, b, c, d]: [u8; 4]) -> Self {
        Self([0, u64::from_ne_bytes([0, 0, 0xff, 0xff, a, b, c, d])])
    }

    /// Returns an IPv6 address.
    #[inline(always)]
    pub const fn v6([a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]: [u8; 16]) -> Self {
        Self([
            u64::from_ne_bytes([a, b, c, d, e, f, g, h]),
            u64::from_ne_bytes([i, j, k, l, m, n, o, p]),
        ])
    }

    /// Returns the address as it stands in an IPv6 header.
    #[inline(always)]
    pub const fn octets(self) -> [u8; 16] {
        let [[a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]] =
            [self.0[0].to_ne_bytes(), self.0[1].to_ne_bytes()];
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }

    /// Returns the address as four words in wire order, as the kernel's structures hold it; the
    /// last one is the IPv4 address.
    #[inline(always)]
    pub const fn words(self) -> [u32; 4] {
        let [a, b, c, d, e, f, g, h] = self.0[0].to_ne_bytes();
        let [i, j, k, l, m, n, o, p] = self.0[1].to_ne_bytes();
        [
            u32::from_ne_bytes([a, b, c, d]),
            u32::from_ne_bytes([e, f, g, h]),
            u32::from_ne_bytes([i, j, k, l]),
            u32::from_ne_bytes([m, n, o, p]),
        ]
    }

    /// Returns the address that two words of an IPv6 header hold.
    #[inline(always)]
    pub const fn from_halves(halves: [u64; 2]) -> Self {
        Self(halves)
    }

    /// Returns the address as two words in wire order, as a header holds it.
    #[inline(always)]
    pub const fn halves(self) -> [u64; 2] {
        self.0
    }

    /// Returns whether this is an IPv4 address in its mapped form, which no IPv6 header may hold:
    /// it would be taken for the IPv4 address.
    #[inline(always)]
    pub const fn is_v4(self) -> bool {
        let [a, b, c, d, ..] = self.0[1].to_ne_bytes();
        self.0[0] == 0 && a == 0 && b == 0 && c == 0xff && d == 0xff
    }

    /// Returns whether the address is a multicast group's (RFC 1112, RFC 4291 section 2.7).
    #[inline(always)]
    pub const fn is_multicast(self) -> bool {
        let [high, low] = [self.0[0].to_ne_bytes(), self.0[1].to_ne_bytes()];
        high[0] == 0xff || (self.is_v4() && low[4] & 0xf0 == 0xe0)
    }

    /// Returns a number that spreads the addresses of a fabric over `1 << bits` places.
    #[inline(always)]
    pub const fn spread(self, bits: u32) -> u32 {
        // Fibonacci hashing: the golden ratio of 64 bits carries every bit to the top.
        let folded = self.0[0].rotate_left(32) ^ self.0[1];
        (folded.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - bits)) as u32
    }
}

impl From<IpAddr> for VtepAddr {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::v4(address.octets()),
            IpAddr::V6(address) => Self::v6(address.octets()),
        }
    }
}

impl From<VtepAddr> for IpAddr {
    /// Returns the address as people write it: IPv4 where it is mapped.
    fn from(address: VtepAddr) -> Self {
        Ipv6Addr::from(address.octets()).to_canonical()
    }
}

impl PartialOrd for VtepAddr {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for VtepAddr {
    fn cmp(&self, other: &Self) -> Ordering {
        self.octets().cmp(&other.octets())
    }
}

impl fmt::Display for VtepAddr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&IpAddr::from(*self), out)
    }
}

impl fmt::Debug for VtepAddr {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

// SAFETY: two integers, in a `repr(transparent)` array.
#[cfg(feature = "user")]
unsafe impl aya::Pod for VtepAddr {}

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
    fn q_02_q_03_q_04_a_vlan_is_1_to_4094() {
        assert_eq!(VlanId::new(0), None);
        assert_eq!(VlanId::new(4095), None);
        assert_eq!(VlanId::new(1).map(VlanId::value), Some(1));
        assert_eq!(VlanId::new(4094).map(VlanId::value), Some(4094));
    }

    #[test]
    fn groups_of_both_families() {
        for group in [[224, 0, 0, 1], [239, 0, 0, 10], [239, 255, 255, 255]] {
            assert!(VtepAddr::v4(group).is_multicast());
        }
        for host in [[223, 255, 255, 255], [240, 0, 0, 0], [10, 0, 0, 1]] {
            assert!(!VtepAddr::v4(host).is_multicast());
        }
        let v6 = |first, thirteenth| {
            let mut octets = [0; 16];
            (octets[0], octets[12]) = (first, thirteenth);
            VtepAddr::v6(octets)
        };
        assert!(v6(0xff, 0).is_multicast());
        assert!(!v6(0xfd, 0xe0).is_multicast());
        assert!(!v6(0, 0xe0).is_multicast(), "not a mapped IPv4 address");
    }

    #[test]
    fn an_ipv4_address_is_keyed_as_rfc_4291_maps_it() {
        let octets = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 17];
        let address = VtepAddr::v4([192, 0, 2, 17]);
        assert_eq!(address.octets(), octets);
        assert_eq!(address, VtepAddr::v6(octets));
        assert_eq!(address.words()[3].to_ne_bytes(), [192, 0, 2, 17]);
        assert_eq!(address.words()[2].to_ne_bytes(), [0, 0, 0xff, 0xff]);
    }

    #[test]
    fn addresses_sort_as_people_count() {
        let [a, b] = [[10, 0, 0, 255], [10, 0, 1, 0]].map(VtepAddr::v4);
        assert!(a < b);
    }

    #[test]
    fn neighbouring_addresses_spread_over_the_places() {
        let places: std::collections::BTreeSet<u32> = (0..=255)
            .map(|host| VtepAddr::v4([10, 0, 0, host]).spread(12))
            .collect();
        assert!(places.iter().all(|place| *place < 1 << 12));
        assert!(places.len() > 240, "{} places of 256", places.len());
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
