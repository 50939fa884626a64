//! Packets from the underlay.

use vxnet_common::{
    addr::VtepAddr,
    map::local::Local,
    reason::Reason,
    vxlan::{Outer, Tunnelled, classify},
};

use super::draw::Draw;

/// Bytes of the headers before the inner frame that are not IP's.
const ETHERNET: usize = 14;
const UDP_AND_VXLAN: usize = 16;

/// The VTEPs of the seeds.
const UNDERLAY_V4: [u8; 4] = [192, 0, 2, 1];
const UNDERLAY_V6: [u8; 16] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

pub(super) fn target(data: &[u8]) {
    let mut draw = Draw::new(data);
    let knobs = draw.u8();
    let family = if knobs & 1 == 0 { 4 } else { 6 };
    let is_gso = knobs & 2 != 0;
    let (underlay, port) = match (knobs & 4 == 0, family) {
        (true, 4) => (VtepAddr::v4(UNDERLAY_V4), 4789),
        (true, _) => (VtepAddr::v6(UNDERLAY_V6), 4789),
        (false, _) => (draw.address(family), draw.u16()),
    };
    let local = local(family, underlay, port);
    let packet = draw.rest();

    let outer = classify(&packet[..], &local, is_gso);
    assert_eq!(outer, classify(&packet[..], &local, is_gso));
    match outer {
        Outer::Vxlan(found) => {
            tunnelled(&packet, &local, is_gso, &found);
            neighbours(&packet, &local, is_gso, &found);
        }
        Outer::Bad(reason) => {
            let known = [Reason::OuterFragment, Reason::BadOuter, Reason::BadVxlan];
            assert!(known.contains(&reason), "{reason:?}");
            assert_eq!(destination(&packet, family), local.underlay);
        }
        Outer::NotOurs => assert_ne!(destination(&packet, family), local.underlay),
        Outer::Foreign => {}
    }
}

/// Returns the row of a host.
pub(super) fn local(family: u8, underlay: VtepAddr, port: u16) -> Local {
    Local {
        layout: 0,
        resolver: 0,
        underlay,
        port,
        family,
        pad: 0,
        detour: 0,
        name: [0; 32],
    }
}

/// Checks what was found against the bytes, by their offsets in RFC 791, 8200, 768 and 7348.
fn tunnelled(packet: &[u8], local: &Local, is_gso: bool, found: &Tunnelled) {
    let (start, end) = (found.start as usize, found.end as usize);
    assert!(
        start + ETHERNET <= end && end <= packet.len(),
        "{found:?} of {}",
        packet.len()
    );
    let udp = start - UDP_AND_VXLAN;
    let word = |at: usize| usize::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
    let (ethertype, header, class) = if local.family == 6 {
        assert_eq!(packet[20], 17);
        (0x86dd, 40, packet[14] << 4 | packet[15] >> 4)
    } else {
        assert_eq!(packet[23], 17);
        assert_eq!(word(20) & 0x3fff, 0, "no fragment");
        (0x0800, usize::from(packet[14] & 0xf) * 4, packet[15])
    };
    assert_eq!(word(12), ethertype);
    assert_eq!(udp, ETHERNET + header);
    assert_eq!(word(udp + 2), usize::from(local.port));
    assert_eq!(found.traffic_class, class);
    assert_eq!(found.source, source(packet, local.family));
    let destination = destination(packet, local.family);
    if destination == local.underlay {
        assert_eq!(found.group, VtepAddr::NONE);
    } else {
        assert!(destination.is_multicast());
        assert_eq!(found.group, destination);
    }
    let vxlan = &packet[udp + 8..start];
    assert_eq!(vxlan[0] & 8, 8, "the VNI is valid");
    let vni = u32::from_be_bytes([0, vxlan[4], vxlan[5], vxlan[6]]);
    assert_eq!(found.vni, vni);
    if is_gso {
        assert_eq!(end, packet.len());
    } else {
        assert_eq!(end, udp + word(udp + 4), "as UDP says");
    }
}

/// Checks that what must not matter does not.
fn neighbours(packet: &[u8], local: &Local, is_gso: bool, found: &Tunnelled) {
    let vxlan = found.start as usize - 8;
    let mut changed = packet.to_vec();
    changed[vxlan] ^= !8;
    for reserved in [1, 2, 3, 7] {
        changed[vxlan + reserved] ^= 0xff;
    }
    assert_eq!(
        classify(&changed[..], local, is_gso),
        Outer::Vxlan(*found),
        "reserved bits (RFC 7348 section 5)"
    );
    changed[vxlan] ^= 8;
    let without = match found.group {
        VtepAddr::NONE => Outer::Bad(Reason::BadVxlan),
        _ => Outer::NotOurs,
    };
    assert_eq!(classify(&changed[..], local, is_gso), without);
    if !is_gso {
        let mut padded = packet.to_vec();
        padded.extend([0xee; 18]);
        assert_eq!(
            classify(&padded[..], local, false),
            Outer::Vxlan(*found),
            "padding"
        );
        assert_ne!(
            classify(&packet[..found.end as usize - 1], local, false),
            Outer::Vxlan(*found),
            "cut"
        );
    }
}

fn source(packet: &[u8], family: u8) -> VtepAddr {
    let mut draw = Draw::new(&packet[if family == 6 { 22 } else { 26 }..]);
    draw.address(family)
}

fn destination(packet: &[u8], family: u8) -> VtepAddr {
    let mut draw = Draw::new(&packet[if family == 6 { 38 } else { 30 }..]);
    draw.address(family)
}
