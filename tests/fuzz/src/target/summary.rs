//! Lines about frames that were dropped: a guest chose the bytes, a terminal shows them.

use super::draw::Draw;
use crate::decode::{hex, summary};

pub(super) fn target(data: &[u8]) {
    let mut draw = Draw::new(data);
    let tag = draw.flag().then(|| draw.u16());
    let kind = |tag| if tag & 1 == 0 { 0x8100 } else { 0x88a8 };
    let frame = draw.rest();
    let line = summary(&frame, tag.map(|tag| (kind(tag), tag)));
    assert!(!line.is_empty());
    let is_plain = |c: char| c == ' ' || c.is_ascii_graphic();
    assert!(line.chars().all(is_plain), "{line:?}");
    assert!(line.len() <= 200 + frame.len() * 8, "{line}");
    assert_eq!(hex(&frame).len(), frame.len() * 2);
}
