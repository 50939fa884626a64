//! Messages with one thing wrong each, and what is heard of them.

use std::vec::Vec;

use super::*;

const ASKER: Mac = Mac([0x52, 0x54, 0, 0, 0, 0x0a]);
const OWNER: Mac = Mac([0x52, 0x54, 0, 0, 0, 0x0b]);
const OTHER: Mac = Mac([0x52, 0x54, 0, 0, 0, 0x0c]);
const GROUP: Mac = Mac([0x33, 0x33, 0xff, 0, 0, 2]);
const SPA: [u8; 4] = [10, 0, 0, 1];
const TPA: [u8; 4] = [10, 0, 0, 2];

/// What is written over a frame, at which offsets.
type Changes<'a> = &'a [(usize, &'a [u8])];
type Answer = Result<Heard, Reason>;
const NOTHING: Answer = Ok(Heard::NOTHING);
const BAD: Answer = Err(Reason::BadNeighbour);

fn listen(bytes: &[u8]) -> Answer {
    hear(bytes, &Ethernet::parse(bytes, 0).unwrap())
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits
        .chunks(2)
        .map(|two| u8::from_str_radix(core::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect()
}

/// A broadcast request of `SPA` for `TPA`, with the bytes at some offsets replaced.
fn arp(changes: Changes) -> Vec<u8> {
    let mut frame = hex("ffffffffffff 52540000000a 0806 0001 0800 06 04 0001
        52540000000a 0a000001 000000000000 0a000002");
    for (offset, bytes) in changes {
        frame[*offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    frame
}

fn says(mac: Mac, address: VtepAddr, router: Option<bool>) -> Claim {
    Claim {
        mac,
        address,
        router,
    }
}

// Offsets in an ARP frame.
const SRC: usize = 6;
const OP: usize = 20;
const SHA: usize = 22;
const SENDER: usize = 28;
const TARGET: usize = 38;

#[test]
fn arp_02_arp_03_arp_04_arp_05_arp_06_what_is_heard_of_arp() {
    let claim = Some(says(ASKER, VtepAddr::v4(SPA), None));
    let asks = Ok(Heard {
        claim,
        question: Some(Question {
            target: VtepAddr::v4(TPA),
            asker: VtepAddr::v4(SPA),
            family: 4,
        }),
    });
    let claims = Ok(Heard {
        claim,
        question: None,
    });
    let rows: &[(&str, Changes, Answer)] = &[
        ("request", &[], asks),
        ("arp_02 probe", &[(SENDER, &[0; 4])], NOTHING),
        ("arp_02 gratuitous request", &[(TARGET, &SPA)], claims),
        (
            "arp_02 gratuitous reply",
            &[(TARGET, &SPA), (OP, &[0, 2])],
            claims,
        ),
        ("arp_03 unicast request", &[(0, &OWNER.0)], claims),
        ("arp_03 multicast request", &[(0, &GROUP.0)], claims),
        ("reply", &[(0, &OWNER.0), (OP, &[0, 2])], claims),
        ("broadcast reply", &[(OP, &[0, 2])], claims),
        ("arp_04 htype 6", &[(14, &[0, 6])], NOTHING),
        ("arp_04 htype 256", &[(14, &[1, 0])], NOTHING),
        ("arp_04 ptype", &[(16, &[0x86, 0xdd])], NOTHING),
        ("arp_04 hlen 0", &[(18, &[0])], NOTHING),
        ("arp_04 hlen 8", &[(18, &[8])], NOTHING),
        ("arp_04 plen 16", &[(19, &[16])], NOTHING),
        ("arp_04 op 0", &[(OP, &[0, 0])], NOTHING),
        ("arp_04 op 3 (RARP)", &[(OP, &[0, 3])], NOTHING),
        ("arp_04 op 258", &[(OP, &[1, 2])], NOTHING),
        ("arp_05 another's SHA", &[(SHA, &OTHER.0)], NOTHING),
        ("arp_05 another's source", &[(SRC, &OTHER.0)], NOTHING),
        ("arp_06 SHA multicast", &[(SHA, &GROUP.0)], BAD),
        ("arp_06 SHA broadcast", &[(SHA, &[0xff; 6])], BAD),
        ("arp_06 SHA zero", &[(SHA, &[0; 6])], BAD),
        (
            "arp_06 SHA zero in a reply",
            &[(SHA, &[0; 6]), (OP, &[0, 2])],
            BAD,
        ),
        (
            "arp_04 before arp_06",
            &[(SHA, &[0; 6]), (18, &[8])],
            NOTHING,
        ),
        ("sender is a group", &[(SENDER, &[224, 0, 0, 1])], NOTHING),
        ("sender is broadcast", &[(SENDER, &[255; 4])], NOTHING),
    ];
    for (name, changes, expected) in rows {
        assert_eq!(listen(&arp(changes)), *expected, "{name}");
    }
    let whole = arp(&[]);
    for len in 14..whole.len() {
        assert_eq!(listen(&whole[..len]), NOTHING, "arp_04 {len} bytes");
    }
    let mut padded = whole;
    padded.resize(60, 0);
    assert_eq!(listen(&padded), asks, "padded as on a wire");
}

#[test]
fn arp_01_the_answer_is_a_reply_of_the_owner() {
    let mut frame = arp(&[]);
    frame.resize(60, 0);
    let question = listen(&frame).unwrap().question.unwrap();
    let ethernet = Ethernet::parse(&frame[..], 0).unwrap();
    assert!(answer(&mut frame[..], &ethernet, &question, OWNER, true));
    let mut expected = hex("52540000000a 52540000000b 0806 0001 0800 06 04 0002
        52540000000b 0a000002 52540000000a 0a000001");
    expected.resize(60, 0);
    assert_eq!(frame, expected);
    let mut short = arp(&[])[..41].to_vec();
    let before = short.clone();
    assert!(!answer(&mut short[..], &ethernet, &question, OWNER, false));
    assert_eq!(short, before, "no half answers");
}

const SOURCE6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const TARGET6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
const SOLICITED_NODE: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 2];
const ALL_NODES: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// Writes the checksum of a frame's ICMPv6 message of any length.
fn seal(frame: &mut [u8]) {
    frame[56..58].fill(0);
    let mut words: Vec<u16> = frame[22..]
        .chunks(2)
        .map(|two| u16::from_be_bytes([two[0], *two.get(1).unwrap_or(&0)]))
        .collect();
    words.extend([(frame.len() - 54) as u16, 58]);
    let mut sum: u32 = words.into_iter().map(u32::from).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    frame[56..58].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

/// A message with these options; `changes` are made before the checksum is written.
fn message(kind: u8, options: &[u8], changes: Changes) -> Vec<u8> {
    let mut frame = Vec::new();
    let (dst, flags, to) = match kind {
        135 => (GROUP, 0, SOLICITED_NODE),
        _ => (OTHER, 0x60, SOURCE6),
    };
    let (src, from) = match kind {
        135 => (ASKER, SOURCE6),
        _ => (OWNER, TARGET6),
    };
    frame.extend(dst.0);
    frame.extend(src.0);
    frame.extend([
        0x86,
        0xdd,
        0x60,
        0,
        0,
        0,
        0,
        24 + options.len() as u8,
        58,
        255,
    ]);
    frame.extend(from);
    frame.extend(to);
    frame.extend([kind, 0, 0, 0, flags, 0, 0, 0]);
    frame.extend(TARGET6);
    frame.extend(options);
    for (offset, bytes) in changes {
        frame[*offset..offset + bytes.len()].copy_from_slice(bytes);
    }
    seal(&mut frame);
    frame
}

/// A link-layer address option.
fn link_layer(kind: u8, units: u8, mac: Mac) -> Vec<u8> {
    let mut option = Vec::from([kind, units]);
    option.extend(mac.0);
    option
}

// Offsets in a neighbour discovery frame.
const FROM: usize = 22;
const TO: usize = 38;
const CODE: usize = 55;
const FLAGS: usize = 58;
const ND_TARGET: usize = 62;
const OPTION: usize = 78;

#[test]
fn arp_07_what_is_heard_of_solicitations() {
    let claim = Some(says(ASKER, VtepAddr::v6(SOURCE6), None));
    let asks = Ok(Heard {
        claim,
        question: Some(Question {
            target: VtepAddr::v6(TARGET6),
            asker: VtepAddr::v6(SOURCE6),
            family: 6,
        }),
    });
    let claims = Ok(Heard {
        claim,
        question: None,
    });
    let own = link_layer(1, 1, ASKER);
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2];
    let rows: &[(&str, &[u8], Changes, Answer)] = &[
        ("solicitation", &own, &[], asks),
        (
            "unicast, to see whether it is there",
            &own,
            &[(0, &OWNER.0), (TO, &TARGET6)],
            claims,
        ),
        ("of its own address", &own, &[(ND_TARGET, &SOURCE6)], claims),
        (
            "duplicate address detection",
            &[],
            &[(FROM, &[0; 16])],
            NOTHING,
        ),
        (
            "no source, with an option",
            &own,
            &[(FROM, &[0; 16])],
            NOTHING,
        ),
        ("source is a group", &own, &[(FROM, &ALL_NODES)], NOTHING),
        ("source is IPv4-mapped", &own, &[(FROM, &mapped)], NOTHING),
        (
            "target is IPv4-mapped",
            &own,
            &[(ND_TARGET, &mapped)],
            NOTHING,
        ),
        (
            "target is a group",
            &own,
            &[(ND_TARGET, &ALL_NODES)],
            NOTHING,
        ),
        ("target is nobody", &own, &[(ND_TARGET, &[0; 16])], NOTHING),
        ("without an option", &[], &[], NOTHING),
        ("a nonce instead", &link_layer(14, 1, ASKER), &[], NOTHING),
        (
            "the target's option",
            &link_layer(2, 1, ASKER),
            &[],
            NOTHING,
        ),
        (
            "arp_07 option of length 0",
            &link_layer(1, 0, ASKER),
            &[],
            NOTHING,
        ),
        (
            "arp_07 option of length 2",
            &link_layer(1, 2, ASKER),
            &[],
            NOTHING,
        ),
        ("arp_07 hop limit 254", &own, &[(21, &[254])], NOTHING),
        ("arp_07 hop limit 1", &own, &[(21, &[1])], NOTHING),
        ("code 1", &own, &[(CODE, &[1])], NOTHING),
        ("router solicitation", &own, &[(54, &[133])], NOTHING),
        ("behind an extension header", &own, &[(20, &[0])], NOTHING),
        ("version 4", &own, &[(14, &[0x40])], NOTHING),
        ("another's option", &link_layer(1, 1, OTHER), &[], NOTHING),
        ("another's source", &own, &[(6, &OTHER.0)], NOTHING),
        ("option is a group", &link_layer(1, 1, GROUP), &[], BAD),
        ("option is zero", &link_layer(1, 1, Mac([0; 6])), &[], BAD),
    ];
    for (name, options, changes, expected) in rows {
        assert_eq!(listen(&message(135, options, changes)), *expected, "{name}");
    }
}

#[test]
fn arp_07_a_solicitation_that_is_damaged_or_has_two_options_is_not_heard() {
    let own = link_layer(1, 1, ASKER);
    let two = [&own[..], &link_layer(14, 1, ASKER)].concat();
    assert_eq!(listen(&message(135, &two, &[])), NOTHING, "two options");
    let whole = message(135, &own, &[]);
    for len in 14..whole.len() {
        assert_eq!(listen(&whole[..len]), NOTHING, "{len} bytes");
    }
    for bit in 0..(whole.len() - 54) * 8 {
        let mut flipped = whole.clone();
        flipped[54 + bit / 8] ^= 1 << (bit % 8);
        assert_eq!(listen(&flipped), NOTHING, "arp_07 checksum, bit {bit}");
    }
    for offset in FROM..FROM + 32 {
        let mut flipped = whole.clone();
        flipped[offset] ^= 1;
        assert_eq!(
            listen(&flipped),
            NOTHING,
            "arp_07 checksum, address byte {offset}"
        );
    }
}

#[test]
fn arp_07_what_is_heard_of_advertisements() {
    let claims = |router| {
        Ok(Heard {
            claim: Some(says(OWNER, VtepAddr::v6(TARGET6), Some(router))),
            question: None,
        })
    };
    let own = link_layer(2, 1, OWNER);
    let rows: &[(&str, &[u8], Changes, Answer)] = &[
        ("advertisement", &own, &[], claims(false)),
        ("of a router", &own, &[(FLAGS, &[0xe0])], claims(true)),
        (
            "for another of its addresses",
            &own,
            &[(FROM, &SOURCE6)],
            claims(false),
        ),
        (
            "to everybody",
            &own,
            &[(0, &GROUP.0), (TO, &ALL_NODES), (FLAGS, &[0x20])],
            claims(false),
        ),
        (
            "to everybody, yet solicited",
            &own,
            &[(0, &GROUP.0), (TO, &ALL_NODES)],
            NOTHING,
        ),
        (
            "target is a group",
            &own,
            &[(ND_TARGET, &ALL_NODES)],
            NOTHING,
        ),
        ("from nobody", &own, &[(FROM, &[0; 16])], NOTHING),
        ("without an option", &[], &[], NOTHING),
        (
            "the source's option",
            &link_layer(1, 1, OWNER),
            &[],
            NOTHING,
        ),
        ("arp_07 hop limit 254", &own, &[(21, &[254])], NOTHING),
        (
            "arp_07 option of length 0",
            &own,
            &[(OPTION + 1, &[0])],
            NOTHING,
        ),
        ("another's option", &link_layer(2, 1, OTHER), &[], NOTHING),
        ("option is a group", &link_layer(2, 1, GROUP), &[], BAD),
    ];
    for (name, options, changes, expected) in rows {
        assert_eq!(listen(&message(136, options, changes)), *expected, "{name}");
    }
}

#[test]
fn the_answer_is_an_advertisement_of_the_owner() {
    for (router, flags) in [(false, 0x60), (true, 0xe0)] {
        let mut frame = message(135, &link_layer(1, 1, ASKER), &[(15, &[0x2f, 1, 2])]);
        let question = listen(&frame).unwrap().question.unwrap();
        let ethernet = Ethernet::parse(&frame[..], 0).unwrap();
        assert!(answer(&mut frame[..], &ethernet, &question, OWNER, router));
        let changes: Changes = &[(0, &ASKER.0), (FLAGS, &[flags])];
        assert_eq!(frame, message(136, &link_layer(2, 1, OWNER), changes));
        let heard = listen(&frame).unwrap();
        let claim = says(OWNER, VtepAddr::v6(TARGET6), Some(router));
        assert_eq!(heard.claim, Some(claim), "we would believe it ourselves");
        let mut short = message(135, &link_layer(1, 1, ASKER), &[])[..85].to_vec();
        let before = short.clone();
        assert!(!answer(&mut short[..], &ethernet, &question, OWNER, router));
        assert_eq!(short, before, "no half answers");
    }
}

#[test]
fn a_solicitation_written_by_hand_is_heard() {
    let frame = hex("3333ff000002 52540000000a 86dd 6000000000203aff
        fe800000000000000000000000000001 ff0200000000000000000001ff000002
        8700 2a3a 00000000 fe800000000000000000000000000002 0101 52540000000a");
    assert!(listen(&frame).unwrap().question.is_some());
}

#[test]
fn arp_01_what_the_configuration_gives_to_one_is_nobody_elses() {
    for (owner, holder, expected) in [
        (None, 4, true),
        (Some(4), 4, true),
        (Some(4), 5, false),
        (Some(NOBODY), 4, false),
        // No holder has that number; a frame whose port is unknown must not pass for one.
        (Some(NOBODY), NOBODY, false),
    ] {
        assert_eq!(may_have(owner, holder), expected, "{owner:?} {holder}");
        let is_anothers = owner.is_some_and(|owner| owner != NOBODY) && !expected;
        assert_eq!(is_stolen(owner, holder), is_anothers, "{owner:?} {holder}");
    }
}
