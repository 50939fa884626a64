//! What a run has found.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write as _;

use crate::layout::{Layout, Mode};
use crate::outcome::{Outcome, hex};
use crate::rules::{RULES, Rule};
use crate::sample::{Sample, Tagging};

/// How many unexplained differences are told in full.
const TOLD: usize = 5;

#[derive(Default)]
pub(crate) struct Report {
    seed: u64,
    pub(crate) pairs: u32,
    /// Pairs by the mode of the port and the kind of tag.
    hits: BTreeMap<(Mode, Tagging), u32>,
    /// Pairs in which Open vSwitch delivered something.
    delivered: u32,
    /// Differences by the name of their rule.
    excused: BTreeMap<&'static str, u32>,
    pub(crate) unexplained: u32,
    pub(crate) told: Vec<String>,
}

impl Report {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// Judges one pair.
    pub(crate) fn add(
        &mut self,
        layout: &Layout,
        sample: &Sample,
        ours: &Outcome,
        theirs: &Outcome,
    ) {
        self.pairs += 1;
        let mode = layout.ports[&sample.port].mode;
        *self.hits.entry((mode, sample.tagging)).or_default() += 1;
        self.delivered += u32::from(!theirs.delivered.is_empty());
        if ours == theirs {
            return;
        }
        let rule = RULES
            .iter()
            .find(|rule| (rule.covers)(layout, sample, ours, theirs));
        match rule {
            Some(Rule { name, .. }) => *self.excused.entry(name).or_default() += 1,
            None => self.tell("Open vSwitch", layout, sample, ours, theirs),
        }
    }

    /// Notes a difference that must not be.
    pub(crate) fn tell(
        &mut self,
        name: &str,
        layout: &Layout,
        sample: &Sample,
        ours: &Outcome,
        theirs: &Outcome,
    ) {
        self.unexplained += 1;
        if self.told.len() < TOLD {
            let ports = layout.ports.iter().map(|(number, port)| {
                let (mode, own, tagged) = (port.mode.name(), port.own, &port.tagged);
                let isolated = if port.isolated { " isolated" } else { "" };
                format!("      {number}: {mode} {own:?} {tagged:?}{isolated}\n")
            });
            let ports: String = ports.collect();
            let (port, tagging) = (sample.port, sample.tagging);
            let frame = hex(&sample.frame[..sample.frame.len().min(64)]);
            self.told.push(format!(
                "  {tagging:?} frame at port {port}: {frame}\n    ports:\n{ports}    vxnet:\n{ours}    \
                 {name}:\n{theirs}"
            ));
        }
    }

    /// Returns the share of pairs in no class of differences, in percent.
    pub(crate) fn alike(&self) -> f64 {
        let excused: u32 = self.excused.values().sum();
        let alike = self.pairs - excused - self.unexplained;
        100.0 * f64::from(alike) / f64::from(self.pairs)
    }

    /// Returns the combinations of mode and tag that were left out.
    pub(crate) fn missing(&self) -> Vec<(Mode, Tagging)> {
        combinations()
            .filter(|pair| !self.hits.contains_key(pair))
            .collect()
    }

    /// Returns the rules that excused nothing.
    pub(crate) fn idle(&self) -> Vec<&'static str> {
        let names = RULES.iter().map(|rule| rule.name);
        names
            .filter(|name| !self.excused.contains_key(name))
            .collect()
    }

    /// Shows it to whoever runs the test: libtest only keeps what `print!` writes.
    pub(crate) fn show(&self) -> std::io::Result<()> {
        write!(std::io::stdout().lock(), "{self}")
    }
}

/// Every mode of a port with every kind of tag that it can get.
pub(crate) fn combinations() -> impl Iterator<Item = (Mode, Tagging)> {
    Mode::ALL.into_iter().flat_map(|mode| {
        let tags = Tagging::ALL.into_iter();
        tags.filter(move |tagging| tagging.exists(mode))
            .map(move |tagging| (mode, tagging))
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seed, pairs, delivered) = (self.seed, self.pairs, self.delivered);
        writeln!(
            f,
            "\nvxnet and Open vSwitch: {pairs} pairs (VXNET_SEED={seed})"
        )?;
        writeln!(
            f,
            "  Open vSwitch delivered {delivered} and dropped {}",
            pairs - delivered
        )?;
        write!(f, "  {:<12}", "pairs")?;
        for mode in Mode::ALL {
            write!(f, "{:>17}", mode.name())?;
        }
        for tagging in Tagging::ALL {
            write!(f, "\n  {:<12}", format!("{tagging:?}"))?;
            for mode in Mode::ALL {
                match self.hits.get(&(mode, tagging)) {
                    None if !tagging.exists(mode) => write!(f, "{:>17}", "-")?,
                    hits => write!(f, "{:>17}", hits.unwrap_or(&0))?,
                }
            }
        }
        writeln!(f, "\n  differences meant:")?;
        for Rule { name, .. } in RULES {
            writeln!(f, "  {:>6} {name}", self.excused.get(name).unwrap_or(&0))?;
        }
        writeln!(f, "  differences not meant: {}", self.unexplained)?;
        writeln!(
            f,
            "  pairs in no class of differences: {:.1} %",
            self.alike()
        )
    }
}
