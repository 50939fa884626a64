//! Capture files: whoever took it, a frame comes out of it whole or not at all.

use super::draw::Draw;
use crate::pcap::pick;

pub(super) fn target(data: &[u8]) {
    let mut draw = Draw::new(data);
    let number = draw.below(4);
    let file = draw.rest();
    let Ok(frame) = pick(&file, number) else {
        return;
    };
    assert_ne!(number, 0, "frames are counted from 1");
    assert!(frame.len() <= file.len().max(usize::from(u16::MAX)));
    for earlier in 1..number {
        assert!(pick(&file, earlier).is_ok(), "frame {earlier} of {number}");
    }
    // Behind the file's header there is nothing but records: a file of one more has it too.
    let mut more = file.to_vec();
    more.extend([0; 16]);
    assert_eq!(pick(&more, number).ok(), Some(frame));
}
