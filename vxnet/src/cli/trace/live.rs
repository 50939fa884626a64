//! The live maps, as they are now.

use std::net::{IpAddr, UdpSocket};

use anyhow::Result;
use vxnet_common::map::{
    holder::{self, HeldKey, LOOKS, VTEP_FDB_LIMIT},
    port::Port,
    vtep::Vtep,
};

use crate::{cli::running_links, host::maps::Maps, trace::Snapshot};

/// Reads all rows that a trace may look at.
pub(super) fn read(maps: &Maps) -> Result<Snapshot> {
    let mut rows = Snapshot {
        local: maps.local()?,
        ports: maps.ports()?.into_iter().collect(),
        segments: maps.segments()?.into_iter().collect(),
        vnis: maps.vnis()?.into_iter().collect(),
        vlans: maps.vlans()?.into_iter().collect(),
        flood: maps.flood()?.into_iter().collect(),
        vteps: maps.vteps()?.into_iter().collect(),
        allowed: maps.allowed()?.into_iter().collect(),
        neighbours: maps.neighbours()?.into_iter().collect(),
        reserved: maps.reserved()?.into_iter().collect(),
        fdb: maps.fdb()?,
        ..Snapshot::default()
    };
    let running = running_links()?;
    let is_down = |(_, row): &(&u32, &Port)| !running.contains(&row.ifindex);
    rows.down = rows
        .ports
        .iter()
        .filter(is_down)
        .map(|(slot, _)| *slot)
        .collect();
    let ports: Vec<(u32, u32)> = rows
        .ports
        .iter()
        .map(|(slot, row)| (*slot, row.fdb_limit))
        .collect();
    for (slot, limit) in ports {
        rows.port_vlans.insert(slot, maps.port_vlans(slot)?);
        hold(maps, &mut rows, slot, limit)?;
    }
    let vteps: Vec<(u32, Vtep)> = rows.vteps.iter().map(|(slot, row)| (*slot, *row)).collect();
    for (slot, row) in vteps {
        hold(maps, &mut rows, holder::of_vtep(slot), VTEP_FDB_LIMIT)?;
        if row.next_hop().dst == [0; 6] && has_route(IpAddr::from(row.address)) {
            rows.routed.insert(slot);
        }
    }
    Ok(rows)
}

/// Reads what a holder of addresses has, as far as the next new address may see it.
fn hold(maps: &Maps, rows: &mut Snapshot, holder: u32, limit: u32) -> Result<()> {
    let row = maps.holder(holder)?;
    rows.holders.insert(holder, row);
    for step in (0..LOOKS).filter(|_| limit != 0) {
        let place = (row.learned.wrapping_add(u64::from(step)) % u64::from(limit)) as u32;
        let key = HeldKey { holder, place };
        if let Some(held) = maps.held(&key)? {
            rows.held.insert(key, held);
        }
    }
    Ok(())
}

/// Returns whether the kernel has a route to an address. A connected UDP socket sends nothing.
fn has_route(address: IpAddr) -> bool {
    let any = if address.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    UdpSocket::bind(any).is_ok_and(|socket| socket.connect((address, 9)).is_ok())
}
