//! Whether frames of a flow stay in order: they have to as well as through brvx in the same run.
//!
//! In bulk TCP the receiver counts segments that came early (`TCPOFOQueue`), and the sender learns
//! from its acknowledgements that some were overtaken (`TCPSACKReorder`). In small UDP the
//! datagrams are numbered.

use serde_json::{Value, json};

use crate::contest::{Contest, Series};
use crate::peer::Peer;
use crate::stats::median;

/// So much more of the segments may be out of order than through brvx.
const TOLERANCE: f64 = 1e-5;
/// Of bulk TCP: what is counted, and what it is a share of.
const EARLY: [&str; 2] = ["out_of_order", "received"];
const REORDERED: [&str; 2] = ["sack_reorder", "segments"];
const AGAIN: [&str; 2] = ["retransmits", "segments"];
const INVERSIONS: &str = "inversions";

/// The order of one entry's flows on one kind of ports and wire.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    case: &'static str,
    who: String,
    ports: &'static str,
    wire: &'static str,
    seen: Seen,
    /// For vxnet, whether it is as good as it has to be; none if brvx was not measured.
    pub(crate) is_kept: Option<bool>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Seen {
    /// Shares, medians over the rounds: of what the receiver got, merged as it came, and of the
    /// segments that were sent.
    Tcp {
        early: f64,
        reordered: f64,
        again: f64,
    },
    /// Datagrams that came after a later one, in all rounds.
    Udp { inversions: f64 },
}

/// Judges a contest; empty if its load shows no order.
pub(crate) fn judge(contest: &Contest, all: &[Series]) -> Vec<Order> {
    let brvx = all
        .iter()
        .find(|series| series.entry.spec.peer == Peer::Brvx)
        .and_then(seen);
    let order = |series: &Series| {
        let seen = seen(series)?;
        let is_ours = series.entry.spec.peer.is_vxnet();
        Some(Order {
            case: contest.case,
            who: if is_ours {
                format!("vxnet/{}", series.entry.name)
            } else {
                series.entry.name.clone()
            },
            ports: contest.ports.label(),
            wire: contest.wire.label(),
            seen,
            is_kept: if is_ours { is_kept(seen, brvx) } else { None },
        })
    };
    all.iter().filter_map(order).collect()
}

/// Reads what a series tells of order, if it tells any.
fn seen(series: &Series) -> Option<Seen> {
    let of = |name| -> Vec<f64> { series.extras(name).into_iter().flatten().collect() };
    let disturbed = series.disturbed.iter();
    let mut inversions = of(INVERSIONS);
    inversions.extend(disturbed.filter_map(|figure| figure.extra(INVERSIONS)));
    if !inversions.is_empty() {
        return Some(Seen::Udp {
            inversions: inversions.iter().sum(),
        });
    }
    let share = |[counted, all]: [&'static str; 2]| {
        let shares: Vec<f64> = of(counted)
            .iter()
            .zip(of(all))
            .map(|(count, all)| count / all.max(1.0))
            .collect();
        median(&shares)
    };
    Some(Seen::Tcp {
        early: share(EARLY)?,
        reordered: share(REORDERED)?,
        again: share(AGAIN)?,
    })
}

fn is_kept(ours: Seen, brvx: Option<Seen>) -> Option<bool> {
    match (ours, brvx) {
        (Seen::Udp { inversions }, _) => Some(inversions == 0.0),
        (
            Seen::Tcp {
                early, reordered, ..
            },
            Some(Seen::Tcp {
                early: their_early,
                reordered: their_reordered,
                ..
            }),
        ) => Some(early <= their_early + TOLERANCE && reordered <= their_reordered + TOLERANCE),
        _ => None,
    }
}

impl Order {
    pub(crate) const HEADS: [&'static str; 8] = [
        "CASE",
        "WHO",
        "PORTS",
        "WIRE",
        "OUT OF ORDER",
        "SACK REORDER",
        "SENT AGAIN",
        "VERDICT",
    ];

    /// The cells of its line; TCP in segments of a million, UDP in datagrams.
    pub(crate) fn cells(&self) -> [String; 8] {
        let of_million = |share: f64| format!("{:.1}", share * 1e6);
        let [early, reordered, again] = match self.seen {
            Seen::Tcp {
                early,
                reordered,
                again,
            } => [early, reordered, again].map(of_million),
            Seen::Udp { inversions } => [inversions.to_string(), "-".to_owned(), "-".to_owned()],
        };
        [
            self.case.to_owned(),
            self.who.clone(),
            self.ports.to_owned(),
            self.wire.to_owned(),
            early,
            reordered,
            again,
            self.word().to_owned(),
        ]
    }

    fn word(&self) -> &'static str {
        match self.is_kept {
            Some(true) => "kept",
            Some(false) => "worse",
            None => "-",
        }
    }

    pub(crate) fn json(&self) -> Value {
        let (early, reordered, again) = match self.seen {
            Seen::Tcp {
                early,
                reordered,
                again,
            } => (Some(early), Some(reordered), Some(again)),
            Seen::Udp { .. } => (None, None, None),
        };
        let inversions = match self.seen {
            Seen::Udp { inversions } => Some(inversions),
            Seen::Tcp { .. } => None,
        };
        json!({
            "case": self.case,
            "who": self.who,
            "ports": self.ports,
            "wire": self.wire,
            "out_of_order": early,
            "sack_reorder": reordered,
            "sent_again": again,
            "inversions": inversions,
            "verdict": self.word(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bed::Spec;
    use crate::case::{Figure, Load};
    use crate::contest::Entry;
    use crate::peer::Receive;
    use crate::station::Kind;
    use crate::stats::Better;
    use crate::wire::Wire;

    fn series(peer: Peer, rounds: &[&[(&'static str, f64)]]) -> Series {
        let figure = |extras: &&[(&'static str, f64)]| {
            Some(Figure {
                extras: extras.to_vec(),
                ..Figure::default()
            })
        };
        Series {
            entry: Entry {
                name: "tc".to_owned(),
                spec: Spec::new(peer, Wire::Mtu),
                load: Load::BulkTcp,
            },
            figures: rounds.iter().map(figure).collect(),
            disturbed: Vec::new(),
            dropped: Vec::new(),
            failed: Vec::new(),
        }
    }

    fn verdicts(all: &[Series]) -> Vec<Option<bool>> {
        let contest = Contest {
            case: "bulk-tcp",
            ports: Kind::Tap,
            wire: Wire::Mtu,
            metric: "Gb/s",
            better: Better::Higher,
            ours: Vec::new(),
            others: Vec::new(),
        };
        let all = judge(&contest, all);
        all.iter().map(|order| order.is_kept).collect()
    }

    fn tcp(early: f64, reordered: f64) -> [(&'static str, f64); 5] {
        [
            (EARLY[0], early),
            (EARLY[1], 1e6),
            (REORDERED[0], reordered),
            (REORDERED[1], 2e6),
            (AGAIN[0], 0.0),
        ]
    }

    #[test]
    fn tcp_is_compared_with_brvx_of_the_same_run() {
        let ours = Peer::Vxnet(Receive::Tc);
        let brvx = series(Peer::Brvx, &[&tcp(50.0, 0.0)]);
        let of = |early, reordered| {
            let mine = series(ours, &[&tcp(early, reordered)]);
            verdicts(&[mine, brvx.clone()])
        };
        assert_eq!(of(59.0, 9.0), [Some(true), None]);
        assert_eq!(of(61.0, 0.0), [Some(false), None]);
        // Of twice as many segments as super-packets came.
        assert_eq!(of(0.0, 19.0), [Some(true), None]);
        assert_eq!(of(0.0, 21.0), [Some(false), None]);
        assert_eq!(verdicts(&[series(ours, &[&tcp(0.0, 0.0)])]), [None]);
    }

    #[test]
    fn one_disturbed_round_is_no_verdict_but_one_inversion_is() {
        let ours = Peer::Vxnet(Receive::Tc);
        let (calm, wild) = (tcp(0.0, 0.0), tcp(900.0, 900.0));
        let brvx = series(Peer::Brvx, &[&calm, &calm, &calm]);
        let mine = series(ours, &[&calm, &wild, &calm]);
        assert_eq!(verdicts(&[mine, brvx]), [Some(true), None]);
        let udp = |second| series(ours, &[&[(INVERSIONS, 0.0)], &[(INVERSIONS, second)]]);
        assert_eq!(verdicts(&[udp(0.0)]), [Some(true)]);
        assert_eq!(verdicts(&[udp(1.0)]), [Some(false)]);
        let mut disturbed = udp(0.0);
        disturbed.disturbed = udp(1.0).figures.into_iter().flatten().collect();
        assert_eq!(verdicts(&[disturbed]), [Some(false)]);
        assert_eq!(verdicts(&[series(ours, &[&[]])]), [], "no order to be seen");
    }
}
