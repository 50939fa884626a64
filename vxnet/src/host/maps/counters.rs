//! What the data path has counted, summed over the CPUs; and what those counted who are gone: whoever
//! gets the slot begins at zero, and `verify` still finds every frame.

use anyhow::Result;
use aya::{
    Pod,
    maps::{MapData, PerCpuArray, PerCpuValues},
};
use vxnet_common::map::stats::{Drops, GONE_PORTS, GONE_VTEPS, PortStats, VtepStats};

use super::Maps;

impl Maps {
    /// Returns a port's counters.
    pub fn port_stats(&self, slot: u32) -> Result<PortStats> {
        let cpus = self.port_stats.get(&slot, 0)?;
        Ok(sum(&cpus, PortStats::default(), PortStats::add))
    }

    /// Returns how often each reason was counted for the port in a slot.
    pub fn drops(&self, slot: u32) -> Result<Drops> {
        let cpus = self.drops.get(&slot, 0)?;
        Ok(sum(&cpus, Drops::NONE, Drops::add))
    }

    /// Returns a peer's counters, and when it was heard last.
    pub fn vtep_stats(&self, slot: u32) -> Result<VtepStats> {
        let cpus = self.vtep_stats.get(&slot, 0)?;
        Ok(sum(&cpus, VtepStats::default(), VtepStats::add))
    }

    /// Moves what a slot of `PORTS` has counted to the row of the gone ports, and its last drops.
    pub(in crate::host) fn retire_port(&mut self, slot: u32) -> Result<()> {
        let (none, add) = (PortStats::default(), PortStats::add);
        retire(&mut self.port_stats, (slot, GONE_PORTS), none, add)?;
        // Most slots are new, and have dropped nothing that would have to be looked for.
        if !retire(&mut self.drops, (slot, GONE_PORTS), Drops::NONE, Drops::add)? {
            return Ok(());
        }
        for index in 0..self.last_drops.len() {
            let mut row = self.last_drops.get(&index, 0)?;
            if row.time != 0 && row.port == slot {
                row.port = GONE_PORTS;
                self.last_drops.set(index, row, 0)?;
            }
        }
        Ok(())
    }

    /// Moves what a slot of `VTEPS` has counted to the row of the gone peers.
    pub(in crate::host) fn retire_vtep(&mut self, slot: u32) -> Result<()> {
        let (none, add) = (VtepStats::default(), VtepStats::add);
        retire(&mut self.vtep_stats, (slot, GONE_VTEPS), none, add)?;
        Ok(())
    }
}

fn sum<V>(cpus: &[V], none: V, add: impl Fn(&mut V, &V)) -> V {
    let mut sum = none;
    for cpu in cpus {
        add(&mut sum, cpu);
    }
    sum
}

/// Adds the row of a slot to that of the gone, which no program writes, and empties it. Returns
/// whether there was anything to add.
fn retire<V: Pod + PartialEq>(
    map: &mut PerCpuArray<MapData, V>,
    (slot, gone): (u32, u32),
    none: V,
    add: impl Fn(&mut V, &V),
) -> Result<bool> {
    let own = map.get(&slot, 0)?;
    if own.iter().all(|row| *row == none) {
        return Ok(false);
    }
    let mut sums = map.get(&gone, 0)?.to_vec();
    for (sum, one) in sums.iter_mut().zip(own.iter()) {
        add(sum, one);
    }
    map.set(gone, PerCpuValues::try_from(sums)?, 0)?;
    map.set(slot, PerCpuValues::try_from(vec![none; own.len()])?, 0)?;
    Ok(true)
}
