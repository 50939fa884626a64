//! The live maps, as they are now.

use std::net::{IpAddr, UdpSocket};

use anyhow::Result;
use vxnet_common::map::{holder, port::Port, vtep::Vtep};

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
        held: maps.all_held()?.into_iter().collect(),
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
    let ports: Vec<u32> = rows.ports.keys().copied().collect();
    for slot in ports {
        rows.port_vlans.insert(slot, maps.port_vlans(slot)?);
        rows.holders.insert(slot, maps.holder(slot)?);
    }
    let vteps: Vec<(u32, Vtep)> = rows.vteps.iter().map(|(slot, row)| (*slot, *row)).collect();
    for (slot, row) in vteps {
        let holder = holder::of_vtep(slot);
        rows.holders.insert(holder, maps.holder(holder)?);
        if row.next_hop().dst == [0; 6] && has_route(IpAddr::from(row.address)) {
            rows.routed.insert(slot);
        }
    }
    Ok(rows)
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
