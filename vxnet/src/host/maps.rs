//! The pinned maps, typed: read by the CLI also when no daemon runs, written by the daemon.

mod counters;

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};
use aya::{
    Pod,
    maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray},
};
use nix::unistd::Uid;
use vxnet_common::{
    addr::VtepAddr,
    map::{
        LAYOUT,
        allowed::AllowedKey,
        dropped::{self, Dropped},
        fdb::{FdbEntry, FdbKey},
        holder::{HeldKey, Holder},
        local::Local,
        neighbour::{Neighbour, NeighbourKey},
        port::{Port, PortVlans},
        segment::{FloodKey, Segment},
        stats::{Drops, PortStats, VtepStats},
        vlan::VlanKey,
        vtep::Vtep,
    },
    reason::Reason,
};

use super::{Paths, batch};

/// All pinned maps.
pub struct Maps {
    pub(super) local: Array<MapData, Local>,
    pub(super) port_slots: HashMap<MapData, u32, u32>,
    pub(super) ports: Array<MapData, Port>,
    pub(super) port_vlans: Array<MapData, PortVlans>,
    pub(super) allowed: HashMap<MapData, AllowedKey, u32>,
    pub(super) last_drops: Array<MapData, Dropped>,
    pub(super) vlans: HashMap<MapData, VlanKey, u32>,
    pub(super) holders: Array<MapData, Holder>,
    pub(super) held: HashMap<MapData, HeldKey, FdbKey>,
    pub(super) neighbours: HashMap<MapData, NeighbourKey, Neighbour>,
    pub(super) reserved: HashMap<MapData, NeighbourKey, u32>,
    pub(super) port_stats: PerCpuArray<MapData, PortStats>,
    pub(super) drops: PerCpuArray<MapData, Drops>,
    pub(super) segments: Array<MapData, Segment>,
    pub(super) vnis: HashMap<MapData, u32, u32>,
    pub(super) flood: HashMap<MapData, FloodKey, u32>,
    pub(super) vteps: Array<MapData, Vtep>,
    pub(super) vtep_slots: HashMap<MapData, VtepAddr, u32>,
    pub(super) vtep_stats: PerCpuArray<MapData, VtepStats>,
    pub(super) fdb: HashMap<MapData, FdbKey, FdbEntry>,
}

impl Maps {
    /// Opens the pinned maps for reading, or tells why there is nothing to read.
    pub fn open(paths: &Paths) -> Result<Self> {
        let maps = Self::open_any(paths)?;
        match maps.local()? {
            Some(local) if local.layout == LAYOUT => Ok(maps),
            Some(_) => bail!("the pinned maps are of another version of vxnet"),
            None => bail!("vxnet is not set up on this host\nhint: `vxnet apply --config FILE`"),
        }
    }

    /// Opens the pinned maps, which may be new and empty.
    pub(super) fn open_any(paths: &Paths) -> Result<Self> {
        Self::open_pinned(paths).map_err(|error| {
            // Other users cannot even see whether there are maps.
            if Uid::effective().is_root() {
                error
            } else {
                anyhow!("reading the maps needs root\nhint: run it with sudo")
            }
        })
    }

    fn open_pinned(paths: &Paths) -> Result<Self> {
        let folder = paths.maps();
        if !folder.join("LOCAL").exists() {
            bail!(
                "there are no maps in {}: vxnet is not set up on this host\nhint: `vxnet apply \
                 --config FILE`, or name another folder with --pin-dir",
                folder.display()
            );
        }
        Ok(Self {
            local: array(&folder, "LOCAL")?,
            port_slots: hash(&folder, "PORT_SLOTS")?,
            ports: array(&folder, "PORTS")?,
            port_vlans: array(&folder, "PORT_VLANS")?,
            allowed: hash(&folder, "ALLOWED")?,
            last_drops: array(&folder, "LAST_DROPS")?,
            vlans: hash(&folder, "VLANS")?,
            holders: array(&folder, "HOLDERS")?,
            held: hash(&folder, "HELD")?,
            neighbours: lru_hash(&folder, "NEIGHBOURS")?,
            reserved: hash(&folder, "RESERVED")?,
            port_stats: per_cpu(&folder, "PORT_STATS")?,
            drops: per_cpu(&folder, "DROPS")?,
            segments: array(&folder, "SEGMENTS")?,
            vnis: hash(&folder, "VNIS")?,
            flood: hash(&folder, "FLOOD")?,
            vteps: array(&folder, "VTEPS")?,
            vtep_slots: hash(&folder, "VTEP_SLOTS")?,
            vtep_stats: per_cpu(&folder, "VTEP_STATS")?,
            fdb: hash(&folder, "FDB")?,
        })
    }

    /// Returns the row of `LOCAL`, once it has been written.
    pub fn local(&self) -> Result<Option<Local>> {
        let row = self.local.get(&0, 0)?;
        Ok((row.layout != 0).then_some(row))
    }

    /// Returns the rows of `PORTS` in use, with their slots.
    pub fn ports(&self) -> Result<Vec<(u32, Port)>> {
        rows(&self.ports, |port| port.ifindex != 0)
    }

    /// Returns the rows of `SEGMENTS` in use, with their slots.
    pub fn segments(&self) -> Result<Vec<(u32, Segment)>> {
        rows(&self.segments, |segment| segment.network != 0)
    }

    /// Returns the rows of `VTEPS` in use, with their slots.
    pub fn vteps(&self) -> Result<Vec<(u32, Vtep)>> {
        rows(&self.vteps, |vtep| vtep.address != VtepAddr::NONE)
    }

    /// Returns all rows of `FDB`, expired ones included.
    pub fn fdb(&self) -> Result<Vec<(FdbKey, FdbEntry)>> {
        entries(&self.fdb)
    }

    /// Returns a port's row of `PORT_VLANS`.
    pub fn port_vlans(&self, slot: u32) -> Result<PortVlans> {
        Ok(self.port_vlans.get(&slot, 0)?)
    }

    /// Returns the row of `HOLDERS` of a port or a peer.
    pub fn holder(&self, holder: u32) -> Result<Holder> {
        Ok(self.holders.get(&holder, 0)?)
    }

    /// Shuts a port until that time, on [`clock`]; 0 opens it.
    pub fn shut(&mut self, port: u32, until: u64) -> Result<()> {
        // What the kernel counts meanwhile is lost: that costs a window of a limit.
        let row = self.holder(port)?;
        let row = Holder {
            shut_until: until,
            ..row
        };
        Ok(self.holders.set(port, row, 0)?)
    }

    /// Returns the rows of `NEIGHBOURS`.
    pub fn neighbours(&self) -> Result<Vec<(NeighbourKey, Neighbour)>> {
        entries(&self.neighbours)
    }

    /// Returns the rows of `RESERVED`.
    pub fn reserved(&self) -> Result<Vec<(NeighbourKey, u32)>> {
        entries(&self.reserved)
    }

    /// Returns the rows of `ALLOWED`.
    pub fn allowed(&self) -> Result<Vec<AllowedKey>> {
        Ok(entries(&self.allowed)?
            .into_iter()
            .map(|(key, _)| key)
            .collect())
    }

    /// Returns the rows of `VLANS`.
    pub fn vlans(&self) -> Result<Vec<(VlanKey, u32)>> {
        entries(&self.vlans)
    }

    /// Returns the rows of `VNIS`.
    pub fn vnis(&self) -> Result<Vec<(u32, u32)>> {
        entries(&self.vnis)
    }

    /// Returns the rows of `FLOOD`.
    pub fn flood(&self) -> Result<Vec<(FloodKey, u32)>> {
        entries(&self.flood)
    }

    /// Returns the addresses in the places of all rings, in no order.
    pub fn all_held(&self) -> Result<Vec<(HeldKey, FdbKey)>> {
        batch::rows(&self.held, |_, _| true)
    }

    /// Returns the address in one place of a ring.
    fn held(&self, key: HeldKey) -> Result<Option<FdbKey>> {
        match self.held.get(&key, 0) {
            Ok(held) => Ok(Some(held)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns a row of `FDB`.
    pub fn fdb_row(&self, key: &FdbKey) -> Result<Option<FdbEntry>> {
        match self.fdb.get(key, 0) {
            Ok(row) => Ok(Some(row)),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes a row of `FDB`.
    pub fn set_fdb(&mut self, key: &FdbKey, row: &FdbEntry) -> Result<()> {
        let old = self.fdb_row(key)?;
        self.fdb.insert(key, row, 0)?;
        old.map_or(Ok(()), |old| self.release(key, &old))
    }

    /// Removes a row of `FDB`, if there is one.
    pub fn remove_fdb_row(&mut self, key: &FdbKey) -> Result<()> {
        let Some(row) = self.fdb_row(key)? else {
            return Ok(());
        };
        absent_is_fine(self.fdb.remove(key))?;
        self.release(key, &row)
    }

    /// Clears the place that a row had in its holder's ring, unless another has got it meanwhile.
    fn release(&mut self, key: &FdbKey, row: &FdbEntry) -> Result<()> {
        match row.held_key(key.segment) {
            Some(place) if self.held(place)? == Some(*key) => {
                absent_is_fine(self.held.remove(&place))
            }
            _ => Ok(()),
        }
    }

    /// Returns the headers that were kept of frames dropped for a reason, latest first.
    pub fn last_drops(&self, reason: Reason) -> Result<Vec<Dropped>> {
        let first = reason as u32 * dropped::KEPT;
        let mut rows = Vec::new();
        for index in first..first + dropped::KEPT {
            let row = self.last_drops.get(&index, 0)?;
            if row.time != 0 {
                rows.push(row);
            }
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.time));
        Ok(rows)
    }

    /// Removes rows of `FDB`, and returns how many there were.
    pub fn remove_fdb(&mut self, doomed: impl Fn(&FdbKey, &FdbEntry) -> bool) -> Result<usize> {
        let mut removed = 0;
        for (key, entry) in self.fdb()? {
            if doomed(&key, &entry) {
                absent_is_fine(self.fdb.remove(&key))?;
                self.release(&key, &entry)?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes the rows of `FDB` that are too old for their segment, and returns their number.
    pub fn expire_fdb(&mut self) -> Result<usize> {
        let now = clock()?;
        let ageing: std::collections::BTreeMap<u32, u64> = self
            .segments()?
            .into_iter()
            .map(|(slot, row)| (slot, row.ageing))
            .collect();
        self.remove_fdb(|key, row| {
            !row.is_live(now, ageing.get(&key.segment).copied().unwrap_or(0))
        })
    }
}

/// Returns the clock that the data path stamps rows with, in nanoseconds.
pub fn clock() -> Result<u64> {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC_COARSE)?;
    Ok(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}

/// Takes the removal of what is not there for a success.
pub(super) fn absent_is_fine(result: Result<(), MapError>) -> Result<()> {
    match result {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error))
            if error.io_error.kind() == std::io::ErrorKind::NotFound =>
        {
            Ok(())
        }
        other => Ok(other?),
    }
}

/// Returns all rows of a hash map, in order. Rows that come and go meanwhile may be missing.
pub(super) fn entries<K: Pod + Ord, V: Pod>(map: &HashMap<MapData, K, V>) -> Result<Vec<(K, V)>> {
    let mut entries = batch::rows(map, |_, _| true)?;
    entries.sort_unstable_by_key(|(key, _)| *key);
    Ok(entries)
}

/// Returns the rows of an array in use, with their slots. No row is in slot 0.
fn rows<V: Pod>(map: &Array<MapData, V>, used: impl Fn(&V) -> bool) -> Result<Vec<(u32, V)>> {
    batch::rows(map, |slot, row| *slot != 0 && used(row))
}

fn open<K, V>(folder: &Path, name: &str) -> Result<MapData> {
    let path = folder.join(name);
    let map =
        MapData::from_pin(&path).with_context(|| format!("cannot open {}", path.display()))?;
    let info = map.info()?;
    let fits =
        info.key_size() == size_of::<K>() as u32 && info.value_size() == size_of::<V>() as u32;
    if !fits {
        bail!("{} is of another version of vxnet", path.display());
    }
    Ok(map)
}

pub(super) fn array<V: Pod>(folder: &Path, name: &str) -> Result<Array<MapData, V>> {
    Ok(Map::Array(open::<u32, V>(folder, name)?).try_into()?)
}

fn per_cpu<V: Pod>(folder: &Path, name: &str) -> Result<PerCpuArray<MapData, V>> {
    Ok(Map::PerCpuArray(open::<u32, V>(folder, name)?).try_into()?)
}

fn lru_hash<K: Pod, V: Pod>(folder: &Path, name: &str) -> Result<HashMap<MapData, K, V>> {
    Ok(Map::LruHashMap(open::<K, V>(folder, name)?).try_into()?)
}

fn hash<K: Pod, V: Pod>(folder: &Path, name: &str) -> Result<HashMap<MapData, K, V>> {
    Ok(Map::HashMap(open::<K, V>(folder, name)?).try_into()?)
}
