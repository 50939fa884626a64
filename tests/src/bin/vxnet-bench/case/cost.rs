//! What vxnet's programs cost a frame, in nanoseconds: on the first host the one that
//! encapsulates, on the second the first one that sees the packet and decapsulates it.
//!
//! `BPF_PROG_TEST_RUN` with `repeat` cannot tell, for a program must not be given its own output.
//! So it is called for one frame at a time, and the kernel itself times the program
//! (`BPF_ENABLE_STATS`); what it says of an empty program is subtracted. Caches are warm then, and
//! nothing but the program is counted. The same while real frames cross both hosts, with all that
//! they displace from the caches, is the case `program-cost-live`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use nix::net::if_::if_nametoindex;
use vxnet_tests::command::Cmd;
use vxnet_tests::hypervisor::link_mac;
use vxnet_tests::netns::Netns;

use crate::bed::Bed;
use crate::bpf::{self, Hook, Program};
use crate::case::inject::{self, Frames};
use crate::case::{Figure, Pace};
use crate::machine::{self, Watch};
use crate::peer::vni;
use crate::station::{Kind, Station};
use crate::wire::{UPLINK, router_link};
use crate::{frame, program};

const BYTES: usize = 60;
const CALLS: u32 = 50_000;
/// Programs that ran for fewer of the frames are not on their way.
const SHARE: f64 = 0.5;

const ENCAPSULATES: &str = "vx_port";
const AT_TC: &str = "vx_uplink";
const AT_XDP: &str = "vx_uplink_xdp";

/// Name, nanoseconds and runs of programs, by id.
type Programs = BTreeMap<u32, (String, u64, u64)>;

/// Times the programs one frame at a time.
pub(crate) fn alone(bed: &Bed, ports: Kind, pace: Pace) -> Result<Figure> {
    let stats = bpf::enable_stats()?;
    let watch = Watch::start()?;
    let met = met(bed, ports, pace)?;
    let find = |wanted: &str| {
        let mut found = met.iter().filter(|(_, (name, ..))| name == wanted);
        found.next().map(|(id, _)| *id)
    };
    let hosts = &bed.underlay.as_ref().context("no hosts")?.hosts;
    let (near, far) = (&hosts[0], &hosts[1]);
    let from = bed.station(Kind::Mute, 1)?;
    let inner = inner(bed, from, ports)?;
    let outer = outer(bed, far, &inner)?;
    let encapsulates = find(ENCAPSULATES).context("no frame was encapsulated")?;
    let (hook, decapsulates) = match (find(AT_XDP), find(AT_TC)) {
        (Some(id), _) => (Hook::Xdp, id),
        (None, Some(id)) => (Hook::Tc, id),
        (None, None) => anyhow::bail!("no frame was decapsulated"),
    };
    let encap = time(encapsulates, Hook::Tc, near, &from.port, &inner)?;
    let decap = time(decapsulates, hook, far, UPLINK, &outer)?;
    let nothing = time_empty(hook, far, &outer)?;
    drop(stats);
    Ok(Figure {
        value: encap + decap - 2.0 * nothing,
        usage: watch.stop()?,
        extras: vec![
            ("encap_ns", encap - nothing),
            ("decap_ns", decap - nothing),
            ("overhead_ns", nothing),
        ],
    })
}

/// Times all programs that frames meet on their way.
pub(crate) fn live(bed: &Bed, ports: Kind, pace: Pace) -> Result<Figure> {
    let _stats = bpf::enable_stats()?;
    let watch = Watch::start()?;
    let met = met(bed, ports, pace)?;
    let far = &bed.underlay.as_ref().context("no hosts")?.hosts[1];
    let nothing = time_empty(Hook::Tc, far, &[0; BYTES])?;
    let mut figure = Figure {
        usage: watch.stop()?,
        extras: vec![("overhead_ns", nothing)],
        ..Figure::default()
    };
    for (name, time, runs) in met.into_values() {
        let ns = time as f64 / runs as f64 - nothing;
        let known = [ENCAPSULATES, AT_TC, AT_XDP];
        let of = known.into_iter().find(|known| *known == name);
        figure.value += ns;
        figure.extras.push((of.unwrap_or("other"), ns));
    }
    Ok(figure)
}

/// Injects frames; returns the programs of vxnet that ran for them.
fn met(bed: &Bed, ports: Kind, pace: Pace) -> Result<Programs> {
    let before = programs()?;
    inject::frames(bed, ports, Frames::of(BYTES), pace)?;
    let mut met: Programs = programs()?
        .into_iter()
        .filter(|(_, (name, ..))| name.starts_with("vx_"))
        .map(|(id, (name, time, runs))| {
            let (_, old_time, old_runs) = before.get(&id).cloned().unwrap_or_default();
            (id, (name, time - old_time, runs - old_runs))
        })
        .collect();
    let most = met.values().map(|(_, _, runs)| *runs).max().unwrap_or(0);
    ensure!(most > 0, "no program of vxnet ran");
    met.retain(|_, (_, _, runs)| *runs as f64 > most as f64 * SHARE);
    Ok(met)
}

/// The injected frame.
fn inner(bed: &Bed, from: &Station, ports: Kind) -> Result<Vec<u8>> {
    let kind = if ports == Kind::Veth {
        ports
    } else {
        Kind::Mute
    };
    let to = bed.station(kind, 2)?;
    let macs = (from.address.mac, to.address.mac);
    Ok(frame::udp(macs, (from.address.v4, to.address.v4), BYTES))
}

/// The packet that the second host gets of it.
fn outer(bed: &Bed, far: &Netns, inner: &[u8]) -> Result<Vec<u8>> {
    let underlay = bed.underlay.as_ref().context("no hosts")?;
    let router = underlay.router.as_ref().context("no router")?;
    let macs = (link_mac(router, &router_link(2))?, link_mac(far, UPLINK)?);
    let vteps = (underlay.vtep(1), underlay.vtep(2));
    Ok(frame::vxlan(macs, vteps, vni(1), inner))
}

fn time(id: u32, hook: Hook, netns: &Netns, link: &str, frame: &[u8]) -> Result<f64> {
    time_of(&Program::with_id(id)?, hook, netns, link, frame)
        .with_context(|| format!("program {id} on {link}"))
}

fn time_empty(hook: Hook, netns: &Netns, frame: &[u8]) -> Result<f64> {
    // The link only has to exist.
    let link = if hook == Hook::Xdp { UPLINK } else { "lo" };
    time_of(&program::empty(hook)?, hook, netns, link, frame)
}

fn time_of(program: &Program, hook: Hook, netns: &Netns, link: &str, frame: &[u8]) -> Result<f64> {
    let id = program.id()?;
    let figures = || -> Result<(u64, u64)> {
        let (_, time, runs) = programs()?.remove(&id).context("the program is gone")?;
        Ok((time, runs))
    };
    let before = figures()?;
    netns.enter(|| -> Result<()> {
        machine::pin(machine::SENDER)?;
        let ifindex = if_nametoindex(link)?;
        (0..CALLS).try_for_each(|_| program.run(hook, ifindex, frame))
    })??;
    let after = figures()?;
    let (time, runs) = (after.0 - before.0, after.1 - before.1);
    Ok(time as f64 / runs.max(1) as f64)
}

/// What the kernel has counted of every program.
fn programs() -> Result<Programs> {
    let list = Cmd::line("bpftool -j prog show").json()?;
    let rows = list.as_array().context("bpftool printed no list")?;
    let program = |row: &serde_json::Value| {
        let id = u32::try_from(row["id"].as_u64()?).ok()?;
        let figure = |name: &str| row[name].as_u64().unwrap_or(0);
        let name = row["name"].as_str().unwrap_or_default().to_owned();
        Some((id, (name, figure("run_time_ns"), figure("run_cnt"))))
    };
    Ok(rows.iter().filter_map(program).collect())
}
