//! The oracle: what Open vSwitch says that it would do, by `ofproto/trace`.
//!
//! Its ports are dummies, so nothing is really sent: the trace ends in the actions of its data
//! path, which are carried out here. A trace of a whole packet learns as the packet itself would.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail, ensure};
use vxnet_tests::frame::ethernet;
use vxnet_tests::netns::Netns;
use vxnet_tests::open_vswitch::{Control, OpenVswitch};
use vxnet_tests::scope::Scope;

use crate::layout::{Layout, Mac, Mode, PORTS};
use crate::outcome::{Outcome, Switch, hex, lessons};
use crate::sample::{CUSTOMER_TAG, ETHERTYPE_PLAIN, SERVICE_TAG, push_tag};

const BRIDGE: &str = "oracle";
/// Of the bridge's own port, which cannot be left out: a VLAN of nobody else's.
const APART: u16 = 4000;
/// Nobody's address: known nowhere.
const NOBODY: Mac = [0x52, 0x54, 0, 0, 9, 9];

/// A bridge of Open vSwitch.
pub(crate) struct Oracle {
    switch: OpenVswitch,
    control: Control,
    layout: Option<Layout>,
    /// The table holds more than the stations that are known.
    touched: bool,
}

impl Oracle {
    /// Starts the programs and makes the bridge.
    pub(crate) fn start(scope: &Scope) -> Result<Self> {
        let netns = Netns::create(scope, "ovs")?;
        let options = "--enable-dummy=override --disable-system";
        let switch = OpenVswitch::start(&netns, &scope.directory().join("ovs"), options)?;
        let mut line = format!(
            "add-br {BRIDGE} -- set bridge {BRIDGE} datapath_type=dummy fail-mode=standalone \
             -- set port {BRIDGE} tag={APART}"
        );
        for number in 1..=PORTS {
            write!(
                line,
                " -- add-port {BRIDGE} p{number} \
                 -- set interface p{number} type=dummy ofport_request={number}"
            )?;
        }
        switch.vsctl(&line)?;
        let mut control = switch.control()?;
        let ports = control.call("dpif/show", &[])?;
        for number in 1..=PORTS {
            // The actions name ports of the data path, the questions those of OpenFlow.
            let same = format!("p{number} {number}/{number}:");
            ensure!(ports.contains(&same), "numbered otherwise:\n{ports}");
        }
        Ok(Self {
            switch,
            control,
            layout: None,
            touched: true,
        })
    }

    fn trace(&mut self, port: u32, frame: &[u8]) -> Result<String> {
        let flow = format!("in_port={port}");
        self.control
            .call("ofproto/trace", &[BRIDGE, &flow, &hex(frame)])
    }

    /// Makes the table what the layout says, by frames of each station.
    fn teach(&mut self) -> Result<()> {
        if !self.touched {
            return Ok(());
        }
        self.control.call("fdb/flush", &[BRIDGE])?;
        let layout = self.layout.take().context("not configured")?;
        for ((vid, mac), number) in &layout.stations {
            let mut frame = ethernet(*mac, NOBODY, ETHERTYPE_PLAIN, &[0; 46]);
            if layout.ports[number].own != Some(*vid) {
                push_tag(&mut frame, CUSTOMER_TAG, *vid);
            }
            self.trace(*number, &frame)?;
        }
        let table = self.table()?;
        ensure!(
            table == layout.stations,
            "taught {:?}, learned {table:?}",
            layout.stations
        );
        self.layout = Some(layout);
        self.touched = false;
        Ok(())
    }

    fn table(&mut self) -> Result<BTreeMap<(u16, Mac), u32>> {
        let text = self.control.call("fdb/show", &[BRIDGE])?;
        let rows = text.lines().skip(1).map(|line| {
            let [port, vid, mac, _age] = line.split_whitespace().collect::<Vec<_>>()[..] else {
                bail!("no row of a table: {line}");
            };
            let octets = mac.split(':').map(|octet| u8::from_str_radix(octet, 16));
            let octets = octets.collect::<Result<Vec<_>, _>>()?;
            let mac = Mac::try_from(octets).ok().context("no address")?;
            Ok(((vid.parse()?, mac), port.parse()?))
        });
        rows.collect()
    }
}

impl Switch for Oracle {
    fn configure(&mut self, layout: &Layout) -> Result<()> {
        let mut line = "--".to_owned();
        for (number, port) in &layout.ports {
            write!(line, " -- clear port p{number} tag trunks vlan_mode")?;
            let mode = port.mode.name();
            let protected = port.isolated;
            write!(
                line,
                " -- set port p{number} vlan_mode={mode} protected={protected}"
            )?;
            if let Some(own) = port.own {
                write!(line, " tag={own}")?;
            }
            // Without any, a trunk would carry all.
            if port.mode != Mode::Access {
                let trunks: Vec<String> = port.tagged.iter().map(u16::to_string).collect();
                write!(line, " trunks={}", trunks.join(","))?;
            }
        }
        self.switch.vsctl(line.trim_start_matches("-- "))?;
        self.layout = Some(layout.clone());
        self.touched = true;
        Ok(())
    }

    fn receive(&mut self, port: u32, frame: &[u8]) -> Result<Outcome> {
        self.teach()?;
        let trace = self.trace(port, frame)?;
        let actions = trace
            .lines()
            .find_map(|line| line.strip_prefix("Datapath actions: "))
            .with_context(|| format!("no actions:\n{trace}"))?;
        let delivered = carry_out(actions, frame).with_context(|| trace.clone())?;
        let table = self.table()?;
        let stations = &self.layout.as_ref().context("not configured")?.stations;
        let learned = lessons(stations, &table);
        self.touched = !learned.is_empty();
        Ok(Outcome {
            delivered,
            learned,
            reason: None,
        })
    }
}

/// Does to a frame what the data path would (`ovs-actions(7)`).
fn carry_out(actions: &str, frame: &[u8]) -> Result<BTreeMap<u32, Vec<Vec<u8>>>> {
    let mut delivered = BTreeMap::<u32, Vec<Vec<u8>>>::new();
    let mut frame = frame.to_vec();
    let mut rest = actions;
    while !rest.is_empty() {
        let (action, after) = first_action(rest);
        rest = after;
        if action == "pop_vlan" {
            frame.drain(12..16);
        } else if let Some(fields) = action.strip_prefix("push_vlan(") {
            let (mut ethertype, mut tci) = (CUSTOMER_TAG, 0);
            for field in fields.trim_end_matches(')').split(',') {
                match field.split_once('=') {
                    Some(("tpid", "0x88a8")) => ethertype = SERVICE_TAG,
                    Some(("vid", vid)) => tci |= vid.parse::<u16>()?,
                    Some(("pcp", priority)) => tci |= priority.parse::<u16>()? << 13,
                    _ => bail!("{action}"),
                }
            }
            push_tag(&mut frame, ethertype, tci);
        } else if action != "drop" {
            let port = action.parse().with_context(|| action.to_owned())?;
            delivered.entry(port).or_default().push(frame.clone());
        }
    }
    Ok(delivered)
}

/// Splits at the first comma that is outside parentheses.
fn first_action(actions: &str) -> (&str, &str) {
    let mut depth = 0;
    for (at, character) in actions.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => return (&actions[..at], &actions[at + 1..]),
            _ => {}
        }
    }
    (actions, "")
}

#[test]
fn actions_are_carried_out_in_their_order() {
    let plain = [[1; 12].as_slice(), &[0x88, 0xb5]].concat();
    let tagged = |tci| {
        let mut frame = plain.clone();
        push_tag(&mut frame, CUSTOMER_TAG, tci);
        frame
    };
    let got = carry_out("3,pop_vlan,1,push_vlan(vid=11,pcp=5),2", &tagged(10)).unwrap();
    let expected = [(1, plain.clone()), (2, tagged(0xa00b)), (3, tagged(10))];
    let expected = expected.map(|(port, frame)| (port, vec![frame]));
    assert_eq!(got, BTreeMap::from(expected));
    assert!(carry_out("drop", &plain).unwrap().is_empty());
    assert!(carry_out("userspace(pid=0)", &plain).is_err());
}
