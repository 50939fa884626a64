//! vxnet itself: the ports' program on real links, and frames that really come in.
//!
//! The kernel takes the first tag of such a frame out and keeps it beside it. In a test run the tag
//! stays where it is, so every frame is let in both ways.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aya::maps::{Array, HashMap, Map, MapData};
use aya::programs::{SchedClassifier, TcAttachType, TestRun as _, TestRunOptions};
use aya::{Ebpf, EbpfLoader, Pod};
use nix::net::if_::if_nametoindex;
use nix::time::ClockId;
use vxnet_common::addr::VtepAddr;
use vxnet_common::map::{
    LAYOUT,
    fdb::{FdbEntry, FdbKey},
    local::Local,
    port::{Port, PortVlans},
    segment::{FloodKey, Segment},
    vlan::VlanKey,
};
use vxnet_tests::bpffs::Bpffs;
use vxnet_tests::netns::Netns;
use vxnet_tests::packet_socket::PacketSocket;
use vxnet_tests::scope::Scope;
use vxnet_tests::wait::eventually;

use crate::counts::{Counters, Counts};
use crate::layout::{Layout, PORTS};
use crate::outcome::{Outcome, Switch, lessons};
use crate::rows;

const PROGRAM: &str = "vx_port";
const PATIENCE: Duration = Duration::from_secs(10);
/// `struct __sk_buff` of `linux/bpf.h`: its size, and the offset of `ifindex`.
const SK_BUFF: usize = 192;
const SK_BUFF_IFINDEX: usize = 40;

/// The loaded program, its maps and the links.
pub(crate) struct Programs {
    ebpf: Ebpf,
    /// Ifindexes and far ends of the ports' links, by number.
    links: BTreeMap<u32, (u32, PacketSocket)>,
    layout: Option<Layout>,
    /// The FDB holds more than the stations that are known.
    touched: bool,
    ports: Array<MapData, Port>,
    port_vlans: Array<MapData, PortVlans>,
    port_slots: HashMap<MapData, u32, u32>,
    segments: Array<MapData, Segment>,
    vlans: HashMap<MapData, VlanKey, u32>,
    flood: HashMap<MapData, FloodKey, u32>,
    fdb: HashMap<MapData, FdbKey, FdbEntry>,
    counters: Counters,
}

/// Makes the ports' links, which say nothing by themselves.
pub(crate) fn links(scope: &Scope) -> Result<Netns> {
    let netns = Netns::create(scope, "ports")?;
    for section in ["all", "default"] {
        netns.sysctl(&format!("net.ipv6.conf.{section}.disable_ipv6"), "1")?;
    }
    let mut batch = String::new();
    for number in 1..=PORTS {
        writeln!(batch, "link add p{number} type veth peer name p{number}p")?;
        writeln!(batch, "link set p{number} up\nlink set p{number}p up")?;
    }
    netns.line("ip -batch -").stdin(batch).run()?;
    // The kernel gives the first end of a veth its queue after the command that brings the other
    // end up, and loses what is sent before.
    eventually(PATIENCE, || {
        let links = netns.ip("-o link show")?;
        for link in links.lines().filter(|link| !link.contains("LOOPBACK")) {
            ensure!(!link.contains("qdisc noop "), "no queue: {link}");
        }
        Ok(())
    })?;
    Ok(netns)
}

impl Programs {
    /// Loads the program and attaches it to the links of the namespace, which this thread is in.
    pub(crate) fn load(scope: &Scope, netns: &Netns) -> Result<Self> {
        let bpffs = Bpffs::mount(scope)?;
        let pins = bpffs.pin_directory("oracle");
        std::fs::create_dir_all(&pins)?;
        let mut ebpf = EbpfLoader::new()
            .default_map_pin_directory(&pins)
            .override_global("AYA_LOG_LEVEL", &0u8, false)
            .load(vxnet::host::object_bytes())?;
        let program: &mut SchedClassifier =
            ebpf.program_mut(PROGRAM).context(PROGRAM)?.try_into()?;
        program.load()?;
        let mut links = BTreeMap::new();
        for number in 1..=PORTS {
            let link = format!("p{number}");
            program.attach(&link, TcAttachType::Ingress)?;
            let far_end = PacketSocket::open(netns, &format!("{link}p"))?;
            links.insert(number, (if_nametoindex(link.as_str())?, far_end));
        }
        let mut local: Array<_, Local> = take(&mut ebpf, "LOCAL")?.try_into()?;
        let row = Local {
            layout: LAYOUT,
            resolver: 0,
            underlay: VtepAddr::v4([192, 0, 2, 1]),
            port: 4789,
            family: 4,
            pad: 0,
            detour: 0,
            name: [0; 32],
        };
        local.set(0, row, 0)?;
        Ok(Self {
            links,
            layout: None,
            touched: true,
            ports: take(&mut ebpf, "PORTS")?.try_into()?,
            port_vlans: take(&mut ebpf, "PORT_VLANS")?.try_into()?,
            port_slots: take(&mut ebpf, "PORT_SLOTS")?.try_into()?,
            segments: take(&mut ebpf, "SEGMENTS")?.try_into()?,
            vlans: take(&mut ebpf, "VLANS")?.try_into()?,
            flood: take(&mut ebpf, "FLOOD")?.try_into()?,
            fdb: take(&mut ebpf, "FDB")?.try_into()?,
            counters: Counters {
                stats: take(&mut ebpf, "PORT_STATS")?.try_into()?,
                drops: take(&mut ebpf, "DROPS")?.try_into()?,
            },
            ebpf,
        })
    }

    fn layout(&self) -> Result<&Layout> {
        self.layout.as_ref().context("not configured")
    }

    /// Makes the FDB what the layout says.
    fn teach(&mut self) -> Result<()> {
        if self.touched {
            clear(&mut self.fdb)?;
            for (key, row) in rows::stations(self.layout()?, now()?) {
                self.fdb.insert(key, row, 0)?;
            }
            self.touched = false;
        }
        Ok(())
    }

    /// Reads what has arrived at the far ends.
    fn arrived(&self, delivered: &mut BTreeMap<u32, Vec<Vec<u8>>>) -> Result<u64> {
        let mut count = 0;
        for (number, (_, far_end)) in &self.links {
            for frame in far_end.collect(Duration::ZERO, |_| true)? {
                delivered.entry(*number).or_default().push(frame);
                count += 1;
            }
        }
        Ok(count)
    }

    /// Lets a frame in by a test run, with its tag in it, and returns what was counted.
    /// The kernel does not carry out the last redirect.
    fn test_run(&self, port: u32, frame: &[u8]) -> Result<Counts> {
        let before = self.counters.read()?;
        let mut context = [0; SK_BUFF];
        context[SK_BUFF_IFINDEX..][..4].copy_from_slice(&self.links[&port].0.to_ne_bytes());
        let mut out = vec![0; frame.len() + 256];
        let program: &SchedClassifier = self.ebpf.program(PROGRAM).context(PROGRAM)?.try_into()?;
        program.test_run(TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut out),
            ctx_in: Some(&context),
            ..TestRunOptions::default()
        })?;
        let counts = self.counters.read()?.since(&before);
        let mut seen = 0;
        eventually(PATIENCE, || {
            seen += self.arrived(&mut BTreeMap::new())?;
            ensure!(seen == counts.replicas, "{seen} copies of {counts:?}");
            Ok(())
        })?;
        Ok(counts)
    }
}

impl Switch for Programs {
    fn configure(&mut self, layout: &Layout) -> Result<()> {
        clear(&mut self.vlans)?;
        clear(&mut self.flood)?;
        let rows = rows::of(layout, now()?);
        for (slot, row) in rows.ports {
            let ifindex = self.links[&slot].0;
            self.ports.set(slot, Port { ifindex, ..row }, 0)?;
            self.port_slots.insert(ifindex, slot, 0)?;
        }
        for (slot, row) in rows.port_vlans {
            self.port_vlans.set(slot, row, 0)?;
        }
        for (slot, row) in rows.segments {
            self.segments.set(slot, row, 0)?;
        }
        for (key, slot) in rows.vlans {
            self.vlans.insert(key, slot, 0)?;
        }
        for (key, slot) in rows.flood {
            self.flood.insert(key, slot, 0)?;
        }
        self.layout = Some(layout.clone());
        self.touched = true;
        Ok(())
    }

    fn receive(&mut self, port: u32, frame: &[u8]) -> Result<Outcome> {
        self.teach()?;
        let early = self.arrived(&mut BTreeMap::new())?;
        ensure!(early == 0, "{early} frames more than were counted");
        let before = self.counters.read()?;
        self.links[&port].1.send(frame)?;
        let mut delivered = BTreeMap::new();
        let mut found = 0;
        let counts = eventually(PATIENCE, || {
            found += self.arrived(&mut delivered)?;
            let counts = self.counters.read()?.since(&before);
            let sent: u64 = counts.tx.values().sum();
            let dropped: u64 = counts.drops.values().sum();
            ensure!(
                counts.rx == 1 && 1 + counts.replicas == sent + dropped && found == sent,
                "one frame in, {found} out, but {counts:?}"
            );
            Ok(counts)
        })?;
        let mut table = BTreeMap::new();
        for row in &self.fdb {
            let (key, row) = row?;
            table.insert(rows::meaning(&key), row.slot);
        }
        let learned = lessons(&self.layout()?.stations, &table);
        self.touched = !learned.is_empty();
        self.teach()?;
        let inside = self.test_run(port, frame)?;
        ensure!(
            inside == counts,
            "with its tag in the frame {inside:?}, beside it {counts:?}"
        );
        self.touched = !learned.is_empty();
        Ok(Outcome {
            delivered,
            learned,
            reason: counts.drops.into_keys().next(),
        })
    }
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map> {
    ebpf.take_map(name)
        .with_context(|| format!("no map {name}"))
}

fn clear<K: Pod, V: Pod>(map: &mut HashMap<MapData, K, V>) -> Result<()> {
    let keys: Vec<K> = map.keys().collect::<Result<_, _>>()?;
    for key in keys {
        map.remove(&key)?;
    }
    Ok(())
}

/// The clock that the program stamps rows with, in nanoseconds.
fn now() -> Result<u64> {
    let now = nix::time::clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE)?;
    Ok(u64::try_from(now.tv_sec())? * 1_000_000_000 + u64::try_from(now.tv_nsec())?)
}
