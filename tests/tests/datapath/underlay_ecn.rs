//! Congestion marks through the tunnel (RFC 6040), over every receive path.

use vxnet_common::reason::Reason;
use vxnet_tests::frame::Outer;

use crate::case::{Case, check_uplink};
use crate::fabric::{A, AT_ONE, Family, ONE, PORT_A, VNI_BLUE, datagram, datagram6};
use crate::outcome::Receiver::Port;

/// RFC 6040 figure 4, and P14 (Linux `test_ecn_decap`), whose eight rows are inner 00 and 01:
/// inner, outer, what the guest gets (nothing: a drop).
const ROWS: [(u8, u8, Option<u8>, &str); 16] = [
    (0, 0, Some(0), "p14_not_ect_in_not_ect"),
    (0, 1, Some(0), "p14_not_ect_in_ect1"),
    (0, 2, Some(0), "p14_not_ect_in_ect0"),
    (0, 3, None, "p14_ecn_03_not_ect_in_ce"),
    (1, 0, Some(1), "p14_ect1_in_not_ect"),
    (1, 1, Some(1), "p14_ect1_in_ect1"),
    (1, 2, Some(1), "p14_ect1_in_ect0"),
    (1, 3, Some(3), "p14_ect1_in_ce"),
    (2, 0, Some(2), "ecn_02_ect0_in_not_ect"),
    (2, 1, Some(1), "ecn_02_ect0_in_ect1"),
    (2, 2, Some(2), "ecn_02_ect0_in_ect0"),
    (2, 3, Some(3), "ecn_02_ect0_in_ce"),
    (3, 0, Some(3), "ecn_02_ce_in_not_ect"),
    (3, 1, Some(3), "ecn_02_ce_in_ect1"),
    (3, 2, Some(3), "ecn_02_ce_in_ect0"),
    (3, 3, Some(3), "ecn_02_ce_in_ce"),
];

/// DSCP of the outer header: never the guest's business.
const OUTER_DSCP: u8 = 0x28;

#[test]
fn p14_ecn_02_ecn_03_decap_in_ipv4() {
    table(&datagram(AT_ONE, A), |frame, class| {
        frame[15] = class;
        frame[24..26].fill(0);
        let sum: u32 = frame[14..34]
            .chunks(2)
            .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
            .sum();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        frame[24..26].copy_from_slice(&sum.to_be_bytes());
    });
}

#[test]
fn p14_ecn_02_ecn_03_decap_in_ipv6() {
    table(&datagram6(AT_ONE, A), |frame, class| {
        frame[14] = 0x60 | class >> 4;
        frame[15] = class << 4 | frame[15] & 0x0f;
    });
}

/// Runs the table with an inner frame, whose traffic class (and checksum) `set` writes.
fn table(frame: &[u8], set: impl Fn(&mut [u8], u8) + Sync) {
    let marked = |class| {
        let mut frame = frame.to_vec();
        set(&mut frame, class);
        frame
    };
    check_uplink(ONE, |family: Family| {
        // DSCP EF in every other row: it stays.
        let dscp = [0, 0xb8].into_iter().cycle();
        ROWS.iter()
            .zip(dscp)
            .map(|(&(inner, outer, merged, name), dscp)| {
                let header = Outer {
                    traffic_class: OUTER_DSCP | outer,
                    ..family.sent_by(ONE, VNI_BLUE)
                };
                let packet = header.wrap(&marked(dscp | inner));
                match merged {
                    Some(merged) => {
                        Case::delivered(name, packet, [(Port(PORT_A), marked(dscp | merged))])
                    }
                    None => Case::dropped(name, packet, Reason::Ecn),
                }
            })
            .collect()
    });
}
