//! Multicast groups of the underlay: who joins them, and how packets to them leave.

use std::{collections::BTreeSet, net::IpAddr};

use vxnet_common::{
    addr::VtepAddr,
    map::{
        self,
        vtep::{NextHop, Vtep},
    },
    outer::Template,
};

use super::underlay::Underlay;
use crate::{
    model::{Fabric, Host},
    state::{Facts, Id, Link, Spec, State},
};

/// Returns the groups that a host's segments flood to.
pub(super) fn groups(fabric: &Fabric, host: &Host) -> BTreeSet<IpAddr> {
    fabric
        .networks_of(&host.name)
        .flat_map(|network| network.segments.values())
        .filter_map(|segment| segment.group)
        .collect()
}

/// Returns the link that groups are joined on: the one that the user names, or the first uplink in
/// use.
fn link<'a>(host: &Host, underlay: &Underlay<'a>, facts: &'a Facts) -> Option<&'a Link> {
    if let Some(name) = &host.multicast {
        return facts.link(name);
    }
    let mut in_use = underlay.uplinks.values().filter(|uplink| uplink.in_use);
    in_use.next().map(|uplink| uplink.link)
}

/// Adds the memberships.
pub(super) fn join(
    state: &mut State,
    fabric: &Fabric,
    host: &Host,
    underlay: &Underlay<'_>,
    facts: &Facts,
) {
    let Some(link) = link(host, underlay, facts) else {
        return;
    };
    for group in groups(fabric, host) {
        let id = Id::Membership(link.name.clone(), group);
        state.insert(id, Spec::Membership);
    }
}

/// Returns the row of `VTEPS` of a group: its next hop is the group itself, for good.
pub(super) fn row(
    group: IpAddr,
    fabric: &Fabric,
    host: &Host,
    underlay: &Underlay<'_>,
    facts: &Facts,
) -> Vtep {
    let address = VtepAddr::from(group);
    let local = VtepAddr::from(host.underlay);
    let template = Template::new(underlay.family, local, address, fabric.port);
    let hop = link(host, underlay, facts).map_or_else(NextHop::default, |link| NextHop {
        ifindex: link.ifindex,
        mtu: link.mtu,
        dst: group_mac(group),
        src: link.mac.0,
    });
    Vtep {
        address,
        deadline: Vtep::NEVER,
        active: 0,
        next_hop: [hop; 2],
        checksum: template.checksum,
        header: template.header,
        name: map::name("(group)"),
    }
}

/// Returns the Ethernet address of a group (RFC 1112 section 6.4, RFC 2464 section 7).
fn group_mac(group: IpAddr) -> [u8; 6] {
    match group {
        IpAddr::V4(group) => {
            let [_, b, c, d] = group.octets();
            [0x01, 0x00, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V6(group) => {
            let [.., a, b, c, d] = group.octets();
            [0x33, 0x33, a, b, c, d]
        }
    }
}

/// Adds what is doubtful about the link of the groups.
pub(super) fn doubts(
    fabric: &Fabric,
    host: &Host,
    underlay: &Underlay<'_>,
    facts: &Facts,
    doubts: &mut Vec<String>,
) {
    if groups(fabric, host).is_empty() || link(host, underlay, facts).is_some() {
        return;
    }
    let name = host.multicast.as_deref().unwrap_or("any uplink");
    doubts.push(format!(
        "there is no link {name} to join multicast groups on: floods reach no other host\nhint: \
         name one with `multicast` of host {}",
        host.name
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_the_macs_that_the_rfcs_give_them() {
        let mac = |text: &str| group_mac(text.parse().unwrap());
        assert_eq!(mac("239.0.0.10"), [1, 0, 0x5e, 0, 0, 10]);
        assert_eq!(mac("239.129.2.3"), [1, 0, 0x5e, 1, 2, 3], "23 bits");
        assert_eq!(mac("ff05::1:2"), [0x33, 0x33, 0, 1, 0, 2]);
    }
}
