//! `WHOLE`: which flows come from the underlay in super-packets.
//!
//! The way of UDP depends on it, and a flow whose packets took two ways at once could arrive in
//! another order than it was sent. So it is kept by flow, and all packets of a flow count, of whatever
//! size: the way changes only with its first super-packet, when all before it have been delivered, and
//! after a silence.

/// Rows: one for each source port of one peer.
pub const ROWS: u32 = 1 << 16;

/// How long a flow may be silent and is still known, in nanoseconds.
pub const KEPT: u64 = 10_000_000_000;

/// Odd, so that it spreads the peers; a row may still be that of several flows, which then share the
/// way.
const SPREAD: u32 = 0x9e37;

/// Returns the row of a flow: of a peer, by its slot, and an outer source port, which is the same in
/// all packets of an inner flow (RFC 7348 section 5).
#[inline(always)]
pub const fn row(vtep: u32, source_port: u16) -> u32 {
    (source_port as u32 ^ vtep.wrapping_mul(SPREAD)) & (ROWS - 1)
}

/// Returns whether a flow comes whole of which a packet, or a super-packet, has just come; `last` is
/// when one before it did (`CLOCK_MONOTONIC_COARSE`, nanoseconds), 0 if never.
#[inline(always)]
pub const fn comes_whole(last: u64, is_gso: bool, now: u64) -> bool {
    is_gso || last != 0 && now.saturating_sub(last) < KEPT
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{KEPT, ROWS, comes_whole, row};

    #[test]
    fn flows_of_a_peer_have_rows_of_their_own() {
        for vtep in [0, 1, 2, 1023] {
            let rows: BTreeSet<u32> = (0..=u16::MAX).map(|port| row(vtep, port)).collect();
            assert_eq!(rows.len(), ROWS as usize, "peer {vtep}");
        }
    }

    #[test]
    fn peers_that_send_from_one_port_do_not_share_a_row() {
        let rows: BTreeSet<u32> = (0..1024).map(|vtep| row(vtep, 50_000)).collect();
        assert_eq!(rows.len(), 1024);
    }

    #[test]
    fn a_flow_stays_whole_until_it_has_been_silent() {
        let now = 3 * KEPT;
        for (last, is_gso, expected) in [
            (0, false, false),
            (0, true, true),
            (now - KEPT, true, true),
            (now - KEPT, false, false),
            (now - KEPT + 1, false, true),
            (now, false, true),
            // Of another CPU, whose clock is ahead.
            (now + 1, false, true),
        ] {
            assert_eq!(comes_whole(last, is_gso, now), expected, "{last} {is_gso}");
        }
        // Not long after boot, what never came has not come lately.
        assert!(!comes_whole(0, false, 1));
    }
}
