//! Filling the table of addresses, and what the maps weigh.

use std::fs;
use std::net::IpAddr;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use aya::maps::{HashMap, Map, MapData};
use vxnet_common::addr::{Mac, VtepAddr};
use vxnet_common::map::fdb::{FdbEntry, FdbKey, origin, place};

/// As many as fit, but for what the host itself and the guests need.
pub(crate) const ADDRESSES: u32 = 1_030_000;

/// Addresses at a peer, spread over all networks.
pub(crate) struct Loaded {
    /// VNIs, in the order in which they got addresses.
    vnis: Vec<u32>,
}

impl Loaded {
    /// Fills the table.
    pub(crate) fn load(pins: &Path, peer: IpAddr) -> Result<Self> {
        let vteps = HashMap::<_, VtepAddr, u32>::try_from(Map::HashMap(open(pins, "VTEP_SLOTS")?))?;
        let vtep = vteps.get(&VtepAddr::from(peer), 0)?;
        let vnis = HashMap::<_, u32, u32>::try_from(Map::HashMap(open(pins, "VNIS")?))?;
        let segments: Vec<(u32, u32)> = vnis.iter().collect::<Result<_, _>>()?;
        let mut fdb = HashMap::<_, FdbKey, FdbEntry>::try_from(Map::HashMap(open(pins, "FDB")?))?;
        let row = FdbEntry::fixed(place::VTEP, vtep, origin::MANUAL);
        for (number, (_, segment)) in (0..ADDRESSES).zip(segments.iter().cycle()) {
            fdb.insert(FdbKey::new(*segment, Mac(mac(number))), row, 0)
                .with_context(|| format!("address {number}"))?;
        }
        let vnis = segments.into_iter().map(|(vni, _)| vni).collect();
        Ok(Self { vnis })
    }

    /// One of the addresses of a VNI.
    pub(crate) fn address(&self, vni: u32) -> [u8; 6] {
        let first = self.vnis.iter().position(|other| *other == vni);
        let first = first.expect("every network has addresses");
        mac(u32::try_from(first + 100 * self.vnis.len()).expect("a million"))
    }
}

/// Address number so many.
fn mac(number: u32) -> [u8; 6] {
    let [a, b, c, d] = number.to_be_bytes();
    [0x02, 0x88, a, b, c, d]
}

/// The memory of all pinned maps, in bytes (`memlock` of their descriptors, as `bpf_map_show_fdinfo`
/// says it).
pub(crate) fn memory(pins: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(pins.join("maps"))? {
        let map = MapData::from_pin(entry?.path())?;
        let fd = map.fd().as_fd().as_raw_fd();
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}"))?;
        let line = info.lines().find_map(|line| line.strip_prefix("memlock:"));
        bytes += line.context("no memlock")?.trim().parse::<u64>()?;
    }
    Ok(bytes)
}

fn open(pins: &Path, name: &str) -> Result<MapData> {
    let path = pins.join("maps").join(name);
    MapData::from_pin(&path).with_context(|| path.display().to_string())
}
