//! The policy: which end is shut, when, and when it opens.

use super::*;

const MS: u64 = 1_000_000;

fn end(host: &str, port: &str) -> End {
    End {
        host: host.into(),
        port: port.into(),
    }
}

/// A probe that port `sender` of this host (slot 10 + its number) sent comes in by `arrival`.
fn here(arrival: u32, sender: u32) -> Returned {
    Returned {
        network: "blue".into(),
        slot: 10 + arrival,
        arrival: end("hv2", &format!("vnet{arrival}")),
        sender: Sender::Here(10 + sender, format!("vnet{sender}")),
    }
}

/// A probe of another host comes in by `vnet1` of `hv2`.
fn there(host: &str, is_shut: bool) -> Returned {
    Returned {
        sender: Sender::There {
            end: end(host, "vnet0"),
            is_shut,
        },
        ..here(1, 0)
    }
}

const fn shut(slot: u32, until: u64, is_new: bool) -> Step {
    Step::Shut {
        slot,
        until,
        is_new,
    }
}

#[test]
fn of_two_ports_of_a_host_the_later_is_shut_whichever_way_the_probe_came() {
    for (arrival, sender) in [(0, 1), (1, 0)] {
        let mut loops = Loops::default();
        let step = loops.returned(5, here(arrival, sender));
        assert_eq!(step, Some(shut(11, 5 + SHUT, true)));
        let known = &loops.shut()[&11];
        assert_eq!(
            (&*known.port, &known.other),
            ("vnet1", &end("hv2", "vnet0"))
        );
        assert!(!known.is_own);
    }
}

#[test]
fn a_port_that_hears_itself_is_shut() {
    let mut loops = Loops::default();
    assert_eq!(
        loops.returned(5, here(1, 1)),
        Some(shut(11, 5 + SHUT, true))
    );
    assert!(loops.shut()[&11].is_own);
}

#[test]
fn each_probe_extends_and_the_port_opens_after_the_last() {
    let mut loops = Loops::default();
    loops.returned(0, here(0, 1));
    let last = 250 * MS;
    assert_eq!(
        loops.returned(last, here(1, 0)),
        Some(shut(11, last + SHUT, false))
    );
    assert_eq!(loops.pass(last + SHUT - 1), []);
    assert!(loops.is_shut(11));
    let opened = loops.pass(last + SHUT);
    assert!(matches!(&opened[..], [Step::Opened(was)] if was.port == "vnet1" && was.since == 0));
    assert!(!loops.is_shut(11));
    // And it is tried again.
    let again = last + SHUT + 250 * MS;
    assert_eq!(
        loops.returned(again, here(1, 0)),
        Some(shut(11, again + SHUT, true))
    );
}

#[test]
fn two_hosts_agree_on_the_later_end() {
    // This host is hv2: its end is the later one of a loop with hv1, the earlier of one with hv3.
    let mut loops = Loops::default();
    assert_eq!(
        loops.returned(5, there("hv1", false)),
        Some(shut(11, 5 + SHUT, true))
    );
    let mut loops = Loops::default();
    assert_eq!(loops.returned(5, there("hv3", false)), None);
}

#[test]
fn the_other_host_has_time_to_shut_its_end() {
    let mut loops = Loops::default();
    assert_eq!(loops.returned(0, there("hv3", false)), None);
    assert_eq!(loops.returned(250 * MS, there("hv3", false)), None);
    // It says that it has, and what was learned meanwhile can be forgotten, once.
    let cut = Step::Cut {
        network: "blue".into(),
        slot: 11,
    };
    assert_eq!(loops.returned(500 * MS, there("hv3", true)), Some(cut));
    for probe in 3..40 {
        assert_eq!(loops.returned(probe * 250 * MS, there("hv3", true)), None);
    }
    // It opens its end again, and has the same time again.
    assert_eq!(loops.returned(40 * 250 * MS, there("hv3", false)), None);
}

#[test]
fn an_end_that_the_other_host_leaves_open_is_shut_here() {
    let mut loops = Loops::default();
    assert_eq!(loops.returned(0, there("hv3", false)), None);
    assert_eq!(loops.returned(399 * MS, there("hv3", false)), None);
    let now = 400 * MS;
    assert_eq!(
        loops.returned(now, there("hv3", false)),
        Some(shut(11, now + SHUT, true))
    );
    // Once the other host has, this end opens.
    assert!(matches!(
        loops.returned(now + 1, there("hv3", true)),
        Some(Step::Cut { .. })
    ));
    assert_eq!(loops.pass(now + SHUT).len(), 1);
}

#[test]
fn a_stray_probe_of_long_ago_does_not_count() {
    let mut loops = Loops::default();
    assert_eq!(loops.returned(0, there("hv3", false)), None);
    assert_eq!(loops.returned(MEMORY + 1, there("hv3", false)), None);
    assert_eq!(loops.pass(3 * MEMORY), []);
    assert!(loops.doubts.is_empty());
}

#[test]
fn ports_that_are_no_more_are_forgotten() {
    let mut loops = Loops::default();
    loops.returned(0, here(0, 1));
    loops.keep(|slot, name| slot == 11 && name == "vnet1");
    assert!(loops.is_shut(11));
    loops.keep(|slot, name| slot == 11 && name == "vnet7");
    assert_eq!(loops.pass(u64::MAX), []);
}
