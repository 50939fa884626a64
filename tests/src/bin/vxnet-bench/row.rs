//! Results: one row for each path of vxnet against each peer.

use serde_json::{Value, json};

use crate::contest::{Contest, Series};
use crate::plan::is_cost;
use crate::stats::{Better, Spread, median, ratios};

/// The further figure that is a result of its own.
const GSO: &str = "gso_percent";

/// One comparison.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) case: &'static str,
    /// vxnet's path, or what else tells its variants apart.
    pub(crate) path: String,
    pub(crate) ports: &'static str,
    pub(crate) wire: &'static str,
    pub(crate) peer: String,
    pub(crate) metric: &'static str,
    /// Medians over the rounds.
    pub(crate) vxnet: Option<f64>,
    pub(crate) peer_value: Option<f64>,
    /// Over the rounds in which both have a figure.
    pub(crate) ratio: Option<Spread>,
}

impl Row {
    /// The row as the JSON file has it; the path stands behind the case.
    pub(crate) fn json(&self) -> Value {
        let ratio = |part: fn(Spread) -> f64| self.ratio.map(part);
        json!({
            "case": format!("{}/{}", self.case, self.path),
            "ports": self.ports,
            "wire": self.wire,
            "peer": self.peer,
            "metric": self.metric,
            "vxnet": self.vxnet,
            "peer_value": self.peer_value,
            "ratio": ratio(|ratio| ratio.median),
            "ratio_min": ratio(|ratio| ratio.least),
            "ratio_max": ratio(|ratio| ratio.most),
        })
    }
}

/// Compares the series of a contest.
pub(crate) fn rows(contest: &Contest, all: &[Series]) -> Vec<Row> {
    let is_ours = |series: &&Series| {
        let mut ours = contest.ours.iter();
        ours.any(|entry| entry.name == series.entry.name && entry.spec == series.entry.spec)
    };
    let (ours, others): (Vec<&Series>, Vec<&Series>) = all.iter().partition(is_ours);
    let mut rows = Vec::new();
    for our in &ours {
        for other in &others {
            let (mine, theirs) = (our.values(), other.values());
            rows.push(row(
                contest,
                our,
                &other.entry.name,
                contest.metric,
                &mine,
                &theirs,
            ));
            let (mine, theirs) = (our.extras(GSO), other.extras(GSO));
            if mine.iter().any(Option::is_some) {
                rows.push(row(
                    contest,
                    our,
                    &other.entry.name,
                    "% in GSO",
                    &mine,
                    &theirs,
                ));
            }
        }
        if is_cost(contest) {
            rows.push(row(contest, our, "-", contest.metric, &our.values(), &[]));
        }
    }
    rows
}

fn row(
    contest: &Contest,
    our: &Series,
    peer: &str,
    metric: &'static str,
    ours: &[Option<f64>],
    theirs: &[Option<f64>],
) -> Row {
    let of = |figures: &[Option<f64>]| {
        let figures: Vec<f64> = figures.iter().flatten().copied().collect();
        median(&figures)
    };
    let better = if metric == contest.metric {
        contest.better
    } else {
        Better::Higher
    };
    Row {
        case: contest.case,
        path: our.entry.name.clone(),
        ports: contest.ports.label(),
        wire: contest.wire.label(),
        peer: peer.to_owned(),
        metric,
        vxnet: of(ours),
        peer_value: of(theirs),
        ratio: Spread::of(&ratios(ours, theirs, better)),
    }
}

#[cfg(test)]
pub(crate) fn example(case: &'static str, path: &str, peer: &str, ratio: f64) -> Row {
    Row {
        case,
        path: path.to_owned(),
        ports: "veth",
        wire: "mtu",
        peer: peer.to_owned(),
        metric: "Mpps",
        vxnet: Some(ratio),
        peer_value: Some(1.0),
        ratio: Spread::of(&[ratio]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_the_promised_names() {
        let json = example("frames-60", "tc", "brvx", 2.0).json();
        let mut names: Vec<_> = json.as_object().expect("an object").keys().collect();
        names.sort();
        let mut promised = [
            "case",
            "ports",
            "wire",
            "peer",
            "metric",
            "vxnet",
            "peer_value",
            "ratio",
            "ratio_min",
            "ratio_max",
        ];
        promised.sort_unstable();
        assert_eq!(names, promised);
        assert_eq!(json["case"], "frames-60/tc");
        assert_eq!(json["ratio"], 2.0);
    }
}
