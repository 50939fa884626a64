//! A contest: one load on one kind of ports and wire, vxnet and its peers in turns.

use anyhow::Result;

use crate::bed::Spec;
use crate::beds::Beds;
use crate::case::{self, Figure, Load, Pace};
use crate::machine::{Quiet, Usage};
use crate::peer::Peer;
use crate::station::Kind;
use crate::stats::Better;
use crate::wire::Wire;

/// Above this share of a CPU, others than the benchmark disturbed the measurement.
const FOREIGN: f64 = 0.05;
/// Above this share of time, the machine itself was not there.
const STEAL: f64 = 0.03;
/// Below this share, neither CPU was what limited the load.
const BUSY: f64 = 0.90;
/// How many rounds may be repeated.
const EXTRA: usize = 2;

/// Who takes part, and with what.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The peer in tables; for vxnet, the receive path.
    pub(crate) name: String,
    pub(crate) spec: Spec,
    pub(crate) load: Load,
}

/// Who is compared, on what.
#[derive(Debug, Clone)]
pub(crate) struct Contest {
    pub(crate) case: &'static str,
    pub(crate) ports: Kind,
    pub(crate) wire: Wire,
    pub(crate) metric: &'static str,
    pub(crate) better: Better,
    pub(crate) ours: Vec<Entry>,
    pub(crate) others: Vec<Entry>,
}

impl Contest {
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.ours.iter().chain(&self.others)
    }

    pub(crate) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.ours.iter_mut().chain(&mut self.others)
    }

    /// `bulk-tcp, tap ports, mtu wire`
    pub(crate) fn title(&self) -> String {
        let (ports, wire) = (self.ports.label(), self.wire.label());
        format!("{}, {ports} ports, {wire} wire", self.case)
    }

    /// Whether a CPU has to be busy all the time: not if both sides wait for each other, nor if
    /// programs are timed one by one.
    fn is_cpu_bound(&self) -> bool {
        let waits = |entry: &Entry| {
            matches!(
                entry.load,
                Load::RoundTrips | Load::Connections | Load::ProgramCost | Load::ProgramCostLive
            )
        };
        !self.entries().any(waits)
    }
}

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    pub(crate) pace: Pace,
    pub(crate) rounds: usize,
    /// A quick run only shows that everything works.
    pub(crate) is_quick: bool,
}

/// All figures of one entry, round by round; a round without figure was dropped.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) entry: Entry,
    pub(crate) figures: Vec<Option<Figure>>,
    /// What disturbed rounds had: they measure nothing, but a flow has to stay in order in them too.
    pub(crate) disturbed: Vec<Figure>,
    /// Why rounds were dropped.
    pub(crate) dropped: Vec<String>,
    /// Which of these were not disturbed: nothing, or not all, was carried.
    pub(crate) failed: Vec<String>,
}

impl Series {
    pub(crate) fn values(&self) -> Vec<Option<f64>> {
        let value = |figure: &Option<Figure>| figure.as_ref().map(|figure| figure.value);
        self.figures.iter().map(value).collect()
    }

    /// The values of a further figure.
    pub(crate) fn extras(&self, name: &str) -> Vec<Option<f64>> {
        let value = |figure: &Option<Figure>| figure.as_ref().and_then(|it| it.extra(name));
        self.figures.iter().map(value).collect()
    }

    fn valid(&self) -> usize {
        self.figures.iter().flatten().count()
    }
}

/// Measures all entries in turns; who cannot be built is left out.
pub(crate) fn run(
    contest: &Contest,
    beds: &mut Beds,
    schedule: Schedule,
    quiet: &mut Quiet,
    may_repeat: bool,
) -> Result<Vec<Series>> {
    let mut all = Vec::new();
    for entry in contest.entries() {
        if beds.ensure(entry.spec)? {
            all.push(Series {
                entry: entry.clone(),
                figures: Vec::new(),
                disturbed: Vec::new(),
                dropped: Vec::new(),
                failed: Vec::new(),
            });
        }
    }
    let extra = if may_repeat { EXTRA } else { 0 };
    for round in 0..schedule.rounds + extra {
        let is_enough = all.iter().all(|series| series.valid() >= schedule.rounds);
        if round >= schedule.rounds && is_enough {
            break;
        }
        // Whoever comes first may find a cooler machine.
        let count = all.len();
        for turn in 0..count {
            let series = &mut all[(round + turn) % count];
            quiet.wait()?;
            let Entry { load, spec, .. } = series.entry;
            let figure = case::measure(load, contest.ports, beds.get(spec)?, schedule.pace);
            let (figure, why) = match figure {
                Ok(figure) => match fault(contest, spec.peer, figure.usage) {
                    Some(fault) if !schedule.is_quick => {
                        series.disturbed.push(figure);
                        (None, Some(fault))
                    }
                    _ => (Some(figure), None),
                },
                Err(error) => {
                    let why = format!("{error:#}");
                    series.failed.push(format!("round {}: {why}", round + 1));
                    (None, Some(why))
                }
            };
            if let Some(why) = why {
                series.dropped.push(format!("round {}: {why}", round + 1));
            }
            series.figures.push(figure);
        }
    }
    Ok(all)
}

/// Says why a figure is not to be believed.
fn fault(contest: &Contest, peer: Peer, usage: Usage) -> Option<String> {
    let percent = |share: f64| share * 100.0;
    if usage.foreign > FOREIGN {
        let used = percent(usage.foreign);
        return Some(format!("other processes used {used:.0} % of a CPU"));
    }
    if usage.steal > STEAL {
        let share = percent(usage.steal);
        return Some(format!("the hypervisor took {share:.0} % of the time"));
    }
    let busiest = usage.busy[0].max(usage.busy[1]);
    // OVS's processes choose their CPUs themselves.
    if contest.is_cpu_bound() && !peer.is_ovs() && busiest < BUSY {
        let share = percent(busiest);
        return Some(format!("not CPU-bound: the busier CPU was at {share:.0} %"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contest(load: Load) -> Contest {
        let peer = Peer::Brvx;
        Contest {
            case: "x",
            ports: Kind::Veth,
            wire: Wire::Mtu,
            metric: "x",
            better: Better::Higher,
            ours: vec![Entry {
                name: "x".to_owned(),
                spec: Spec::new(peer, Wire::Mtu),
                load,
            }],
            others: Vec::new(),
        }
    }

    fn usage(busy: f64, steal: f64, foreign: f64) -> Usage {
        Usage {
            busy: [busy, 0.2],
            steal,
            foreign,
        }
    }

    #[test]
    fn a_disturbed_figure_is_dropped() {
        let bulk = contest(Load::BulkTcp);
        let of = |usage| fault(&bulk, Peer::Brvx, usage);
        assert_eq!(of(usage(0.99, 0.0, 0.0)), None);
        assert!(of(usage(0.99, 0.0, 0.2)).is_some());
        assert!(of(usage(0.99, 0.1, 0.0)).is_some());
        assert!(of(usage(0.80, 0.0, 0.0)).is_some());
    }

    #[test]
    fn round_trips_and_ovs_need_no_busy_cpu() {
        let idle = usage(0.5, 0.0, 0.0);
        assert_eq!(fault(&contest(Load::RoundTrips), Peer::Brvx, idle), None);
        assert_eq!(fault(&contest(Load::BulkTcp), Peer::OvsSystem, idle), None);
    }
}
