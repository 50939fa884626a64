//! Contests of injected frames in which the beds differ by more than the peer.

use crate::bed::Spec;
use crate::case::Load;
use crate::case::inject::Frames;
use crate::contest::{Contest, Entry};
use crate::peer::{Peer, Receive};
use crate::station::Kind;
use crate::stats::Better;
use crate::wire::Wire;

/// What fits into vxnet's table of 1,048,576 rows, beside what is there anyway.
const LARGE_TABLE: u32 = 1_000_000;
/// Of them are sent to.
const ACTIVE: u32 = 256;
pub(super) const RANDOM_TABLE: u32 = 65_536;
const MANY_NETWORKS: usize = 64;
const REPLICAS: usize = 8;

/// All of them.
pub(super) fn all() -> [Contest; 6] {
    [
        broadcasts(),
        networks(),
        large_table(),
        random_table(),
        features(Kind::Veth),
        features(Kind::Tap),
    ]
}

const VXNET: Peer = Peer::Vxnet(Receive::Tc);

/// A contest of injected frames between variants of beds.
fn variants(
    case: &'static str,
    load: Load,
    ours: (Spec, &str),
    others: &[(Spec, &str, Load)],
) -> Contest {
    let entry = |spec, name: &str, load| Entry {
        name: name.to_owned(),
        spec,
        load,
    };
    let others = others
        .iter()
        .map(|(spec, name, load)| entry(*spec, name, *load));
    Contest {
        case,
        ports: Kind::Tap,
        wire: Wire::Mtu,
        metric: "Mpps",
        better: Better::Higher,
        ours: vec![entry(ours.0, ours.1, load)],
        others: others.collect(),
    }
}

fn broadcasts() -> Contest {
    let spec = |peer| Spec {
        replicas: REPLICAS,
        ..Spec::new(peer, Wire::Mtu)
    };
    let load = Load::Broadcast;
    variants(
        "bum-8",
        load,
        (spec(VXNET), "tc"),
        &[(spec(Peer::Brvx), "brvx", load)],
    )
}

fn networks() -> Contest {
    let spec = |peer, networks| Spec {
        networks,
        ..Spec::new(peer, Wire::Mtu)
    };
    let load = Load::Frames(Frames {
        by_network: true,
        ..Frames::of(60)
    });
    variants(
        "networks-64",
        load,
        (spec(VXNET, MANY_NETWORKS), "tc"),
        &[
            (spec(Peer::Brvx, MANY_NETWORKS), "brvx", load),
            (spec(VXNET, 1), "vxnet, 1 network", load),
        ],
    )
}

fn features(ports: Kind) -> Contest {
    let bare = Spec::new(VXNET, Wire::Mtu);
    let all = Spec {
        features: true,
        ..bare
    };
    let load = Load::Frames(Frames::of(60));
    let bare = (bare, "vxnet, bare", load);
    Contest {
        ports,
        ..variants("features", load, (all, "tc"), &[bare])
    }
}

fn table(peer: Peer, macs: u32) -> Spec {
    Spec {
        macs,
        ..Spec::new(peer, Wire::Mtu)
    }
}

fn random(targets: u32) -> Load {
    Load::Frames(Frames {
        targets: Some(targets),
        ..Frames::of(60)
    })
}

fn large_table() -> Contest {
    let few = (table(VXNET, 2), "vxnet, 2 MACs", random(2));
    variants(
        "table-1m",
        random(ACTIVE),
        (table(VXNET, LARGE_TABLE), "tc"),
        &[few],
    )
}

fn random_table() -> Contest {
    let load = random(RANDOM_TABLE);
    let brvx = (table(Peer::Brvx, RANDOM_TABLE), "brvx", load);
    variants(
        "table-64k-random",
        load,
        (table(VXNET, RANDOM_TABLE), "tc"),
        &[brvx],
    )
}
