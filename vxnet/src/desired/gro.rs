//! What brings TCP to guests in super-packets where XDP does not receive.

use super::underlay::Underlay;
use crate::{
    model::{Fabric, Host, Network},
    state::{DETOUR, DETOUR_END, Facts, GRO_SOCKET, Spec},
};

/// Returns what the detour should be like, unless someone else's link bears one of its names: vxnet
/// can do without it.
pub(super) fn detour(fabric: &Fabric, networks: &[&Network], facts: &Facts) -> Option<Spec> {
    let is_wanted = networks.iter().any(|network| network.is_on_overlay())
        && !facts.no_vxlan
        && facts.no_room.is_none()
        && !is_detour_foreign(facts);
    is_wanted.then_some(Spec::Detour {
        port: fabric.port,
        works: true,
    })
}

fn is_detour_foreign(facts: &Facts) -> bool {
    [DETOUR, DETOUR_END]
        .iter()
        .filter_map(|name| facts.link(name))
        .any(|link| !link.is_ours)
}

/// Returns what the GRO socket should be like, if there is to be one: where an uplink in use receives
/// at TC.
pub(super) fn socket(
    fabric: &Fabric,
    host: &Host,
    networks: &[&Network],
    underlay: &Underlay<'_>,
    facts: &Facts,
) -> Option<Spec> {
    let is_wanted = host.gro_socket
        && networks.iter().any(|network| network.is_on_overlay())
        && underlay.receives_at_tc(facts)
        && !facts.no_vxlan
        && facts.port_taken != Some(fabric.port)
        && facts.link(GRO_SOCKET).is_none_or(|link| link.is_ours);
    is_wanted.then_some(Spec::GroSocket {
        port: fabric.port,
        up: true,
    })
}

/// Adds what is doubtful about these links.
pub(super) fn doubts(fabric: &Fabric, host: &Host, facts: &Facts, doubts: &mut Vec<String>) {
    if is_detour_foreign(facts) {
        doubts.push(format!(
            "link {DETOUR} or {DETOUR_END} is not vxnet's: TCP that no XDP receives reaches VMs in \
             single frames until that link has another name"
        ));
    }
    if facts.no_vxlan {
        doubts.push(
            "the kernel makes no VXLAN devices (module vxlan): TCP that no XDP receives reaches VMs in \
             single frames"
                .into(),
        );
    }
    if let Some(refusal) = &facts.no_room {
        doubts.push(format!(
            "{refusal}: TCP that no XDP receives reaches VMs in single frames; it is tried again when \
             the daemon starts"
        ));
    }
    if facts.link(GRO_SOCKET).is_some_and(|link| !link.is_ours) {
        doubts.push(format!(
            "link {GRO_SOCKET} is not vxnet's: TCP that no XDP receives takes more CPU time until \
             that link has another name"
        ));
    }
    if host.gro_socket && facts.port_taken == Some(fabric.port) {
        doubts.push(format!(
            "UDP port {} is somebody else's: if that is no VXLAN device of the kernel, TCP that no XDP \
             receives takes more CPU time; the port is tried again when the daemon starts",
            fabric.port
        ));
    }
}
