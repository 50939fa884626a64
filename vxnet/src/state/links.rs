//! The links of a host, found by number, by name and by bridge: a host may have thousands, and each
//! network asks for its own.

use std::{
    collections::{BTreeMap, HashMap},
    ops::Deref,
    sync::OnceLock,
};

use super::Link;

/// The links of a host, by ifindex.
#[derive(Clone, Debug, Default)]
pub struct Links {
    by_index: BTreeMap<u32, Link>,
    /// Made when it is first asked for.
    index: OnceLock<Index>,
}

/// Where links are, by what else is known of them.
#[derive(Clone, Debug, Default)]
struct Index {
    by_name: HashMap<String, u32>,
    /// Ports by their bridge, bond or the like.
    by_master: HashMap<u32, Vec<u32>>,
}

impl Links {
    /// Returns the link of that name.
    pub fn named(&self, name: &str) -> Option<&Link> {
        self.by_index.get(self.index().by_name.get(name)?)
    }

    /// Returns the ports of a bridge, by ifindex.
    pub fn ports_of(&self, bridge: u32) -> impl Iterator<Item = &Link> {
        let ports = self.index().by_master.get(&bridge).into_iter().flatten();
        ports.filter_map(|ifindex| self.by_index.get(ifindex))
    }

    /// Returns the links, to be changed.
    pub fn edit(&mut self) -> &mut BTreeMap<u32, Link> {
        self.index.take();
        &mut self.by_index
    }

    /// Adds a link of a number that no other has.
    pub fn add(&mut self, link: Link) {
        if let Some(index) = self.index.get_mut() {
            index.add(&link);
        }
        self.by_index.insert(link.ifindex, link);
    }

    /// Changes the link of that name, if there is one.
    pub fn change(&mut self, name: &str, change: impl FnOnce(&mut Link)) {
        let Some(link) = self.named(name) else {
            return;
        };
        let (ifindex, master) = (link.ifindex, link.master);
        if let Some(link) = self.by_index.get_mut(&ifindex) {
            change(link);
            if link.name != name || link.master != master {
                self.index.take();
            }
        }
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| {
            let mut index = Index::default();
            for link in self.by_index.values() {
                index.add(link);
            }
            index
        })
    }
}

impl Index {
    fn add(&mut self, link: &Link) {
        self.by_name.insert(link.name.clone(), link.ifindex);
        if let Some(master) = link.master {
            let ports = self.by_master.entry(master).or_default();
            ports.push(link.ifindex);
        }
    }
}

impl Deref for Links {
    type Target = BTreeMap<u32, Link>;

    fn deref(&self) -> &BTreeMap<u32, Link> {
        &self.by_index
    }
}

impl FromIterator<Link> for Links {
    fn from_iter<I: IntoIterator<Item = Link>>(links: I) -> Self {
        Self {
            by_index: links.into_iter().map(|link| (link.ifindex, link)).collect(),
            index: OnceLock::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(ifindex: u32, name: &str, master: Option<u32>) -> Link {
        Link {
            ifindex,
            name: name.into(),
            master,
            ..Link::default()
        }
    }

    #[test]
    fn links_are_found_by_name_and_by_bridge() {
        let mut links: Links = [
            link(9, "vnet1", Some(4)),
            link(4, "br0", None),
            link(7, "vnet0", Some(4)),
            link(8, "vnet2", Some(5)),
        ]
        .into_iter()
        .collect();
        let names = |links: &Links, bridge| {
            let ports = links.ports_of(bridge);
            ports.map(|link| link.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(names(&links, 4), ["vnet0", "vnet1"]);
        assert_eq!(names(&links, 5), ["vnet2"]);
        assert_eq!(names(&links, 6), [""; 0]);
        assert_eq!(links.named("br0").map(|link| link.ifindex), Some(4));
        assert!(links.named("br1").is_none());
        links.edit().insert(5, link(5, "br1", None));
        links.edit().remove(&9);
        assert!(links.named("br1").is_some(), "a change is seen");
        assert_eq!(names(&links, 4), ["vnet0"]);
        links.add(link(11, "vnet3", Some(4)));
        assert_eq!(names(&links, 4), ["vnet0", "vnet3"]);
        links.change("vnet3", |link| link.mtu = 1450);
        assert_eq!(links.named("vnet3").map(|link| link.mtu), Some(1450));
        links.change("vnet3", |link| link.master = Some(5));
        assert_eq!(names(&links, 4), ["vnet0"]);
        assert_eq!(names(&links, 5), ["vnet2", "vnet3"]);
    }
}
