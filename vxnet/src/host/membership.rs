//! Multicast groups of the underlay that the kernel keeps joined: also while no daemon runs, and
//! when the link goes down and comes back.
//!
//! IPv6 addresses, and groups are kept as such, go when their link goes down; `keep_addr_on_down`
//! of the link keeps them. It is remembered here and not with the other kernel parameters because
//! it belongs to the memberships.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::{IpAddr, Ipv6Addr},
    path::PathBuf,
};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{
    Paths, memory,
    netlink::{Netlink, Seen},
    sysctl,
};
use crate::state::{Id, Spec, State};

/// What a link with IPv6 groups was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Former {
    /// The link itself: it may get another name, and another link its name.
    ifindex: u32,
    /// The former `keep_addr_on_down`.
    keep: String,
    groups: BTreeSet<IpAddr>,
}

/// Links with IPv6 groups, by name.
type Links = BTreeMap<String, Former>;

/// File that remembers what links with IPv6 groups were before.
fn file(paths: &Paths) -> PathBuf {
    paths.run.join("memberships.json")
}

fn key(link: &str) -> String {
    format!("net/ipv6/conf/{link}/keep_addr_on_down")
}

/// Adds the groups that vxnet had the kernel join. A link that was renamed is known by its new name
/// from now on; one that has vanished took its groups along.
pub(super) fn observe(paths: &Paths, links: &BTreeMap<u32, Seen>, state: &mut State) -> Result<()> {
    for seen in links.values() {
        for group in &seen.own_groups {
            let id = Id::Membership(seen.link.name.clone(), *group);
            state.insert(id, Spec::Membership);
        }
    }
    let former: Links = memory::follow(&file(paths), links, |former: &Former| former.ifindex)?;
    if former.is_empty() {
        return Ok(());
    }
    // Where the address has gone all the same (the kernel keeps none of link scope, nor any while
    // IPv6 is off), the kernel's socket is still in the group, and would not join it again.
    let listing = fs::read_to_string("/proc/thread-self/net/igmp6").unwrap_or_default();
    for (link, group) in joined(&listing) {
        if former
            .get(link)
            .is_some_and(|former| former.groups.contains(&group))
        {
            state.insert(Id::Membership(link.to_owned(), group), Spec::Membership);
        }
    }
    Ok(())
}

/// Reads the kernel's list of IPv6 groups: number and name of the link, group, and more.
fn joined(listing: &str) -> impl Iterator<Item = (&str, IpAddr)> {
    listing.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (link, group) = (words.next()?, words.next()?);
        let group = u128::from_str_radix(group, 16).ok()?;
        Some((link, Ipv6Addr::from_bits(group).into()))
    })
}

/// Joins a group on a link for good.
pub(super) async fn set(paths: &Paths, netlink: &Netlink, link: &str, group: IpAddr) -> Result<()> {
    if group.is_ipv6() {
        let mut links: Links = memory::read(&file(paths))?;
        let ifindex = netlink.index(link).await?;
        if links
            .get(link)
            .is_none_or(|former| former.ifindex != ifindex)
        {
            let former = Former {
                ifindex,
                keep: sysctl::read(&key(link))?,
                groups: BTreeSet::new(),
            };
            links.insert(link.to_owned(), former);
        }
        if let Some(former) = links.get_mut(link) {
            former.groups.insert(group);
        }
        memory::write(&file(paths), &links)?;
        sysctl::write(&key(link), "1")?;
    }
    netlink.join(link, group).await
}

/// Leaves a group on a link; with the last one, the link is again what it was before.
pub(super) async fn remove(
    paths: &Paths,
    netlink: &Netlink,
    link: &str,
    group: IpAddr,
) -> Result<()> {
    netlink.leave(link, group).await?;
    if group.is_ipv4() {
        return Ok(());
    }
    let mut links: Links = memory::read(&file(paths))?;
    let Some(former) = links.get_mut(link) else {
        return Ok(());
    };
    former.groups.remove(&group);
    if former.groups.is_empty() {
        // The parameter has gone with its link, if that has.
        if sysctl::read(&key(link)).is_ok() {
            sysctl::write(&key(link), &former.keep)?;
        }
        links.remove(link);
    }
    memory::write(&file(paths), &links)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_of_groups_is_read() {
        let listing = "1    lo              ff020000000000000000000000000001     1 0000000C 0\n\
                       3    eth0            ff050000000000000000000000000010     1 00000004 0\n";
        let groups: Vec<_> = joined(listing).collect();
        assert_eq!(
            groups,
            [
                ("lo", "ff02::1".parse().unwrap()),
                ("eth0", "ff05::10".parse().unwrap()),
            ]
        );
    }

    #[test]
    fn a_link_with_groups_is_known_by_its_new_name_and_not_its_name_by_another_link() {
        let run = std::env::temp_dir().join(format!("vxnet-groups-{}", std::process::id()));
        fs::create_dir_all(&run).unwrap();
        let paths = Paths {
            pins: run.join("pins"),
            run: run.clone(),
        };
        let former = |ifindex| Former {
            ifindex,
            keep: "0".to_owned(),
            groups: BTreeSet::from(["ff05::10".parse().unwrap()]),
        };
        let links = Links::from([
            ("eth1".to_owned(), former(7)),
            ("eth2".to_owned(), former(8)),
        ]);
        memory::write(&file(&paths), &links).unwrap();
        let seen = |ifindex, name: &str| {
            let mut seen = Seen::default();
            (seen.link.ifindex, seen.link.name) = (ifindex, name.into());
            (ifindex, seen)
        };
        let there = BTreeMap::from([seen(7, "lan1"), seen(9, "eth1")]);
        observe(&paths, &there, &mut State::new()).unwrap();
        let kept: Links = memory::read(&file(&paths)).unwrap();
        assert_eq!(kept, Links::from([("lan1".to_owned(), former(7))]));
        fs::remove_dir_all(run).unwrap();
    }
}
