//! What vxnet counted against what everybody else did.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Context as _, Result, ensure};
use vxnet_tests::wait::eventually;

use super::PATIENCE;
use super::bench::Bench;
use super::kinds::{Kind, Sender, TIMES};
use super::ledger::{Cable, Ledger};

/// The row of `vxnet vtep show` that stands for groups.
const GROUP: &str = "(group)";

/// VXLAN packets on a wire, by destination.
pub(crate) type Crossed = BTreeMap<IpAddr, u64>;

impl Bench {
    /// How many frames a station sent.
    fn sent(kinds: &[Kind], station: &str) -> u64 {
        let own = |kind: &&Kind| kind.sender == Sender::Station(station.to_owned());
        kinds.iter().filter(own).count() as u64 * TIMES
    }

    /// What vxnet counted at each port against what was sent and what arrived there.
    pub(super) fn ports_agree(&self, kinds: &[Kind], grown: &[Ledger]) -> Result<()> {
        for edge in &self.edges {
            let counted = grown[edge.host - 1].ports.get(&edge.port).copied();
            let counted = counted.with_context(|| format!("no port {}", edge.port))?;
            let (sent, got) = (Self::sent(kinds, &edge.name), edge.count());
            ensure!(
                (counted.rx, counted.tx) == (sent, got),
                "{}: sent {sent} and got {got}, but {counted:?}",
                edge.name
            );
        }
        Ok(())
    }

    /// What vxnet counted for each peer and uplink against what crossed the wires.
    pub(super) fn wires_agree(
        &self,
        kinds: &[Kind],
        grown: &[Ledger],
        crossed: &[Crossed],
    ) -> Result<()> {
        let hosts = &self.lab.hypervisors;
        let injected = |wanted: &dyn Fn(&Sender) -> bool| {
            kinds.iter().filter(|kind| wanted(&kind.sender)).count() as u64 * TIMES
        };
        let admitted = injected(&|sender| *sender == Sender::Wire { admitted: true });
        let taken = injected(&|sender| matches!(sender, Sender::Wire { .. }));
        let aside = injected(&|sender| *sender == Sender::Aside);
        for (own, host) in hosts.iter().enumerate() {
            let ledger = &grown[own];
            let of_hv1 = |count: u64| if own == 0 { count } else { 0 };
            let mut came = of_hv1(taken);
            for (other, peer) in hosts.iter().enumerate().filter(|(other, _)| *other != own) {
                let counted = ledger.vteps.get(&peer.name).copied().unwrap_or_default();
                let mut expected = (0, crossed[own].get(&peer.vtep).copied().unwrap_or(0));
                for (to, packets) in &crossed[other] {
                    if *to == host.vtep || to.is_multicast() {
                        expected.0 += packets;
                    }
                }
                came += expected.0;
                if other == 1 {
                    expected.0 += of_hv1(admitted);
                }
                ensure!(
                    (counted.rx, counted.tx) == expected,
                    "{} and {}: {expected:?} on the wire, but {counted:?}",
                    host.name,
                    peer.name
                );
            }
            let to_groups = crossed[own].iter().filter(|(to, _)| to.is_multicast());
            let to_groups: u64 = to_groups.map(|(_, packets)| packets).sum();
            let counted = ledger.vteps.get(GROUP).copied().unwrap_or_default();
            ensure!(
                (counted.rx, counted.tx) == (0, to_groups),
                "{}: {to_groups} to groups, but {counted:?}",
                host.name
            );
            let all: u64 = crossed[own].values().sum();
            let sent: u64 = ledger.vteps.values().map(|vtep| vtep.tx).sum();
            ensure!(all == sent, "{}: {all} sent, but {sent}", host.name);
            let uplink = ledger.ports.get(self.uplink).copied().unwrap_or_default();
            ensure!(
                uplink.rx - ledger.passed == came && ledger.passed >= of_hv1(aside),
                "{}: {came} on the wire, but {uplink:?} and {} passed",
                host.name,
                ledger.passed
            );
        }
        Ok(())
    }

    /// Drops and notices, by reason, and the sums.
    pub(super) fn reasons_agree(&self, kinds: &[Kind], grown: &[Ledger]) -> Result<()> {
        let mut expected: BTreeMap<&str, u64> = BTreeMap::new();
        let mut notices = BTreeSet::new();
        for kind in kinds {
            let lost = if kind.limited {
                TIMES - self.passed(kind)?
            } else {
                TIMES
            };
            for reason in &kind.dropped {
                *expected.entry(reason).or_default() += lost;
            }
            if let Some(reason) = kind.noticed {
                *expected.entry(reason).or_default() += TIMES;
                notices.insert(reason);
            }
        }
        let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
        for (reason, count) in grown.iter().flat_map(|ledger| &ledger.drops) {
            *counted.entry(reason).or_default() += count;
        }
        ensure!(counted == expected, "{expected:?} due, but {counted:?}");
        for (ledger, host) in grown.iter().zip(&self.lab.hypervisors) {
            let (came, left) = ledger.sums(&notices);
            ensure!(came == left, "{}: {came} came, {left} left", host.name);
        }
        Ok(())
    }

    /// The cables as they were when their edges forgot what they had seen.
    pub(super) fn baseline(&mut self) -> Result<Vec<Option<Cable>>> {
        let mut cables = Vec::new();
        for edge in &mut self.edges {
            cables.push(eventually(PATIENCE, || {
                let before = edge.cable(&self.lab)?;
                edge.take()?;
                edge.forget();
                // A loop probe that came meanwhile is in one of the two, nobody knows in which.
                let after = edge.cable(&self.lab)?;
                ensure!(before == after, "a frame came meanwhile");
                Ok(before)
            })?);
        }
        Ok(cables)
    }

    /// What the kernel counted at both ends of each cable.
    pub(super) fn cables_agree(&mut self, kinds: &[Kind], before: &[Option<Cable>]) -> Result<()> {
        for (edge, before) in self.edges.iter_mut().zip(before) {
            let sent = Self::sent(kinds, &edge.name);
            eventually(PATIENCE, || {
                let (Some(now), Some(before)) = (edge.cable(&self.lab)?, before) else {
                    return Ok(());
                };
                let now = now.since(before);
                edge.take()?;
                let got = edge.count() + edge.probes;
                ensure!(
                    (now.far.rx, now.far.tx) == (got, sent)
                        && (now.port.tx, now.port.rx) == (got, sent)
                        && now.dropped == 0,
                    "{}: got {got}, sent {sent}, but {now:?}",
                    edge.name
                );
                Ok(())
            })?;
        }
        Ok(())
    }
}
