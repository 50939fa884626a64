//! The frames: every kind of tag, destination and source that a switch tells apart.

use std::net::{Ipv4Addr, Ipv6Addr};

use vxnet_tests::frame::{BROADCAST, Endpoint, arp_request, ethernet, udp};

use crate::layout::{Layout, Mac, Mode, PORTS, Port, ROAMER, VLANS, station};
use crate::random::Random;

pub(crate) const CUSTOMER_TAG: u16 = 0x8100;
pub(crate) const SERVICE_TAG: u16 = 0x88a8;
/// "Local experimental EtherType 2" of IEEE 802: nobody's protocol. (vxnet's loop probes are of 1.)
pub(crate) const ETHERTYPE_PLAIN: u16 = 0x88b6;
/// Drop eligible indicator of a tag's control information.
pub(crate) const DEI: u16 = 1 << 12;
/// The longest frame without a tag.
const FULL_SIZE: usize = 1514;
/// A VLAN that is not the network's.
const FOREIGN: u16 = 30;

/// Which tag a frame has, as seen from its port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tagging {
    Untagged,
    /// VLAN id 0: only a priority.
    Priority,
    /// The port's own VLAN, that of frames without a tag.
    Own,
    /// Another VLAN that the port carries.
    Carried,
    /// A VLAN that the port does not carry.
    NotCarried,
    /// 4095.
    Reserved,
    /// 802.1ad's.
    Service,
    /// Two customer tags, or one before a service tag.
    Stacked,
}

impl Tagging {
    pub(crate) const ALL: [Self; 8] = [
        Self::Untagged,
        Self::Priority,
        Self::Own,
        Self::Carried,
        Self::NotCarried,
        Self::Reserved,
        Self::Service,
        Self::Stacked,
    ];

    /// Returns whether a port of that mode can get such a frame at all.
    pub(crate) const fn exists(self, mode: Mode) -> bool {
        match self {
            Self::Own => !matches!(mode, Mode::Trunk),
            Self::Carried => !matches!(mode, Mode::Access),
            _ => true,
        }
    }
}

/// One frame at one port.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) port: u32,
    pub(crate) tagging: Tagging,
    pub(crate) frame: Vec<u8>,
}

impl Sample {
    /// Makes a frame of any kind at any port, or of those that are `wanted`.
    pub(crate) fn random(
        random: &mut Random,
        layout: &Layout,
        wanted: Option<(Mode, Tagging)>,
    ) -> Self {
        let (number, tagging) = if let Some((mode, tagging)) = wanted {
            (of_mode(random, layout, mode), tagging)
        } else {
            let number = 1 + random.below(PORTS as usize) as u32;
            (number, tagging(random, layout.ports[&number].mode))
        };
        let src = source(random, number);
        let dst = destination(random, number);
        let mut frame = payload(random, src, dst);
        let tags = tags(random, &layout.ports[&number], tagging);
        if matches!(tagging, Tagging::Service | Tagging::Stacked) {
            // The kernel grants a link of 1500 bytes one customer tag more.
            frame.truncate(FULL_SIZE - 8);
        }
        for (ethertype, tci) in tags.into_iter().rev() {
            push_tag(&mut frame, ethertype, tci);
        }
        Self {
            port: number,
            tagging,
            frame,
        }
    }

    pub(crate) fn dst(&self) -> Mac {
        self.frame[..6].try_into().expect("a whole header")
    }

    pub(crate) fn src(&self) -> Mac {
        self.frame[6..12].try_into().expect("a whole header")
    }

    /// Returns the control information of a customer tag that is the first.
    pub(crate) fn tci(&self) -> Option<u16> {
        (word(&self.frame, 12) == CUSTOMER_TAG).then(|| word(&self.frame, 14))
    }
}

/// Returns the big-endian number at a place.
pub(crate) fn word(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([frame[at], frame[at + 1]])
}

/// Puts a tag in front of all others.
pub(crate) fn push_tag(frame: &mut Vec<u8>, ethertype: u16, tci: u16) {
    let [a, b] = ethertype.to_be_bytes();
    let [c, d] = tci.to_be_bytes();
    frame.splice(12..12, [a, b, c, d]);
}

fn of_mode(random: &mut Random, layout: &Layout, mode: Mode) -> u32 {
    let ports: Vec<u32> = (1..=PORTS)
        .filter(|number| layout.ports[number].mode == mode)
        .collect();
    random.pick(&ports)
}

/// Picks a kind of tag. Those that vxnet refuses on purpose are rare: most pairs must be alike.
fn tagging(random: &mut Random, mode: Mode) -> Tagging {
    loop {
        let tagging = random.weighed(&[
            (28, Tagging::Untagged),
            (12, Tagging::Priority),
            (14, Tagging::Own),
            (32, Tagging::Carried),
            (8, Tagging::NotCarried),
            (4, Tagging::Reserved),
            (2, Tagging::Service),
            (2, Tagging::Stacked),
        ]);
        if tagging.exists(mode) {
            return tagging;
        }
    }
}

/// Returns the tags, the outermost first: EtherType and control information.
fn tags(random: &mut Random, port: &Port, tagging: Tagging) -> Vec<(u16, u16)> {
    let others: Vec<u16> = VLANS
        .into_iter()
        .filter(|vid| !port.vlans().contains(vid))
        .chain([FOREIGN])
        .collect();
    // A port with no other VLAN than its native one carries at least that.
    let carried: Vec<u16> = port
        .tagged
        .iter()
        .copied()
        .filter(|vid| port.tagged.len() == 1 || Some(*vid) != port.own)
        .collect();
    let vid = match tagging {
        Tagging::Untagged => return Vec::new(),
        Tagging::Priority => 0,
        Tagging::Own => port.own.expect("a port that has one"),
        Tagging::Carried => random.pick(&carried),
        Tagging::NotCarried => random.pick(&others),
        Tagging::Reserved => 4095,
        Tagging::Service | Tagging::Stacked => random.pick(&VLANS),
    };
    let priority = random.below(8) as u16;
    let dei = if random.percent(6) { DEI } else { 0 };
    let tci = priority << 13 | dei | vid;
    let inner = random.pick(&VLANS);
    match tagging {
        Tagging::Service if random.percent(50) => vec![(SERVICE_TAG, tci), (CUSTOMER_TAG, inner)],
        Tagging::Service => vec![(SERVICE_TAG, tci)],
        Tagging::Stacked => {
            let second = random.pick(&[CUSTOMER_TAG, SERVICE_TAG]);
            vec![(CUSTOMER_TAG, tci), (second, inner)]
        }
        _ => vec![(CUSTOMER_TAG, tci)],
    }
}

fn source(random: &mut Random, port: u32) -> Mac {
    let other = 1 + random.below(PORTS as usize) as u32;
    let new = new_station(random);
    random.weighed(&[
        (55, station(port)),
        (24, new),
        // It has moved, or its twin speaks.
        (14, station(other)),
        (4, ROAMER),
        (1, [0x01, 0, 0x5e, 0, 0, 1]),
        (1, BROADCAST),
        (1, [0; 6]),
    ])
}

fn destination(random: &mut Random, port: u32) -> Mac {
    let other = 1 + random.below(PORTS as usize) as u32;
    let new = new_station(random);
    let last = random.below(16) as u8;
    let group = [0x01, 0, 0x5e, random.below(128) as u8, 0, last];
    // Of Cisco (CDP, PVST+) and of Extreme (EDP).
    let vendor = random.pick(&[
        [0x01, 0, 0x0c, 0xcc, 0xcc, 0xcc],
        [0x01, 0, 0x0c, 0xcc, 0xcc, 0xcd],
        [0, 0xe0, 0x2b, 0, 0, 0],
    ]);
    random.weighed(&[
        (40, station(other)),
        (8, ROAMER),
        (4, station(port)),
        (12, new),
        (12, BROADCAST),
        (7, group),
        (5, [0x33, 0x33, 0, 0, 0, last]),
        // IEEE 802.1Q table 8-1: never forwarded. The next sixteen are forwarded.
        (5, [0x01, 0x80, 0xc2, 0, 0, last]),
        (3, [0x01, 0x80, 0xc2, 0, 0, 0x10 + last]),
        (1, [0; 6]),
        (1, vendor),
    ])
}

fn new_station(random: &mut Random) -> Mac {
    [0x52, 0x54, 0, 0, 2, random.below(200) as u8]
}

/// Builds a frame without a tag.
fn payload(random: &mut Random, src: Mac, dst: Mac) -> Vec<u8> {
    // The kernel drops a tagged frame with less than two bytes before any program sees it.
    let length = random.weighed(&[(1, 2), (3, 46), (2, 64), (1, 1500)]);
    let bytes: Vec<u8> = (0..length).map(|_| random.number() as u8).collect();
    match random.below(6) {
        0 => {
            let (from, to) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
            let room = bytes.len().min(1472);
            let ends = (Endpoint::new(src, from), Endpoint::new(dst, to));
            udp(ends.0, ends.1, (1000, 2000), &bytes[..room])
        }
        1 => {
            let (from, to) = (Ipv6Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
            let room = bytes.len().min(1452);
            let ends = (Endpoint::new(src, from), Endpoint::new(dst, to));
            udp(ends.0, ends.1, (1000, 2000), &bytes[..room])
        }
        2 => {
            let request = arp_request(src, Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
            [&dst, &request[6..]].concat()
        }
        // IEEE 802.2: a length instead of an EtherType.
        3 => {
            let body = [&[0x42, 0x42, 0x03], &bytes[..bytes.len().min(1000)]].concat();
            ethernet(src, dst, body.len() as u16, &body)
        }
        // An old EtherType of stacked tags, which is nobody's tag any more.
        4 if random.percent(30) => ethernet(src, dst, 0x9100, &bytes),
        _ => ethernet(src, dst, ETHERTYPE_PLAIN, &bytes),
    }
}
