//! Tables of cases, and running them.

use std::fmt::Write as _;

use anyhow::Result;
use vxnet_common::{map::fdb::place, reason::Reason};
use vxnet_tests::frame::describe;

use crate::counters::Counter;
use crate::fabric::{BLUE, Family, UPLINK};
use crate::green;
use crate::outcome::{Outcome, Receiver};
use crate::receive::{self, Path};
use crate::world::{self, World};

/// A frame and all that must happen.
pub(crate) struct Case {
    name: String,
    frame: Vec<u8>,
    end: End,
    deliveries: Vec<(Receiver, Vec<u8>)>,
    learned: Option<(u32, [u8; 6])>,
    also: Vec<Reason>,
}

/// How the switch is done with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Delivered,
    Dropped(Reason),
    Passed,
}

impl Case {
    /// The frame is delivered, so and to these only.
    pub(crate) fn delivered(
        name: impl Into<String>,
        frame: Vec<u8>,
        deliveries: impl Into<Vec<(Receiver, Vec<u8>)>>,
    ) -> Self {
        let deliveries = deliveries.into();
        Self {
            name: name.into(),
            frame,
            end: End::Delivered,
            deliveries,
            learned: None,
            also: Vec::new(),
        }
    }

    /// The frame is dropped and counted.
    pub(crate) fn dropped(name: impl Into<String>, frame: Vec<u8>, reason: Reason) -> Self {
        Self {
            end: End::Dropped(reason),
            ..Self::delivered(name, frame, [])
        }
    }

    /// The host gets the frame as it came.
    pub(crate) fn passed(name: impl Into<String>, frame: Vec<u8>) -> Self {
        Self {
            end: End::Passed,
            ..Self::delivered(name, frame, [])
        }
    }

    /// The switch learns that the station is where the frame came from.
    #[must_use]
    pub(crate) fn learns(mut self, mac: [u8; 6]) -> Self {
        self.learned = Some((BLUE, mac));
        self
    }

    /// As [`Case::learns`], in another segment than BLUE.
    #[must_use]
    pub(crate) fn learns_in(mut self, segment: u32, mac: [u8; 6]) -> Self {
        self.learned = Some((segment, mac));
        self
    }

    /// A notice, or the loss of one copy of several, is counted too.
    #[must_use]
    pub(crate) fn counts(mut self, reason: Reason) -> Self {
        self.also.push(reason);
        self
    }

    fn expected(&self, family: Family, count_for: u32) -> Outcome {
        let mut outcome = Outcome {
            passed: self.end == End::Passed,
            ..Outcome::default()
        };
        for (receiver, frame) in &self.deliveries {
            outcome.deliver(family, *receiver, frame.clone());
        }
        outcome.count_deliveries(family);
        if let End::Dropped(reason) = self.end {
            outcome.count_drop(count_for, reason);
        }
        for reason in &self.also {
            outcome.count_drop(count_for, *reason);
        }
        outcome
    }
}

/// Runs cases of frames that the station behind a local port sends.
pub(crate) fn on_port(world: &mut World, slot: u32, cases: &[Case]) -> Vec<String> {
    let mut failures = Vec::new();
    for case in cases {
        let mut expected = case.expected(world.family, slot);
        expected.count_port_rx(slot, case.frame.len());
        expected.balance(slot);
        expected
            .learned
            .extend(case.learned.map(|key| (key, (place::PORT, slot))));
        let got = receive::from_port(world, slot, &case.frame);
        judge(
            case,
            &format!("{:?}", world.family),
            &expected,
            got,
            &mut failures,
        );
    }
    failures
}

/// Runs cases of frames that the station behind a guest's port really sends, and once more as a
/// test run, where tags are in the frame.
pub(crate) fn on_station(world: &mut World, slot: u32, cases: &[Case]) -> Vec<String> {
    let link = match world.attach_port(slot) {
        Ok(link) => link,
        Err(error) => return vec![format!("{error:#}")],
    };
    let mut failures = Vec::new();
    for case in cases {
        let mut expected = case.expected(world.family, slot);
        expected.count_port_rx(slot, green::untagged_len(&case.frame));
        expected.balance(slot);
        expected
            .learned
            .extend(case.learned.map(|key| (key, (place::PORT, slot))));
        let got = receive::from_attached(world, slot, &case.frame);
        let way = format!("{:?} beside the frame", world.family);
        judge(case, &way, &expected, got, &mut failures);
        let got = receive::from_port(world, slot, &case.frame).map(|got| Outcome {
            // A test run does not show the tag that the kernel would write.
            delivered: expected.delivered.clone(),
            ..got
        });
        let bytes = case.frame.len() as u64;
        expected.counts.insert(Counter::PortRxBytes(slot), bytes);
        let way = format!("{:?} in the frame", world.family);
        judge(case, &way, &expected, got, &mut failures);
    }
    failures.extend(
        world
            .detach_port(link)
            .err()
            .map(|error| format!("{error:#}")),
    );
    failures
}

/// Runs cases of packets that a peer sends, over every path.
pub(crate) fn on_uplink(world: &mut World, vtep: u32, cases: &[Case]) -> Vec<String> {
    let mut failures = Vec::new();
    for case in cases {
        for path in Path::ALL {
            let mut expected = case.expected(world.family, UPLINK);
            match case.end {
                End::Delivered => {
                    // All copies are alike.
                    let frame = case.deliveries.first().map(|(_, frame)| frame);
                    let bytes = frame.map_or(0, |frame| green::untagged_len(frame));
                    expected.count_vtep_rx(vtep, bytes);
                }
                // What is wrong is the inner frame: the packet itself was accepted.
                End::Dropped(
                    Reason::Tagged
                    | Reason::BadSource
                    | Reason::LocalMac
                    | Reason::LinkLocal
                    | Reason::SplitHorizon
                    | Reason::PortGone
                    | Reason::FloodOff
                    | Reason::Looped
                    | Reason::TooBig
                    | Reason::Ecn,
                ) => {
                    let bytes = case.frame.len() - world.family.outer_len();
                    expected.count_vtep_rx(vtep, bytes);
                }
                End::Dropped(_) => expected.count_port_rx(UPLINK, case.frame.len()),
                End::Passed => expected.count_passed(case.frame.len()),
            }
            expected.balance(UPLINK);
            expected
                .learned
                .extend(case.learned.map(|key| (key, (place::VTEP, vtep))));
            let got = receive::from_underlay(world, path, &case.frame);
            let way = format!("{:?} {path:?}", world.family);
            judge(case, &way, &expected, got, &mut failures);
        }
    }
    failures
}

fn judge(
    case: &Case,
    way: &str,
    expected: &Outcome,
    got: Result<Outcome>,
    failures: &mut Vec<String>,
) {
    let difference = match got {
        Ok(got) => expected.difference(&got),
        Err(error) => Some(format!("    {error:#}\n")),
    };
    if let Some(difference) = difference {
        let frame = describe(&case.frame);
        failures.push(format!(
            "{} ({way})\n    frame: {frame}\n{difference}",
            case.name
        ));
    }
}

/// Runs cases on a port in a world of its own for each family, and panics with all failures.
pub(crate) fn check_port(slot: u32, cases: impl Fn(Family) -> Vec<Case> + Sync) {
    check(|world| Ok(on_port(world, slot, &cases(world.family))));
}

/// As [`check_port`], with frames that really come in: see [`on_station`].
pub(crate) fn check_station(slot: u32, cases: impl Fn(Family) -> Vec<Case> + Sync) {
    check(|world| Ok(on_station(world, slot, &cases(world.family))));
}

/// Runs cases on the uplink in a world of its own for each family, and panics with all failures.
pub(crate) fn check_uplink(vtep: u32, cases: impl Fn(Family) -> Vec<Case> + Sync) {
    check(|world| Ok(on_uplink(world, vtep, &cases(world.family))));
}

/// Runs `work` in a world of each family, and panics with all the failures it returns.
pub(crate) fn check(work: impl Fn(&mut World) -> Result<Vec<String>> + Sync) {
    let mut text = String::new();
    for family in Family::BOTH {
        let failures = world::with(family, |world| work(world))
            .unwrap_or_else(|error| panic!("{family:?}: {error:#}"));
        for failure in failures {
            writeln!(text, "{failure}").expect("a String grows");
        }
    }
    assert!(text.is_empty(), "cases failed:\n{text}");
}
