//! What is fuzzed: one file per parser of what others wrote, each a function from bytes to a panic.
//!
//! A target makes its input of any bytes ([`draw`]) and asserts what must hold for all of them, in
//! words of its own: from offsets in the RFCs or from etherparse, not with the code under test.
//! libFuzzer runs them by `cargo xtask fuzz`; the test target `fuzz` runs them over `corpus/`, where
//! the input of a found bug stays for ever.

mod capture;
mod config;
mod draw;
mod ecn;
mod frame_tag;
mod loop_probe;
mod neighbour;
mod outer;
mod security;
mod summary;
mod switch;
mod tables;
mod too_big;
mod vxlan_classify;

/// Panics if something does not hold.
pub(crate) type Target = fn(&[u8]);

/// All targets; each has a directory of its name in `corpus/`.
pub(crate) const TARGETS: &[(&str, Target)] = &[
    ("capture", capture::target),
    ("config", config::target),
    ("ecn", ecn::target),
    ("frame_tag", frame_tag::target),
    ("loop_probe", loop_probe::target),
    ("neighbour", neighbour::target),
    ("outer", outer::target),
    ("security", security::target),
    ("summary", summary::target),
    ("switch", switch::target),
    ("too_big", too_big::target),
    ("vxlan_classify", vxlan_classify::target),
];

/// Returns the sum of 16-bit words that a checksum makes `0xffff` (RFC 1071 section 4.1).
fn internet_sum(bytes: &[u8]) -> u16 {
    bytes.chunks(2).fold(0, |sum: u16, word| {
        let word = u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]);
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}
