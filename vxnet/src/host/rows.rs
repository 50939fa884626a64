//! The rows of the maps as things that are there or not, set and removed.

use std::collections::HashSet;

use anyhow::{Result, bail};
use vxnet_common::{
    addr::VtepAddr,
    map::{
        fdb::origin,
        holder::{self, Holder},
        local::Local,
        port::{Port, PortVlans},
        segment::Segment,
        vtep::{NextHop, Vtep},
    },
};

use super::{
    maps::{Maps, absent_is_fine, entries},
    members::Members,
};
use crate::state::{Id, Spec, State};

/// Adds the rows that the maps hold.
pub(super) fn observe(maps: &Maps, state: &mut State) -> Result<()> {
    if let Some(local) = maps.local()? {
        state.insert(Id::Local, Spec::Local(local));
    }
    for (slot, row) in maps.vteps()? {
        state.insert(Id::Vtep(slot), Spec::Vtep(Box::new(without_way(row))));
    }
    let members = Members::read(maps)?;
    for (slot, row) in &members.ports {
        state.insert(Id::Port(*slot), Spec::Port(*row));
    }
    for (slot, row) in &members.segments {
        state.insert(Id::Segment(*slot), Spec::Segment(Box::new(*row)));
    }
    for (slot, row) in &members.port_vlans {
        state.insert(Id::PortVlans(*slot), Spec::PortVlans(Box::new(*row)));
    }
    let mut strays = 0;
    for (key, row) in maps.fdb()? {
        strays += usize::from(members.is_stray(&key, &row));
        if row.origin == origin::STATIC {
            state.insert(Id::Fdb(key), Spec::Fdb(row));
        }
    }
    if strays != 0 {
        state.insert(Id::Strays, Spec::Strays(strays));
    }
    for key in maps.allowed()? {
        state.insert(Id::Allowed(key), Spec::Allowed);
    }
    for (key, slot) in maps.vlans()? {
        state.insert(Id::Vlan(key), Spec::Slot(slot));
    }
    for (key, owner) in maps.reserved()? {
        state.insert(Id::Reserved(key), Spec::Slot(owner));
    }
    for (key, slot) in entries(&maps.vtep_slots)? {
        state.insert(Id::VtepSlot(key), Spec::Slot(slot));
    }
    for (key, slot) in entries(&maps.flood)? {
        state.insert(Id::Flood(key), Spec::Slot(slot));
    }
    for (key, slot) in entries(&maps.vnis)? {
        state.insert(Id::Vni(key), Spec::Slot(slot));
    }
    for (key, slot) in entries(&maps.port_slots)? {
        state.insert(Id::PortSlot(key), Spec::Slot(slot));
    }
    Ok(())
}

/// Writes a row; its former owner is added to `gone`.
pub(super) fn set(maps: &mut Maps, gone: &mut Gone, id: &Id, spec: &Spec) -> Result<()> {
    match (id, spec) {
        (Id::Local, Spec::Local(row)) => maps.local.set(0, row, 0)?,
        (Id::Vtep(slot), Spec::Vtep(row)) => {
            // The way that the kernel found stays while the peer does.
            let held = maps.vteps.get(slot, 0)?;
            let mut row = **row;
            let keeps_way = row.deadline != Vtep::NEVER && held.deadline != Vtep::NEVER;
            if held.address == row.address && keeps_way {
                (row.active, row.deadline) = (held.active, held.deadline);
                row.next_hop = held.next_hop;
            }
            if held.address != row.address {
                maps.retire_vtep(*slot)?;
            }
            maps.vteps.set(*slot, row, 0)?;
        }
        (Id::Port(slot), Spec::Port(row)) => {
            let held = maps.ports.get(slot, 0)?;
            if held.ifindex != row.ifindex {
                maps.retire_port(*slot)?;
            }
            maps.ports.set(*slot, row, 0)?;
            if held.ifindex != 0 && held.ifindex != row.ifindex {
                gone.holder(maps, *slot)?;
            }
        }
        (Id::Segment(slot), Spec::Segment(row)) => maps.segments.set(*slot, **row, 0)?,
        (Id::PortVlans(slot), Spec::PortVlans(row)) => maps.port_vlans.set(*slot, **row, 0)?,
        (Id::Allowed(key), Spec::Allowed) => maps.allowed.insert(key, 1, 0)?,
        (Id::Reserved(key), Spec::Slot(owner)) => maps.reserved.insert(key, owner, 0)?,
        (Id::Vlan(key), Spec::Slot(slot)) => maps.vlans.insert(key, slot, 0)?,
        (Id::Fdb(key), Spec::Fdb(row)) => maps.set_fdb(key, row)?,
        (Id::VtepSlot(key), Spec::Slot(slot)) => maps.vtep_slots.insert(key, slot, 0)?,
        (Id::Flood(key), Spec::Slot(slot)) => maps.flood.insert(key, slot, 0)?,
        (Id::Vni(key), Spec::Slot(slot)) => maps.vnis.insert(key, slot, 0)?,
        (Id::PortSlot(key), Spec::Slot(slot)) => maps.port_slots.insert(key, slot, 0)?,
        (id, _) => bail!("{id} cannot be set to that"),
    }
    Ok(())
}

/// Removes a row, and adds what it was to `gone`.
pub(super) fn remove(maps: &mut Maps, gone: &mut Gone, id: &Id) -> Result<()> {
    match id {
        Id::Local => maps.local.set(0, NO_LOCAL, 0)?,
        Id::Vtep(slot) => {
            maps.vteps.set(*slot, Vtep::FREE, 0)?;
            gone.holder(maps, holder::of_vtep(*slot))?;
        }
        Id::Port(slot) => {
            maps.ports.set(*slot, Port::FREE, 0)?;
            gone.holder(maps, *slot)?;
        }
        Id::Segment(slot) => {
            maps.segments.set(*slot, Segment::FREE, 0)?;
            gone.segments.insert(*slot);
        }
        Id::PortVlans(slot) => maps.port_vlans.set(*slot, PortVlans::NONE, 0)?,
        Id::Allowed(key) => absent_is_fine(maps.allowed.remove(key))?,
        Id::Reserved(key) => absent_is_fine(maps.reserved.remove(key))?,
        Id::Vlan(key) => absent_is_fine(maps.vlans.remove(key))?,
        Id::Fdb(key) => maps.remove_fdb_row(key)?,
        Id::Strays => {
            let members = Members::read(maps)?;
            maps.remove_fdb(|key, row| members.is_stray(key, row))?;
        }
        Id::VtepSlot(key) => absent_is_fine(maps.vtep_slots.remove(key))?,
        Id::Flood(key) => absent_is_fine(maps.flood.remove(key))?,
        Id::Vni(key) => absent_is_fine(maps.vnis.remove(key))?,
        Id::PortSlot(key) => absent_is_fine(maps.port_slots.remove(key))?,
        id => bail!("{id} is no row"),
    }
    Ok(())
}

/// `LOCAL` before anything was written.
const NO_LOCAL: Local = Local {
    layout: 0,
    underlay: VtepAddr::NONE,
    port: 0,
    family: 0,
    pad: 0,
    detour: 0,
    resolver: 0,
    name: [0; 32],
};

/// Who is gone, and whose addresses are still to be forgotten: gathered, because a look through the
/// table takes as long for a thousand of them as for one.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// Slots of segments.
    segments: HashSet<u32>,
    /// Ports and peers, by their rows of `HOLDERS`.
    holders: HashSet<u32>,
}

impl Gone {
    /// Adds a port or peer, and clears what it counted.
    fn holder(&mut self, maps: &mut Maps, holder: u32) -> Result<()> {
        self.holders.insert(holder);
        Ok(maps.holders.set(holder, Holder::default(), 0)?)
    }

    /// Removes the addresses of all of them. The daemon's own rows go by themselves, and may be those
    /// of whoever has the slot now.
    pub(super) fn forget(&mut self, maps: &mut Maps) -> Result<()> {
        if self.segments.is_empty() && self.holders.is_empty() {
            return Ok(());
        }
        maps.remove_fdb(|key, row| {
            row.origin != origin::STATIC
                && (self.segments.contains(&key.segment) || self.holders.contains(&row.holder()))
        })?;
        if !self.segments.is_empty() {
            for (key, _) in maps.neighbours()? {
                if self.segments.contains(&key.segment) {
                    absent_is_fine(maps.neighbours.remove(&key))?;
                }
            }
        }
        *self = Self::default();
        Ok(())
    }
}

/// Returns a row of `VTEPS` without what the kernel writes into it.
fn without_way(row: Vtep) -> Vtep {
    // That of a group is the daemon's own.
    if row.deadline == Vtep::NEVER {
        return row;
    }
    Vtep {
        deadline: 0,
        active: 0,
        next_hop: [NextHop::default(); 2],
        ..row
    }
}
