//! Headers that cannot be read, and such as hide others.

use std::vec::Vec;

use super::scene::*;
use crate::map::port::flag;

#[test]
fn attack12_p05_headers_that_cannot_be_read_pass_only_unchecked() {
    let v4 = v4(OWN_V4, PEER, 6, &[0; 20]);
    let v6 = v6(OWN_V6, 6, &[0; 20]);
    for vihl in (0x40..0x45).chain([0x05, 0x55, 0x65]) {
        let mut frame = v4.clone();
        frame[14] = vihl;
        assert_eq!(judge(flag::CHECK_IP, &frame), IP, "vihl {vihl:#x}");
        assert_eq!(
            judge(DEFAULT | flag::CHECK_MAC, &frame),
            PASS,
            "vihl {vihl:#x}"
        );
    }
    let mut frame = v6.clone();
    frame[14] = 0x50;
    assert_eq!(judge(flag::CHECK_IP, &frame), IP);
    assert_eq!(judge(DEFAULT | flag::CHECK_MAC, &frame), PASS);
    for (frame, header) in [(v4, 34), (v6, 54)] {
        for len in 14..header {
            assert_eq!(judge(flag::CHECK_IP, &frame[..len]), IP, "{len} bytes");
            assert_eq!(
                judge(DEFAULT | flag::CHECK_MAC, &frame[..len]),
                PASS,
                "{len} bytes"
            );
        }
        assert_eq!(
            judge(flag::SECURITY & !flag::LOCKED, &frame[..header]),
            PASS
        );
    }
}

#[test]
fn vu855201_ip_in_llc_and_snap() {
    let snap = |ethertype: u16| {
        let [high, low] = ethertype.to_be_bytes();
        ethernet(OWN, 60, &[0xaa, 0xaa, 3, 0, 0, 0, high, low, 0x60])
    };
    let bpdu = ethernet(OWN, 38, &[0x42, 0x42, 3, 0, 0, 0, 0x86, 0xdd]);
    table(&[
        ("IPv6", flag::NO_RA, snap(0x86dd), RA),
        ("IPv4", flag::NO_DHCP_SERVER, snap(0x0800), DHCP),
        ("ARP", flag::CHECK_IP, snap(0x0806), IP),
        ("a tag", flag::CHECK_MAC, snap(0x8100), MAC),
        ("AppleTalk", DEFAULT, snap(0x809b), PASS),
        ("a BPDU", DEFAULT, bpdu, PASS),
        ("cut off", DEFAULT, snap(0x86dd)[..21].to_vec(), PASS),
    ]);
}

#[test]
fn attack13_no_frame_of_any_bytes_panics() {
    // A small generator is enough: the parsers branch on few bytes, which are set on purpose.
    let mut state = 1u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    };
    for round in 0..20_000 {
        let mut frame: Vec<u8> = (0..14 + round % 300).map(|_| next()).collect();
        let ethertype = [0x0800u16, 0x86dd, 0x0806, 0x0040][round % 4];
        frame[12..14].copy_from_slice(&ethertype.to_be_bytes());
        if let Some(version) = frame.get_mut(14) {
            *version = *version & 0x0f | if ethertype == 0x0800 { 0x40 } else { 0x60 };
        }
        if let Some(protocol) = frame.get_mut(if ethertype == 0x0800 { 23 } else { 20 }) {
            *protocol = [17, 58, 0, 43, 44, 60][*protocol as usize % 6];
        }
        for flags in [flag::SECURITY & !flag::LOCKED & !flag::CHECK_MAC, DEFAULT] {
            let _ = judge(flags, &frame);
        }
    }
}

#[test]
fn attack14_fragments_too_short_for_ports() {
    let checks = [
        (flag::NO_DHCP_SERVER, VICTIM_V4, DHCP),
        (flag::NO_VXLAN, PEER, VXLAN),
        (flag::CHECK_MAC, VICTIM_V4, MAC),
        (flag::CHECK_IP, VICTIM_V4, PASS),
    ];
    let full = udp(50000, 5000, &[0; 8]);
    for more in [0u16, 0x2000] {
        for (flags, to, verdict) in checks {
            for len in 0..8 {
                let short = v4_with(OWN_V4, to, 17, more, 0, &full[..len]);
                assert_eq!(judge(flags, &short), verdict, "{len} bytes, {flags:#x}");
                // Padded to the least that Ethernet has: what looks like ports is none.
                let padded = [&short[..], &[0; 26]].concat();
                assert_eq!(judge(flags, &padded), verdict, "{len}, padded, {flags:#x}");
            }
            let whole = v4_with(OWN_V4, to, 17, more, 0, &full);
            assert_eq!(judge(flags, &whole), PASS, "{flags:#x}");
            // Every fragment that begins at 0 is judged by its own ports, so one that lies over
            // another says nothing new; and what begins later has none, up to the ping of death.
            for field in [1, 2, 0x1fff, 0x2001] {
                let later = v4_with(OWN_V4, to, 17, field, 0, &full);
                assert_eq!(judge(flags, &later), PASS, "offset {field}");
            }
        }
    }
    // Without any check nothing is dropped, and TCP is not asked for ports.
    assert_eq!(judge(0, &v4(OWN_V4, PEER, 17, &full[..3])), PASS);
    assert_eq!(
        judge(
            flag::SECURITY & !flag::LOCKED,
            &v4(OWN_V4, PEER, 6, &full[..3])
        ),
        PASS
    );
}
