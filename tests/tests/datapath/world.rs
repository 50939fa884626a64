//! A namespace with the links of the fabric, the loaded programs and their maps.

use std::{collections::BTreeMap, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, HashMap, Map, MapData},
    programs::{SchedClassifier, TcAttachType, Xdp, XdpMode},
};
use nix::{net::if_::if_nametoindex, time::ClockId};
use vxnet_common::map::{
    fdb::{FdbEntry, FdbKey},
    local::Local,
    port::Port,
    segment::{FloodKey, Segment},
    vtep::Vtep,
};
use vxnet_tests::{bpffs::Bpffs, netns::Netns, packet_socket::PacketSocket, scope::Scope};

use crate::counters::{Counters, Counts};
use crate::fabric::{
    Family, GATEWAY_MAC, GATEWAY_RED_MAC, HOST, HOST_RED, LINKS, UPLINK, UPLINK_MAC,
};
use crate::outcome::{Receiver, Row};
use crate::rows;

/// The link behind the uplink: the underlay.
const UNDERLAY: &str = "ulp";

/// Everything that a case runs in.
pub(crate) struct World {
    pub(crate) family: Family,
    pub(crate) ifindexes: Vec<u32>,
    ebpf: Ebpf,
    pub(crate) counters: Counters,
    pub(crate) local: Array<MapData, Local>,
    pub(crate) port_slots: HashMap<MapData, u32, u32>,
    pub(crate) ports: Array<MapData, Port>,
    pub(crate) segments: Array<MapData, Segment>,
    pub(crate) vnis: HashMap<MapData, u32, u32>,
    pub(crate) flood: HashMap<MapData, FloodKey, u32>,
    pub(crate) vteps: Array<MapData, Vtep>,
    pub(crate) vtep_slots: HashMap<MapData, [u8; 16], u32>,
    pub(crate) fdb: HashMap<MapData, FdbKey, FdbEntry>,
    /// What leaves the switch by each local port, and by the uplink.
    pub(crate) receivers: BTreeMap<Receiver, PacketSocket>,
    pub(crate) underlay: PacketSocket,
}

/// Builds a world for an underlay family, and runs `work` inside it.
pub(crate) fn with<T: Send>(
    family: Family,
    work: impl FnOnce(&mut World) -> Result<T> + Send,
) -> Result<T> {
    let scope = Scope::open("dp")?;
    let netns = links(&scope)?;
    let bpffs = Bpffs::mount(&scope)?;
    let pins = bpffs.pin_directory("dp");
    std::fs::create_dir_all(&pins)?;
    let mut receivers = BTreeMap::new();
    for (slot, link) in (1..).zip(LINKS) {
        if slot != UPLINK {
            let far = if is_bridge(slot) {
                link.to_owned()
            } else {
                format!("{link}p")
            };
            receivers.insert(Receiver::Port(slot), PacketSocket::open(&netns, &far)?);
        }
    }
    let underlay = PacketSocket::open(&netns, UNDERLAY)?;
    netns.enter(|| {
        let mut ebpf = EbpfLoader::new()
            .default_map_pin_directory(&pins)
            .override_global("AYA_LOG_LEVEL", &0u8, false)
            .load(vxnet::host::object_bytes())?;
        let ifindexes = LINKS
            .map(if_nametoindex)
            .into_iter()
            .collect::<Result<_, _>>()?;
        for name in ["vx_port", "vx_resolve", "vx_uplink"] {
            let program: &mut SchedClassifier = ebpf.program_mut(name).context(name)?.try_into()?;
            program.load().context(name)?;
        }
        let program: &mut Xdp = ebpf
            .program_mut("vx_uplink_xdp")
            .context("XDP")?
            .try_into()?;
        program.load().context("vx_uplink_xdp")?;
        // TEST_RUN of XDP wants a link whose driver runs it; the frames that XDP strips go on to TC
        // for real, because only the kernel can carry the metadata over.
        program.attach("ul", XdpMode::Driver)?;
        let program: &mut SchedClassifier = ebpf
            .program_mut("vx_uplink")
            .context("uplink")?
            .try_into()?;
        program.attach("ul", TcAttachType::Ingress)?;
        let mut world = World {
            family,
            ifindexes,
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
            receivers,
            underlay,
        };
        rows::fill(&mut world)?;
        work(&mut world)
    })?
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
            batch += &format!("link add {link} address {mac} up type bridge mcast_snooping 0\n");
        } else {
            batch += &format!("link add {link} type veth peer name {link}p\n");
            batch += &format!("link set {link} up\nlink set {link}p up\n");
        }
    }
    let mac = vxnet_common::addr::Mac(UPLINK_MAC);
    batch += &format!("link set ul address {mac}\n");
    netns.line("ip -batch -").stdin(batch).run()?;
    Ok(netns)
}

impl World {
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
        self.ifindexes[slot as usize - 1]
    }

    pub(crate) fn counts(&self) -> Result<Counts> {
        self.counters.read()
    }

    /// The FDB without its clocks.
    pub(crate) fn fdb(&self) -> Result<BTreeMap<(u32, [u8; 6]), (u8, u32)>> {
        let mut rows = BTreeMap::new();
        for row in self.fdb.iter() {
            let (key, entry) = row?;
            rows.insert((key.segment, key.mac), (entry.place, entry.slot));
        }
        Ok(rows)
    }

    /// The rows of the FDB that are new or changed since.
    pub(crate) fn learned(&self, before: &BTreeMap<(u32, [u8; 6]), (u8, u32)>) -> Result<Vec<Row>> {
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
