//! What is measured: cases, on ports and wires, between whom.

mod variants;

use crate::bed::Spec;
use crate::case::Load;
use crate::case::inject::Frames;
use crate::contest::{Contest, Entry};
use crate::peer::{Peer, Receive};
use crate::station::Kind;
use crate::stats::Better;
use crate::wire::Wire;

/// What the user wants to see.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) case: Option<String>,
    /// `ovs` means both kinds of OVS.
    pub(crate) peer: Option<String>,
    pub(crate) is_quick: bool,
}

impl Wanted {
    pub(crate) fn wants_peer(&self, peer: Peer) -> bool {
        match self.peer.as_deref() {
            None => true,
            Some("ovs") => peer.is_ovs(),
            Some(name) => peer.label() == name,
        }
    }

    fn wants_case(&self, case: &str) -> bool {
        self.case.as_deref().is_none_or(|wanted| wanted == case)
    }
}

/// All contests that are wanted, those on one wire together.
pub(crate) fn contests(wanted: &Wanted) -> Vec<Contest> {
    let mut all = Vec::new();
    for wire in [Wire::Gso, Wire::Mtu] {
        for ports in [Kind::Veth, Kind::Tap] {
            all.extend(SOCKETS.iter().map(|case| sockets(case, ports, wire)));
        }
    }
    all.push(steered());
    for (wire, bytes) in [(Wire::Mtu, 60), (Wire::Mtu, 1400), (Wire::Straight, 60)] {
        for ports in [Kind::Veth, Kind::Tap] {
            all.push(frames(ports, wire, bytes));
        }
    }
    all.extend(variants::all());
    all.extend(costs());
    all.retain(|contest| wanted.wants_case(contest.case));
    for contest in &mut all {
        contest.others.retain(|entry| {
            // Two sizes of vxnet's own tables are compared whoever the peer is.
            wanted.wants_peer(entry.spec.peer) || entry.spec.peer.is_vxnet()
        });
    }
    all.retain(|contest| !contest.others.is_empty() || is_cost(contest));
    if wanted.is_quick {
        all.retain(is_worth_a_quick_look);
        for entry in all.iter_mut().flat_map(Contest::entries_mut) {
            entry.spec.macs = entry.spec.macs.min(variants::RANDOM_TABLE);
        }
    }
    all
}

/// Tells whether vxnet is measured alone.
pub(crate) fn is_cost(contest: &Contest) -> bool {
    matches!(contest.case, COST | LIVE_COST)
}

/// Three minutes do for a part of the plan: small packets only on one wire, and no table that takes a
/// minute to fill.
fn is_worth_a_quick_look(contest: &Contest) -> bool {
    let is_bulk = matches!(contest.case, "bulk-tcp" | "bulk-udp" | STEERED);
    contest.wire != Wire::Gso || is_bulk
}

/// Bulk TCP from veths whose frames one CPU takes in.
const STEERED: &str = "bulk-tcp-steered";

/// The cases of programs alone.
pub(crate) const COST: &str = "program-cost";
const LIVE_COST: &str = "program-cost-live";

/// A case from socket to socket.
struct Sockets {
    case: &'static str,
    load: Load,
    metric: &'static str,
    /// vxnet's paths on the MTU wire. XDP on a veth takes super-packets off the wire, so that on
    /// the GSO wire there is only TC.
    paths: &'static [Receive],
}

const SOCKETS: &[Sockets] = &[
    Sockets {
        case: "udp-small",
        load: Load::SmallUdp,
        metric: "kpps",
        paths: &[Receive::Auto, Receive::Tc, Receive::XdpDirect],
    },
    Sockets {
        case: "tcp-rr",
        load: Load::RoundTrips,
        metric: "k/s",
        paths: &[Receive::Auto, Receive::Tc],
    },
    Sockets {
        case: "tcp-crr",
        load: Load::Connections,
        metric: "k/s",
        paths: &[Receive::Auto, Receive::Tc],
    },
    Sockets {
        case: "bulk-tcp",
        load: Load::BulkTcp,
        metric: "Gb/s",
        paths: &[Receive::Xdp, Receive::Tc],
    },
    Sockets {
        case: "bulk-udp",
        load: Load::BulkUdp,
        metric: "Gb/s",
        paths: &[Receive::Xdp, Receive::Tc],
    },
];

fn sockets(case: &Sockets, ports: Kind, wire: Wire) -> Contest {
    let paths = if wire == Wire::Gso {
        &[Receive::Tc]
    } else {
        case.paths
    };
    let others = Peer::OTHERS.into_iter().filter(|peer| match peer {
        // Direct has no ports, and OVS takes no tap into AF_XDP.
        Peer::Direct | Peer::OvsSystem => ports == Kind::Veth,
        Peer::OvsAfXdp => ports == Kind::Veth && wire == Wire::Mtu,
        _ => true,
    });
    let entry = |peer| Entry {
        name: name(peer),
        spec: Spec::new(peer, wire),
        load: case.load,
    };
    let paths = paths.iter().filter(|path| {
        // What XDP sends straight goes to taps only.
        **path != Receive::XdpDirect || ports == Kind::Tap
    });
    Contest {
        case: case.case,
        ports,
        wire,
        metric: case.metric,
        better: Better::Higher,
        ours: paths.map(|path| entry(Peer::Vxnet(*path))).collect(),
        others: others.map(entry).collect(),
    }
}

/// Bulk TCP's order without the race of two CPUs' backlogs, which is there whatever the switch is.
/// On the MTU wire there is none: the uplinks have no TSO, and so queues of their own.
fn steered() -> Contest {
    let case = Sockets {
        case: STEERED,
        load: Load::SteeredTcp,
        metric: "Gb/s",
        paths: &[Receive::Tc],
    };
    let mut contest = sockets(&case, Kind::Veth, Wire::Gso);
    contest.others.retain(|entry| entry.spec.peer == Peer::Brvx);
    contest
}

fn frames(ports: Kind, wire: Wire, bytes: usize) -> Contest {
    let entry = |peer| Entry {
        name: name(peer),
        spec: Spec::new(peer, wire),
        load: Load::Frames(Frames::of(bytes)),
    };
    let mut paths = vec![Receive::Tc, Receive::Xdp];
    if ports == Kind::Tap {
        paths.push(Receive::XdpDirect);
    }
    Contest {
        case: if bytes == 60 {
            "frames-60"
        } else {
            "frames-1400"
        },
        ports,
        wire,
        metric: "Mpps",
        better: Better::Higher,
        ours: paths
            .into_iter()
            .map(|path| entry(Peer::Vxnet(path)))
            .collect(),
        others: [Peer::Bridge, Peer::Brvx].map(entry).into(),
    }
}

fn costs() -> Vec<Contest> {
    let paths = [
        (Receive::Tc, Kind::Veth),
        (Receive::Xdp, Kind::Veth),
        (Receive::XdpDirect, Kind::Tap),
    ];
    let cases = [
        (COST, Load::ProgramCost),
        (LIVE_COST, Load::ProgramCostLive),
    ];
    let all = cases
        .into_iter()
        .flat_map(|case| paths.map(|path| (case, path)));
    let cost = |((case, load), (path, ports))| Contest {
        case,
        ports,
        wire: Wire::Mtu,
        metric: "ns/frame",
        better: Better::Lower,
        ours: vec![Entry {
            name: name(Peer::Vxnet(path)),
            spec: Spec::new(Peer::Vxnet(path), Wire::Mtu),
            load,
        }],
        others: Vec::new(),
    };
    all.map(cost).collect()
}

/// The name of an entry: the peer, or vxnet's path.
fn name(peer: Peer) -> String {
    match peer {
        Peer::Vxnet(receive) => receive.label().to_owned(),
        other => other.label().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_runs_with_both_kinds_of_ports_and_wires() {
        let all = contests(&Wanted::default());
        for case in SOCKETS.iter().map(|case| case.case) {
            let of: Vec<_> = all.iter().filter(|contest| contest.case == case).collect();
            assert_eq!(of.len(), 4, "{case}");
        }
    }

    #[test]
    fn super_packets_cross_only_a_wire_without_xdp() {
        let all = contests(&Wanted::default());
        let mut on_gso = all.iter().filter(|contest| contest.wire == Wire::Gso);
        assert!(on_gso.all(|contest| contest.ours.iter().all(|entry| entry.name == "tc")));
    }

    #[test]
    fn a_peer_can_be_chosen() {
        let wanted = Wanted {
            peer: Some("ovs".to_owned()),
            case: Some("bulk-tcp".to_owned()),
            is_quick: false,
        };
        let all = contests(&wanted);
        let mut others = all.iter().flat_map(|contest| &contest.others);
        assert!(!all.is_empty() && others.all(|entry| entry.spec.peer.is_ovs()));
    }
}
