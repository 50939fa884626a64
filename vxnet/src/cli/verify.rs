//! `vxnet verify`: is every frame accounted for?

use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;
use vxnet_common::{
    map::stats::{GONE_PORTS, GONE_VTEPS},
    reason::Reason,
};

use super::output::{self, Format};
use crate::host::{Paths, maps::Maps};

/// What to do if more came in than went out,
const LOST: &str = "what the kernel dropped on the detour is counted there (`ip -s link show \
                    vx-detour`, and `vx-detour-end`); else report this with `vxnet drop show` and \
                    `vxnet port show --json`";
/// and what if it is the other way round.
const REPORT: &str = "report this with `vxnet drop show` and `vxnet port show --json`";

/// Arguments of `vxnet verify`.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    format: Format,
}

/// All frames that were counted since the maps were made, links that are gone included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Sums {
    /// Frames that came in by a port or an uplink.
    rx: u64,
    /// Frames that the switch made.
    replicas: u64,
    /// Frames that went out by ports,
    tx_ports: u64,
    /// and to other hosts.
    tx_vteps: u64,
    /// Packets that the host got as they came.
    passed: u64,
    /// Segments that left in one packet with another (GRO).
    merged: u64,
    /// Frames that were dropped.
    dropped: u64,
}

/// What came of reading twice.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Account {
    #[serde(flatten)]
    sums: Sums,
    /// How many frames came in and were made that went nowhere; negative the other way round.
    missing: i128,
    /// How many were counted while the counters were read: so far the sums may be off.
    in_flight: u64,
    balanced: bool,
}

pub(super) fn run(args: &Args, paths: &Paths) -> Result<ExitCode> {
    let maps = Maps::open(paths)?;
    let account = Account::new(Sums::read(&maps)?, Sums::read(&maps)?);
    if args.format.json {
        output::json(&account)?;
    } else {
        output::text(&account.text())?;
    }
    Ok(if account.balanced {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

impl Sums {
    fn read(maps: &Maps) -> Result<Self> {
        let mut sums = Self::default();
        // Those of links that are gone, and slot 0 for those in no table, count too.
        for slot in 0..=GONE_PORTS {
            let stats = maps.port_stats(slot)?;
            sums.rx += stats.rx_packets;
            sums.replicas += stats.replicas;
            sums.tx_ports += stats.tx_packets;
            sums.passed += stats.passed;
            sums.merged += stats.merged;
            let drops = maps.drops(slot)?;
            for reason in Reason::ALL.iter().filter(|reason| !reason.is_notice()) {
                sums.dropped += drops.of(*reason);
            }
        }
        for slot in 0..=GONE_VTEPS {
            sums.tx_vteps += maps.vtep_stats(slot)?.tx_packets;
        }
        Ok(sums)
    }

    const fn came(&self) -> u64 {
        self.rx + self.replicas
    }

    const fn left(&self) -> u64 {
        self.tx_ports + self.tx_vteps + self.passed + self.merged + self.dropped
    }

    fn missing(&self) -> i128 {
        i128::from(self.came()) - i128::from(self.left())
    }
}

impl Account {
    /// Judges two readings: counters are not read all at once, so what moves meanwhile may show in
    /// one sum and not in the other.
    fn new(first: Sums, second: Sums) -> Self {
        let came = second.came().saturating_sub(first.came());
        let left = second.left().saturating_sub(first.left());
        let in_flight = came.max(left);
        // The better reading counts: a frame in flight is in one of them only.
        let sums = if first.missing().abs() < second.missing().abs() {
            first
        } else {
            second
        };
        let missing = sums.missing();
        Self {
            sums,
            missing,
            in_flight,
            balanced: missing.unsigned_abs() <= u128::from(in_flight),
        }
    }

    fn text(&self) -> String {
        let Sums {
            rx,
            replicas,
            tx_ports,
            tx_vteps,
            passed,
            merged,
            dropped,
        } = self.sums;
        let judged = match (self.balanced, self.missing) {
            (true, 0) => "every frame is accounted for".to_owned(),
            (true, missing) => format!(
                "off by {missing}, while {} frames were counted during the reading: read again when \
                 it is quiet",
                self.in_flight
            ),
            (false, missing) => format!(
                "off by {missing}: frames are unaccounted for\nhint: {}",
                if missing > 0 { LOST } else { REPORT }
            ),
        };
        format!(
            "came in    {rx}\nmade       {replicas}\n           = {}\n\nto ports   {tx_ports}\n\
             to VTEPs   {tx_vteps}\nto host    {passed}\n\
             joined     {merged}\ndropped    {dropped}\n           = {}\n\n{judged}\n",
            self.sums.came(),
            self.sums.left()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Sums = Sums {
        rx: 10,
        replicas: 4,
        tx_ports: 6,
        tx_vteps: 3,
        passed: 1,
        merged: 1,
        dropped: 3,
    };

    #[test]
    fn what_came_in_and_was_made_is_what_left() {
        let account = Account::new(QUIET, QUIET);
        assert!(account.balanced);
        assert_eq!(
            account.text(),
            "came in    10\nmade       4\n           = 14\n\nto ports   6\nto VTEPs   3\nto host    1\n\
             joined     1\ndropped    3\n           = 14\n\nevery frame is accounted for\n"
        );
    }

    #[test]
    fn one_frame_too_few_or_too_many_is_told_when_all_is_quiet() {
        for (sums, missing) in [
            (Sums { rx: 11, ..QUIET }, 1),
            (
                Sums {
                    replicas: 3,
                    ..QUIET
                },
                -1,
            ),
            (
                Sums {
                    dropped: 4,
                    ..QUIET
                },
                -1,
            ),
            (Sums { passed: 0, ..QUIET }, 1),
            (Sums { merged: 0, ..QUIET }, 1),
            (
                Sums {
                    tx_vteps: 4,
                    ..QUIET
                },
                -1,
            ),
        ] {
            let account = Account::new(sums, sums);
            assert_eq!(
                (account.balanced, account.missing),
                (false, missing),
                "{sums:?}"
            );
            assert!(account.text().contains("\nhint: "), "{sums:?}");
        }
    }

    #[test]
    fn frames_in_flight_are_no_loss() {
        let second = Sums {
            rx: 13,
            tx_ports: 8,
            ..QUIET
        };
        let account = Account::new(Sums { rx: 11, ..QUIET }, second);
        assert_eq!(
            (account.balanced, account.missing, account.in_flight),
            (true, 1, 2)
        );
        assert!(account.text().contains("off by 1, while 2 frames"));
        let lost = Sums { rx: 20, ..QUIET };
        assert!(
            !Account::new(
                lost,
                Sums {
                    rx: 21,
                    tx_ports: 7,
                    ..lost
                }
            )
            .balanced
        );
    }
}
