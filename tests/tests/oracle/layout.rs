//! What is configured: the ports of a VLAN-aware network, and which stations are known behind them.

use std::collections::{BTreeMap, BTreeSet};

use crate::random::Random;

pub(crate) type Mac = [u8; 6];

/// The VLANs of the network.
pub(crate) const VLANS: [u16; 4] = [10, 11, 12, 20];

/// How many ports there are; they are numbered from 1.
pub(crate) const PORTS: u32 = 6;

/// The address that is somewhere else in each VLAN.
pub(crate) const ROAMER: Mac = [0x52, 0x54, 0, 0, 1, 0];

/// How a port treats tags: `vlan_mode` of Open vSwitch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// One VLAN, no tags.
    Access,
    /// Tagged frames of some VLANs only.
    Trunk,
    /// As a trunk, and frames without a VLAN are of its native one; all leave with tags.
    NativeTagged,
    /// The same, but the native VLAN's leave without.
    NativeUntagged,
}

impl Mode {
    pub(crate) const ALL: [Self; 4] = [
        Self::Access,
        Self::Trunk,
        Self::NativeTagged,
        Self::NativeUntagged,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Trunk => "trunk",
            Self::NativeTagged => "native-tagged",
            Self::NativeUntagged => "native-untagged",
        }
    }
}

/// The configuration of one port.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    pub(crate) mode: Mode,
    /// The VLAN of frames without one.
    pub(crate) own: Option<u16>,
    /// The VLANs whose tagged frames it takes; its native VLAN is one of them.
    pub(crate) tagged: BTreeSet<u16>,
    /// It exchanges nothing with other ports of the kind: `protected` of Open vSwitch.
    pub(crate) isolated: bool,
}

impl Port {
    fn random(random: &mut Random, mode: Mode) -> Self {
        let own = (mode != Mode::Trunk).then(|| random.pick(&VLANS));
        let mut tagged = BTreeSet::new();
        if mode != Mode::Access {
            tagged.extend(own);
            tagged.extend(VLANS.into_iter().filter(|_| random.percent(60)));
            if tagged.is_empty() {
                tagged.insert(random.pick(&VLANS));
            }
        }
        Self {
            mode,
            own,
            tagged,
            isolated: random.percent(25),
        }
    }

    /// Returns the VLANs that it is in.
    pub(crate) fn vlans(&self) -> BTreeSet<u16> {
        self.tagged.iter().copied().chain(self.own).collect()
    }
}

/// One configuration.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) ports: BTreeMap<u32, Port>,
    /// Behind which port an address is known in a VLAN.
    pub(crate) stations: BTreeMap<(u16, Mac), u32>,
}

impl Layout {
    /// Makes one with a port of each mode at least.
    pub(crate) fn random(random: &mut Random) -> Self {
        let ports: BTreeMap<_, _> = (1..=PORTS)
            .map(|number| {
                let mode = match Mode::ALL.get(number as usize - 1) {
                    Some(mode) => *mode,
                    None => random.pick(&Mode::ALL),
                };
                (number, Port::random(random, mode))
            })
            .collect();
        let mut stations = BTreeMap::new();
        for (number, port) in &ports {
            stations.extend(
                port.vlans()
                    .into_iter()
                    .map(|vid| ((vid, station(*number)), *number)),
            );
        }
        for vid in VLANS {
            let members: Vec<u32> = members(&ports, vid).collect();
            if !members.is_empty() {
                stations.insert((vid, ROAMER), random.pick(&members));
            }
        }
        Self { ports, stations }
    }

    /// Returns the VLAN of a frame at a port by its tag's control information, if the port takes it.
    pub(crate) fn vlan(&self, port: u32, tci: Option<u16>) -> Option<u16> {
        let port = &self.ports[&port];
        match tci.map_or(0, |tci| tci & 0x0fff) {
            // Without a tag, or with a priority only.
            0 => port.own,
            vid => port.tagged.contains(&vid).then_some(vid),
        }
    }

    /// Returns the ports that are in a VLAN.
    pub(crate) fn members(&self, vid: u16) -> impl Iterator<Item = u32> {
        members(&self.ports, vid)
    }
}

fn members(ports: &BTreeMap<u32, Port>, vid: u16) -> impl Iterator<Item = u32> {
    let inside = ports
        .iter()
        .filter(move |(_, port)| port.vlans().contains(&vid));
    inside.map(|(number, _)| *number)
}

/// The address of the station behind a port.
pub(crate) const fn station(port: u32) -> Mac {
    [0x52, 0x54, 0, 0, 0, port as u8]
}
