//! Frames of every kind, and what must become of each.

use anyhow::Result;
use vxnet_tests::frame::{BROADCAST, ETHERTYPE_TEST, Outer, ethernet, tagged, tci};

use super::bench::Bench;
use crate::inject::Injector;

/// How often each is sent.
pub(crate) const TIMES: u64 = 20;

pub(crate) const MULTICAST: [u8; 6] = [0x01, 0, 0x5e, 1, 2, 3];
/// Somewhere behind hv2, in each network.
pub(crate) const BEYOND: [u8; 6] = [0x02, 0x77, 0, 0, 0, 1];
/// Nowhere.
pub(crate) const UNKNOWN: [u8; 6] = [0x02, 0x77, 0, 0, 0, 2];

/// Who sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sender {
    /// A guest, or the stack of a host on its bridge.
    Station(String),
    /// Somebody on hv1's wire, with a packet that hv1 takes for one of hv2's; or does not.
    Wire { admitted: bool },
    /// Somebody on hv1's wire, with a packet that is none of vxnet's.
    Aside,
}

/// One kind of frame.
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    pub(crate) what: &'static str,
    pub(crate) sender: Sender,
    /// As sent.
    pub(crate) frame: Vec<u8>,
    /// The stations that get it, each as often as it was sent: the frame as they see it.
    pub(crate) reaches: Vec<(String, Vec<u8>)>,
    /// Why a host drops it, or a copy of it, each time.
    pub(crate) dropped: Vec<&'static str>,
    /// What a host counts each time although nothing is lost.
    pub(crate) noticed: Option<&'static str>,
    /// Each comes from another address.
    pub(crate) varies: bool,
    /// Only some get through, to all that it reaches; the others are dropped.
    pub(crate) limited: bool,
}

impl Kind {
    /// A frame of this kind as it is in a round.
    pub(crate) fn in_round(&self, frame: &[u8], round: u64) -> Vec<u8> {
        let mut frame = frame.to_vec();
        if self.varies {
            frame[11] = u8::try_from(round).expect("few rounds");
        }
        frame
    }

    /// The frames that arrive if so many get through, and how often each does.
    pub(crate) fn arrivals(&self, frame: &[u8], times: u64) -> Vec<(Vec<u8>, u64)> {
        if self.varies {
            let rounds = 0..TIMES;
            rounds
                .map(|round| (self.in_round(frame, round), 1))
                .collect()
        } else {
            vec![(frame.to_vec(), times)]
        }
    }
}

/// The kinds, as they come.
pub(crate) struct Kinds<'a> {
    pub(super) bench: &'a Bench,
    pub(crate) all: Vec<Kind>,
}

impl<'a> Kinds<'a> {
    pub(crate) fn new(bench: &'a Bench) -> Self {
        let all = Vec::new();
        Self { bench, all }
    }

    pub(super) fn mac(&self, station: &str) -> Result<[u8; 6]> {
        Ok(self.bench.edge(station)?.mac)
    }

    /// A frame that no other kind equals.
    pub(super) fn frame(&self, source: [u8; 6], destination: [u8; 6]) -> Vec<u8> {
        let mut payload = [0x5a; 50];
        payload[0] = u8::try_from(self.all.len()).expect("fewer kinds");
        ethernet(source, destination, ETHERTYPE_TEST, &payload)
    }

    pub(super) fn add(
        &mut self,
        what: &'static str,
        sender: Sender,
        frame: Vec<u8>,
        inner: &[u8],
        reaches: &[&str],
        dropped: Option<&'static str>,
    ) {
        let reaches = reaches.iter().map(|&to| (to.to_owned(), inner.to_vec()));
        self.all.push(Kind {
            what,
            sender,
            frame,
            reaches: reaches.collect(),
            dropped: dropped.into_iter().collect(),
            noticed: None,
            varies: false,
            limited: false,
        });
    }

    /// The kind that was added last.
    pub(super) fn last(&mut self) -> &mut Kind {
        self.all.last_mut().expect("one was added")
    }

    /// Adds a frame from a station.
    pub(super) fn from(
        &mut self,
        station: &str,
        what: &'static str,
        destination: [u8; 6],
        reaches: &[&str],
        dropped: Option<&'static str>,
    ) -> Result<()> {
        let frame = self.frame(self.mac(station)?, destination);
        let sender = Sender::Station(station.to_owned());
        self.add(what, sender, frame.clone(), &frame, reaches, dropped);
        Ok(())
    }

    /// Frames of a network without VLANs.
    pub(crate) fn plain(&mut self) -> Result<()> {
        let flood = ["blue1.2", "blue1.3", "hv1", "blue2.1", "hv2"];
        let tap = "blue1.1";
        self.from(
            tap,
            "to a neighbour",
            self.mac("blue1.2")?,
            &["blue1.2"],
            None,
        )?;
        self.from(tap, "to hv2", self.mac("blue2.1")?, &["blue2.1"], None)?;
        self.from(tap, "to the host", self.mac("hv1")?, &["hv1"], None)?;
        self.from(tap, "broadcast", BROADCAST, &flood, None)?;
        self.from(tap, "multicast", MULTICAST, &flood, None)?;
        self.from(tap, "unknown", UNKNOWN, &flood, None)?;
        self.from(tap, "to itself", self.mac(tap)?, &[], Some("same_port"))?;
        let reserved = [1, 0x80, 0xc2, 0, 0, 2];
        self.from(tap, "link-local", reserved, &[], Some("link_local"))?;
        self.from("blue2.1", "back from hv2", self.mac(tap)?, &[tap], None)?;
        let flood = ["hv2", "blue1.1", "blue1.2", "blue1.3", "hv1"];
        self.from("blue2.1", "broadcast from hv2", BROADCAST, &flood, None)?;
        self.from(
            "hv1",
            "of the host",
            self.mac("blue1.3")?,
            &["blue1.3"],
            None,
        )?;
        self.from(
            "hv1",
            "of the host to hv2",
            self.mac("blue2.1")?,
            &["blue2.1"],
            None,
        )?;
        let flood = ["blue1.1", "blue1.2", "blue1.3", "blue2.1", "hv2"];
        self.from("hv1", "broadcast of the host", BROADCAST, &flood, None)?;

        let from = || Sender::Station("blue1.2".to_owned());
        let group = self.frame([3, 0, 0, 0, 0, 1], BROADCAST);
        self.add("group source", from(), group, &[], &[], Some("bad_source"));
        let mac = self.mac("blue1.2")?;
        let frame = tagged(&self.frame(mac, BROADCAST), 5);
        self.add("with a tag", from(), frame, &[], &[], Some("tagged"));
        // The kernel's veth takes no less than a header.
        let frame = ethernet(mac, self.mac("blue1.3")?, ETHERTYPE_TEST, &[]);
        self.add(
            "only a header",
            from(),
            frame.clone(),
            &frame,
            &["blue1.3"],
            None,
        );
        Ok(())
    }

    /// Frames of a VLAN-aware network: an access port, a trunk port, and a port in no VLAN.
    pub(crate) fn vlans(&mut self) -> Result<()> {
        let (access, trunk, nowhere) = ("office1.1", "office1.2", "office1.3");
        let plain = self.frame(self.mac(access)?, BROADCAST);
        let sender = Sender::Station(access.to_owned());
        let what = "broadcast in a VLAN";
        self.add(what, sender, plain.clone(), &plain, &["office2.1"], None);
        let with_tag = (trunk.to_owned(), tagged(&plain, 1001));
        self.last().reaches.push(with_tag);

        let plain = self.frame(self.mac(trunk)?, self.mac("office2.1")?);
        let from = || Sender::Station(trunk.to_owned());
        let frame = tagged(&plain, 0xa3e9);
        self.add(
            "of a trunk port",
            from(),
            frame,
            &plain,
            &["office2.1"],
            None,
        );
        for (what, tci, reason) in [
            ("VLAN of nobody else", 1002, "no_destination"),
            ("denied VLAN", 1003, "vlan_denied"),
            ("reserved VLAN", 4095, "bad_vid"),
        ] {
            let frame = tagged(&self.frame(self.mac(trunk)?, BROADCAST), tci);
            self.add(what, from(), frame, &[], &[], Some(reason));
        }
        let what = "no tag on a trunk port";
        self.from(trunk, what, BROADCAST, &[], Some("no_vlan"))?;
        let what = "port without a portgroup";
        self.from(nowhere, what, BROADCAST, &[], Some("no_vlan"))
    }

    /// Packets on hv1's wire, as hv2 could send them and as it never would.
    pub(crate) fn wire(&mut self, wire: &Injector) -> Result<()> {
        let good = wire.outer(self.bench.lab.hypervisor(2)?.vtep, 10);
        let mut foreign = good;
        foreign.from.ip = "10.99.0.1".parse()?;
        let mut elsewhere = good;
        elsewhere.vxlan.vni = 4711;
        let mut bare = good;
        bare.vxlan.flags = 0;
        let (admitted, refused) = (true, false);
        let (tap, veth) = (self.mac("blue1.1")?, self.mac("blue1.2")?);
        let flood = ["blue1.1", "blue1.2", "blue1.3", "hv1"];
        let mut add = |what, admitted, outer: Outer, pair: ([u8; 6], [u8; 6]), to: &[&str], why| {
            let inner = self.frame(pair.0, pair.1);
            let sender = Sender::Wire { admitted };
            self.add(what, sender, outer.wrap(&inner), &inner, to, why);
        };
        add(
            "VXLAN to a tap",
            admitted,
            good,
            (BEYOND, tap),
            &["blue1.1"],
            None,
        );
        add(
            "VXLAN to a veth",
            admitted,
            good,
            (BEYOND, veth),
            &["blue1.2"],
            None,
        );
        add(
            "VXLAN flood",
            admitted,
            good,
            (BEYOND, BROADCAST),
            &flood,
            None,
        );
        add(
            "VXLAN unknown",
            admitted,
            good,
            (BEYOND, UNKNOWN),
            &flood,
            None,
        );
        add(
            "a guest of ours",
            admitted,
            good,
            (tap, veth),
            &[],
            Some("local_mac"),
        );
        add(
            "not back",
            admitted,
            good,
            (BEYOND, [2, 0x77, 0, 0, 0, 1]),
            &[],
            Some("split_horizon"),
        );
        add(
            "group",
            admitted,
            good,
            ([1; 6], tap),
            &[],
            Some("bad_source"),
        );
        add(
            "no host",
            refused,
            foreign,
            (BEYOND, tap),
            &[],
            Some("unknown_vtep"),
        );
        add(
            "no network",
            refused,
            elsewhere,
            (BEYOND, tap),
            &[],
            Some("unknown_vni"),
        );
        add(
            "no I flag",
            refused,
            bare,
            (BEYOND, tap),
            &[],
            Some("bad_vxlan"),
        );
        self.broken(&good, tap);
        Ok(())
    }

    /// Packets that look like hv2's, to a guest, but are no VXLAN of an untagged frame.
    fn broken(&mut self, good: &Outer, to: [u8; 6]) {
        let frame = good.wrap(&tagged(&self.frame(BEYOND, to), 7));
        let sender = Sender::Wire { admitted: true };
        self.add("a tag inside", sender, frame, &[], &[], Some("tagged"));
        let mut frame = good.wrap(&self.frame(BEYOND, to));
        frame.truncate(frame.len() - 20);
        let sender = Sender::Wire { admitted: false };
        self.add("cut short", sender, frame, &[], &[], Some("bad_outer"));
    }
}

/// The frame without its VLAN tag, if it has one.
pub(crate) fn untagged(frame: &[u8]) -> Vec<u8> {
    if tci(frame).is_some() {
        [&frame[..12], &frame[16..]].concat()
    } else {
        frame.to_vec()
    }
}
