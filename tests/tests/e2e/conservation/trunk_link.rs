//! A link to a physical switch: frames with tags, in and out.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use anyhow::Result;
use vxnet_tests::frame::{
    BROADCAST, ETHERTYPE_TEST, Endpoint, arp_reply, arp_request, ethernet, tagged, udp,
};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind as Switch;
use vxnet_tests::lab::Lab;
use vxnet_tests::network::Network;
use vxnet_tests::physical::{self, TRUNK};
use vxnet_tests::topology::LabBuilder;

use super::bench::Bench;
use super::kinds::{Kinds, Sender, UNKNOWN};
use super::messages::{too_big_v4, too_big_v6};

/// The stations behind the switch, in VLAN 1001.
const PC: [u8; 6] = [0x02, 0x55, 0, 0, 0, 1];
const PRINTER: [u8; 6] = [0x02, 0x55, 0, 0, 0, 2];
const PC_V4: Ipv4Addr = Ipv4Addr::new(192, 168, 50, 201);
const PC_V6: Ipv6Addr = Ipv6Addr::new(0xfd50, 0, 0, 0, 0, 0, 0, 0x201);
/// VLAN 1001, alone and with priority 5.
const VLAN: u16 = 1001;
const HURRIED: u16 = 5 << 13 | VLAN;
/// In no VLAN of hv2's.
const LOCAL: u16 = 1002;
const PAUSE: Duration = Duration::from_millis(40);
const SWITCH: &str = "switch";
const FULL: usize = 1500;
const FITS: u16 = 1450;

/// VLAN 1001 is on the overlay, and questions in it are answered in place; hv1 has the switch, an
/// access port and a trunk port, hv2 an access port.
fn lab(label: &str, receive: &str) -> Result<(Lab, physical::Switch)> {
    let office = Network::of_vlans("office", 100, &[VLAN, LOCAL])
        .portgroup("vlan-1001", "vlan = 1001")
        .portgroup("vlan-all", "vlans = [1001, 1002]")
        .vlan(VLAN, "vni = 5001\nsuppress = true");
    let mut lab = LabBuilder::new(label)
        .hypervisors(&[Switch::Vxnet, Switch::Vxnet])
        .every_host(&format!("receive = \"{receive}\""))
        .host(1, &format!("trunk = {{ office = \"{TRUNK}\" }}"))
        .network(office)
        .in_portgroup(1, "vnet0", "vlan-1001")
        .in_portgroup(1, "vnet1", "vlan-all")
        .in_portgroup(2, "vnet0", "vlan-1001")
        .guest("office", 1, Port::Tap)
        .guest("office", 1, Port::Veth)
        .guest("office", 2, Port::Veth)
        .prepare()?;
    let switch = physical::Switch::connect(&lab, &[1])?;
    lab.start()?;
    lab.plug_all()?;
    Ok((lab, switch))
}

fn trunk_link(label: &str, receive: &str) -> Result<()> {
    let (lab, switch) = lab(label, receive)?;
    let mut bench = Bench::new(lab)?;
    bench.link((SWITCH, PC), (1, TRUNK), (&switch.netns, "to-hv1"))?;
    let (near, trunk, far) = ("office1.1", "office1.2", "office2.1");
    bench.settle(&[&[near, far]])?;
    let hello = |mac| tagged(&ethernet(mac, BROADCAST, ETHERTYPE_TEST, &[0x5b; 50]), VLAN);
    for (from, mac) in [
        (SWITCH, PC),
        (SWITCH, PRINTER),
        (trunk, bench.edge(trunk)?.mac),
    ] {
        bench.tell(from, &hello(mac), far)?;
    }
    let guest = bench.lab.guest("office", 2, 1)?;
    let announced = arp_request(guest.mac, guest.v4, guest.v4);
    bench.tell(far, &announced, SWITCH)?;
    bench.calm()?;

    let mut kinds = Kinds::new(&bench);
    kinds.of_the_switch()?;
    kinds.for_the_switch()?;
    kinds.back_to_the_switch()?;
    let kinds = kinds.all;
    bench.run(&kinds, PAUSE)
}

fn switch() -> Sender {
    Sender::Station(SWITCH.to_owned())
}

impl Kinds<'_> {
    /// Adds a frame in VLAN 1001: `tci` is what it is sent with, and what those get who get tags.
    fn in_vlan(
        &mut self,
        what: &'static str,
        from: &str,
        tci: Option<u16>,
        (source, to): ([u8; 6], [u8; 6]),
        reaches: &[(&str, Option<u16>)],
    ) {
        let plain = self.frame(source, to);
        let form = |tci: Option<u16>| tci.map_or_else(|| plain.clone(), |tci| tagged(&plain, tci));
        let sender = Sender::Station(from.to_owned());
        self.add(what, sender, form(tci), &[], &[], None);
        let reaches = reaches
            .iter()
            .map(|&(name, tci)| (name.to_owned(), form(tci)));
        self.last().reaches = reaches.collect();
    }

    /// Frames that come in on the link.
    fn of_the_switch(&mut self) -> Result<()> {
        let (near, trunk, far) = ("office1.1", "office1.2", "office2.1");
        let (vlan, hurried) = (Some(VLAN), Some(HURRIED));
        let all = [(near, None), (trunk, vlan), (far, None)];
        self.in_vlan("broadcast", SWITCH, vlan, (PC, BROADCAST), &all);
        self.in_vlan("unknown", SWITCH, vlan, (PC, UNKNOWN), &all);
        let quick = [(near, None), (trunk, hurried), (far, None)];
        self.in_vlan("urgent", SWITCH, hurried, (PC, BROADCAST), &quick);
        let to = self.mac(near)?;
        self.in_vlan("to hv1", SWITCH, vlan, (PC, to), &[(near, None)]);
        let to = self.mac(trunk)?;
        self.in_vlan(
            "to a trunk port",
            SWITCH,
            hurried,
            (PC, to),
            &[(trunk, hurried)],
        );
        let to = self.mac(far)?;
        self.in_vlan("to hv2", SWITCH, vlan, (PC, to), &[(far, None)]);
        let to = [(trunk, Some(LOCAL))];
        self.in_vlan("in a local VLAN", SWITCH, Some(LOCAL), (PC, BROADCAST), &to);
        for (what, tci, reason) in [
            ("a VLAN of nobody", 1003, "vlan_denied"),
            ("the reserved VLAN", 4095, "bad_vid"),
        ] {
            let frame = tagged(&self.frame(PC, BROADCAST), tci);
            self.add(what, switch(), frame, &[], &[], Some(reason));
        }
        let plain = self.frame(PC, BROADCAST);
        let twice = tagged(&tagged(&self.frame(PC, BROADCAST), VLAN), VLAN);
        let mut service = tagged(&self.frame(PC, BROADCAST), VLAN);
        service[12..14].copy_from_slice(&[0x88, 0xa8]);
        let reserved = self.frame(PC, [1, 0x80, 0xc2, 0, 0, 0xe]);
        let group = self.frame([3, 0, 0, 0, 0, 1], BROADCAST);
        for (what, frame, reason) in [
            ("no tag", plain, "no_vlan"),
            ("two tags", twice, "tagged"),
            ("a service tag", service, "tagged"),
            ("LLDP in a VLAN", tagged(&reserved, VLAN), "link_local"),
            ("a group in a VLAN", tagged(&group, VLAN), "bad_source"),
        ] {
            self.add(what, switch(), frame, &[], &[], Some(reason));
        }
        let own = tagged(&self.frame(PC, PRINTER), VLAN);
        let what = "between stations of the switch";
        self.add(what, switch(), own, &[], &[], Some("same_port"));
        Ok(())
    }

    /// Frames that leave by the link.
    fn for_the_switch(&mut self) -> Result<()> {
        let (near, trunk, far) = ("office1.1", "office1.2", "office2.1");
        let (vlan, hurried) = (Some(VLAN), Some(HURRIED));
        let macs = [near, trunk, far].map(|name| self.mac(name));
        let [a, b, c] = macs;
        let (a, b, c) = (a?, b?, c?);
        let out = [(SWITCH, vlan)];
        self.in_vlan("of an access port", near, None, (a, PC), &out);
        self.in_vlan(
            "of a trunk port",
            trunk,
            hurried,
            (b, PC),
            &[(SWITCH, hurried)],
        );
        self.in_vlan("of hv2", far, None, (c, PRINTER), &out);
        let all = [(SWITCH, vlan), (near, None), (trunk, vlan)];
        self.in_vlan("flood of hv2", far, None, (c, BROADCAST), &all);
        let all = [(SWITCH, vlan), (far, None), (trunk, vlan)];
        self.in_vlan("flood of hv1", near, None, (a, BROADCAST), &all);
        let to = [(SWITCH, Some(LOCAL))];
        self.in_vlan("local flood", trunk, Some(LOCAL), (b, BROADCAST), &to);
        Ok(())
    }

    /// Frames that go back by the link as something else.
    fn back_to_the_switch(&mut self) -> Result<()> {
        let far = self.bench.lab.guest("office", 2, 1)?;
        let (mac, v4) = (far.mac, far.v4);
        let of = |ip: std::net::IpAddr| Endpoint::new(PC, ip);
        let (to_v4, to_v6) = (Endpoint::new(mac, far.v4), Endpoint::new(mac, far.v6));
        let v4_frame = udp(of(PC_V4.into()), to_v4, (4000, 4000), &[0x77; FULL - 28]);
        let v6_frame = udp(of(PC_V6.into()), to_v6, (4000, 4000), &[0x77; FULL - 48]);
        let question = arp_request(PC, PC_V4, v4);
        let told_v4 = too_big_v4(&v4_frame, v4, FITS);
        let told_v6 = too_big_v6(&v6_frame, FITS.into());
        let answer = arp_reply((mac, v4), (PC, PC_V4));
        for (what, frame, message, dropped) in [
            ("too big, IPv4", v4_frame, told_v4, Some("too_big")),
            ("too big, IPv6", v6_frame, told_v6, Some("too_big")),
            ("ARP", question, answer, None),
        ] {
            let (frame, message) = (tagged(&frame, HURRIED), tagged(&message, HURRIED));
            self.add(what, switch(), frame, &message, &[SWITCH], dropped);
        }
        self.last().noticed = Some("answered");
        let full = tagged(&ethernet(PC, mac, ETHERTYPE_TEST, &[0x79; FULL]), VLAN);
        let what = "too big, not IP";
        self.add(what, switch(), full, &[], &[], Some("too_big"));
        Ok(())
    }
}

#[test]
fn conservation_of_frames_of_a_trunk_link() -> Result<()> {
    trunk_link("construnk", "auto")
}

#[test]
fn conservation_of_frames_of_a_trunk_link_at_tc() -> Result<()> {
    trunk_link("construnktc", "tc")
}
