//! A namespace with the links of the fabric, the loaded programs and their maps.

use std::{collections::BTreeMap, fmt::Write as _, sync::Mutex, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, HashMap, Map, MapData, PerCpuValues},
    programs::{
        SchedClassifier, TcAttachType, Xdp, XdpMode, tc::SchedClassifierLinkId, xdp::XdpLinkId,
    },
};
use nix::{net::if_::if_nametoindex, time::ClockId};
use vxnet::state::{GRO_END, GRO_LINK};
use vxnet_common::addr::VtepAddr;
use vxnet_common::map::{
    fdb::{FdbEntry, FdbKey},
    local::Local,
    port::Port,
    segment::{FloodKey, Segment},
    stats::VtepStats,
    vtep::Vtep,
};
use vxnet_tests::{
    bpffs::Bpffs, netns::Netns, packet_socket::PacketSocket, scope::Scope, wait::eventually,
};

use crate::counters::{Counters, Counts};
use crate::fabric::{
    Family, GATEWAY_MAC, GATEWAY_RED_MAC, HOST, HOST_RED, LINKS, UPLINK, UPLINK_MAC,
};
use crate::outcome::{Fdb, Receiver, Row};
use crate::rows;

/// The link behind the uplink: the underlay.
const UNDERLAY: &str = "ulp";

/// How long the kernel may take to bring the links up.
const PATIENCE: Duration = Duration::from_secs(30);

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
    pub(crate) segments: Array<MapData, Segment>,
    pub(crate) vnis: HashMap<MapData, u32, u32>,
    pub(crate) flood: HashMap<MapData, FloodKey, u32>,
    pub(crate) vteps: Array<MapData, Vtep>,
    pub(crate) vtep_slots: HashMap<MapData, VtepAddr, u32>,
    pub(crate) fdb: HashMap<MapData, FdbKey, FdbEntry>,
}

/// The links, and what comes out of them.
struct Net {
    /// By slot of `PORTS`, from 1.
    ifindexes: Vec<u32>,
    receivers: BTreeMap<Receiver, PacketSocket>,
    underlay: PacketSocket,
    /// Ifindex of the GRO link.
    gro: u32,
    xdp: XdpLinkId,
    tc: SchedClassifierLinkId,
    gro_end: SchedClassifierLinkId,
}

/// Runs `work` inside a world with an underlay of a family.
pub(crate) fn with<T: Send>(
    family: Family,
    work: impl FnOnce(&mut World) -> Result<T> + Send,
) -> Result<T> {
    let scope = Scope::open("dp")?;
    let netns = links(&scope)?;
    let idle = IDLE.lock().expect("no panic while locked").pop();
    let mut world = match idle {
        Some(world) => world,
        None => World::load(&scope)?,
    };
    let inside = &netns;
    let (world, result) = netns.enter(move || -> Result<_> {
        world.enter(inside, family)?;
        let result = work(&mut world);
        world.leave()?;
        Ok((world, result))
    })??;
    IDLE.lock().expect("no panic while locked").push(world);
    result
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map> {
    ebpf.take_map(name)
        .with_context(|| format!("no map {name}"))
}

fn is_bridge(slot: u32) -> bool {
    matches!(slot, HOST | HOST_RED)
}

/// Makes a namespace with all links, none of which says anything by itself.
fn links(scope: &Scope) -> Result<Netns> {
    let netns = Netns::create(scope, "dp")?;
    for section in ["all", "default"] {
        netns.sysctl(&format!("net.ipv6.conf.{section}.disable_ipv6"), "1")?;
    }
    let mut batch = String::new();
    for (slot, link) in (1..).zip(LINKS) {
        if is_bridge(slot) {
            let mac = if slot == HOST {
                GATEWAY_MAC
            } else {
                GATEWAY_RED_MAC
            };
            let mac = vxnet_common::addr::Mac(mac);
            writeln!(
                batch,
                "link add {link} address {mac} up type bridge mcast_snooping 0"
            )?;
        } else {
            writeln!(batch, "link add {link} type veth peer name {link}p")?;
            writeln!(batch, "link set {link} up\nlink set {link}p up")?;
        }
    }
    let mac = vxnet_common::addr::Mac(UPLINK_MAC);
    // Room for a full-sized frame with its outer header.
    write!(
        batch,
        "link set ul address {mac} mtu 1600\nlink set ulp mtu 1600\n"
    )?;
    writeln!(
        batch,
        "link add {GRO_LINK} mtu 1600 type veth peer name {GRO_END} mtu 1600\n\
         link set {GRO_LINK} up\nlink set {GRO_END} up"
    )?;
    netns.line("ip -batch -").stdin(batch).run()?;
    netns
        .line(&format!("ethtool -K {GRO_LINK} tso off"))
        .run()?;
    netns.line(&format!("ethtool -K {GRO_END} gro on")).run()?;
    await_queues(&netns)?;
    Ok(netns)
}

/// Waits until frames can leave by every link: the kernel gives the first end of a veth its queue
/// after the command that brings the other end up, and loses what is sent before.
fn await_queues(netns: &Netns) -> Result<()> {
    eventually(PATIENCE, || {
        let links = netns.ip("-o link show")?;
        for link in links.lines().filter(|link| !link.contains("LOOPBACK")) {
            ensure!(!link.contains("qdisc noop "), "no queue: {link}");
        }
        Ok(())
    })
}

impl World {
    /// Loads the programs; their maps are nobody else's.
    fn load(scope: &Scope) -> Result<Self> {
        let bpffs = Bpffs::mount(scope)?;
        let pins = bpffs.pin_directory("dp");
        std::fs::create_dir_all(&pins)?;
        let mut ebpf = EbpfLoader::new()
            .default_map_pin_directory(&pins)
            .override_global("AYA_LOG_LEVEL", &0u8, false)
            .load(vxnet::host::object_bytes())?;
        for name in ["vx_gro", "vx_port", "vx_resolve", "vx_uplink"] {
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
            segments: take(&mut ebpf, "SEGMENTS")?.try_into()?,
            vnis: take(&mut ebpf, "VNIS")?.try_into()?,
            flood: take(&mut ebpf, "FLOOD")?.try_into()?,
            vteps: take(&mut ebpf, "VTEPS")?.try_into()?,
            vtep_slots: take(&mut ebpf, "VTEP_SLOTS")?.try_into()?,
            fdb: take(&mut ebpf, "FDB")?.try_into()?,
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
        let program: &mut SchedClassifier =
            self.ebpf.program_mut("vx_gro").context("GRO")?.try_into()?;
        let gro_end = program.attach(GRO_END, TcAttachType::Ingress)?;
        self.family = family;
        self.net = Some(Net {
            gro: if_nametoindex(GRO_LINK)?,
            gro_end,
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
        let program: &mut SchedClassifier =
            self.ebpf.program_mut("vx_gro").context("GRO")?.try_into()?;
        Ok(program.detach(net.gro_end)?)
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

    /// Ifindex of the GRO link.
    pub(crate) fn gro(&self) -> Result<u32> {
        Ok(self.net.as_ref().context("not in any namespace")?.gro)
    }

    pub(crate) fn counts(&self) -> Result<Counts> {
        self.counters.read()
    }

    /// The FDB without its clocks.
    /// Pretends that the last super-packet of a peer came whole at that time.
    pub(crate) fn set_last_whole(&mut self, vtep: u32, time: u64) -> Result<()> {
        let vteps = &mut self.counters.vteps;
        let rows = vteps.get(&vtep, 0)?;
        let rows = rows.iter().map(|row| VtepStats {
            last_whole_tcp: time,
            last_whole_other: time,
            ..*row
        });
        let rows = PerCpuValues::try_from(rows.collect::<Vec<_>>())?;
        Ok(vteps.set(vtep, rows, 0)?)
    }

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
