//! The whole run: what it found, as tables and as JSON.

use serde_json::{Value, json};

use crate::beds::Beds;
use crate::contest::{Contest, Schedule, Series};
use crate::goal::{Goal, NOT_MEASURED, Verdict, goals};
use crate::machine;
use crate::order::{self, Order};
use crate::peer::{Peer, Receive};
use crate::report::Report;
use crate::row::{Row, rows};

/// Said wherever the figures of a quick run stand.
pub(crate) const QUICK: &str = "quick: not a measurement";

/// All results so far.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    cpus: usize,
    load_at_start: Vec<f64>,
    floors: Vec<String>,
    rows: Vec<Row>,
    details: Vec<Value>,
    order: Vec<Order>,
    dropped: Vec<String>,
    /// Why vxnet could not be measured.
    pub(crate) failed: Vec<String>,
}

impl Summary {
    pub(crate) fn new(cpus: usize) -> Self {
        Self {
            cpus,
            load_at_start: machine::load_average(),
            ..Self::default()
        }
    }

    /// Takes in how far the peers are above their floors.
    pub(crate) fn set_floors(&mut self, lines: Vec<String>) {
        self.floors = lines;
    }

    /// Takes the figures of one contest in.
    pub(crate) fn add(&mut self, contest: &Contest, all: &[Series]) {
        self.rows.extend(rows(contest, all));
        self.order.extend(order::judge(contest, all));
        for series in all {
            let Series {
                entry,
                figures,
                dropped,
                failed,
                disturbed: _,
            } = series;
            let title = format!("{}: {}", contest.title(), entry.name);
            for why in dropped {
                self.dropped.push(format!("{title}: {why}"));
            }
            if entry.spec.peer.is_vxnet() {
                let failed = failed.iter().map(|why| format!("{title}: {why}"));
                self.failed.extend(failed);
            }
            let figures: Vec<Value> = figures
                .iter()
                .map(|figure| match figure {
                    None => Value::Null,
                    Some(figure) => {
                        let extras = figure.extras.iter().map(|(name, value)| (*name, *value));
                        let extras: serde_json::Map<String, Value> = extras
                            .map(|(name, value)| (name.to_owned(), json!(value)))
                            .collect();
                        json!({
                            "value": figure.value,
                            "busy": figure.usage.busy,
                            "foreign": figure.usage.foreign,
                            "extras": extras,
                        })
                    }
                })
                .collect();
            self.details.push(json!({
                "case": contest.case,
                "ports": contest.ports.label(),
                "wire": contest.wire.label(),
                "who": entry.name,
                "peer": entry.spec.peer.label(),
                "metric": contest.metric,
                "rounds": figures,
            }));
        }
    }

    /// Prints everything.
    pub(crate) fn print(&self, schedule: Schedule, beds: &Beds) {
        self.print_conditions(schedule, beds);
        Report::heading("Paired ratios: median (min-max) over the rounds; above 1 vxnet is better");
        if schedule.is_quick {
            Report::line(&format!("*** {QUICK} ***"));
        }
        Report::table(
            [
                "CASE", "PATH", "PORTS", "WIRE", "PEER", "METRIC", "VXNET", "PEER'S", "RATIO", "N",
            ],
            &self.rows.iter().map(cells).collect::<Vec<_>>(),
        );
        if !self.order.is_empty() {
            Report::heading(
                "Order: TCP early of a million received, merged as they came, and reordered or sent \
                 again of a million segments (medians), no more than brvx's and 10; UDP datagrams, \
                 none",
            );
            let cells: Vec<_> = self.order.iter().map(Order::cells).collect();
            Report::table(Order::HEADS, &cells);
        }
        Report::heading("Dropped rounds, and why");
        if self.dropped.is_empty() {
            Report::line("none");
        }
        for why in &self.dropped {
            Report::line(why.lines().next().unwrap_or_default());
        }
        Report::heading("Goals: the median ratio, or the figure itself");
        if schedule.is_quick {
            Report::line(&format!("*** {QUICK} ***"));
        }
        let verdicts = self.verdicts(schedule.rounds);
        let heads = [
            "GOAL", "WHERE", "AGAINST", "LEAST", "AIM", "REACHED", "VERDICT",
        ];
        Report::table(
            heads,
            &verdicts.iter().map(Verdict::cells).collect::<Vec<_>>(),
        );
        for line in NOT_MEASURED {
            Report::line(&format!("not measured: {line}"));
        }
    }

    fn print_conditions(&self, schedule: Schedule, beds: &Beds) {
        Report::heading("Conditions");
        let load = machine::load_average();
        Report::line(&format!(
            "Linux {}, {} CPUs, sender on CPU 0, receiver on CPU 1; load average {:?} before, \
             {load:?} after",
            machine::kernel(),
            self.cpus,
            self.load_at_start
        ));
        let window = schedule.pace.window.as_secs_f64();
        Report::line(&format!(
            "{} rounds, {window} s each, in rotating order",
            schedule.rounds
        ));
        Report::line("round trips: idle threads keep both CPUs from halting");
        Report::line(
            "bulk-tcp-steered: CPU 0 takes in what the first guest sends, CPU 1 what the second does \
             (echo 1, echo 2 > /sys/class/net/PORT/queues/rx-*/rps_cpus on the hosts, 0 elsewhere)",
        );
        Report::line("every bed carried 2 MiB each way unchanged before it was measured");
        for line in &self.floors {
            Report::line(&format!("floor: {line}"));
        }
        for (peer, why) in &beds.missing {
            let first = why.lines().next().unwrap_or_default();
            Report::line(&format!("left out: {peer}: {first}"));
        }
        for built in &beds.built {
            if let (Peer::Vxnet(Receive::Auto), Some(path)) =
                (built.spec.peer, &built.receives_through)
            {
                let wire = built.spec.wire.label();
                Report::line(&format!(
                    "`auto` on the {wire} wire receives through {path}"
                ));
            }
        }
    }

    fn verdicts(&self, rounds: usize) -> Vec<Verdict> {
        let judge = |goal: &Goal| goal.judge(&self.rows, rounds);
        goals().iter().map(judge).collect()
    }

    /// The JSON file.
    pub(crate) fn json(&self, schedule: Schedule, beds: &Beds) -> Value {
        let peers = beds.built.iter().map(|built| {
            json!({
                "peer": built.spec.peer.label(),
                "spec": format!("{:?}", built.spec),
                "receives_through": built.receives_through,
                "commands": built.commands,
                "ip_d_link": built.links,
            })
        });
        json!({
            "kernel": machine::kernel(),
            "cpus": self.cpus,
            "rounds": schedule.rounds,
            "results": self.rows.iter().map(Row::json).collect::<Vec<_>>(),
            "note": if schedule.is_quick { QUICK } else { "" },
            "loadavg": { "before": self.load_at_start, "after": machine::load_average() },
            "floors": self.floors,
            "left_out": beds.missing,
            "dropped": self.dropped,
            "goals": self.verdicts(schedule.rounds).iter().map(Verdict::json).collect::<Vec<_>>(),
            "not_measured": NOT_MEASURED,
            "order": self.order.iter().map(Order::json).collect::<Vec<_>>(),
            "failed": self.failed,
            "details": self.details,
            "peers": peers.collect::<Vec<_>>(),
        })
    }
}

fn cells(row: &Row) -> [String; 10] {
    let figure = |figure: Option<f64>| match figure {
        None => "-".to_owned(),
        Some(figure) if figure >= 100.0 => format!("{figure:.0}"),
        Some(figure) => format!("{figure:.2}"),
    };
    let ratio = row.ratio.map_or("-".to_owned(), |ratio| {
        format!("{:.2} ({:.2}-{:.2})", ratio.median, ratio.least, ratio.most)
    });
    [
        row.case.to_owned(),
        row.path.clone(),
        row.ports.to_owned(),
        row.wire.to_owned(),
        row.peer.clone(),
        row.metric.to_owned(),
        figure(row.vxnet),
        figure(row.peer_value),
        ratio,
        row.ratio.map_or(0, |ratio| ratio.count).to_string(),
    ]
}
