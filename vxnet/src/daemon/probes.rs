//! Loop probes on their way: what each port sends, when, and the socket that they leave by.

mod socket;

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use vxnet_common::{
    addr::Mac,
    event::Event,
    loop_probe::Probe,
    map::{Name, name, name_str},
};

pub(super) use self::socket::Socket;
use super::{
    loops::{End, Loops, Returned, Sender},
    places::{Place, Places, Way},
};

/// Time between two [`Probes::due`]: the probes of all ports are spread over several.
pub(super) const TICK: Duration = Duration::from_millis(50);
/// Ticks from one turn of a port to its next: 250 ms, so that a loop is cut within a second also
/// where the other host must be waited for.
const TURN: usize = 5;
/// The same where there are more ports than [`MANY`]: a probe costs some 50 µs with all that its
/// receiver does.
const LONG_TURN: usize = 2 * TURN;
const MANY: usize = 256;
/// How many VLANs a port probes in a turn, beside its own: a cable that closes a loop carries all
/// of them, as a rule.
const VLANS: usize = 16;

/// A frame to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// The link to send it on.
    pub(super) ifindex: u32,
    pub(super) bytes: Vec<u8>,
}

/// What is sent, and by which numbers it is known when it comes back.
#[derive(Debug, Default)]
pub(super) struct Probes {
    /// Makes up the numbers: no guest can guess that of another guest's port.
    secret: RandomState,
    ticks: usize,
    /// Where the turn of each port's VLANs has come to, by slot.
    places: BTreeMap<u32, usize>,
}

impl Probes {
    /// Returns what is due now.
    pub(super) fn due(&mut self, places: &Places, loops: &Loops) -> Vec<Frame> {
        self.ticks += 1;
        self.places
            .retain(|slot, _| places.ports.contains_key(slot));
        let turn = if places.ports.len() > MANY {
            LONG_TURN
        } else {
            TURN
        };
        let mut frames = Vec::new();
        for (slot, place) in places.ports.iter().skip(self.ticks % turn).step_by(turn) {
            let next = self.places.entry(*slot).or_default();
            let ways = choose(&place.ways, next);
            let nonce = self.nonce(*slot, loops.is_shut(*slot));
            let frame = |way: &Way| frame(places, place, *way, nonce);
            frames.extend(ways.iter().filter_map(frame));
        }
        frames
    }

    /// Returns what a probe that came in means, if it shows a loop.
    pub(super) fn returned(&self, places: &Places, event: &Event) -> Option<Returned> {
        let probe = Probe::parse(&event.frame)?;
        let place = places.ports.get(&event.holder)?;
        let segment = places.segments.get(&event.segment)?;
        let (host, port) = (name_str(&probe.host), name_str(&probe.port));
        let sender = if host == places.host {
            let slot = places.slot_of(port)?;
            // Not what a guest has made up of another's port.
            if probe.nonce & !SHUT != self.nonce(slot, false) {
                return None;
            }
            let mut ways = places.ports[&slot].ways.iter();
            let is_same = |way: &Way| {
                let of_sender = places.segments.get(&way.segment);
                way.segment == event.segment && of_sender.is_some_and(|of| of.vid == probe.vid)
            };
            ways.any(is_same)
                .then(|| Sender::Here(slot, port.to_owned()))?
        } else if places.is_peer(host) {
            if segment.vni == 0 || segment.vni != probe.vni || !is_link_name(&probe.port) {
                return None;
            }
            Sender::There {
                end: End {
                    host: host.to_owned(),
                    port: port.to_owned(),
                },
                is_shut: probe.nonce & SHUT != 0,
            }
        } else {
            return None;
        };
        Some(Returned {
            network: segment.network.clone(),
            slot: event.holder,
            arrival: End {
                host: places.host.clone(),
                port: place.name.clone(),
            },
            sender,
        })
    }

    /// Returns the number of a port's probes; its last bit tells other hosts whether the port is
    /// shut.
    fn nonce(&self, slot: u32, is_shut: bool) -> u64 {
        (self.secret.hash_one(slot) & !SHUT) | u64::from(is_shut)
    }
}

/// The bit of a nonce that says that its port is shut.
const SHUT: u64 = 1;

/// Returns whether a link may have that name. A guest can send probes of any port of another host,
/// whose name goes to the log and to terminals: it must not end lines, nor command a terminal.
fn is_link_name(name: &Name<16>) -> bool {
    let end = name.iter().position(|byte| *byte == 0);
    let is_printable = |byte: &u8| byte.is_ascii_graphic() && *byte != b'/';
    end.is_some_and(|end| end != 0 && name[..end].iter().all(is_printable))
}

/// Returns the segments whose turn it is: the port's own, and the next few of its others.
fn choose(ways: &[Way], next: &mut usize) -> Vec<Way> {
    let (own, others) = match ways.split_first() {
        Some((first, others)) if !first.is_tagged => (Some(*first), others),
        _ => (None, ways),
    };
    let count = others.len().min(VLANS);
    let start = *next % others.len().max(1);
    *next = start + count;
    let turn = others.iter().cycle().skip(start).take(count).copied();
    own.into_iter().chain(turn).collect()
}

/// Returns the probe of a port in one of its segments.
fn frame(places: &Places, place: &Place, way: Way, nonce: u64) -> Option<Frame> {
    let segment = places.segments.get(&way.segment)?;
    let probe = Probe {
        host: name(&places.host),
        port: name(&place.name),
        vni: segment.vni,
        vid: segment.vid,
        nonce,
    };
    let mut bytes = probe.emit(place.mac).to_vec();
    if way.is_tagged {
        let [high, low] = segment.vid.to_be_bytes();
        // Between the addresses and the EtherType: a C-tag (IEEE 802.1Q 9.6) of priority 0.
        let after_addresses = 2 * size_of::<Mac>();
        bytes.splice(after_addresses..after_addresses, [0x81, 0x00, high, low]);
    }
    Some(Frame {
        ifindex: place.ifindex,
        bytes,
    })
}

#[cfg(test)]
mod tests;
