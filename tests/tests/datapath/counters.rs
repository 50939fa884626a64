//! Every counter of the programs, and what has changed since.

use std::collections::BTreeMap;

use anyhow::Result;
use aya::maps::{MapData, PerCpuArray};
use vxnet_common::{
    map::stats::{Drops, PortStats, VtepStats},
    reason::Reason,
};

use crate::fabric::FREE_PORT;

/// Slots above these are not in use.
const PORTS: u32 = FREE_PORT + 1;
pub(crate) const VTEPS: u32 = 7;

/// What is counted, and for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counter {
    /// Frames and bytes of a port.
    PortRx(u32),
    PortRxBytes(u32),
    PortTx(u32),
    PortTxBytes(u32),
    /// Frames made of the port's, segments of an uplink's that left in one with others, and its
    /// packets that the host got.
    Replicas(u32),
    Merged(u32),
    Passed(u32),
    /// Inner frames and their bytes of a peer.
    VtepRx(u32),
    VtepRxBytes(u32),
    VtepTx(u32),
    VtepTxBytes(u32),
    Drop(u32, Reason),
}

/// Counters that are not zero.
pub(crate) type Counts = BTreeMap<Counter, u64>;

/// The maps that count.
pub(crate) struct Counters {
    pub(crate) ports: PerCpuArray<MapData, PortStats>,
    pub(crate) vteps: PerCpuArray<MapData, VtepStats>,
    pub(crate) drops: PerCpuArray<MapData, Drops>,
}

impl Counters {
    pub(crate) fn read(&self) -> Result<Counts> {
        let mut counts = Counts::new();
        let mut add = |counter, value| {
            if value != 0 {
                *counts.entry(counter).or_default() += value;
            }
        };
        for slot in 0..PORTS {
            for cpu in self.ports.get(&slot, 0)?.iter() {
                add(Counter::PortRx(slot), cpu.rx_packets);
                add(Counter::PortRxBytes(slot), cpu.rx_bytes);
                add(Counter::PortTx(slot), cpu.tx_packets);
                add(Counter::PortTxBytes(slot), cpu.tx_bytes);
                add(Counter::Replicas(slot), cpu.replicas);
                add(Counter::Merged(slot), cpu.merged);
                add(Counter::Passed(slot), cpu.passed);
            }
            let drops = self.drops.get(&slot, 0)?;
            for reason in Reason::ALL {
                for cpu in drops.iter() {
                    add(Counter::Drop(slot, *reason), cpu.of(*reason));
                }
            }
        }
        for slot in 0..VTEPS {
            for cpu in self.vteps.get(&slot, 0)?.iter() {
                add(Counter::VtepRx(slot), cpu.rx_packets);
                add(Counter::VtepRxBytes(slot), cpu.rx_bytes);
                add(Counter::VtepTx(slot), cpu.tx_packets);
                add(Counter::VtepTxBytes(slot), cpu.tx_bytes);
            }
        }
        Ok(counts)
    }
}

/// Returns by how much counters have grown.
pub(crate) fn growth(before: &Counts, after: &Counts) -> Counts {
    after
        .iter()
        .map(|(counter, value)| (*counter, value - before.get(counter).unwrap_or(&0)))
        .filter(|(_, growth)| *growth != 0)
        .collect()
}
