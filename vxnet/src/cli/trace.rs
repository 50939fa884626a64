//! `vxnet trace`: which way a frame would take.

mod frame;
mod live;
mod pcap;

use std::{fmt::Write as _, process::ExitCode};

use anyhow::Result;
use vxnet_common::map::port::kind;

use super::{output, port::find};
use crate::{
    host::{
        Paths,
        maps::{Maps, clock},
    },
    trace::{self, Receiver, ReceiverKind, Trace, Verdict},
};

/// Arguments of `vxnet trace`.
#[derive(clap::Args)]
#[command(after_help = "\
Nothing is sent, learned or counted. The frame comes from one of:
  vxnet trace vnet0 ffffffffffff52540000000108060001...     its bytes, blanks and colons allowed
  vxnet trace vnet0 --pcap guest.pcap --number 3            a capture file
  vxnet trace vnet0 --src 52:54:00:00:00:01 --arp 10.0.0.2 --sender-ip 10.0.0.1
  vxnet trace vnet0 --src 52:54:00:00:00:01 --dst 52:54:00:00:00:02 --vlan 1001 \\
      --udp 10.0.0.1:5000 10.0.0.2:53
On an uplink, the frame is a packet of the underlay: a VXLAN packet, or another one.")]
pub(super) struct Args {
    /// The link that the frame comes in by: a guest's, a trunk link, a bridge, or an uplink
    port: String,
    #[command(flatten)]
    source: frame::Source,
    /// Show each row that was looked at
    #[arg(long)]
    lookups: bool,
    #[command(flatten)]
    format: output::Format,
}

pub(super) fn run(args: &Args, paths: &Paths) -> Result<ExitCode> {
    let maps = Maps::open(paths)?;
    // Before the frame: what it says first is what stands first in the command.
    let (slot, port) = find(&maps, &args.port)?;
    let frame = args.source.frame()?;
    let rows = live::read(&maps)?;
    let now = clock()?;
    let trace = if port.kind == kind::UPLINK {
        trace::uplink(&rows, slot, &frame, now)
    } else {
        trace::port(&rows, slot, &frame, now)
    };
    if args.format.json {
        return output::json(&trace);
    }
    output::text(&render(&trace, args.lookups))
}

/// Writes a trace for people.
fn render(trace: &Trace, lookups: bool) -> String {
    let mut text = String::new();
    for step in &trace.steps {
        let _ = writeln!(text, "{:<10}{}", step.step, step.text);
        for lookup in step.lookups.iter().filter(|_| lookups) {
            let found = lookup.found.as_deref().unwrap_or("no row");
            let _ = writeln!(text, "{:<10}  {} [{}]: {found}", "", lookup.map, lookup.key);
        }
    }
    for lost in &trace.lost {
        let name = receiver(&lost.receiver);
        let _ = writeln!(
            text,
            "{:<10}the copy for {name}: {}",
            "lost",
            lost.reason.name()
        );
    }
    for notice in &trace.notices {
        let _ = writeln!(
            text,
            "{:<10}{}: {}",
            "counted",
            notice.name(),
            notice.meaning()
        );
    }
    let _ = writeln!(text, "{:<10}{}", "verdict", verdict(&trace.verdict));
    if let Verdict::Dropped { reason } = trace.verdict {
        let _ = writeln!(text, "hint: {}", reason.remedy());
    }
    text
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Delivered { receivers } => {
            let names: Vec<String> = receivers.iter().map(receiver).collect();
            format!("delivered to {}", names.join(", "))
        }
        Verdict::Dropped { reason } => {
            format!("dropped: {} - {}", reason.name(), reason.meaning())
        }
        Verdict::Passed => "passed to the host as it came".to_owned(),
        Verdict::Answered { address, mac } => format!("answered: {address} is at {mac}"),
        Verdict::TooBig { mtu } => {
            format!("dropped: too_big - the sender is told that {mtu} bytes would fit")
        }
    }
}

fn receiver(receiver: &Receiver) -> String {
    let name = &receiver.name;
    match (receiver.kind, receiver.vlan) {
        (ReceiverKind::Vtep, _) => format!("VTEP {name}"),
        (ReceiverKind::Host, _) => format!("the host by {name}"),
        (ReceiverKind::Port, Some(vlan)) => format!("{name} (tagged {vlan})"),
        (ReceiverKind::Port, None) => name.clone(),
    }
}

#[cfg(test)]
mod tests {
    use vxnet_common::reason::Reason;

    use super::*;
    use crate::trace::{Lookup, Step};

    fn trace(verdict: Verdict) -> Trace {
        Trace {
            steps: vec![Step {
                step: "port",
                text: "vnet1 (slot 4, guest, access VLAN 1001)".into(),
                lookups: vec![Lookup {
                    map: "PORTS",
                    key: "slot 4".into(),
                    found: Some("vnet1".into()),
                }],
            }],
            verdict,
            lost: Vec::new(),
            notices: Vec::new(),
        }
    }

    #[test]
    fn a_drop_says_what_it_means_and_what_to_do() {
        let reason = Reason::VlanDenied;
        let trace = trace(Verdict::Dropped { reason });
        let expected = format!(
            "port      vnet1 (slot 4, guest, access VLAN 1001)\n\
             verdict   dropped: vlan_denied - {}\nhint: {}\n",
            reason.meaning(),
            reason.remedy()
        );
        assert_eq!(render(&trace, false), expected);
        assert!(render(&trace, true).contains("\n            PORTS [slot 4]: vnet1\n"));
    }

    #[test]
    fn json_names_are_stable() {
        let receivers = vec![Receiver {
            kind: ReceiverKind::Port,
            slot: 5,
            name: "vnet2".into(),
            vlan: Some(1001),
            pcp: Some(3),
        }];
        let json = serde_json::to_value(trace(Verdict::Delivered { receivers })).unwrap();
        assert_eq!(json["verdict"]["outcome"], "delivered");
        let receiver = &json["verdict"]["receivers"][0];
        assert_eq!(receiver["kind"], "port");
        assert_eq!(
            (&receiver["vlan"], &receiver["pcp"]),
            (&1001.into(), &3.into())
        );
        assert_eq!(json["steps"][0]["lookups"][0]["map"], "PORTS");
        let reason = Reason::Storm;
        let json = serde_json::to_value(trace(Verdict::Dropped { reason })).unwrap();
        assert_eq!(json["verdict"]["reason"], "storm");
    }
}
