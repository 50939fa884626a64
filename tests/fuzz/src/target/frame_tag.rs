//! The headers of any frame: Ethernet, tag, IP and the headers behind IPv6's.

use vxnet_common::{
    frame::{Ethernet, Packet, PacketMut, is_tcp, traffic_class},
    ipv6::{REACH, Upper, upper},
    vlan::{PRIORITY, Tag, VID},
};

use super::draw::Draw;

pub(super) fn target(data: &[u8]) {
    let mut draw = Draw::new(data);
    let offset = if draw.flag() {
        usize::from(draw.u16())
    } else {
        draw.below(32)
    };
    let mut frame = draw.rest();

    let fits = |len: usize| frame.len() >= offset + len;
    let header = Ethernet::parse(&frame[..], offset);
    assert_eq!(header.is_some(), fits(14));
    if let Some(header) = header {
        assert_eq!(header.dst.0, frame[offset..][..6]);
        assert_eq!(header.src.0, frame[offset + 6..][..6]);
        assert_eq!(header.ethertype.to_be_bytes(), frame[offset + 12..][..2]);
    }
    let class = traffic_class(&frame[..], 0x0800, offset);
    assert_eq!(class, fits(20).then(|| frame[offset + 1]));
    let class = traffic_class(&frame[..], 0x86dd, offset);
    let halves = || frame[offset] << 4 | frame[offset + 1] >> 4;
    assert_eq!(class, fits(40).then(halves));
    assert_eq!(traffic_class(&frame[..], 0x0806, offset), None);
    let tcp = is_tcp(&frame[..], 0x0800, offset);
    assert_eq!(tcp, fits(20) && frame[offset + 9] == 6);
    let tcp = is_tcp(&frame[..], 0x86dd, offset);
    assert_eq!(tcp, fits(40) && frame[offset + 6] == 6);
    assert!(!is_tcp(&frame[..], 0x8100, offset));

    tag(&frame);
    extensions(&frame);
    write(&mut frame, offset);
}

fn tag(frame: &[u8]) {
    let Some(header) = Ethernet::parse(frame, 0) else {
        return;
    };
    let tag = header.tag(frame);
    let is_tag = |at: usize| matches!(frame.get(at..at + 2), Some([0x81, 0] | [0x88, 0xa8]));
    assert_eq!(tag == Tag::None, !is_tag(12));
    assert_eq!(header.is_tagged(), is_tag(12));
    if let Tag::Customer(tci) = tag {
        assert_eq!(frame[12..14], [0x81, 0]);
        assert_eq!(frame[14..16], tci.to_be_bytes());
        assert!(!is_tag(16), "two tags");
        assert_eq!(tag.priority() | tci & VID, tci);
        assert_eq!(tag.priority() & !PRIORITY, 0);
    } else {
        assert_eq!(tag.priority(), 0);
    }
    if frame.len() < 18 && is_tag(12) {
        assert_eq!(tag, Tag::Other, "cut off");
    }
}

fn extensions(frame: &[u8]) {
    let Some(ip) = frame.read(14) else {
        return;
    };
    let found = upper(frame, &ip);
    assert_eq!(Upper::unpack(found.pack()), found);
    assert_eq!(frame.upper(&ip), found);
    let Upper::At { protocol, offset } = found else {
        return;
    };
    assert!((54..=REACH).contains(&offset) && offset % 8 == 6);
    assert!(
        ![0, 43, 44, 60].contains(&protocol),
        "{protocol} is a header"
    );
    // The last header says how long it is, the frame may end within it.
    let end = offset.min(frame.len());
    assert_eq!(upper(&frame[..end], &ip), found, "it is not looked at");
    if offset == 54 {
        assert_eq!(protocol, frame[20], "no header between");
    } else {
        assert_eq!(upper(&frame[..54], &ip), Upper::Unseen, "cut off");
    }
}

fn write(frame: &mut [u8], offset: usize) {
    let before = frame.to_vec();
    let written = frame.write(offset, &[0x5au8; 6]);
    assert_eq!(written, before.len() >= offset + 6);
    for (at, (old, new)) in before.iter().zip(frame.iter()).enumerate() {
        let inside = written && (offset..offset + 6).contains(&at);
        assert_eq!(*new, if inside { 0x5a } else { *old }, "byte {at}");
    }
}
