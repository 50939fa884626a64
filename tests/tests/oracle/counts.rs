//! What the program counts: an account of every frame.

use std::collections::BTreeMap;

use anyhow::Result;
use aya::maps::{MapData, PerCpuArray};
use vxnet_common::map::stats::{Drops, PortStats};
use vxnet_common::reason::Reason;

use crate::layout::PORTS;

/// The maps that count.
pub(crate) struct Counters {
    pub(crate) stats: PerCpuArray<MapData, PortStats>,
    pub(crate) drops: PerCpuArray<MapData, Drops>,
}

impl Counters {
    pub(crate) fn read(&self) -> Result<Counts> {
        let mut counts = Counts::default();
        for slot in 0..=PORTS {
            let mut tx = 0;
            for cpu in self.stats.get(&slot, 0)?.iter() {
                counts.rx += cpu.rx_packets;
                counts.replicas += cpu.replicas;
                tx += cpu.tx_packets;
            }
            counts.tx.insert(slot, tx);
            let row = self.drops.get(&slot, 0)?;
            for reason in Reason::ALL.iter().filter(|reason| !reason.is_notice()) {
                let drops: u64 = row.iter().map(|cpu| cpu.of(*reason)).sum();
                *counts.drops.entry(*reason).or_default() += drops;
            }
        }
        Ok(counts)
    }
}

/// What the program counts, all ports together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) rx: u64,
    pub(crate) replicas: u64,
    pub(crate) drops: BTreeMap<Reason, u64>,
    /// By port.
    pub(crate) tx: BTreeMap<u32, u64>,
}

impl Counts {
    /// Returns what has been counted since.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            rx: self.rx - before.rx,
            replicas: self.replicas - before.replicas,
            drops: growth(&self.drops, &before.drops),
            tx: growth(&self.tx, &before.tx),
        }
    }
}

fn growth<K: Copy + Ord>(after: &BTreeMap<K, u64>, before: &BTreeMap<K, u64>) -> BTreeMap<K, u64> {
    let rows = after.iter().map(|(key, count)| (*key, count - before[key]));
    rows.filter(|(_, count)| *count != 0).collect()
}
