//! A namespace with the links of the fabric, the loaded programs and their maps.

use std::{collections::BTreeMap, sync::Mutex, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, HashMap, Map, MapData, RingBuf},
    programs::{
        SchedClassifier, TcAttachType, Xdp, XdpMode, tc::SchedClassifierLinkId, xdp::XdpLinkId,
    },
};
use nix::{net::if_::if_nametoindex, time::ClockId};
use vxnet::state::{DETOUR, DETOUR_END};
use vxnet_common::addr::VtepAddr;
use vxnet_common::event::Event;
use vxnet_common::map::{
    allowed::AllowedKey,
    dropped::Dropped,
    fdb::{FdbEntry, FdbKey},
    holder::{HeldKey, Holder},
    local::Local,
    neighbour::{Neighbour, NeighbourKey},
    port::{Port, PortVlans},
    segment::{FloodKey, Segment},
    vlan::VlanKey,
    vtep::Vtep,
    whole,
};
use vxnet_tests::{
    bpffs::Bpffs, netns::Netns, packet_socket::PacketSocket, scope::Scope, wait::eventually,
};

use crate::counters::{Counters, Counts};
use crate::fabric::{Family, LINKS, UPLINK};
use crate::links::{self, PATIENCE, is_bridge};
use crate::outcome::{Fdb, Receiver, Row};
use crate::rows;

/// The link behind the uplink: the underlay.
const UNDERLAY: &str = "ulp";

/// Worlds that are not in use: the verifier takes a second for each.
static IDLE: Mutex<Vec<World>> = Mutex::new(Vec::new());

/// Everything that a case runs in.
pub(crate) struct World {
    pub(crate) family: Family,
    net: Option<Net>,
    ebpf: Ebpf,
    pub(crate) counters: Counters,
    pub(crate) local: Array<MapData, Local>,
    pub(crate) port_slots: HashMap<MapData, u32, u32>,
    pub(crate) ports: Array<MapData, Port>,
    pub(crate) port_vlans: Array<MapData, PortVlans>,
    pub(crate) allowed: HashMap<MapData, AllowedKey, u32>,
    pub(crate) segments: Array<MapData, Segment>,
    pub(crate) vnis: HashMap<MapData, u32, u32>,
    pub(crate) vlans: HashMap<MapData, VlanKey, u32>,
    pub(crate) flood: HashMap<MapData, FloodKey, u32>,
    pub(crate) vteps: Array<MapData, Vtep>,
    pub(crate) vtep_slots: HashMap<MapData, VtepAddr, u32>,
    pub(crate) fdb: HashMap<MapData, FdbKey, FdbEntry>,
    /// Rows that the FDB has before each frame, besides the fabric's.
    pub(crate) more_fdb: Vec<(FdbKey, FdbEntry)>,
    pub(crate) holders: Array<MapData, Holder>,
    pub(crate) held: HashMap<MapData, HeldKey, FdbKey>,
    pub(crate) neighbours: HashMap<MapData, NeighbourKey, Neighbour>,
    pub(crate) reserved: HashMap<MapData, NeighbourKey, u32>,
    pub(crate) last_drops: Array<MapData, Dropped>,
    whole: Array<MapData, u64>,
    pub(crate) events: RingBuf<MapData>,
}

/// The links, and what comes out of them.
struct Net {
    /// By slot of `PORTS`, from 1.
    ifindexes: Vec<u32>,
    receivers: BTreeMap<Receiver, PacketSocket>,
    underlay: PacketSocket,
    /// Ifindex of the link to the detour.
    detour: u32,
    xdp: XdpLinkId,
    tc: SchedClassifierLinkId,
    detour_end: SchedClassifierLinkId,
}

/// Runs `work` inside a world with an underlay of a family.
pub(crate) fn with<T: Send>(
    family: Family,
    work: impl FnOnce(&mut World) -> Result<T> + Send,
) -> Result<T> {
    let scope = Scope::open("dp")?;
    let idle = IDLE.lock().expect("no panic while locked").pop();
    let world = match idle {
        Some(world) => world,
        None => World::load(&scope, None)?,
    };
    let (world, result) = run(&scope, world, family, work)?;
    IDLE.lock().expect("no panic while locked").push(world);
    result
}

/// As [`with`], but the FDB has room for a few rows only.
pub(crate) fn with_small_fdb<T: Send>(
    family: Family,
    rows: u32,
    work: impl FnOnce(&mut World) -> Result<T> + Send,
) -> Result<T> {
    let scope = Scope::open("dp")?;
    let world = World::load(&scope, Some(rows))?;
    run(&scope, world, family, work)?.1
}

/// Runs `work` inside a world on links of its own.
fn run<T: Send>(
    scope: &Scope,
    mut world: World,
    family: Family,
    work: impl FnOnce(&mut World) -> Result<T> + Send,
) -> Result<(World, Result<T>)> {
    let netns = links::make(scope)?;
    let inside = &netns;
    netns.enter(move || -> Result<_> {
        world.enter(inside, family)?;
        let result = work(&mut world);
        world.leave()?;
        Ok((world, result))
    })?
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map> {
    ebpf.take_map(name)
        .with_context(|| format!("no map {name}"))
}

impl World {
    /// Loads the programs; their maps are nobody else's.
    fn load(scope: &Scope, fdb_rows: Option<u32>) -> Result<Self> {
        let bpffs = Bpffs::mount(scope)?;
        let pins = bpffs.pin_directory("dp");
        std::fs::create_dir_all(&pins)?;
        let mut loader = EbpfLoader::new();
        loader
            .default_map_pin_directory(&pins)
            .override_global("AYA_LOG_LEVEL", &0u8, false);
        if let Some(rows) = fdb_rows {
            loader.map_max_entries("FDB", rows);
        }
        let mut ebpf = loader.load(vxnet::host::object_bytes())?;
        for name in ["vx_detour", "vx_port", "vx_resolve", "vx_uplink"] {
            let program: &mut SchedClassifier = ebpf.program_mut(name).context(name)?.try_into()?;
            program.load().context(name)?;
        }
        let program: &mut Xdp = ebpf
            .program_mut("vx_uplink_xdp")
            .context("XDP")?
            .try_into()?;
        program.load().context("vx_uplink_xdp")?;
        Ok(Self {
            family: Family::V4,
            net: None,
            counters: Counters {
                ports: take(&mut ebpf, "PORT_STATS")?.try_into()?,
                vteps: take(&mut ebpf, "VTEP_STATS")?.try_into()?,
                drops: take(&mut ebpf, "DROPS")?.try_into()?,
            },
            local: take(&mut ebpf, "LOCAL")?.try_into()?,
            port_slots: take(&mut ebpf, "PORT_SLOTS")?.try_into()?,
            ports: take(&mut ebpf, "PORTS")?.try_into()?,
            port_vlans: take(&mut ebpf, "PORT_VLANS")?.try_into()?,
            allowed: take(&mut ebpf, "ALLOWED")?.try_into()?,
            segments: take(&mut ebpf, "SEGMENTS")?.try_into()?,
            vnis: take(&mut ebpf, "VNIS")?.try_into()?,
            vlans: take(&mut ebpf, "VLANS")?.try_into()?,
            flood: take(&mut ebpf, "FLOOD")?.try_into()?,
            vteps: take(&mut ebpf, "VTEPS")?.try_into()?,
            vtep_slots: take(&mut ebpf, "VTEP_SLOTS")?.try_into()?,
            fdb: take(&mut ebpf, "FDB")?.try_into()?,
            more_fdb: Vec::new(),
            holders: take(&mut ebpf, "HOLDERS")?.try_into()?,
            held: take(&mut ebpf, "HELD")?.try_into()?,
            neighbours: take(&mut ebpf, "NEIGHBOURS")?.try_into()?,
            reserved: take(&mut ebpf, "RESERVED")?.try_into()?,
            last_drops: take(&mut ebpf, "LAST_DROPS")?.try_into()?,
            whole: take(&mut ebpf, "WHOLE")?.try_into()?,
            events: take(&mut ebpf, "EVENTS")?.try_into()?,
            ebpf,
        })
    }

    /// Takes possession of the links of a namespace, which this thread is in.
    fn enter(&mut self, netns: &Netns, family: Family) -> Result<()> {
        let mut receivers = BTreeMap::new();
        for (slot, link) in (1..).zip(LINKS) {
            if slot != UPLINK {
                let far = if is_bridge(slot) {
                    link.to_owned()
                } else {
                    format!("{link}p")
                };
                receivers.insert(Receiver::Port(slot), PacketSocket::open(netns, &far)?);
            }
        }
        // TEST_RUN of XDP wants a link whose driver runs it; the frames that XDP strips go on to TC
        // for real, because only the kernel can carry the metadata over.
        let program: &mut Xdp = self
            .ebpf
            .program_mut("vx_uplink_xdp")
            .context("XDP")?
            .try_into()?;
        let xdp = program.attach("ul", XdpMode::Driver)?;
        let program: &mut SchedClassifier = self
            .ebpf
            .program_mut("vx_uplink")
            .context("uplink")?
            .try_into()?;
        let tc = program.attach("ul", TcAttachType::Ingress)?;
        let program: &mut SchedClassifier = self
            .ebpf
            .program_mut("vx_detour")
            .context("detour")?
            .try_into()?;
        let detour_end = program.attach(DETOUR_END, TcAttachType::Ingress)?;
        self.family = family;
        self.net = Some(Net {
            detour: if_nametoindex(DETOUR)?,
            detour_end,
            ifindexes: LINKS
                .into_iter()
                .map(if_nametoindex)
                .collect::<Result<_, _>>()?,
            receivers,
            underlay: PacketSocket::open(netns, UNDERLAY)?,
            xdp,
            tc,
        });
        rows::fill(self)
    }

    /// Lets go of the links.
    fn leave(&mut self) -> Result<()> {
        let net = self.net.take().context("not in any namespace")?;
        let program: &mut Xdp = self
            .ebpf
            .program_mut("vx_uplink_xdp")
            .context("XDP")?
            .try_into()?;
        program.detach(net.xdp)?;
        let program: &mut SchedClassifier = self
            .ebpf
            .program_mut("vx_uplink")
            .context("uplink")?
            .try_into()?;
        program.detach(net.tc)?;
        let program: &mut SchedClassifier = self
            .ebpf
            .program_mut("vx_detour")
            .context("detour")?
            .try_into()?;
        Ok(program.detach(net.detour_end)?)
    }

    /// Runs the ports' program on the link in a slot of `PORTS` for real.
    pub(crate) fn attach_port(&mut self, slot: u32) -> Result<SchedClassifierLinkId> {
        let program: &mut SchedClassifier = self
            .ebpf
            .program_mut("vx_port")
            .context("port")?
            .try_into()?;
        let link = LINKS[slot as usize - 1];
        // A child of another thread, not yet at its exec, may hold the last attachment a moment.
        eventually(
            PATIENCE,
            || Ok(program.attach(link, TcAttachType::Ingress)?),
        )
    }

    /// Undoes [`World::attach_port`].
    pub(crate) fn detach_port(&mut self, link: SchedClassifierLinkId) -> Result<()> {
        let program: &mut SchedClassifier = self
            .ebpf
            .program_mut("vx_port")
            .context("port")?
            .try_into()?;
        Ok(program.detach(link)?)
    }

    fn net(&self) -> &Net {
        self.net
            .as_ref()
            .expect("cases run between `enter` and `leave`")
    }

    /// What leaves the switch by the local ports.
    pub(crate) fn receivers(&self) -> &BTreeMap<Receiver, PacketSocket> {
        &self.net().receivers
    }

    /// The other end of the uplink.
    pub(crate) fn underlay(&self) -> &PacketSocket {
        &self.net().underlay
    }

    pub(crate) fn classifier(&self, name: &str) -> Result<&SchedClassifier> {
        Ok(self
            .ebpf
            .program(name)
            .context("no such program")?
            .try_into()?)
    }

    pub(crate) fn xdp(&self) -> Result<&Xdp> {
        let program = self.ebpf.program("vx_uplink_xdp");
        Ok(program.context("no XDP program")?.try_into()?)
    }

    /// The ifindex of the link in a slot of `PORTS`.
    pub(crate) fn ifindex(&self, slot: u32) -> u32 {
        self.net().ifindexes[slot as usize - 1]
    }

    /// Ifindex of the link to the detour.
    pub(crate) fn detour(&self) -> Result<u32> {
        Ok(self.net.as_ref().context("not in any namespace")?.detour)
    }

    pub(crate) fn counts(&self) -> Result<Counts> {
        self.counters.read()
    }

    /// Pretends that the last packet of a flow that comes in super-packets came at that time.
    pub(crate) fn set_whole(&mut self, vtep: u32, source_port: u16, time: u64) -> Result<()> {
        Ok(self.whole.set(whole::row(vtep, source_port), time, 0)?)
    }

    /// When the last packet came of a flow that comes in super-packets.
    pub(crate) fn whole(&self, vtep: u32, source_port: u16) -> Result<u64> {
        Ok(self.whole.get(&whole::row(vtep, source_port), 0)?)
    }

    /// The events since the last look.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(item) = self.events.next() {
            assert_eq!(item.len(), size_of::<Event>(), "an event of another size");
            // SAFETY: an event is made of integers and arrays of them, and there are as many bytes.
            events.push(unsafe { item.as_ptr().cast::<Event>().read_unaligned() });
        }
        events
    }

    /// The FDB without its clocks.
    pub(crate) fn fdb(&self) -> Result<Fdb> {
        let mut rows = Fdb::new();
        for row in &self.fdb {
            let (key, entry) = row?;
            rows.insert((key.segment, key.mac), (entry.place, entry.slot));
        }
        Ok(rows)
    }

    /// The rows of the FDB that are new or changed since.
    pub(crate) fn learned(&self, before: &Fdb) -> Result<Vec<Row>> {
        let now = self.fdb()?;
        ensure!(
            before.keys().all(|key| now.contains_key(key)),
            "a row of the FDB is gone"
        );
        Ok(now
            .into_iter()
            .filter(|(key, row)| before.get(key) != Some(row))
            .collect())
    }
}

/// The clock that the programs stamp rows with, in nanoseconds.
pub(crate) fn now() -> Result<u64> {
    let now = nix::time::clock_gettime(ClockId::CLOCK_MONOTONIC_COARSE)?;
    Ok(u64::try_from(now.tv_sec())? * 1_000_000_000 + u64::try_from(now.tv_nsec())?)
}

/// Waits a little for what is on its way through a veth.
pub(crate) fn settle() {
    thread::sleep(Duration::from_millis(20));
}
