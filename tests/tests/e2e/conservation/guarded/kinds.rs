//! The kinds of frames that ports and networks treat in ways of their own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result};
use etherparse::Ipv4Header;
use vxnet_common::loop_probe;
use vxnet_tests::frame::{
    BROADCAST, ETHERTYPE_TEST, Endpoint, VXLAN_PORT, arp_reply, arp_request, ethernet, udp,
};
use vxnet_tests::guest::Guest;
use vxnet_tests::network::gateway_v4;

use super::super::kinds::{BEYOND, Kinds, MULTICAST, Sender, UNKNOWN};
use super::super::messages::{
    ALL_NODES, ROUTER_ADVERTISEMENT, advertisement, discovery, solicitation, too_big_v4, too_big_v6,
};
use super::{LOST, OTHER, RESTLESS};
use crate::inject::Injector;

/// What a full frame of a guest's carries, which is more than the overlay takes.
const FULL: usize = 1500;
/// The largest IP packet that fits the overlay.
const FITS: u16 = 1450;
/// Who a flood of blue1.1 reaches.
const FLOOD: [&str; 9] = [
    "blue1.2", "blue1.3", "blue1.4", "blue1.5", "blue1.6", "blue1.7", "hv1", "blue2.1", "hv2",
];

fn station(name: &str) -> Sender {
    Sender::Station(name.to_owned())
}

impl Kinds<'_> {
    fn guest(&self, name: &str) -> Result<&Guest> {
        let mut guests = self.bench.lab.guests.iter();
        let found = guests.find(|guest| guest.name == name);
        found.with_context(|| format!("no {name}"))
    }

    /// Adds a frame from a station that only itself gets something for.
    fn reply(&mut self, what: &'static str, from: &str, question: Vec<u8>, answer: &[u8]) {
        self.add(what, station(from), question, answer, &[from], None);
    }

    /// ARP and neighbour discovery that is answered in place.
    pub(super) fn answered(&mut self) -> Result<()> {
        let (near, far) = (self.guest("blue1.1")?, self.guest("blue2.1")?);
        let (near_v4, far_v4) = ((near.mac, near.v4), (far.mac, far.v4));
        let (near_v6, far_v6) = ((near.mac, near.v6), (far.mac, far.v6));
        let host = (self.mac("hv1")?, gateway_v4(1));
        for (what, from, asker, asked) in [
            ("ARP", "blue1.1", near_v4, far_v4),
            ("ARP at hv2", "blue2.1", far_v4, near_v4),
            ("ARP of the host", "hv1", host, far_v4),
        ] {
            let question = arp_request(asker.0, asker.1, asked.1);
            self.reply(what, from, question, &arp_reply(asked, asker));
            self.last().noticed = Some("answered");
        }
        let question = solicitation(near_v6, far_v6.1);
        let answer = advertisement(far_v6, near_v6);
        self.reply("solicitation", "blue1.1", question, &answer);
        self.last().noticed = Some("answered");
        // Nobody knows; and who asks from nowhere is to hear it from the owner.
        let nobody = Ipv4Addr::new(192, 168, 50, 250);
        let unanswered = arp_request(near_v4.0, near_v4.1, nobody);
        let what = "ARP for nobody";
        self.add(
            what,
            station("blue1.1"),
            unanswered.clone(),
            &unanswered,
            &FLOOD,
            None,
        );
        Ok(())
    }

    /// Frames that do not fit the overlay.
    pub(super) fn too_big(&mut self) -> Result<()> {
        let from = "blue1.1";
        let (near, far) = (self.guest(from)?, self.guest("blue2.1")?);
        let pair = |a: IpAddr, b: IpAddr| (Endpoint::new(near.mac, a), Endpoint::new(far.mac, b));
        let (a, b) = pair(near.v4.into(), far.v4.into());
        let v4 = udp(a, b, (4000, 4000), &[0x77; FULL - 28]);
        let (a, b) = pair(near.v6.into(), far.v6.into());
        let v6 = udp(a, b, (4000, 4000), &[0x77; FULL - 48]);
        let full = |to| ethernet(near.mac, to, ETHERTYPE_TEST, &[0x78; FULL]);
        let (not_ip, flood) = (full(far.mac), full(BROADCAST));
        let back = ethernet(far.mac, near.mac, ETHERTYPE_TEST, &[0x79; FULL]);
        let local = full(self.mac("blue1.2")?);
        let message = too_big_v4(&v4, gateway_v4(1), FITS);
        self.reply("too big, IPv4", from, v4, &message);
        self.last().dropped = vec!["too_big"];
        let message = too_big_v6(&v6, FITS.into());
        self.reply("too big, IPv6", from, v6, &message);
        self.last().dropped = vec!["too_big"];
        for (what, from, frame) in [
            ("too big, not IP", from, not_ip),
            ("too big, of hv2", "blue2.1", back),
        ] {
            self.add(what, station(from), frame, &[], &[], Some("too_big"));
        }
        let to = &["blue1.2"];
        let what = "large, but not for the overlay";
        self.add(what, station(from), local.clone(), &local, to, None);
        // What is delivered here need not fit the overlay, nor does it to the host.
        let to = &FLOOD[..7];
        let what = "a flood too big";
        self.add(
            what,
            station(from),
            flood.clone(),
            &flood,
            to,
            Some("too_big"),
        );
        Ok(())
    }

    /// Frames that are counted, or dropped, because there are too many.
    pub(super) fn limited(&mut self) -> Result<()> {
        let frame = self.frame(RESTLESS, BROADCAST);
        let what = "an address that moves too often";
        let from = station("blue1.1");
        self.add(what, from, frame.clone(), &frame, &FLOOD, None);
        self.last().noticed = Some("mac_flap");

        let others = |own| {
            let all = ["blue1.1"].into_iter().chain(FLOOD);
            all.filter(|&name| name != own).collect::<Vec<_>>()
        };
        let (few, slow) = ("blue1.6", "blue1.7");
        let frame = self.frame([0x02, 0x88, 0, 0, 0, 0], BROADCAST);
        let what = "more addresses than may be";
        self.add(
            what,
            station(few),
            frame.clone(),
            &frame,
            &others(few),
            None,
        );
        self.last().noticed = Some("fdb_limit");
        self.last().varies = true;

        let what = "more floods than may be";
        self.from(slow, what, BROADCAST, &others(slow), Some("storm"))?;
        self.last().limited = true;
        let to = self.mac("blue1.1")?;
        self.from(slow, "no flood", to, &["blue1.1"], None)
    }

    /// Frames of guests that are what they may not be.
    pub(super) fn lies(&mut self) -> Result<()> {
        let (plain, fixed, own) = ("blue1.1", "blue1.4", "blue1.5");
        self.from(fixed, "of a locked port", BROADCAST, &[], Some("locked"))?;
        let (near, guarded) = (self.guest(plain)?, self.guest(own)?);
        let (near, guarded) = ((near.mac, near.v4, near.v6), (guarded.mac, guarded.v4));
        let of_v4 = |to: ([u8; 6], IpAddr), ports| {
            let (from, to) = (Endpoint::new(near.0, near.1), Endpoint::new(to.0, to.1));
            udp(from, to, ports, &[0; 250])
        };
        let everybody = (BROADCAST, Ipv4Addr::BROADCAST.into());
        let gateway = (self.mac("hv1")?, self.bench.lab.hypervisor(2)?.vtep);
        let router = (near.0, Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
        let advertised = discovery(
            router,
            ALL_NODES,
            ROUTER_ADVERTISEMENT,
            [64, 0, 7, 8],
            &[0; 8],
        );
        let mut unsound = arp_request([1; 6], near.1, guarded.1);
        unsound[6..12].copy_from_slice(&near.0);
        let probe = ethernet(near.0, loop_probe::DESTINATION.0, ETHERTYPE_TEST, &[0; 67]);
        let mac = self.frame(UNKNOWN, BROADCAST);
        let of_host = self.frame(self.mac("hv1")?, BROADCAST);
        let as_gateway = arp_request(near.0, gateway_v4(1), guarded.1);
        for (what, from, frame, reason) in [
            ("another's MAC", own, mac, "spoofed_mac"),
            (
                "another's MAC in ARP",
                own,
                arp_reply((UNKNOWN, guarded.1), (near.0, near.1)),
                "spoofed_mac",
            ),
            (
                "another's IP",
                own,
                arp_request(guarded.0, near.1, gateway_v4(1)),
                "spoofed_ip",
            ),
            ("I am the gateway", plain, as_gateway, "spoofed_ip"),
            ("the gateway's MAC", plain, of_host, "local_mac"),
            (
                "DHCP server",
                plain,
                of_v4(everybody, (67, 68)),
                "rogue_dhcp",
            ),
            ("router", plain, advertised, "rogue_ra"),
            (
                "VXLAN of a guest",
                plain,
                of_v4(gateway, (50_000, VXLAN_PORT)),
                "guest_vxlan",
            ),
            ("ARP of a group", plain, unsound, "bad_neighbour"),
            ("a loop probe", plain, probe, "loop_probe"),
        ] {
            self.add(what, station(from), frame, &[], &[], Some(reason));
        }
        // Who is what it says gets through.
        let to = &[plain];
        let honest = arp_reply(guarded, (near.0, near.1));
        self.add("honest", station(own), honest.clone(), &honest, to, None);
        Ok(())
    }

    /// Frames that do not go everywhere.
    pub(super) fn apart(&mut self) -> Result<()> {
        let from = "blue1.2";
        let to = self.mac("blue1.3")?;
        self.from(from, "between isolated ports", to, &[], Some("isolated"))?;
        let mut all = FLOOD.to_vec();
        all.drain(..2);
        all.push("blue1.1");
        self.from(from, "flood of an isolated port", BROADCAST, &all, None)?;
        let from = "quiet1.1";
        for (what, to) in [
            ("broadcast", BROADCAST),
            ("multicast", MULTICAST),
            ("unknown", UNKNOWN),
        ] {
            self.from(from, what, to, &[], Some("flood_off"))?;
        }
        let to = self.mac("quiet1.2")?;
        self.from(from, "known", to, &["quiet1.2"], None)
    }

    /// Frames for a port that is down, and for a host without a route to it.
    pub(super) fn unreachable(&mut self) -> Result<()> {
        let from = "down1.1";
        self.from(from, "no way for most", BROADCAST, &["hv1.down"], None)?;
        self.last().dropped = vec!["redirect_failed", "no_route"];
        self.from(from, "no way", LOST, &[], Some("no_route"))
    }

    /// VXLAN packets that no VTEP should send, or that another one is to get.
    pub(super) fn odd_packets(&mut self, wire: &Injector) -> Result<()> {
        let good = wire.outer(self.bench.lab.hypervisor(2)?.vtep, 10);
        let (plain, far) = (self.guest("blue1.1")?, self.guest("blue2.1")?);
        let inside = self.frame(BEYOND, plain.mac);
        let from = Endpoint::new(BEYOND, far.v4);
        let ip = udp(
            from,
            Endpoint::new(plain.mac, plain.v4),
            (4000, 4000),
            &[1; 50],
        );

        let mut marked = good;
        marked.traffic_class = 0b11;
        let mut elsewhere = good;
        elsewhere.vxlan.vni = 12;
        let mut other = good;
        other.to.ip = OTHER.into();
        let fragment = fragment(good.wrap(&inside))?;
        let taken = |admitted| Sender::Wire { admitted };
        for (what, sender, packet, reason) in [
            ("congestion", taken(true), marked.wrap(&ip), "ecn"),
            (
                "not the peer's network",
                taken(false),
                elsewhere.wrap(&inside),
                "vni_not_shared",
            ),
            ("a fragment", taken(false), fragment, "outer_fragment"),
        ] {
            self.add(what, sender, packet, &[], &[], Some(reason));
        }
        let packet = other.wrap(&inside);
        self.add("another VTEP's", Sender::Aside, packet, &[], &[], None);
        self.last().noticed = Some("not_ours");
        Ok(())
    }
}

/// Makes a packet the first fragment of one.
fn fragment(mut packet: Vec<u8>) -> Result<Vec<u8>> {
    let (mut ip, _) = Ipv4Header::from_slice(&packet[14..])?;
    ip.dont_fragment = false;
    ip.more_fragments = true;
    ip.header_checksum = ip.calc_header_checksum();
    packet[14..34].copy_from_slice(&ip.to_bytes());
    Ok(packet)
}
