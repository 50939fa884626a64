//! The Internet checksum (RFC 1071) over arrays whose length the compiler knows.
//!
//! A sum is the same in either byte order (RFC 1071 section 2(B)): words are added as they lie in
//! memory, and what comes out is stored as it lies in memory, with `to_ne_bytes`.

use crate::addr::VtepAddr;

/// Adds up words of 8 bytes; [`fold`] makes a sum of 16-bit words of it.
#[inline(always)]
pub const fn sum<const N: usize>(words: &[u64; N]) -> u64 {
    let mut sum = 0;
    let mut index = 0;
    while index < N {
        sum += (words[index] & 0xffff_ffff) + (words[index] >> 32);
        index += 1;
    }
    sum
}

/// Adds up the pseudo-header of a message of `len` bytes over IPv6 (RFC 8200 section 8.1).
#[inline(always)]
pub const fn pseudo_v6(source: VtepAddr, destination: VtepAddr, len: u16, protocol: u8) -> u64 {
    sum(&source.halves())
        + sum(&destination.halves())
        + len.to_be() as u64
        + (protocol as u16).to_be() as u64
}

/// Folds a sum into 16 bits. A checksum field holds its complement, and a message with a right
/// checksum folds to `0xffff`.
#[inline(always)]
pub const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Folds as RFC 1071 section 4.1 does, 16 bits at a time in network order.
    fn slow(bytes: &[u8]) -> u16 {
        bytes.chunks_exact(2).fold(0, |sum: u16, word| {
            let (sum, carry) = sum.overflowing_add(u16::from_be_bytes([word[0], word[1]]));
            sum + u16::from(carry)
        })
    }

    #[test]
    fn the_example_of_rfc_1071_section_3() {
        let words = [u64::from_ne_bytes([0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7])];
        assert_eq!(fold(sum(&words)).to_ne_bytes(), [0xdd, 0xf2]);
    }

    #[test]
    fn carries_are_not_lost() {
        for bytes in [[0xff; 88], [0; 88], core::array::from_fn(|n| !(n as u8))] {
            let words: [u64; 11] = core::array::from_fn(|n| {
                u64::from_ne_bytes(bytes[n * 8..][..8].try_into().unwrap())
            });
            assert_eq!(fold(sum(&words)).to_ne_bytes(), slow(&bytes).to_be_bytes());
        }
        assert_eq!(fold(u64::MAX), 0xffff);
        assert_eq!(fold(0x1_fffe_ffff), 0xffff);
    }
}
