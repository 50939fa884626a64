//! Merging the outer header's ECN bits into a packet.

use vxnet_common::{ecn, reason::Reason};

use super::{draw::Draw, internet_sum};

pub(super) fn target(data: &[u8]) {
    let mut draw = Draw::new(data);
    let outer = draw.u8();
    let ethertype = draw.one_of(&[0x0800, 0x86dd, 0x0806]);
    let offset = draw.below(64);
    let before = draw.rest();
    let mut after = before.clone();

    let result = ecn::decapsulate(&mut after[..], ethertype, offset, outer);
    let len = match ethertype {
        0x0800 => 20,
        0x86dd => 40,
        _ => usize::MAX,
    };
    if before.len() < offset.saturating_add(len) {
        assert_eq!(result, Ok(()), "nothing to mark");
        assert_eq!(before, after);
        return;
    }
    let class = |packet: &[u8]| match ethertype {
        0x0800 => packet[offset + 1],
        _ => packet[offset] << 4 | packet[offset + 1] >> 4,
    };
    let inner = class(&before);
    let Some(marked) = figure_4(inner & 3, outer & 3) else {
        assert_eq!(result, Err(Reason::Ecn));
        assert_eq!(before, after, "a packet that is dropped");
        return;
    };
    assert_eq!(result, Ok(()));
    assert_eq!(class(&after), inner & !3 | marked, "the DSCP stays");
    let mut restored = after.clone();
    if ethertype == 0x0800 {
        restored[offset + 1] = before[offset + 1];
        restored[offset + 10..offset + 12].copy_from_slice(&before[offset + 10..offset + 12]);
        let header = offset..offset + len;
        if internet_sum(&before[header.clone()]) == 0xffff {
            assert_eq!(internet_sum(&after[header]), 0xffff);
        }
    } else {
        assert_eq!(after[offset + 1] & 0x0f, before[offset + 1] & 0x0f);
        restored[offset..offset + 2].copy_from_slice(&before[offset..offset + 2]);
        assert_eq!(after[offset] >> 4, before[offset] >> 4);
    }
    assert_eq!(restored, before, "nothing else changes");
}

/// RFC 6040 figure 4: 0 Not-ECT, 1 ECT(1), 2 ECT(0), 3 CE.
fn figure_4(inner: u8, outer: u8) -> Option<u8> {
    match (inner, outer) {
        (0, 3) => None,
        (0, _) => Some(0),
        (3, _) | (_, 3) => Some(3),
        (2, 1) | (1, _) => Some(1),
        _ => Some(2),
    }
}
