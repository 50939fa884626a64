//! Links to a physical switch: they take frames for every address and of every VLAN.
//!
//! A NIC drops what is addressed to other stations, and often frames of VLANs that nobody has
//! registered, before any program sees them; a veth in a test drops neither. So both are switched
//! off for good, and what they were before is remembered for teardown. Where the driver does not
//! let its VLAN filter be switched, promiscuous mode counts: drivers drop the filter then
//! (`Documentation/networking/netdev-features.rst` leaves it to them; virtio_net, ixgbe, mlx5 do).

use std::{collections::BTreeMap, path::PathBuf};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::{
    Paths, memory,
    netlink::{Netlink, Seen},
    offload::{Feature, VLAN_FILTER},
};
use crate::state::{Id, Spec, State};

/// What a link was before it became a trunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Former {
    /// The link itself: another one may come by the same name.
    ifindex: u32,
    promiscuous: bool,
    /// The hardware's VLAN filter was on and could be switched.
    vlan_filter: bool,
    up: bool,
}

/// What trunk links were before, by name.
type Trunks = BTreeMap<String, Former>;

/// File that remembers what trunk links were before.
fn file(paths: &Paths) -> PathBuf {
    paths.run.join("trunks.json")
}

/// Adds the trunk links, as they are now. One that has vanished is forgotten: what comes back by
/// its name is as its driver made it. One that was renamed is known by its new name from now on.
pub(super) fn observe(paths: &Paths, links: &BTreeMap<u32, Seen>, state: &mut State) -> Result<()> {
    let trunks: Trunks = memory::follow(&file(paths), links, |former: &Former| former.ifindex)?;
    for (name, former) in trunks {
        let Some(seen) = links.get(&former.ifindex) else {
            continue;
        };
        let spec = Spec::Trunk {
            promiscuous: seen.is_promiscuous,
            all_vlans: passes_all_vlans(Feature::read(&name, VLAN_FILTER).unwrap_or_default()),
            up: seen.link.up,
        };
        state.insert(Id::Trunk(name), spec);
    }
    Ok(())
}

/// Makes a link a trunk, remembering what it was if this is the first time.
pub(super) async fn set(paths: &Paths, netlink: &Netlink, name: &str) -> Result<()> {
    let links = netlink.links().await?;
    let seen = links.values().find(|seen| seen.link.name == name);
    let seen = seen.with_context(|| format!("there is no link {name}"))?;
    let filter = Feature::read(name, VLAN_FILTER).unwrap_or_default();
    let mut trunks: Trunks = memory::read(&file(paths))?;
    let former = Former {
        ifindex: seen.link.ifindex,
        promiscuous: seen.is_promiscuous,
        vlan_filter: filter.is_available && filter.is_wanted,
        up: seen.link.up,
    };
    let is_known = trunks
        .get(name)
        .is_some_and(|known| known.ifindex == former.ifindex);
    if !is_known {
        trunks.insert(name.to_owned(), former);
        memory::write(&file(paths), &trunks)?;
    }
    if !passes_all_vlans(filter) {
        Feature::set(name, VLAN_FILTER, false)?;
    }
    netlink.set_promiscuous(name, true).await?;
    netlink.set_up(name, true).await
}

/// Makes a link again what it was before.
pub(super) async fn remove(paths: &Paths, netlink: &Netlink, name: &str) -> Result<()> {
    let mut trunks: Trunks = memory::read(&file(paths))?;
    let Some(former) = trunks.remove(name) else {
        return Ok(());
    };
    let links = netlink.links().await?;
    if links
        .get(&former.ifindex)
        .is_some_and(|seen| seen.link.name == name)
    {
        if !former.up {
            netlink.set_up(name, false).await?;
        }
        netlink.set_promiscuous(name, former.promiscuous).await?;
        if former.vlan_filter {
            Feature::set(name, VLAN_FILTER, true)?;
        }
    }
    // Only now: a restoration that failed is tried again.
    memory::write(&file(paths), &trunks)
}

/// Returns whether the hardware's filter keeps no VLAN away from a promiscuous link: it is off, or
/// it cannot be switched off, or the driver keeps it on although nobody wants it.
fn passes_all_vlans(filter: Feature) -> bool {
    !(filter.is_active && filter.is_available && filter.is_wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_filter_that_can_be_switched_off_must_be() {
        let filter = |is_available, is_wanted, is_active| Feature {
            is_available,
            is_wanted,
            is_active,
        };
        assert!(!passes_all_vlans(filter(true, true, true)));
        assert!(passes_all_vlans(filter(false, false, false)), "no filter");
        assert!(passes_all_vlans(filter(false, true, true)), "fixed on");
        assert!(
            passes_all_vlans(filter(true, false, true)),
            "kept on by the driver"
        );
        assert!(passes_all_vlans(filter(true, false, false)), "off");
    }

    #[test]
    fn a_trunk_that_vanished_is_forgotten_and_one_that_was_renamed_is_not() {
        let run = std::env::temp_dir().join(format!("vxnet-trunk-{}", std::process::id()));
        std::fs::create_dir_all(&run).unwrap();
        let paths = Paths {
            pins: run.join("pins"),
            run: run.clone(),
        };
        let former = Former {
            ifindex: 7,
            promiscuous: false,
            vlan_filter: true,
            up: false,
        };
        let trunks = Trunks::from([("enp5s0f0".to_owned(), former)]);
        memory::write(&file(&paths), &trunks).unwrap();
        let mut state = State::new();
        observe(&paths, &BTreeMap::new(), &mut state).unwrap();
        assert_eq!(state, State::new());
        assert_eq!(
            memory::read::<Trunks>(&file(&paths)).unwrap(),
            Trunks::new()
        );

        // One that has got another name is known by it.
        memory::write(&file(&paths), &trunks).unwrap();
        let mut seen = Seen::default();
        (seen.link.ifindex, seen.link.name) = (7, "lan0".into());
        observe(&paths, &BTreeMap::from([(7, seen)]), &mut state).unwrap();
        assert!(state.contains_key(&Id::Trunk("lan0".into())));
        let kept = memory::read::<Trunks>(&file(&paths)).unwrap();
        assert_eq!(kept["lan0"], trunks["enp5s0f0"]);
        std::fs::remove_dir_all(run).unwrap();
    }
}
