//! Loop probes: whatever comes in, and what we send out.

use vxnet_common::{
    frame::Ethernet,
    loop_probe::{LEN, Probe, is_probe},
};

use super::draw::Draw;

pub(super) fn target(data: &[u8]) {
    heard(data);
    sent(data);
}

/// What is read as a probe is one: written anew it is the same, but for what follows it.
fn heard(frame: &[u8]) {
    let Some(probe) = Probe::parse(frame) else {
        return;
    };
    let header = Ethernet::parse(frame, 0).expect("a probe has a header");
    assert!(is_probe(&header));
    assert_eq!(probe.emit(header.src)[..], frame[..LEN]);
}

fn sent(data: &[u8]) {
    let mut draw = Draw::new(data);
    let src = draw.mac();
    let probe = Probe {
        host: draw.array(),
        port: draw.array(),
        vni: draw.u32(),
        vid: draw.u16(),
        nonce: draw.u64(),
    };
    let mut frame = probe.emit(src).to_vec();
    assert_eq!(Probe::parse(&frame[..LEN - 1]), None);
    assert_eq!(Probe::parse(&frame), Some(probe));
    frame.extend(&draw.rest()[..]);
    assert_eq!(Probe::parse(&frame), Some(probe), "padding");
    let header = Ethernet::parse(&frame[..], 0).expect("a frame has a header");
    assert!(is_probe(&header));
    assert_eq!(header.src, src);
}
