//! Before anything is compared: is every peer worth comparing with?
//!
//! A peer that is set up badly makes everybody else look good. So each has to reach a share of what
//! two guests reach on one veth without a switch, or there is no run.

use anyhow::{Context as _, Result, bail};

use crate::bed::Spec;
use crate::beds::Beds;
use crate::case::{self, Load, Pace};
use crate::peer::Peer;
use crate::plan::Wanted;
use crate::report::Report;
use crate::station::Kind;
use crate::wire::Wire;

/// How often a peer may try: a busy machine is not its fault.
const TRIES: usize = 3;

/// The least shares of `direct`, for small UDP and bulk TCP on the GSO wire.
///
/// Measured when the floors were set: bridge 0.6 and 0.9, brvx 0.4 to 0.5 and 0.5 to 0.85; for OVS
/// userspace (0.2 and 0.02) only the order of magnitude counts.
fn floors(peer: Peer) -> (f64, f64) {
    match peer {
        Peer::Direct | Peer::Vxnet(_) => (0.0, 0.0),
        Peer::Bridge => (0.35, 0.5),
        Peer::Brvx => (0.25, 0.35),
        Peer::OvsSystem | Peer::OvsAfXdp => (0.02, 0.005),
    }
}

/// Refuses to go on if a wanted peer is below its floor.
pub(crate) fn check(beds: &mut Beds, wanted: &Wanted, pace: Pace) -> Result<Vec<String>> {
    let direct = Spec::new(Peer::Direct, Wire::Gso);
    beds.ensure(direct)?;
    let mut lines = Vec::new();
    for peer in Peer::OTHERS {
        // AF_XDP disables a wire's segmentation offload, so there is no GSO wire with it.
        let wire = if peer == Peer::OvsAfXdp {
            Wire::Mtu
        } else {
            Wire::Gso
        };
        let spec = Spec::new(peer, wire);
        if peer == Peer::Direct || !wanted.wants_peer(peer) || !beds.ensure(spec)? {
            continue;
        }
        for (load, what, floor) in [
            (Load::SmallUdp, "small UDP", floors(peer).0),
            (Load::BulkTcp, "bulk TCP", floors(peer).1),
        ] {
            let share = best_share(beds, spec, direct, load, pace, floor)
                .with_context(|| format!("{what} over {}", peer.label()))?;
            let line = format!(
                "{} reaches {share:.3} of direct in {what} (floor {floor})",
                peer.label()
            );
            Report::progress(&line);
            if share < floor {
                bail!(
                    "{line}: it is set up badly here, so comparing with it would say nothing\n\
                     hint: look at its commands in the output of `--json FILE`, or leave it out \
                     with `--peer NAME`"
                );
            }
            lines.push(line);
        }
    }
    Ok(lines)
}

fn best_share(
    beds: &Beds,
    spec: Spec,
    direct: Spec,
    load: Load,
    pace: Pace,
    floor: f64,
) -> Result<f64> {
    let mut best = 0.0_f64;
    for _ in 0..TRIES {
        let theirs = case::measure(load, Kind::Veth, beds.get(spec)?, pace)?.value;
        let limit = case::measure(load, Kind::Veth, beds.get(direct)?, pace)?.value;
        best = best.max(theirs / limit);
        if best >= floor {
            break;
        }
    }
    Ok(best)
}
