//! Frames of every kind, and what must become of each.

use anyhow::Result;
use vxnet_tests::frame::{BROADCAST, ETHERTYPE_TEST, Outer, ethernet, tagged};
use vxnet_tests::lab::Lab;

use crate::inject::Injector;

/// How often each is sent.
pub(crate) const TIMES: u64 = 20;

const MULTICAST: [u8; 6] = [0x01, 0, 0x5e, 1, 2, 3];
/// Somewhere behind hv2, in each network.
const BEYOND: [u8; 6] = [0x02, 0x77, 0, 0, 0, 1];
/// Nowhere.
const UNKNOWN: [u8; 6] = [0x02, 0x77, 0, 0, 0, 2];

/// Who sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sender {
    /// A guest, or the stack of a host on its bridge.
    Station(String),
    /// Somebody on hv1's wire, with a packet that hv1 takes for one of hv2's; or does not.
    Wire { admitted: bool },
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
    /// Why hv1 or hv2 drops it, each time.
    pub(crate) dropped: Option<&'static str>,
}

/// The kinds, as they come.
pub(crate) struct Kinds<'a> {
    lab: &'a Lab,
    pub(crate) all: Vec<Kind>,
}

impl<'a> Kinds<'a> {
    pub(crate) fn new(lab: &'a Lab) -> Self {
        let all = Vec::new();
        Self { lab, all }
    }

    fn mac(&self, station: &str) -> Result<[u8; 6]> {
        if let Some(guest) = self.lab.guests.iter().find(|guest| guest.name == station) {
            return Ok(guest.mac);
        }
        let number = if station == "hv1" { 1 } else { 2 };
        self.lab.hypervisor(number)?.mac("br-blue")
    }

    /// A frame that no other kind equals.
    fn frame(&self, source: [u8; 6], destination: [u8; 6]) -> Vec<u8> {
        let mut payload = [0x5a; 50];
        payload[0] = u8::try_from(self.all.len()).expect("fewer kinds");
        ethernet(source, destination, ETHERTYPE_TEST, &payload)
    }

    fn add(
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
            dropped,
        });
    }

    /// Adds a frame from a station.
    fn from(
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
        let kind = self.all.last_mut().expect("just added");
        kind.reaches.push((trunk.to_owned(), tagged(&plain, 1001)));

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
        let good = wire.outer(self.lab.hypervisor(2)?.vtep, 10);
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
