//! Counters of those who have gone: whoever gets the slot begins at zero, and `verify` still finds
//! every frame.

use anyhow::Result;
use aya::{
    Pod,
    maps::{MapData, PerCpuArray, PerCpuValues},
};
use vxnet_common::map::stats::{Drops, GONE_PORTS, GONE_VTEPS, PortStats, VtepStats};

use super::Maps;

impl Maps {
    /// Moves what a slot of `PORTS` has counted to the row of the gone ports, and its last drops.
    pub(in crate::host) fn retire_port(&mut self, slot: u32) -> Result<()> {
        retire(
            &mut self.port_stats,
            (slot, GONE_PORTS),
            PortStats::default(),
            |sum, one| {
                sum.rx_packets += one.rx_packets;
                sum.rx_bytes += one.rx_bytes;
                sum.tx_packets += one.tx_packets;
                sum.tx_bytes += one.tx_bytes;
                sum.replicas += one.replicas;
                sum.merged += one.merged;
                sum.passed += one.passed;
            },
        )?;
        retire(
            &mut self.drops,
            (slot, GONE_PORTS),
            Drops::NONE,
            |sum, one| {
                for (sum, one) in sum.0.iter_mut().zip(one.0) {
                    *sum += one;
                }
            },
        )?;
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
        retire(
            &mut self.vtep_stats,
            (slot, GONE_VTEPS),
            VtepStats::default(),
            |sum, one| {
                sum.rx_packets += one.rx_packets;
                sum.rx_bytes += one.rx_bytes;
                sum.tx_packets += one.tx_packets;
                sum.tx_bytes += one.tx_bytes;
            },
        )
    }
}

/// Adds the row of a slot to that of the gone, which no program writes, and empties it.
fn retire<V: Pod + PartialEq>(
    map: &mut PerCpuArray<MapData, V>,
    (slot, gone): (u32, u32),
    none: V,
    add: impl Fn(&mut V, &V),
) -> Result<()> {
    let own = map.get(&slot, 0)?;
    if own.iter().all(|row| *row == none) {
        return Ok(());
    }
    let mut sums = map.get(&gone, 0)?.to_vec();
    for (sum, one) in sums.iter_mut().zip(own.iter()) {
        add(sum, one);
    }
    map.set(gone, PerCpuValues::try_from(sums)?, 0)?;
    Ok(map.set(slot, PerCpuValues::try_from(vec![none; own.len()])?, 0)?)
}
