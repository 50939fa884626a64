use super::*;

const A: From = From::Port(2);
const B: From = From::Port(3);
const P: From = From::Vtep(2);
const Q: From = From::Vtep(3);
const MAC: Mac = Mac([0x52, 0x54, 0, 0, 0, 1]);
const NOW: u64 = 1 << 40;
const AGEING: u64 = 300_000_000_000;

const fn row(from: From, last_seen: u64) -> FdbEntry {
    let (slot, place) = match from {
        From::Port(slot) => (slot, place::PORT),
        From::Vtep(slot) => (slot, place::VTEP),
    };
    FdbEntry::learned(place, slot, last_seen)
}

/// A row after one move to where it is now.
const fn moved(from: From) -> FdbEntry {
    FdbEntry {
        moves: 1,
        moved: NOW,
        ..row(from, NOW)
    }
}

const fn written(from: From, origin: u8) -> FdbEntry {
    FdbEntry {
        origin,
        ..row(from, 0)
    }
}

#[test]
fn attack4_a_frame_teaches_where_its_source_is_unless_it_lies() {
    let expired = NOW - AGEING;
    let old = NOW - REFRESH;
    let now_at = |from| Lesson::Write(row(from, NOW));
    let moved_to = |from| Lesson::Write(moved(from));
    let lie = Lesson::Lie(Reason::LocalMac);
    let by_daemon = Some(written(A, origin::STATIC));
    let by_control = Some(written(P, origin::CONTROL));
    let table = [
        // (case, row of the table, where the frame came from, lesson)
        ("new at a port", None, A, now_at(A)),
        ("new at a peer", None, P, now_at(P)),
        ("known at a port", Some(row(A, NOW)), A, Lesson::Known),
        ("known at a peer", Some(row(P, NOW)), P, Lesson::Known),
        ("almost old", Some(row(A, old + 1)), A, Lesson::Known),
        ("old", Some(row(A, old)), A, Lesson::Refresh),
        ("old at a peer", Some(row(P, old)), P, Lesson::Refresh),
        (
            "seen by a CPU ahead",
            Some(row(A, NOW + 9)),
            A,
            Lesson::Known,
        ),
        ("moves port to port", Some(row(A, NOW)), B, moved_to(B)),
        ("moves peer to peer", Some(row(P, NOW)), Q, moved_to(Q)),
        ("comes from a peer", Some(row(P, NOW)), B, moved_to(B)),
        ("same slot, from a peer", Some(row(P, NOW)), A, moved_to(A)),
        ("attack4", Some(row(A, NOW)), Q, lie),
        ("attack4, same slot", Some(row(A, NOW)), P, lie),
        ("attack4, row is old", Some(row(A, old)), P, lie),
        ("attack4, last moment", Some(row(A, expired + 1)), P, lie),
        ("port expired", Some(row(A, expired)), P, now_at(P)),
        ("port expired, back", Some(row(A, expired)), A, now_at(A)),
        ("port expired, moved", Some(row(A, expired)), B, now_at(B)),
        ("peer expired", Some(row(P, expired)), Q, now_at(Q)),
        ("static", by_daemon, A, Lesson::Known),
        ("static, other port", by_daemon, B, lie),
        ("attack4, static", by_daemon, P, lie),
        ("control plane", by_control, P, Lesson::Known),
        ("control plane, other peer", by_control, Q, lie),
        ("control plane, port", by_control, A, lie),
    ];
    for (case, row, from, expected) in table {
        let lesson = judge(row.as_ref(), MAC, from, NOW, AGEING);
        assert_eq!(lesson, expected, "{case}: {row:?} {from:?}");
    }
}

#[test]
fn q_09_no_station_sends_from_a_group_or_from_zero() {
    let bad = Lesson::Lie(Reason::BadSource);
    let sources = [
        Mac([0; 6]),
        Mac::BROADCAST,
        Mac([0x01, 0, 0x5e, 0, 0, 1]),
        Mac([0x33, 0x33, 0, 0, 0, 1]),
        Mac([0x03, 0, 0, 0, 0, 1]),
    ];
    for src in sources {
        for from in [A, P] {
            // Not even if a row already says so.
            for row in [None, Some(row(from, NOW)), Some(row(from, 0))] {
                let lesson = judge(row.as_ref(), src, from, NOW, AGEING);
                assert_eq!(lesson, bad, "{src} {from:?}");
            }
        }
    }
    for last in 0..6 {
        let mut bytes = [0; 6];
        bytes[last] = 2;
        let lesson = judge(None, Mac(bytes), A, NOW, AGEING);
        assert_eq!(lesson, Lesson::Write(row(A, NOW)), "byte {last}");
    }
}

#[test]
fn a_row_is_refreshed_long_before_it_can_age_out() {
    // The shortest ageing that the configuration allows is far above this.
    const { assert!(REFRESH < 1_000_000_000) };
}

#[test]
fn evpn_03_a24_an_address_that_moves_too_often_stays() {
    let mut held = row(A, NOW);
    let mut now = NOW;
    for step in 1..=MOVES {
        now += 1;
        let to = if step % 2 == 1 { B } else { A };
        let Lesson::Write(next) = judge(Some(&held), MAC, to, now, AGEING) else {
            panic!("move {step} is followed");
        };
        assert_eq!((next.moves, next.moved), (step, NOW + 1));
        held = next;
    }
    let Lesson::Freeze(frozen) = judge(Some(&held), MAC, A, now, AGEING) else {
        panic!("the move after is not");
    };
    assert_eq!((frozen.slot, frozen.moves), (held.slot, FROZEN));
    let at = |from, now| {
        judge(
            Some(&FdbEntry {
                last_seen: now,
                ..frozen
            }),
            MAC,
            from,
            now,
            AGEING,
        )
    };
    assert_eq!(at(A, now), Lesson::Frozen);
    assert_eq!(at(B, now), Lesson::Known, "where it is, it is known");
    let last = NOW + 1 + MOVES_WINDOW;
    assert_eq!(at(A, last - 1), Lesson::Frozen);
    assert!(matches!(at(A, last), Lesson::Write(row) if row.moves == 1));
}

#[test]
fn a_sticky_row_ages_but_does_not_move() {
    let sticky = FdbEntry {
        flags: flag::STICKY,
        ..row(A, NOW)
    };
    let lie = Lesson::Lie(Reason::LocalMac);
    assert_eq!(judge(Some(&sticky), MAC, B, NOW, AGEING), lie);
    assert_eq!(judge(Some(&sticky), MAC, A, NOW, AGEING), Lesson::Known);
    let later = NOW + AGEING;
    let fresh = Lesson::Write(row(B, later));
    assert_eq!(judge(Some(&sticky), MAC, B, later, AGEING), fresh);
}

/// What is written for a frame.
fn write(known: Option<&FdbEntry>, from: From, many: u8, now: u64) -> FdbEntry {
    match judge(known, MAC, from, now, AGEING) {
        Lesson::Write(row) => marked(row, known, many, now),
        other => panic!("{other:?}"),
    }
}

/// One frame of a liar must not cost a remote station its traffic, nor its own next one.
#[test]
fn attack8_attack15_what_a_port_took_from_a_peer_the_peer_takes_back() {
    let stolen = write(Some(&row(P, NOW)), A, 0, NOW + 1);
    assert_eq!(stolen.flags, flag::TAKEN);
    let back = write(Some(&stolen), P, 1, NOW + 2);
    assert_eq!((back.place, back.slot, back.moves), (place::VTEP, 2, 2));
    assert_eq!(back.flags, 0);
    // Also from the accomplice at another port; and both are moves, so they come to an end.
    let passed_on = write(Some(&stolen), B, 0, NOW + 2);
    assert_eq!(passed_on.flags, flag::TAKEN);
    assert_eq!(write(Some(&passed_on), Q, 1, NOW + 3).moves, 3);
    let mut held = stolen;
    for turn in 1..MOVES {
        let from = if turn % 2 == 1 { P } else { A };
        held = write(Some(&held), from, 0, NOW + 2);
    }
    let end = judge(Some(&held), MAC, P, NOW + 2, AGEING);
    assert!(matches!(end, Lesson::Freeze(row) if row.place == place::PORT));
    // Who has sent from here for long is a guest of this host, wherever it goes in it.
    let last = NOW + MOVES_WINDOW;
    let settled = FdbEntry {
        last_seen: last,
        ..stolen
    };
    assert_eq!(write(Some(&settled), P, 1, last).place, place::VTEP);
    let lie = Lesson::Lie(Reason::LocalMac);
    assert_eq!(judge(Some(&settled), MAC, P, last + 1, AGEING), lie);
    assert_eq!(write(Some(&settled), B, 0, last + 1).flags, 0);
    // What has expired was nobody's.
    assert_eq!(write(Some(&row(P, NOW - AGEING)), A, 0, NOW).flags, 0);
}

#[test]
fn evpn_03_a_station_behind_a_trunk_link_may_move_to_a_peer() {
    let behind = write(None, A, 1, NOW);
    assert_eq!(behind.flags, flag::TRUNK);
    assert_eq!(write(None, A, 0, NOW).flags, 0, "a guest's");
    let gone = write(Some(&behind), P, 1, NOW);
    assert_eq!((gone.place, gone.flags), (place::VTEP, 0));
    // It is no trunk's any more once it was seen at a guest's port.
    let guest = write(Some(&behind), B, 0, NOW);
    assert_eq!(guest.flags, 0);
    let lie = Lesson::Lie(Reason::LocalMac);
    assert_eq!(judge(Some(&guest), MAC, P, NOW, AGEING), lie);
    // What it takes from a peer is both.
    let both = write(Some(&row(P, NOW)), A, 1, NOW);
    assert_eq!(both.flags, flag::TRUNK | flag::TAKEN);
}
