use clap::Parser as _;
use vxnet_common::{
    frame::{Ethernet, Packet as _},
    neighbour,
    vlan::Tag,
};

use super::*;

#[derive(clap::Parser)]
struct Line {
    #[command(flatten)]
    source: Source,
}

fn parse(line: &str) -> Result<Vec<u8>> {
    let words = std::iter::once("trace").chain(line.split(' '));
    Line::try_parse_from(words)?.source.frame()
}

const STATIONS: &str = "--src 52:54:00:00:00:01 --dst 52:54:00:00:00:02";

fn built(rest: &str) -> Vec<u8> {
    parse(&format!("{STATIONS} {rest}")).unwrap_or_else(|error| panic!("{rest}: {error:#}"))
}

#[test]
fn hexadecimal_is_read_with_blanks_and_colons() {
    assert_eq!(
        parse("ff:ff 0a0b 0C").unwrap(),
        [0xff, 0xff, 0x0a, 0x0b, 0x0c]
    );
    for wrong in ["f", "fff", "gg", "0x00", "+f"] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn an_arp_request_is_one_that_the_switch_hears() {
    let frame = parse("--src 52:54:00:00:00:01 --arp 10.0.0.2 --sender-ip 10.0.0.1").unwrap();
    let ethernet = Ethernet::parse(&frame[..], 0).unwrap();
    assert_eq!((frame.len(), ethernet.dst), (60, Mac::BROADCAST));
    let heard = neighbour::hear(&frame[..], &ethernet).unwrap();
    assert_eq!(
        heard.claim.unwrap().address,
        IpAddr::from([10, 0, 0, 1]).into()
    );
    assert_eq!(
        heard.question.unwrap().target,
        IpAddr::from([10, 0, 0, 2]).into()
    );
}

#[test]
fn packets_have_right_lengths_and_sums() {
    for (rest, len) in [
        ("--udp 10.0.0.1:5000 10.0.0.2:53", 60),
        ("--icmp 10.0.0.1 10.0.0.2 --len 1514", 1514),
        ("--udp 10.0.0.1:5000 10.0.0.2:53 --len 101", 101),
    ] {
        let frame = built(rest);
        assert_eq!(frame.len(), len, "{rest}");
        let total = u16::from_be_bytes([frame[16], frame[17]]);
        assert_eq!(usize::from(total), len - 14, "{rest}");
        assert_eq!(checksum(&[&frame[14..34]]), 0xffff, "{rest}: IP");
        let pseudo = [&frame[26..34], &[0, frame[23]], &(total - 20).to_be_bytes()].concat();
        let parts: &[&[u8]] = if frame[23] == 1 {
            &[&frame[34..]]
        } else {
            &[&pseudo, &frame[34..]]
        };
        assert_eq!(checksum(parts), 0xffff, "{rest}: upper layer");
    }
    for rest in [
        "--icmp fd00::1 fd00::2",
        "--udp [fd00::1]:1 [fd00::2]:2 --len 99",
    ] {
        let frame = built(rest);
        let bytes = frame.len() - 54;
        assert_eq!(frame[18..20], (bytes as u16).to_be_bytes(), "{rest}");
        let pseudo = [&frame[22..54], &[0, frame[20]], &frame[18..20]].concat();
        assert_eq!(checksum(&[&pseudo, &frame[54..]]), 0xffff, "{rest}");
    }
}

#[test]
fn a_tag_has_its_vlan_and_priority() {
    let frame = built("--vlan 1001 --pcp 5 --ethertype 0x88cc");
    let ethernet = Ethernet::parse(&frame[..], 0).unwrap();
    assert_eq!(ethernet.tag(&frame[..]), Tag::Customer(0xa3e9));
    assert_eq!(frame[..].read::<[u8; 2]>(16), Some([0x88, 0xcc]));
    assert_eq!(frame.len(), 60);
}

#[test]
fn what_makes_no_frame_is_refused() {
    for line in [
        "",
        "--src 52:54:00:00:00:01",
        "--src 52:54:00:00:00:01 --ethertype 0x88cc",
        "--src 52:54:00:00:00:01 --arp 10.0.0.2",
        "--pcap file 00",
        "--number 2 00",
        "--src 52:54:00:00:00:01 --dst 52:54:00:00:00:02",
        "--src 52:54:00:00:00:01 --dst 52:54:00:00:00:02 --vlan 4096 --ethertype 0x88cc",
        "--src 52:54:00:00:00:01 --dst 52:54:00:00:00:02 --pcp 1 --ethertype 0x88cc",
        "--src 52:54:00:00:00:01 --dst 52:54:00:00:00:02 --ethertype 0x88cc --len 13",
        "--src 52:54:00:00:00:01 --dst 52:54:00:00:00:02 --ethertype 0x88cc --icmp 1.1.1.1 2.2.2.2",
        "--src 52:54:00:00:00:01 --dst 52:54:00:00:00:02 --icmp 1.1.1.1 fd00::1",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
}
