//! Rows in words.

use std::fmt::Write as _;

use vxnet_common::{
    learn,
    map::{
        NO_SLOT,
        fdb::{FdbEntry, flag as fdb_flag, origin, place},
        name_str,
        port::{Port, flag},
        segment::Segment,
    },
    vlan::RESERVED_VID,
};

use super::Rows;

/// Returns the name of the link in a slot of `PORTS`.
pub(super) fn port(rows: &impl Rows, slot: u32) -> String {
    match rows.port(slot) {
        Some(row) if row.ifindex != 0 => name_str(&row.name).to_owned(),
        _ => format!("port slot {slot}, which is free"),
    }
}

/// Returns the address of the peer in a slot of `VTEPS`, with its name.
pub(super) fn vtep(rows: &impl Rows, slot: u32) -> String {
    match rows.peer(slot) {
        Some(row) if name_str(&row.name).is_empty() => row.address.to_string(),
        Some(row) => format!("{} ({})", row.address, name_str(&row.name)),
        None => format!("VTEP slot {slot}, which is free"),
    }
}

/// Returns the name of a segment.
pub(super) fn segment(row: &Segment) -> String {
    if row.network == 0 {
        return "no network".to_owned();
    }
    let mut text = name_str(&row.name).to_owned();
    if row.vid != 0 {
        let _ = write!(text, " VLAN {}", row.vid);
    }
    if row.vni != 0 {
        let _ = write!(text, " VNI {}", row.vni);
    }
    text
}

/// Returns where a row of the FDB says that an address is.
pub(super) fn entry(rows: &impl Rows, row: &FdbEntry, now: u64) -> String {
    let mut text = if row.place == place::VTEP {
        vtep(rows, row.slot)
    } else {
        port(rows, row.slot)
    };
    text.push_str(match row.origin {
        origin::LEARNED if row.flags & fdb_flag::STICKY != 0 => ", sticky",
        origin::LEARNED if learn::is_frozen(row, now) => ", learned, frozen",
        origin::LEARNED => ", learned",
        origin::MANUAL => ", manual",
        _ => ", static",
    });
    text
}

/// Returns how a port takes VLAN tags, as in `access 1001` or `trunk 1001,1002 (native 1)`; `-`
/// where there are none.
pub fn mode(port: &Port, carries: impl Fn(u16) -> bool) -> String {
    if port.flags & flag::VLAN_AWARE == 0 {
        return "-".to_owned();
    }
    if port.flags & flag::TAGGED == 0 {
        return match port.segment {
            NO_SLOT => "blocked".to_owned(),
            _ => format!("access {}", port.pvid),
        };
    }
    let tagged = (1..RESERVED_VID).filter(|vid| *vid != port.pvid && carries(*vid));
    let mut text = format!("trunk {}", ranges(tagged));
    if port.segment != NO_SLOT {
        let kind = if port.flags & flag::NATIVE_TAGGED != 0 {
            "native-tagged"
        } else {
            "native"
        };
        let _ = write!(text, " ({kind} {})", port.pvid);
    }
    text
}

/// Returns VLANs or VNIs as a list of ids and ranges; they must come in order.
pub fn ranges(ids: impl IntoIterator<Item = impl Into<u32>>) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for id in ids.into_iter().map(Into::into) {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == id => *last = id,
            _ => ranges.push((id, id)),
        }
    }
    let ranges: Vec<String> = ranges
        .into_iter()
        .map(|(first, last)| match last - first {
            0 => first.to_string(),
            1 => format!("{first},{last}"),
            _ => format!("{first}-{last}"),
        })
        .collect();
    ranges.join(",")
}

/// Writes a number of bytes with its noun.
pub(super) fn bytes(count: u32) -> String {
    format!("{count} bytes")
}
