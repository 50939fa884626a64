//! What is sent, and what a probe that comes back is taken for.

use std::collections::BTreeSet;

use vxnet_common::event::{PROBE_BYTES, kind};

use super::*;
use crate::daemon::places::Domain;

/// Bytes of the tag of a tagged frame.
const TAG: usize = 4;

fn domain(vid: u16, vni: u32) -> Domain {
    Domain {
        network: "blue".into(),
        vid,
        vni,
    }
}

fn port(ifindex: u32, ways: &[(u32, bool)]) -> Place {
    Place {
        ifindex,
        name: format!("vnet{ifindex}"),
        mac: Mac([2, 0, 0, 0, 0, ifindex as u8]),
        ways: ways
            .iter()
            .map(|(segment, is_tagged)| Way {
                segment: *segment,
                is_tagged: *is_tagged,
            })
            .collect(),
    }
}

/// A host with two ports in segment 1 (VNI 10), the second of which is also in VLAN 1002 (segment
/// 2, not on the overlay).
fn places() -> Places {
    Places {
        host: "hv1".into(),
        ports: BTreeMap::from([
            (3, port(30, &[(1, false)])),
            (4, port(40, &[(1, false), (2, true)])),
        ]),
        peers: BTreeMap::from([(1, "hv2".into())]),
        segments: BTreeMap::from([(1, domain(1001, 10)), (2, domain(1002, 0))]),
    }
}

/// Returns what is sent in one turn of all ports.
fn sent(probes: &mut Probes, places: &Places, loops: &Loops) -> Vec<Frame> {
    (0..TURN).flat_map(|_| probes.due(places, loops)).collect()
}

/// Returns the event of a frame that came in by the port in `slot`.
fn arrival(bytes: &[u8], slot: u32, segment: u32) -> Event {
    let mut frame = [0; PROBE_BYTES];
    frame[..bytes.len()].copy_from_slice(bytes);
    Event {
        kind: kind::PROBE,
        segment,
        holder: slot,
        other: 0,
        mac: [0; 6],
        vid: 0,
        frame,
    }
}

/// Returns a probe of another host.
fn foreign(host: &str, vni: u32, nonce: u64) -> Event {
    foreign_port(host, name("vnet9"), vni, nonce)
}

fn foreign_port(host: &str, port: [u8; 16], vni: u32, nonce: u64) -> Event {
    let probe = Probe {
        host: name(host),
        port,
        vni,
        vid: 0,
        nonce,
    };
    arrival(&probe.emit(Mac([2; 6])), 3, 1)
}

#[test]
fn each_port_probes_each_of_its_segments_once_a_turn() {
    let (mut probes, places) = (Probes::default(), places());
    let mut frames = sent(&mut probes, &places, &Loops::default());
    frames.sort_by_key(|frame| (frame.ifindex, frame.bytes.len()));
    let links: Vec<u32> = frames.iter().map(|frame| frame.ifindex).collect();
    assert_eq!(links, [30, 40, 40]);
    assert!(Probe::parse(&frames[1].bytes).is_some(), "untagged");
    assert_eq!(
        frames[2].bytes[12..16],
        [0x81, 0x00, 0x03, 0xea],
        "VLAN 1002"
    );
    let mut bare = frames[2].bytes.clone();
    bare.drain(12..12 + TAG);
    let probe = Probe::parse(&bare).unwrap();
    assert_eq!((probe.vid, probe.vni), (1002, 0));
    assert_eq!(name_str(&probe.host), "hv1");
    assert_eq!(name_str(&probe.port), "vnet40");
}

#[test]
fn a_port_of_many_vlans_probes_some_of_them_in_turn() {
    let ways: Vec<Way> = (1..=40)
        .map(|segment| Way {
            segment,
            is_tagged: true,
        })
        .collect();
    let mut next = 0;
    let mut probed = BTreeSet::new();
    for _ in 0..3 {
        let turn = choose(&ways, &mut next);
        assert_eq!(turn.len(), VLANS);
        probed.extend(turn.iter().map(|way| way.segment));
    }
    assert_eq!(probed.len(), 40);
    assert_eq!(choose(&[], &mut next), []);
}

#[test]
fn a_probe_of_this_host_in_its_own_segment_is_a_loop() {
    let (mut probes, places) = (Probes::default(), places());
    let frames = sent(&mut probes, &places, &Loops::default());
    let of_first = frames.iter().find(|frame| frame.ifindex == 30).unwrap();
    let returned = probes.returned(&places, &arrival(&of_first.bytes, 4, 1));
    let returned = returned.expect("a loop");
    assert_eq!((returned.slot, &*returned.arrival.port), (4, "vnet40"));
    assert!(matches!(&returned.sender, Sender::Here(3, name) if name == "vnet30"));
    // Between two VLANs it is a cable that somebody has put there on purpose.
    assert!(
        probes
            .returned(&places, &arrival(&of_first.bytes, 4, 2))
            .is_none()
    );
}

#[test]
fn nobody_can_make_up_a_probe_of_this_hosts_ports() {
    let (mut probes, places) = (Probes::default(), places());
    let frames = sent(&mut probes, &places, &Loops::default());
    let of_first = frames.iter().find(|frame| frame.ifindex == 30).unwrap();
    let mut forged = Probe::parse(&of_first.bytes).unwrap();
    forged.port = name("vnet40");
    let event = arrival(&forged.emit(Mac([2; 6])), 3, 1);
    assert!(probes.returned(&places, &event).is_none());
}

#[test]
fn a_probe_of_a_peer_counts_in_a_segment_of_the_same_vni() {
    let (probes, places) = (Probes::default(), places());
    let open = probes.returned(&places, &foreign("hv2", 10, 8)).unwrap();
    assert!(matches!(open.sender, Sender::There { is_shut: false, .. }));
    let shut = probes.returned(&places, &foreign("hv2", 10, 9)).unwrap();
    assert!(matches!(shut.sender, Sender::There { is_shut: true, .. }));
    for (host, vni) in [("hv2", 11), ("hv2", 0), ("hv9", 10)] {
        assert!(probes.returned(&places, &foreign(host, vni, 8)).is_none());
    }
    // VLAN 1002 is not on the overlay: that two hosts have it on their trunks is no loop.
    let mut event = foreign("hv2", 0, 8);
    event.segment = 2;
    assert!(probes.returned(&places, &event).is_none());
}

#[test]
fn a_probe_of_a_port_that_no_link_can_be_is_nobodys() {
    let (probes, places) = (Probes::default(), places());
    let returned = |port| probes.returned(&places, &foreign_port("hv2", port, 10, 8));
    assert!(returned(name("enp5s0f0np0.123")).is_some(), "15 bytes");
    for port in [
        "x\n\x1b[31mFAKE LOG",
        "",
        "a b",
        "a/b",
        "a\x7f",
        "\u{9b}1m",
        "0123456789abcdef",
    ] {
        assert!(returned(name(port)).is_none(), "{port:?}");
    }
    assert!(returned([0xff; 16]).is_none(), "no UTF-8");
    let event = foreign_port("hv2\n", name("vnet9"), 10, 8);
    assert!(probes.returned(&places, &event).is_none());
}

#[test]
fn a_port_that_is_shut_says_so() {
    let (mut probes, places) = (Probes::default(), places());
    let frames = sent(&mut probes, &places, &Loops::default());
    let of_first = frames.iter().find(|frame| frame.ifindex == 30).unwrap();
    let event = arrival(&of_first.bytes, 3, 1);
    let mut loops = Loops::default();
    loops.returned(0, probes.returned(&places, &event).unwrap());
    let frames = sent(&mut probes, &places, &loops);
    let of_first = frames.iter().find(|frame| frame.ifindex == 30).unwrap();
    assert_eq!(Probe::parse(&of_first.bytes).unwrap().nonce & SHUT, SHUT);
    // It is known by its number all the same.
    let event = arrival(&of_first.bytes, 3, 1);
    assert!(probes.returned(&places, &event).is_some());
}
