//! ARP and neighbour discovery: what is heard, and what is answered.

use etherparse::{ArpOperation, EtherType, Icmpv6Slice, Ipv6HeaderSlice, SlicedPacket};
use vxnet_common::{
    addr::{Mac, VtepAddr},
    frame::Ethernet,
    neighbour::{Claim, Heard, Question, answer, hear},
    reason::Reason,
};

use super::draw::Draw;

pub(super) fn target(data: &[u8]) {
    let mut draw = Draw::new(data);
    let Mac([a, b @ ..]) = draw.mac();
    // A station's own address.
    let [c, d, e, f, g] = b;
    let mac = Mac([a & !1 | 2, c, d, e, f, g]);
    let router = draw.flag();
    let packet = draw.rest();
    let Some(frame) = Ethernet::parse(&packet[..], 0) else {
        return;
    };
    let heard = match hear(&packet[..], &frame) {
        Ok(heard) => heard,
        Err(reason) => {
            assert_eq!(reason, Reason::BadNeighbour);
            return;
        }
    };
    if let Some(claim) = heard.claim {
        believed(&claim, &frame);
    }
    if let Some(question) = heard.question {
        let claim = heard.claim.expect("who asks says who it is");
        assert_eq!(question.asker, claim.address);
        assert_ne!(question.target, question.asker, "an announcement");
        assert!(frame.dst.is_group(), "who asks one station wants that one");
        answered(&packet, &frame, &question, mac, router);
    }
    if !matches!(frame.ethertype, 0x0806 | 0x86dd) {
        assert_eq!(heard, Heard::NOTHING);
    }
}

fn believed(claim: &Claim, frame: &Ethernet) {
    assert_eq!(claim.mac, frame.src, "nobody speaks for others");
    assert!(!claim.mac.is_group() && !claim.mac.is_zero());
    assert_ne!(claim.address, VtepAddr::NONE);
    assert!(!claim.address.is_multicast());
    assert_eq!(claim.address.is_v4(), frame.ethertype == 0x0806);
    assert!(claim.router.is_none() || frame.ethertype == 0x86dd);
}

fn answered(packet: &[u8], frame: &Ethernet, question: &Question, mac: Mac, router: bool) {
    let mut reply: Box<[u8]> = packet.into();
    assert!(answer(&mut reply[..], frame, question, mac, router));
    let header = Ethernet::parse(&reply[..], 0).expect("a header");
    assert_eq!((header.src, header.dst), (mac, frame.src));
    assert_eq!(header.ethertype, frame.ethertype);

    if question.family == 4 {
        assert_eq!(reply[42..], packet[42..], "padding");
        arp(&reply, frame, question, mac);
    } else {
        assert_eq!(reply[86..], packet[86..], "padding");
        advertisement(&reply, question, mac, router);
    }
    let claim = Claim {
        mac,
        address: question.target,
        router: (question.family == 6).then_some(router),
    };
    // Nobody has 0.0.0.0 or an address of the classes D and E, but one may be asked for.
    let [.., first, _, _, _] = question.target.octets();
    let nobody =
        question.target.is_v4() && (question.target == VtepAddr::v4([0; 4]) || first >= 224);
    let expected = Heard {
        claim: (!nobody).then_some(claim),
        question: None,
    };
    assert_eq!(hear(&reply[..], &header), Ok(expected));
}

fn arp(reply: &[u8], frame: &Ethernet, question: &Question, mac: Mac) {
    let sliced = SlicedPacket::from_ethernet(reply).expect("etherparse reads it");
    let Some(etherparse::NetSlice::Arp(arp)) = sliced.net else {
        panic!("not ARP");
    };
    assert_eq!(arp.operation(), ArpOperation::REPLY);
    assert_eq!(arp.proto_addr_type(), EtherType::IPV4);
    assert_eq!(arp.sender_hw_addr(), mac.0);
    assert_eq!(arp.target_hw_addr(), frame.src.0);
    let address = |bytes: &[u8]| VtepAddr::v4(bytes.try_into().expect("four bytes"));
    assert_eq!(address(arp.sender_protocol_addr()), question.target);
    assert_eq!(address(arp.target_protocol_addr()), question.asker);
}

fn advertisement(reply: &[u8], question: &Question, mac: Mac, router: bool) {
    let ip = Ipv6HeaderSlice::from_slice(&reply[14..]).expect("an IPv6 header");
    assert_eq!(VtepAddr::v6(ip.source()), question.target);
    assert_eq!(VtepAddr::v6(ip.destination()), question.asker);
    assert_eq!(ip.hop_limit(), 255, "RFC 4861 section 7.1.2");
    let end = 54 + usize::from(ip.payload_length());
    let icmp = Icmpv6Slice::from_slice(&reply[54..end]).expect("an ICMPv6 header");
    assert!(icmp.is_checksum_valid(ip.source(), ip.destination()));
    assert_eq!((icmp.type_u8(), icmp.code_u8()), (136, 0));
    let flags = if router { 0xe0 } else { 0x60 };
    assert_eq!(icmp.bytes5to8(), [flags, 0, 0, 0]);
    assert_eq!(icmp.payload()[..16], question.target.octets());
    assert_eq!(icmp.payload()[16..18], [2, 1], "the target's link layer");
    assert_eq!(icmp.payload()[18..], mac.0);
}
