//! The outer header: what we write, etherparse and our own receive path read.

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice, UdpHeaderSlice};
use vxnet_common::{
    addr::VtepAddr,
    outer::{Fields, Template, complete, header_len, source_port},
    vxlan::{Outer, classify},
};

use super::{draw::Draw, vxlan_classify::local};

pub(super) fn target(data: &[u8]) {
    let mut draw = Draw::new(data);
    let family = draw.one_of(&[4, 6]);
    let (from, to) = (draw.address(family), draw.address(family));
    let port = draw.u16();
    // A length that is said and not there is a super-packet's.
    let said = draw.flag().then(|| draw.u32() >> 8);
    let mut fields = Fields {
        inner_len: 0,
        traffic_class: draw.u8(),
        source_port: source_port(draw.u32()),
        vni: draw.u32(),
    };
    let inner = draw.rest();
    fields.inner_len = said.unwrap_or(inner.len() as u32);
    assert!(fields.source_port >= 49152, "RFC 7348 section 5");

    let template = Template::new(family, from, to, port);
    let header = if family == 6 {
        written::<{ header_len(6) }>(&template, &fields)
    } else {
        written::<{ header_len(4) }>(&template, &fields)
    };
    let udp_len = (fields.inner_len + 16) as u16;
    let udp = if family == 6 {
        ipv6(&header, from, to, &fields, udp_len)
    } else {
        ipv4(&header, from, to, &fields, udp_len)
    };
    let fields_of_udp = UdpHeaderSlice::from_slice(&header[udp..]).expect("a UDP header");
    assert_eq!(fields_of_udp.source_port(), fields.source_port);
    assert_eq!(fields_of_udp.destination_port(), port);
    assert_eq!(fields_of_udp.length(), udp_len);
    assert_eq!(fields_of_udp.checksum(), 0, "RFC 6935");
    let [_, a, b, c] = fields.vni.to_be_bytes();
    assert_eq!(header[udp + 8..], [8, 0, 0, 0, a, b, c, 0]);

    let is_gso = said.is_some();
    let mut packet = vec![0; 12];
    packet.extend(if family == 6 { [0x86, 0xdd] } else { [8, 0] });
    packet.extend(&header);
    packet.extend(&inner[..]);
    let fits = is_gso || packet.len() < 0xffff;
    if inner.len() < 14 || !fits {
        return;
    }
    let Outer::Vxlan(found) = classify(&packet[..], &local(family, to, port), is_gso) else {
        panic!("our own packet is none of ours");
    };
    assert_eq!(found.source, from);
    assert_eq!(found.group, VtepAddr::NONE);
    assert_eq!(found.vni, fields.vni & 0xff_ffff);
    assert_eq!(found.traffic_class, fields.traffic_class);
    assert_eq!(packet[found.start as usize..found.end as usize], inner[..]);
}

fn written<const N: usize>(template: &Template, fields: &Fields) -> Vec<u8> {
    let mut header = *template.header.0.first_chunk::<N>().expect("it has room");
    complete(&mut header, template.checksum, fields);
    header.to_vec()
}

/// Checks the IPv4 header, and returns its length.
fn ipv4(header: &[u8], from: VtepAddr, to: VtepAddr, fields: &Fields, udp_len: u16) -> usize {
    let ip = Ipv4HeaderSlice::from_slice(header).expect("an IPv4 header");
    let read = ip.to_header();
    assert_eq!(read.header_checksum, read.calc_header_checksum());
    assert_eq!(read.total_len, udp_len.wrapping_add(20));
    assert_eq!(VtepAddr::v4(read.source), from);
    assert_eq!(VtepAddr::v4(read.destination), to);
    assert_eq!(header[1], fields.traffic_class);
    assert!(read.dont_fragment && !read.more_fragments);
    assert_eq!((read.time_to_live, read.protocol.0), (64, 17));
    ip.slice().len()
}

/// Checks the IPv6 header, and returns its length.
fn ipv6(header: &[u8], from: VtepAddr, to: VtepAddr, fields: &Fields, udp_len: u16) -> usize {
    let ip = Ipv6HeaderSlice::from_slice(header).expect("an IPv6 header");
    let read = ip.to_header();
    assert_eq!(read.payload_length, udp_len);
    assert_eq!(VtepAddr::v6(read.source), from);
    assert_eq!(VtepAddr::v6(read.destination), to);
    assert_eq!(read.traffic_class, fields.traffic_class);
    assert_eq!((read.hop_limit, read.next_header.0), (64, 17));
    ip.slice().len()
}
