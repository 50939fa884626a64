//! The daemon is not in the data path: kill it under traffic and start it again.

use std::time::Duration;

use anyhow::Result;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::probe::Probe;

use crate::AGEING_S;
use crate::report::Report;

const RATE: u32 = 1000;

pub(crate) fn run(lab: &mut Lab, kind: Kind, quick: bool, report: &mut Report) -> Result<()> {
    report.section(match kind {
        Kind::Vxnet => "kill -9 of hv1's daemon under traffic, across ageing, then a restart",
        _ => "Traffic across an ageing period",
    });
    // A run has to be longer than three ageing periods; the quick one only sees that it works.
    let dead = Duration::from_secs(if quick {
        5
    } else {
        u64::from(AGEING_S) * 3 + 1
    });
    let start = |from: (usize, usize), to: (usize, usize)| -> Result<Probe> {
        let (from, to) = (
            lab.guest("blue", from.0, from.1)?,
            lab.guest("blue", to.0, to.1)?,
        );
        Probe::start(&from.netns, &to.netns, to.v4, RATE)
    };
    let probes = [
        ("hv1 tap to hv2 tap", start((1, 1), (2, 1))?),
        ("hv2 veth to hv1 veth", start((2, 2), (1, 2))?),
        ("hv3 (kernel) to hv1 tap", start((3, 1), (1, 1))?),
    ];
    // The outage is the length of the run: nothing else is to be awaited.
    std::thread::sleep(Duration::from_secs(1));
    if kind == Kind::Vxnet {
        lab.vxnet(1)?.kill()?;
    }
    std::thread::sleep(dead);
    if kind == Kind::Vxnet {
        let vxnet = lab.vxnet(1)?;
        let rows = vxnet.rows("fdb show");
        let figure = rows.map(|rows| format!("{} FDB rows", rows.len()));
        report.check("the tables can be read while the daemon is dead", figure);
        vxnet.start()?;
        std::thread::sleep(Duration::from_secs(2));
    }
    for (what, probe) in probes {
        let result = probe.finish()?;
        let whole = result.lost == 0 && result.duplicated == 0 && result.sent > 0;
        report.expect(&format!("{what}: nothing lost"), whole, &result.to_string());
    }
    if kind == Kind::Vxnet {
        let status = lab.vxnet(1)?.json("status")?;
        let daemon = &status["daemon"];
        report.expect(
            "the daemon runs again",
            daemon == "running",
            &daemon.to_string(),
        );
    }
    Ok(())
}
