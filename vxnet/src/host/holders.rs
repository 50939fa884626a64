//! `HOLDERS`, as far as the daemon writes it, and the VLANs of ports.

use anyhow::Result;
use aya::maps::{Array, MapData};
use vxnet_common::map::{holder::Holder, port::PortVlans};

use super::{Paths, maps};

/// The rows of ports beside those of `PORTS`.
pub(crate) struct Holders {
    holders: Array<MapData, Holder>,
    vlans: Array<MapData, PortVlans>,
}

impl Holders {
    /// Opens the pinned maps.
    pub(crate) fn open(paths: &Paths) -> Result<Self> {
        let folder = paths.maps();
        Ok(Self {
            holders: maps::array(&folder, "HOLDERS")?,
            vlans: maps::array(&folder, "PORT_VLANS")?,
        })
    }

    /// Shuts the port in a slot until that time (`CLOCK_MONOTONIC_COARSE`, nanoseconds).
    ///
    /// The row is written as a whole. What the data path counts in it between the two calls is
    /// lost: a few frames of a rate limit, and a few places of `HELD` that are used twice, whose
    /// rows age then instead of being given up.
    pub(crate) fn shut(&mut self, slot: u32, until: u64) -> Result<()> {
        let mut row = self.holders.get(&slot, 0)?;
        row.shut_until = until;
        Ok(self.holders.set(slot, row, 0)?)
    }

    /// Returns the VLANs whose tagged frames the port in a slot takes and gets.
    pub(crate) fn vlans(&self, slot: u32) -> Result<PortVlans> {
        Ok(self.vlans.get(&slot, 0)?)
    }
}
