//! Super-packets (GSO), which the kernel cuts into segments of equal payload.

/// Returns how many segments come of a super-packet of `len` bytes, `headers` of which precede the
/// payload and stand in each segment; `size` is the payload of each but the last
/// (`skb_shinfo(skb)->gso_size`), and not 0.
#[inline(always)]
#[must_use]
pub const fn segments(len: u32, headers: u32, size: u32) -> u32 {
    let segments = len.saturating_sub(headers).div_ceil(size);
    // A packet without payload is one too.
    if segments == 0 { 1 } else { segments }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_segment_may_be_short() {
        for (payload, expected) in [
            (0, 1),
            (1, 1),
            (499, 1),
            (500, 1),
            (501, 2),
            (1000, 2),
            (1001, 3),
        ] {
            assert_eq!(segments(54 + payload, 54, 500), expected, "{payload}");
        }
        assert_eq!(segments(10, 54, 500), 1);
    }
}
