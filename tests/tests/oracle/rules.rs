//! Where vxnet means to differ from Open vSwitch.
//!
//! A rule holds for a frame *and* for how both switches treat it, so that it excuses nothing else.

use std::collections::BTreeSet;

use vxnet_common::reason::Reason;

use crate::layout::Layout;
use crate::outcome::Outcome;
use crate::sample::{CUSTOMER_TAG, DEI, SERVICE_TAG, Sample, word};

/// A class of differences.
pub(crate) struct Rule {
    pub(crate) name: &'static str,
    /// Returns whether the difference is of this class: the ports, the frame at one of them, what
    /// vxnet does, and what Open vSwitch does.
    pub(crate) covers: fn(&Layout, &Sample, &Outcome, &Outcome) -> bool,
}

/// All classes; a difference is counted for the first that covers it.
pub(crate) const RULES: &[Rule] = &[
    // A network's VLANs are those of 802.1Q's customer tags. Open vSwitch reads a service tag as
    // one, so that 802.1ad's VLAN 10 would be 802.1Q's VLAN 10.
    Rule {
        name: "q_13_service_tag",
        covers: |_, sample, ours, _| word(&sample.frame, 12) == SERVICE_TAG && ours.is_nothing(),
    },
    // Open vSwitch looks at one tag and carries the next as payload, out of an access port too,
    // where it then counts: the way into a VLAN that the sender is not in ("double tagging").
    Rule {
        name: "q_14_tag_stack",
        covers: |_, sample, ours, _| {
            word(&sample.frame, 12) == CUSTOMER_TAG
                && matches!(word(&sample.frame, 16), CUSTOMER_TAG | SERVICE_TAG)
                && ours.is_nothing()
        },
    },
    // No station has such an address (802.1Q 8.8). Open vSwitch forwards the frame, and learns an
    // address that is all zero.
    Rule {
        name: "q_09_source_of_no_station",
        covers: |_, sample, ours, _| {
            let src = sample.src();
            (src[0] & 1 == 1 || src == [0; 6]) && ours.is_nothing()
        },
    },
    // Open vSwitch keeps back what Cisco's and Extreme's switches tell each other. 802.1Q reserves
    // only the sixteen addresses of its table 8-1.
    Rule {
        name: "q_10_addresses_of_vendors",
        covers: |_, sample, _, theirs| {
            matches!(
                sample.dst(),
                [0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc | 0xcd] | [0x00, 0xe0, 0x2b, ..]
            ) && theirs.is_nothing()
        },
    },
    // As the Linux bridge, vxnet learns from a frame that it does not forward: its sender is there
    // (802.1Q 8.7). That, and nothing else: in the frame's own VLAN, at its own port.
    Rule {
        name: "q_10_learned_from_link_local",
        covers: |layout, sample, ours, theirs| {
            let (port, vid) = (sample.port, layout.vlan(sample.port, sample.tci()));
            let lesson = vid.map(|vid| (vid, sample.src(), port));
            matches!(sample.dst(), [0x01, 0x80, 0xc2, 0, 0, 0..=0x0f])
                && ours.delivered.is_empty()
                && ours.reason == Some(Reason::LinkLocal)
                && ours.learned == BTreeSet::from_iter(lesson)
                && theirs.is_nothing()
        },
    },
    // Open vSwitch has no room for the drop eligible indicator, and loses it when it writes a tag
    // anew. vxnet keeps all four bits above the VLAN id.
    Rule {
        name: "q_07_drop_eligible",
        covers: |_, sample, ours, theirs| {
            sample.tci().is_some_and(|tci| tci & DEI != 0)
                && ours.learned == theirs.learned
                && without_dei(ours) == without_dei(theirs)
        },
    },
];

fn without_dei(outcome: &Outcome) -> Outcome {
    let mut outcome = outcome.clone();
    for frame in outcome.delivered.values_mut().flatten() {
        if word(frame, 12) == CUSTOMER_TAG {
            frame[14] &= !(DEI >> 8) as u8;
        }
    }
    outcome
}
