//! Tables that write down what is looked up in them.

use std::cell::RefCell;

use serde::Serialize;
use vxnet_common::{
    addr::{Mac, VtepAddr},
    forward::Tables,
    map::{
        allowed::{AllowedKey, family},
        fdb::{FdbEntry, FdbKey},
        neighbour::{self, Neighbour, NeighbourKey},
        port::Port,
        segment::{FloodKey, Segment, list},
    },
};

use super::{Rows, words};

/// A row that was looked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lookup {
    /// Name of the map.
    pub map: &'static str,
    pub key: String,
    /// What the row says; none if there is no such row.
    pub found: Option<String>,
}

/// Tables whose look-ups are written down. A frame's source is learned before its destination is
/// looked up: what a frame would change stands in front of the rows.
pub(super) struct Watched<'a, R> {
    rows: &'a R,
    /// Nanoseconds on the clock of the rows.
    now: u64,
    log: RefCell<Vec<Lookup>>,
    /// The row that the frame would write.
    pub(super) learned: Option<(FdbKey, FdbEntry)>,
    /// The row that would go for it.
    pub(super) forgotten: Option<FdbKey>,
}

impl<'a, R: Rows> Watched<'a, R> {
    pub(super) fn new(rows: &'a R, now: u64) -> Self {
        Self {
            rows,
            now,
            log: RefCell::new(Vec::new()),
            learned: None,
            forgotten: None,
        }
    }

    /// Returns the rows, to be looked at for their names only.
    pub(super) fn rows(&self) -> &'a R {
        self.rows
    }

    /// Returns what was looked up since the last call.
    pub(super) fn take(&self) -> Vec<Lookup> {
        self.log.take()
    }

    fn write(&self, map: &'static str, key: impl Into<String>, found: Option<String>) {
        let lookup = Lookup {
            map,
            key: key.into(),
            found,
        };
        // A message may be asked about in several steps; the same row twice in one tells nothing.
        let mut log = self.log.borrow_mut();
        if !log.contains(&lookup) {
            log.push(lookup);
        }
    }

    /// Looks up a member of a flood list.
    pub(super) fn member(&self, key: &FloodKey) -> Option<u32> {
        let found = self.rows.member(key);
        let of = if key.list == list::PORTS {
            "ports"
        } else {
            "vteps"
        };
        self.write(
            "FLOOD",
            format!("segment {} {of} {}", key.segment, key.index),
            found.map(|slot| format!("slot {slot}")),
        );
        found
    }

    /// Returns whose an address is, if the configuration says so.
    pub(super) fn owner(&self, key: &NeighbourKey) -> Option<u32> {
        let found = self.rows.owner(key);
        let text = found.map(|owner| match owner {
            neighbour::NOBODY => "never answered for".to_owned(),
            owner => format!("only at holder {owner}"),
        });
        let address = VtepAddr::v6(key.address);
        let key = format!("segment {} {address}", key.segment);
        self.write("RESERVED", key, text);
        found
    }

    /// Returns whether a port is shut at that time.
    pub(super) fn is_shut(&self, port: u32, now: u64) -> bool {
        let until = self.rows.holder(port).shut_until;
        let is_shut = now < until;
        if is_shut {
            let left = (until - now) / 1_000_000;
            self.write(
                "HOLDERS",
                format!("port slot {port}"),
                Some(format!("shut for {left} ms")),
            );
        }
        is_shut
    }
}

impl<R: Rows> Tables for Watched<'_, R> {
    fn fdb(&self, key: &FdbKey) -> Option<&FdbEntry> {
        let found = match &self.learned {
            Some((learned, row)) if learned == key => Some(row),
            _ if self.forgotten == Some(*key) => None,
            _ => self.rows.fdb(key),
        };
        let text = found.map(|row| words::entry(self.rows, row, self.now));
        self.write(
            "FDB",
            format!("segment {} {}", key.segment, Mac(key.mac)),
            text,
        );
        found
    }

    fn port(&self, slot: u32) -> Option<&Port> {
        let found = self.rows.port(slot);
        let text = found.map(|_| words::port(self.rows, slot));
        self.write("PORTS", format!("slot {slot}"), text);
        found
    }

    fn segment(&self, slot: u32) -> Option<&Segment> {
        let found = self.rows.segment(slot);
        let text = found.map(words::segment);
        self.write("SEGMENTS", format!("slot {slot}"), text);
        found
    }

    fn vni(&self, vni: u32) -> Option<u32> {
        let found = self.rows.vni(vni);
        self.write(
            "VNIS",
            format!("VNI {vni}"),
            found.map(|slot| format!("segment slot {slot}")),
        );
        found
    }

    fn vtep(&self, address: VtepAddr) -> Option<u32> {
        let found = self.rows.vtep(address);
        self.write(
            "VTEP_SLOTS",
            address.to_string(),
            found.map(|slot| format!("slot {slot}")),
        );
        found
    }

    fn vlan(&self, network: u32, vid: u16) -> Option<u32> {
        let found = self.rows.vlan(network, vid);
        let key = format!("network {network} VLAN {vid}");
        self.write(
            "VLANS",
            key,
            found.map(|slot| format!("segment slot {slot}")),
        );
        found
    }

    fn carries(&self, port: u32, vid: u16) -> bool {
        let carries = self.rows.carries(port, vid);
        let key = format!("port slot {port} VLAN {vid}");
        self.write("PORT_VLANS", key, carries.then(|| "carried".to_owned()));
        carries
    }

    fn allows(&self, key: &AllowedKey) -> bool {
        let allows = self.rows.allows(key);
        let address = if key.family == family::MAC {
            let [a, b, c, d, e, f, ..] = key.address;
            Mac([a, b, c, d, e, f]).to_string()
        } else {
            VtepAddr::v6(key.address).to_string()
        };
        let key = format!("port slot {} {address}", key.port);
        self.write("ALLOWED", key, allows.then(|| "allowed".to_owned()));
        allows
    }

    fn neighbour(&self, key: &NeighbourKey) -> Option<&Neighbour> {
        let found = self.rows.neighbour(key);
        let address = VtepAddr::v6(key.address);
        let text = found.map(|row| Mac(row.mac).to_string());
        self.write(
            "NEIGHBOURS",
            format!("segment {} {address}", key.segment),
            text,
        );
        found
    }
}
