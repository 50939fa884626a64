//! The goals that the figures are held against.

use serde_json::{Value, json};

use crate::row::Row;

/// What cannot be measured: the product has no switch that turns these off, or has them not yet.
pub(crate) const NOT_MEASURED: &[&str] = &[
    "forwarding without learning and counters: they cannot be turned off, so `features` has them on \
     both sides, and turns on VLANs, anti-spoofing, suppression and limits on one",
];

/// What, case, the paths that count (the best is judged), ports, wire, against what, at least, aim.
///
/// Where a goal stands twice, the second line shows what the first leaves open: another path than
/// the default, or the wire without a router on which the goal was derived.
const TABLE: &str = "
switch-only pps, TC             | frames-60 | tc | veth | mtu | brvx | 2.0 | 2.5
- without a router              | frames-60 | tc | veth | straight | brvx | 2.0 | 2.5
switch-only pps, XDP strips     | frames-60 | xdp | veth | mtu | brvx | 3.5 | 4.9
switch-only pps, XDP to taps    | frames-60 | xdp-direct | tap | mtu | brvx | 3.5 | 4.9
- without a router              | frames-60 | xdp-direct | tap | straight | brvx | 3.5 | 4.9
switch-only pps, TC             | frames-60 | tc | veth | mtu | bridge | 1.15 | 1.3
- without a router              | frames-60 | tc | veth | straight | bridge | 1.15 | 1.3
UDP small packets               | udp-small | auto | veth | mtu | brvx | 1.4 | 1.6
- TC                            | udp-small | tc | veth | mtu | brvx | 1.4 | 1.6
TCP_RR                          | tcp-rr | auto | veth | mtu | brvx | 1.10 | 1.2
- TC                            | tcp-rr | tc | veth | mtu | brvx | 1.10 | 1.2
TCP_RR                          | tcp-rr | auto | veth | mtu | direct | 0.90 | 0.95
- TC                            | tcp-rr | tc | veth | mtu | direct | 0.90 | 0.95
bulk TCP                        | bulk-tcp | tc | veth | gso | brvx | 1.0 | 1.1
bulk TCP                        | bulk-tcp | xdp, tc | veth | mtu | brvx | 0.75 | 1.0
bulk TCP                        | bulk-tcp | tc | tap | gso | brvx | 0.95 | 1.05
bulk TCP                        | bulk-tcp | tc | tap | mtu | brvx | 1.0 | 1.3
- XDP                           | bulk-tcp | xdp | tap | mtu | brvx | 1.0 | 1.3
bulk bytes in GSO frames        | bulk-tcp | tc | tap | gso | % of bytes | 95 | 99
bulk bytes in GSO frames        | bulk-tcp | tc | tap | mtu | % of bytes | 95 | 99
- XDP                           | bulk-tcp | xdp | tap | mtu | % of bytes | 95 | 99
BUM to 8 VTEPs                  | bum-8 | tc | tap | mtu | brvx | 1.7 | 2.0
UDP pps                         | udp-small | auto | veth | mtu | ovs-system | 5 | 8
bulk TCP                        | bulk-tcp | tc | veth | gso | ovs-system | 10 | 40
bulk TCP                        | bulk-tcp | tc | veth | mtu | ovs-system | 10 | 40
1 M MACs, 256 active            | table-1m   | tc | tap | mtu | vxnet, 2 MACs | 0.95 | 0.98
64 k MACs at random             | table-64k-random | tc | tap | mtu | brvx | 1.0 | 1.5
all features on                 | features | tc | veth | mtu | vxnet, bare | 0.85 | 0.92
all features on                 | features | tc | tap | mtu | vxnet, bare | 0.85 | 0.92
program cost, XDP strips        | program-cost | xdp | veth | mtu | ns a frame | 120 | 80
- in live traffic               | program-cost-live | xdp | veth | mtu | ns a frame | 120 | 80
program cost, XDP to taps       | program-cost | xdp-direct | tap | mtu | ns a frame | 120 | 80
- in live traffic               | program-cost-live | xdp-direct | tap | mtu | ns a frame | 120 | 80
";

const PERCENT: &str = "% of bytes";
const NANOSECONDS: &str = "ns a frame";

/// What is judged.
#[derive(Debug, Clone, Copy)]
enum Of {
    /// The median paired ratio against that peer.
    Ratio(&'static str),
    /// The median itself, which has to be at least the bound.
    Percent,
    /// The median itself, which may be at most the bound.
    Nanoseconds,
}

/// One line of the table of goals.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Goal {
    what: &'static str,
    case: &'static str,
    paths: &'static str,
    ports: &'static str,
    wire: &'static str,
    of: Of,
    least: f64,
    aim: f64,
}

/// All goals.
pub(crate) fn goals() -> Vec<Goal> {
    TABLE.lines().filter_map(parse).collect()
}

fn parse(line: &'static str) -> Option<Goal> {
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    let [what, case, paths, ports, wire, against, least, aim] = cells[..] else {
        return None;
    };
    Some(Goal {
        what,
        case,
        paths,
        ports,
        wire,
        of: match against {
            PERCENT => Of::Percent,
            NANOSECONDS => Of::Nanoseconds,
            peer => Of::Ratio(peer),
        },
        least: least.parse().ok()?,
        aim: aim.parse().ok()?,
    })
}

/// A goal and what was reached.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    goal: Goal,
    /// The best path and its figure; none was measured otherwise.
    reached: Option<(String, f64)>,
}

impl Goal {
    /// Looks the goal up in the results. A ratio counts if more than half of `rounds` are left of it:
    /// those that were not disturbed.
    pub(crate) fn judge(self, rows: &[Row], rounds: usize) -> Verdict {
        let figures = rows.iter().filter_map(|row| {
            let is_here = row.case == self.case && row.ports == self.ports && row.wire == self.wire;
            let figure = match self.of {
                Of::Ratio(peer) if row.peer == peer && !row.metric.contains("GSO") => {
                    let enough = row.ratio.filter(|ratio| 2 * ratio.count > rounds);
                    enough.map(|ratio| ratio.median)
                }
                Of::Percent if row.metric.contains("GSO") => row.vxnet,
                Of::Nanoseconds => row.vxnet,
                _ => None,
            };
            let counts = is_here && self.has_path(&row.path);
            figure
                .filter(|_| counts)
                .map(|figure| (row.path.clone(), figure))
        });
        let reached = figures.reduce(|best, next| {
            let is_better = match self.of {
                Of::Nanoseconds => next.1 < best.1,
                _ => next.1 > best.1,
            };
            if is_better { next } else { best }
        });
        Verdict {
            goal: self,
            reached,
        }
    }

    fn has_path(self, path: &str) -> bool {
        self.paths.split(", ").any(|counts| counts == path)
    }

    fn is_met(self, figure: f64, bound: f64) -> bool {
        match self.of {
            Of::Nanoseconds => figure <= bound,
            _ => figure >= bound,
        }
    }

    fn against(self) -> &'static str {
        match self.of {
            Of::Ratio(peer) => peer,
            Of::Percent => PERCENT,
            Of::Nanoseconds => NANOSECONDS,
        }
    }
}

impl Verdict {
    /// `met`, `aim met`, `missed` or `not measured`.
    pub(crate) fn word(&self) -> &'static str {
        match self.reached {
            None => "not measured",
            Some((_, figure)) if self.goal.is_met(figure, self.goal.aim) => "aim met",
            Some((_, figure)) if self.goal.is_met(figure, self.goal.least) => "met",
            Some(_) => "missed",
        }
    }

    /// The cells of its line in the table.
    pub(crate) fn cells(&self) -> [String; 7] {
        let Goal {
            what,
            ports,
            wire,
            least,
            aim,
            ..
        } = self.goal;
        let reached = self.reached.as_ref();
        [
            what.to_owned(),
            format!("{ports}, {wire}"),
            self.goal.against().to_owned(),
            least.to_string(),
            aim.to_string(),
            reached.map_or("-".to_owned(), |(path, figure)| {
                format!("{figure:.2} ({path})")
            }),
            self.word().to_owned(),
        ]
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "goal": self.goal.what,
            "case": self.goal.case,
            "ports": self.goal.ports,
            "wire": self.goal.wire,
            "against": self.goal.against(),
            "at_least": self.goal.least,
            "aim": self.goal.aim,
            "path": self.reached.as_ref().map(|(path, _)| path),
            "reached": self.reached.as_ref().map(|(_, figure)| figure),
            "verdict": self.word(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Wanted, contests};
    use crate::row::example;

    #[test]
    fn the_best_path_that_counts_is_judged() {
        let goal = parse("x | bulk-tcp | xdp, tc | veth | mtu | brvx | 1.0 | 2.0").expect("a goal");
        let rows = [
            example("bulk-tcp", "xdp", "brvx", 0.5),
            example("bulk-tcp", "tc", "brvx", 1.5),
            example("bulk-tcp", "auto", "brvx", 9.0),
            example("bulk-tcp", "tc", "bridge", 9.0),
        ];
        let verdict = goal.judge(&rows, 1);
        assert_eq!(verdict.word(), "met");
        assert_eq!(verdict.cells()[5], "1.50 (tc)");
        assert_eq!(goal.judge(&[], 1).word(), "not measured");
        assert_eq!(goal.judge(&rows, 2).word(), "not measured");
    }

    #[test]
    fn every_goal_is_measured_by_some_contest() {
        let all = contests(&Wanted::default());
        assert_eq!(goals().len(), TABLE.trim().lines().count());
        for goal in goals() {
            let is_here = all.iter().any(|contest| {
                let has = |path: &str| contest.ours.iter().any(|entry| entry.name == path);
                contest.case == goal.case
                    && contest.ports.label() == goal.ports
                    && contest.wire.label() == goal.wire
                    && goal.paths.split(", ").all(has)
                    && match goal.of {
                        Of::Ratio(peer) => contest.others.iter().any(|entry| entry.name == peer),
                        _ => true,
                    }
            });
            assert!(is_here, "{}", goal.what);
        }
    }
}
