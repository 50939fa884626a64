//! The rows of peers, and of the multicast groups that stand for many.

use std::collections::BTreeMap;

use anyhow::Result;
use vxnet_common::{
    addr::VtepAddr,
    map::{self, MAX_VTEPS, vtep::Vtep},
    outer::Template,
};

use super::{
    groups,
    segments::held,
    underlay::{Underlay, peers},
};
use crate::{
    model::{Fabric, Host},
    state::{Id, Observed, Spec, State, allocate},
};

/// Adds the rows, and returns their slots.
pub(super) fn fill(
    state: &mut State,
    fabric: &Fabric,
    host: &Host,
    underlay: &Underlay<'_>,
    observed: &Observed,
) -> Result<BTreeMap<VtepAddr, u32>> {
    let held = held(observed, |id, spec| match (id, spec) {
        (Id::Vtep(slot), Spec::Vtep(row)) => Some((row.address, *slot)),
        _ => None,
    });
    let groups = groups::groups(fabric, host);
    let wanted = peers(fabric, host).chain(groups.iter().copied());
    let slots = allocate("hosts", &held, wanted.map(VtepAddr::from), MAX_VTEPS)?;
    let local = VtepAddr::from(host.underlay);
    let names: BTreeMap<VtepAddr, &str> = fabric
        .hosts
        .values()
        .map(|peer| (VtepAddr::from(peer.underlay), peer.name.as_str()))
        .collect();
    for (address, slot) in &slots {
        let template = Template::new(underlay.family, local, *address, fabric.port);
        let row = Vtep {
            address: *address,
            checksum: template.checksum,
            header: template.header,
            name: map::name(names.get(address).copied().unwrap_or_default()),
            ..Vtep::FREE
        };
        state.insert(Id::Vtep(*slot), Spec::Vtep(Box::new(row)));
        state.insert(Id::VtepSlot(*address), Spec::Slot(*slot));
    }
    for group in groups {
        let address = VtepAddr::from(group);
        let row = groups::row(group, fabric, host, underlay, &observed.facts);
        state.insert(Id::Vtep(slots[&address]), Spec::Vtep(Box::new(row)));
        // Nobody sends from a group.
        state.remove(&Id::VtepSlot(address));
    }
    Ok(slots)
}
