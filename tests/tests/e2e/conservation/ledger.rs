//! What vxnet counted on one host, and what others counted at the edges of it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::Value;
use vxnet_tests::counters::link_counters;
use vxnet_tests::lab::Lab;
use vxnet_tests::netns::Netns;

/// Frames in and out, of a port or a peer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) rx: u64,
    pub(crate) tx: u64,
}

/// All that vxnet says of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) ports: BTreeMap<String, Traffic>,
    pub(crate) vteps: BTreeMap<String, Traffic>,
    /// Drops and notices by reason.
    pub(crate) drops: BTreeMap<String, u64>,
    /// Of all ports and uplinks.
    pub(crate) replicas: u64,
    pub(crate) merged: u64,
    pub(crate) passed: u64,
}

/// What the kernel says of both ends of a port's cable (`ip -s link`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cable {
    pub(crate) far: Traffic,
    pub(crate) port: Traffic,
    /// What was dropped on the way. (What the stack at the far end throws away has arrived.)
    pub(crate) dropped: u64,
}

fn number(row: &Value, field: &str) -> Result<u64> {
    let number = row[field].as_u64();
    number.with_context(|| format!("no {field} in {row}"))
}

fn text(row: &Value, field: &str) -> Result<String> {
    let text = row[field].as_str();
    Ok(text
        .with_context(|| format!("no {field} in {row}"))?
        .to_owned())
}

fn traffic(row: &Value) -> Result<Traffic> {
    Ok(Traffic {
        rx: number(row, "rx_packets")?,
        tx: number(row, "tx_packets")?,
    })
}

impl Ledger {
    pub(crate) fn read(lab: &mut Lab, host: usize) -> Result<Self> {
        let vxnet = lab.vxnet(host)?;
        let mut ledger = Self::default();
        for row in vxnet.rows("port show")? {
            ledger.replicas += number(&row, "replicas")?;
            ledger.merged += number(&row, "merged")?;
            ledger.passed += number(&row, "passed")?;
            ledger.ports.insert(text(&row, "port")?, traffic(&row)?);
        }
        for row in vxnet.rows("vtep show")? {
            // All groups go by one name.
            let vtep = ledger.vteps.entry(text(&row, "host")?).or_default();
            let row = traffic(&row)?;
            vtep.rx += row.rx;
            vtep.tx += row.tx;
        }
        for row in vxnet.rows("drop show")? {
            let count = number(&row, "count")?;
            *ledger.drops.entry(text(&row, "reason")?).or_default() += count;
        }
        Ok(ledger)
    }

    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let traffic = |now: &BTreeMap<String, Traffic>, then: &BTreeMap<String, Traffic>| {
            let grown = now.iter().map(|(name, now)| {
                let then = then.get(name).copied().unwrap_or_default();
                let (rx, tx) = (now.rx - then.rx, now.tx - then.tx);
                (name.clone(), Traffic { rx, tx })
            });
            grown.collect()
        };
        let grown = self.drops.iter().map(|(reason, now)| {
            let then = earlier.drops.get(reason).copied().unwrap_or(0);
            (reason.clone(), now - then)
        });
        Self {
            ports: traffic(&self.ports, &earlier.ports),
            vteps: traffic(&self.vteps, &earlier.vteps),
            drops: grown.filter(|(_, count)| *count != 0).collect(),
            replicas: self.replicas - earlier.replicas,
            merged: self.merged - earlier.merged,
            passed: self.passed - earlier.passed,
        }
    }

    /// Returns frames that came in or were made, and frames that left or were dropped, if all that
    /// was counted by other reasons than `notices` are drops.
    pub(crate) fn sums(&self, notices: &BTreeSet<&str>) -> (u64, u64) {
        let rx: u64 = self.ports.values().map(|port| port.rx).sum();
        let tx: u64 = self.ports.values().map(|port| port.tx).sum();
        let to_vteps: u64 = self.vteps.values().map(|vtep| vtep.tx).sum();
        let drops = self.drops.iter();
        let drops = drops.filter(|(reason, _)| !notices.contains(reason.as_str()));
        let dropped: u64 = drops.map(|(_, count)| count).sum();
        let left = tx + to_vteps + self.passed + self.merged + dropped;
        (rx + self.replicas, left)
    }
}

impl Cable {
    /// Reads the link at the far end, and the port.
    pub(crate) fn read(far: (&Netns, &str), port: (&Netns, &str)) -> Result<Self> {
        let mut dropped = 0;
        let mut traffic = Vec::new();
        for (netns, link) in [far, port] {
            let counters = link_counters(netns, link)?;
            let (rx, tx) = (&counters["rx"], &counters["tx"]);
            dropped += number(tx, "dropped")?;
            if (netns, link) == port {
                dropped += number(rx, "dropped")?;
            }
            traffic.push(Traffic {
                rx: number(rx, "packets")?,
                tx: number(tx, "packets")?,
            });
        }
        Ok(Self {
            far: traffic[0],
            port: traffic[1],
            dropped,
        })
    }

    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let grown = |now: Traffic, then: Traffic| Traffic {
            rx: now.rx - then.rx,
            tx: now.tx - then.tx,
        };
        Self {
            far: grown(self.far, earlier.far),
            port: grown(self.port, earlier.port),
            dropped: self.dropped - earlier.dropped,
        }
    }
}
