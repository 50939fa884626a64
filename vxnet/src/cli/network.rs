//! `vxnet network`.

mod flood;

use std::{collections::BTreeMap, process::ExitCode};

use anyhow::{Result, bail};
use serde::Serialize;
use vxnet_common::map::{
    MAX_VTEPS, name_str,
    port::{Port, PortVlans, flag as port_flag, kind},
    segment::{Segment, flag},
};

use self::flood::Flood;
use super::output::{self, Format, Row, or_dash};
use crate::host::{
    Paths,
    maps::{Maps, clock},
};

/// Verbs of `vxnet network`.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Show the networks of this host, and their VLANs
    Show(Format),
}

pub(super) fn run(command: &Command, paths: &Paths) -> Result<ExitCode> {
    let Command::Show(format) = command;
    output::rows(*format, &list(&Maps::open(paths)?)?)
}

/// Refuses a network that is not there: a typing error must not look like an empty table.
pub(super) fn find(maps: &Maps, name: &str) -> Result<()> {
    let segments = maps.segments()?;
    if segments.iter().any(|(_, row)| name_str(&row.name) == name) {
        return Ok(());
    }
    bail!("there is no network \"{name}\"\nhint: `vxnet network show` lists them")
}

/// Returns the names of the networks, by the slot of their host port.
pub(super) fn names(maps: &Maps) -> Result<BTreeMap<u32, String>> {
    let segments = maps.segments()?.into_iter();
    Ok(segments
        .map(|(_, row)| (row.network, name_str(&row.name).to_owned()))
        .collect())
}

/// A network of this host, or one of its VLANs.
#[derive(Serialize)]
#[expect(
    clippy::struct_field_names,
    reason = "the fields are the names of the JSON"
)]
pub(super) struct Network {
    network: String,
    vlan: Option<u16>,
    bridge: String,
    /// None for a VLAN that is not on the overlay.
    vni: Option<u32>,
    mtu: u32,
    ageing_s: u64,
    /// How many guests' links are in it.
    ports: usize,
    /// How many other hosts share it.
    vteps: usize,
    /// How many addresses are known.
    fdb: usize,
    flood: Flood,
    /// ARP and neighbour solicitations are answered in place.
    suppress: bool,
}

impl Row for Network {
    const HEADINGS: &'static [&'static str] = &[
        "NETWORK", "VLAN", "BRIDGE", "VNI", "MTU", "AGEING", "PORTS", "VTEPS", "FDB", "FLOOD",
        "SUPPRESS",
    ];
    const SPARSE: &'static [&'static str] = &["VLAN", "SUPPRESS"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.network.clone(),
            or_dash(self.vlan.as_ref()),
            self.bridge.clone(),
            or_dash(self.vni.as_ref()),
            self.mtu.to_string(),
            format!("{}s", self.ageing_s),
            self.ports.to_string(),
            self.vteps.to_string(),
            self.fdb.to_string(),
            self.flood.to_string(),
            if self.suppress { "yes" } else { "-" }.to_owned(),
        ]
    }
}

/// Reads the networks.
pub(super) fn list(maps: &Maps) -> Result<Vec<Network>> {
    let (fdb, now) = (maps.fdb()?, clock()?);
    let mut ports = Vec::new();
    for (slot, row) in maps.ports()? {
        if row.kind == kind::GUEST {
            ports.push((row, maps.port_vlans(slot)?));
        }
    }
    let mut live: BTreeMap<u32, usize> = BTreeMap::new();
    let segments = maps.segments()?;
    let ageing: BTreeMap<u32, u64> = segments
        .iter()
        .map(|(slot, row)| (*slot, row.ageing))
        .collect();
    for (key, entry) in &fdb {
        let ageing = ageing.get(&key.segment).copied().unwrap_or(0);
        if entry.is_live(now, ageing) {
            *live.entry(key.segment).or_default() += 1;
        }
    }
    let network = |(slot, row): (u32, Segment)| Network {
        network: name_str(&row.name).into(),
        vlan: (row.vid != 0).then_some(row.vid),
        bridge: name_str(&row.bridge_name).into(),
        vni: (row.vni != 0).then_some(row.vni),
        mtu: row.mtu,
        ageing_s: row.ageing / 1_000_000_000,
        ports: ports
            .iter()
            .filter(|(port, vlans)| is_in(port, vlans, slot, &row))
            .count(),
        vteps: (0..MAX_VTEPS).filter(|vtep| row.has_vtep(*vtep)).count(),
        fdb: live.get(&slot).copied().unwrap_or(0),
        flood: Flood::of(&row),
        suppress: row.flags & flag::SUPPRESS != 0,
    };
    let mut networks: Vec<Network> = segments.into_iter().map(network).collect();
    networks.sort_by(|a, b| (&a.network, a.vlan).cmp(&(&b.network, b.vlan)));
    Ok(networks)
}

/// Returns whether a port gets frames of a segment.
fn is_in(port: &Port, vlans: &PortVlans, slot: u32, segment: &Segment) -> bool {
    let carries = port.flags & port_flag::TAGGED != 0
        && segment.vid != 0
        && port.network == segment.network
        && vlans.contains(segment.vid);
    port.segment == slot || carries
}

#[cfg(test)]
mod tests {
    use vxnet_common::map::segment::flag;

    use super::*;

    fn network(vlan: Option<u16>, vni: u32, suppress: bool) -> Network {
        Network {
            network: "blue".into(),
            vlan,
            bridge: "br0".into(),
            vni: (vni != 0).then_some(vni),
            mtu: 1450,
            ageing_s: 300,
            ports: 2,
            vteps: 1,
            fdb: 3,
            flood: Flood::of(&Segment {
                vni,
                flood_vteps: 1,
                flags: flag::NO_UNKNOWN,
                ..Segment::FREE
            }),
            suppress,
        }
    }

    #[test]
    fn vlans_are_rows_of_their_own() {
        let rows = [
            network(Some(1001), 5001, true),
            network(Some(1002), 0, false),
        ];
        assert_eq!(
            output::table(&rows),
            "NETWORK  VLAN  BRIDGE  VNI   MTU   AGEING  PORTS  VTEPS  FDB  FLOOD                           SUPPRESS\n\
             blue     1001  br0     5001  1450  300s    2      1      3    head-end 1, no unknown-unicast  yes\n\
             blue     1002  br0     -     1450  300s    2      1      3    local, no unknown-unicast       -\n"
        );
        let plain = output::table(&[network(None, 10, false)]);
        assert!(plain.starts_with("NETWORK  BRIDGE  VNI  MTU "), "{plain}");
        assert!(!plain.contains("SUPPRESS"), "{plain}");
    }

    #[test]
    fn a_trunk_port_is_in_the_vlans_that_it_carries() {
        let segment = Segment {
            vid: 1001,
            network: 9,
            ..Segment::FREE
        };
        let mut vlans = PortVlans::NONE;
        vlans.insert(1001);
        let trunk = Port {
            network: 9,
            flags: port_flag::TAGGED,
            ..Port::FREE
        };
        assert!(is_in(&trunk, &vlans, 3, &segment));
        assert!(!is_in(&trunk, &PortVlans::NONE, 3, &segment));
        assert!(!is_in(
            &Port {
                network: 8,
                ..trunk
            },
            &vlans,
            3,
            &segment
        ));
        assert!(!is_in(&Port { flags: 0, ..trunk }, &vlans, 3, &segment));
        assert!(is_in(
            &Port {
                segment: 3,
                ..Port::FREE
            },
            &PortVlans::NONE,
            3,
            &segment
        ));
    }
}
