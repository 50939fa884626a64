//! `vxnet fdb add` and `del`: addresses whose place the user knows.

use std::{net::IpAddr, process::ExitCode};

use anyhow::{Result, bail};
use vxnet_common::{
    addr::{Mac, VtepAddr},
    map::{
        allowed::AllowedKey,
        fdb::{FdbEntry, FdbKey, flag, origin, place},
        name_str,
        port::{Port, flag as port_flag, kind},
        segment::Segment,
    },
};

use super::View;
use crate::{
    cli::{output, words::parse_mac},
    host::maps::{Maps, clock},
};

/// An address of a network.
#[derive(clap::Args)]
struct Address {
    /// The address
    #[arg(value_parser = parse_mac)]
    mac: Mac,
    /// The network that it is in
    #[arg(long, value_name = "NAME")]
    network: String,
    /// The VLAN, in a network that has some
    #[arg(long, value_name = "VID")]
    vlan: Option<u16>,
}

/// Arguments of `vxnet fdb add`.
#[derive(clap::Args)]
pub(in crate::cli) struct Add {
    #[command(flatten)]
    address: Address,
    #[command(flatten)]
    place: Place,
    /// Let it age like a learned one; it only does not move while it lives
    #[arg(long)]
    sticky: bool,
}

/// Where an address is.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Place {
    /// Behind this local port
    #[arg(long, value_name = "LINK")]
    port: Option<String>,
    /// At the host with this underlay address
    #[arg(long, value_name = "ADDRESS")]
    vtep: Option<IpAddr>,
}

/// Arguments of `vxnet fdb del`.
#[derive(clap::Args)]
pub(in crate::cli) struct Del {
    #[command(flatten)]
    address: Address,
}

impl Address {
    /// Refuses what the daemon has written: it would write it anew.
    fn check_not_static(&self, row: Option<&FdbEntry>) -> Result<()> {
        match row {
            Some(row) if !matches!(row.origin, origin::LEARNED | origin::MANUAL) => bail!(
                "{} is a static address of network {}\nhint: it is the host's own, or stands in the \
                 fabric file: change it there",
                self.mac,
                self.network
            ),
            _ => Ok(()),
        }
    }
}

/// A row that may be written.
pub(super) struct Checked {
    pub(super) key: FdbKey,
    row: FdbEntry,
    /// What the user should know.
    pub(super) note: Option<&'static str>,
}

impl Checked {
    pub(super) fn write(&self, maps: &mut Maps) -> Result<()> {
        maps.set_fdb(&self.key, &self.row)
    }
}

impl Add {
    pub(super) fn run(&self, view: &View, maps: &mut Maps) -> Result<ExitCode> {
        let checked = self.check(view, maps)?;
        checked.write(maps)?;
        let address = &self.address;
        let note = checked.note.unwrap_or_default();
        output::text(&format!(
            "{} added to network {}\n{note}",
            address.mac, address.network
        ))
    }

    /// Checks that the address may be there.
    pub(super) fn check(&self, view: &View, maps: &Maps) -> Result<Checked> {
        let address = &self.address;
        if address.mac.is_group() || address.mac.is_zero() {
            bail!("{} is no station's address", address.mac);
        }
        let (slot, segment) = view.segment(&address.network, address.vlan)?;
        let key = FdbKey::new(slot, address.mac);
        address.check_not_static(maps.fdb_row(&key)?.as_ref())?;
        let (at, holder) = self.place.resolve(view, slot, segment, |port, vid| {
            Ok(maps.port_vlans(port)?.contains(vid))
        })?;
        let row = if self.sticky {
            FdbEntry {
                flags: flag::STICKY,
                ..FdbEntry::learned(at, holder, clock()?)
            }
        } else {
            FdbEntry::fixed(at, holder, origin::MANUAL)
        };
        let port = view.ports.get(&holder).filter(|_| at == place::PORT);
        let is_bound = match port {
            Some(port) if port.flags & port_flag::CHECK_MAC != 0 => {
                is_bound_elsewhere(holder, port, address.mac, &maps.allowed()?)
            }
            _ => false,
        };
        Ok(Checked {
            key,
            row,
            note: is_bound.then_some(BOUND),
        })
    }
}

/// What a user should know who adds an address to a port that is bound to others.
const BOUND: &str = "note: the port may only send from its `mac` in the fabric file: what this \
                     station sends there is dropped (spoofed_mac)\n";

/// Returns whether a port may send from its own addresses only, and this one is none of them.
fn is_bound_elsewhere(port: u32, row: &Port, mac: Mac, allowed: &[AllowedKey]) -> bool {
    row.flags & port_flag::CHECK_MAC != 0 && !allowed.contains(&AllowedKey::mac(port, mac))
}

impl Place {
    /// Returns the place and the slot, if the segment reaches there; `carries` tells whether a port
    /// takes frames tagged with a VLAN.
    fn resolve(
        &self,
        view: &View,
        slot: u32,
        segment: &Segment,
        carries: impl Fn(u32, u16) -> Result<bool>,
    ) -> Result<(u8, u32)> {
        if let Some(address) = self.vtep {
            let row = VtepAddr::from(address);
            let found = view.vteps.iter().find(|(_, vtep)| vtep.address == row);
            return match found {
                Some((vtep, _)) if segment.has_vtep(*vtep) => Ok((place::VTEP, *vtep)),
                Some(_) => bail!("host {address} has no part in this network"),
                None => bail!("there is no VTEP {address}\nhint: `vxnet vtep show` lists them"),
            };
        }
        let name = self.port.as_deref().unwrap_or_default();
        let is_named = |(_, port): &(&u32, &Port)| name_str(&port.name) == name;
        let Some((port_slot, port)) = view.ports.iter().find(is_named) else {
            bail!("there is no port \"{name}\"\nhint: `vxnet port show` lists them");
        };
        let carries = port.flags & port_flag::TAGGED != 0
            && segment.vid != 0
            && port.network == segment.network
            && carries(*port_slot, segment.vid)?;
        match port.kind {
            kind::HOST => bail!("{name} is the host itself, whose address is known"),
            kind::GUEST | kind::TRUNK if port.segment == slot || carries => {
                Ok((place::PORT, *port_slot))
            }
            _ if segment.vid != 0 => {
                bail!(
                    "{name} is not in VLAN {} of this network\nhint: see `vxnet port show`",
                    segment.vid
                )
            }
            _ => bail!("{name} is not in this network\nhint: see `vxnet port show`"),
        }
    }
}

impl Del {
    pub(super) fn run(&self, view: &View, maps: &mut Maps) -> Result<ExitCode> {
        let address = &self.address;
        let (slot, _) = view.segment(&address.network, address.vlan)?;
        let key = FdbKey::new(slot, address.mac);
        let Some(row) = maps.fdb_row(&key)? else {
            bail!(
                "{} is not known in network {}\nhint: `vxnet fdb show --network {1}` lists them",
                address.mac,
                address.network
            );
        };
        address.check_not_static(Some(&row))?;
        maps.remove_fdb_row(&key)?;
        output::text(&format!(
            "{} removed from network {}\n",
            address.mac, address.network
        ))
    }
}

#[cfg(test)]
mod tests;
