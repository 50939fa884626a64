//! The real host.

mod observe;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    Paths,
    attach::{self, Target},
    detour,
    floor::{self, Attachment},
    maps::Maps,
    membership,
    netlink::{self, Netlink, Seen},
    nft,
    object::Object,
    rows, sysctl, trunk,
};
use crate::{
    plan::Op,
    reconcile::Host,
    state::{DETOUR_END, Facts, Hook, Id, Observed, Spec},
};
use anyhow::{Context as _, Result};

const NO_MAPS: &str = "the maps are gone";

/// The kernel of this host, with vxnet's programs loaded.
pub struct Kernel {
    paths: Paths,
    netlink: Netlink,
    way: Attachment,
    /// Not there for teardown, which needs no programs.
    object: Option<Object>,
    maps: Option<Maps>,
    /// The underlay addresses of the peers, whose routes are facts.
    peers: BTreeSet<IpAddr>,
    xdp_refused: BTreeSet<u32>,
    port_taken: Option<u16>,
    no_vxlan: bool,
    no_room: Option<String>,
    can_match_bridge: bool,
    /// What the last look found.
    last: Option<Facts>,
    /// Bridges go although guests are in them.
    force: bool,
    /// The last look at the links, for operations that name one by ifindex.
    links: BTreeMap<u32, Seen>,
    /// Whose addresses the table still holds.
    gone: rows::Gone,
    /// Links that are still to go.
    doomed: Vec<String>,
}

impl Kernel {
    /// Prepares to change the host: checks the kernel, makes the folders, loads the programs.
    pub fn open(paths: Paths, peers: BTreeSet<IpAddr>, log_packets: bool) -> Result<Self> {
        let way = floor::check()?;
        paths.create()?;
        let mut object = Object::load(&paths, log_packets)?;
        if log_packets {
            object.start_log()?;
        }
        let mut kernel = Self::without_programs(paths, way)?;
        kernel.maps = Some(Maps::open_any(&kernel.paths)?);
        kernel.object = Some(object);
        kernel.peers = peers;
        Ok(kernel)
    }

    /// Looks at what is there, and makes nothing.
    pub async fn facts_alone(paths: Paths, peers: BTreeSet<IpAddr>) -> Result<Facts> {
        let mut kernel = Self::without_programs(paths, floor::check()?)?;
        kernel.peers = peers;
        kernel.look().await
    }

    /// Looks at everything, as [`Kernel::open`] would find it, and makes nothing.
    pub async fn look_only(paths: Paths, peers: BTreeSet<IpAddr>) -> Result<Observed> {
        let mut kernel = Self::without_programs(paths, floor::check()?)?;
        kernel.peers = peers;
        // Without maps nothing of ours runs, and it does not matter what is to run.
        if kernel.paths.maps().join("LOCAL").exists() {
            kernel.object = Some(Object::load_unseen(&kernel.paths)?);
            kernel.maps = Some(Maps::open_any(&kernel.paths)?);
        }
        kernel.look_at_all().await
    }

    /// Prepares to remove everything; with `force`, bridges go although guests are in them.
    pub fn for_teardown(paths: Paths, force: bool) -> Result<Self> {
        let way = floor::check()?;
        let mut kernel = Self::without_programs(paths, way)?;
        kernel.force = force;
        kernel.maps = Maps::open_any(&kernel.paths).ok();
        Ok(kernel)
    }

    fn without_programs(paths: Paths, way: Attachment) -> Result<Self> {
        Ok(Self {
            netlink: Netlink::connect()?,
            paths,
            way,
            object: None,
            maps: None,
            peers: BTreeSet::new(),
            xdp_refused: BTreeSet::new(),
            port_taken: None,
            no_vxlan: false,
            no_room: None,
            can_match_bridge: nft::can_match_bridge()?,
            last: None,
            force: false,
            links: BTreeMap::new(),
            gone: rows::Gone::default(),
            doomed: Vec::new(),
        })
    }

    /// Follows another set of peers, after a change of the fabric.
    pub fn set_peers(&mut self, peers: BTreeSet<IpAddr>) {
        self.peers = peers;
    }

    /// Returns the maps.
    pub fn maps(&mut self) -> Result<&mut Maps> {
        self.maps.as_mut().context(NO_MAPS)
    }

    /// Returns what the last look found.
    pub fn facts(&self) -> Option<&Facts> {
        self.last.as_ref()
    }

    /// Returns the guests' links in the bridges that vxnet made or adopted, whether programs run on
    /// them or not.
    pub async fn guests(&mut self) -> Result<Vec<String>> {
        self.links = self.netlink.links().await?;
        let ours = |seen: &Seen| seen.link.is_ours || seen.is_adopted();
        let bridge_of = |seen: &Seen| self.links.get(&seen.link.master?);
        let is_guest = |seen: &&Seen| !seen.link.is_ours && bridge_of(seen).is_some_and(ours);
        Ok(self
            .links
            .values()
            .filter(is_guest)
            .map(|seen| seen.link.name.clone())
            .collect())
    }

    async fn look(&mut self) -> Result<Facts> {
        self.links = self.netlink.links().await?;
        let (mut routes, mut route_mtu) = (BTreeMap::new(), BTreeMap::new());
        for peer in &self.peers {
            if let Some(route) = self.netlink.route(*peer).await {
                routes.insert(*peer, route.ifindex);
                route_mtu.extend(route.mtu.map(|mtu| (*peer, mtu)));
            }
        }
        // A refusal is of a link; another link may get the number.
        self.xdp_refused
            .retain(|ifindex| self.links.contains_key(ifindex));
        let tags = self.object.as_ref().map(|object| object.tags.clone());
        Ok(Facts {
            links: self.links.values().map(|seen| seen.link.clone()).collect(),
            routes,
            route_mtu,
            left: self.left(),
            xdp_refused: self.xdp_refused.clone(),
            port_taken: self.port_taken,
            no_vxlan: self.no_vxlan,
            no_room: self.no_room.clone(),
            programs: tags.unwrap_or_default(),
            can_match_bridge: self.can_match_bridge,
        })
    }

    /// Returns the bridges that stayed for their guests when their networks went.
    fn left(&self) -> BTreeSet<u32> {
        let left = self.links.values().filter(|seen| seen.is_left);
        left.map(|seen| seen.link.ifindex).collect()
    }

    /// Makes a thing, or makes it as `spec` says.
    async fn set(&mut self, id: &Id, spec: &Spec) -> Result<()> {
        match (id, spec) {
            (Id::Sysctl(key), Spec::Sysctl(value)) => sysctl::set(&self.paths, key, value),
            (Id::Guard, Spec::Guard(guard)) => nft::replace(&self.paths, &guard.rules),
            (Id::Bridge(name), Spec::Bridge(bridge)) => self.netlink.set_bridge(name, bridge).await,
            (Id::Anchor(port), Spec::Anchor { bridge, mtu, .. }) => {
                self.netlink.set_anchor(bridge, port, *mtu).await
            }
            (Id::Detour, Spec::Detour { port, .. }) => {
                let set = detour::set(&self.paths, &self.netlink, *port).await;
                self.without_detour(set)
            }
            (Id::GroSocket, Spec::GroSocket { port, .. }) => self.set_gro_socket(*port).await,
            (Id::Trunk(link), Spec::Trunk { .. }) => {
                trunk::set(&self.paths, &self.netlink, link).await
            }
            (Id::Membership(link, group), Spec::Membership) => {
                membership::set(&self.paths, &self.netlink, link, *group).await
            }
            (Id::PortMtu(link), Spec::PortMtu(mtu)) => self.netlink.set_mtu(link, *mtu).await,
            (Id::Address(link, net), Spec::Address) => self.netlink.add_address(link, *net).await,
            (Id::Program(ifindex, hook), Spec::Program(program)) => {
                self.attach(*ifindex, *hook, &program.name)
            }
            (id, spec) => {
                let maps = self.maps.as_mut().context(NO_MAPS)?;
                rows::set(maps, &mut self.gone, id, spec)
            }
        }
    }

    async fn remove(&mut self, id: &Id, spec: &Spec) -> Result<()> {
        match (id, spec) {
            (Id::Sysctl(key), _) => sysctl::restore(&self.paths, key),
            (Id::Guard, _) => {
                // No bridge is ever without it.
                self.remove_doomed().await?;
                nft::remove()
            }
            (Id::Bridge(name), _) => self.remove_bridge(name).await,
            (Id::Anchor(port), _) => {
                self.doomed.push(port.clone());
                Ok(())
            }
            (Id::Detour, _) => detour::remove(&self.paths, &self.netlink).await,
            (Id::GroSocket, _) => self.netlink.remove_gro_socket().await,
            (Id::Trunk(link), _) => trunk::remove(&self.paths, &self.netlink, link).await,
            (Id::Membership(link, group), _) => {
                membership::remove(&self.paths, &self.netlink, link, *group).await
            }
            // The tap is the guest's, and has no other MTU to go back to.
            (Id::PortMtu(_), _) => Ok(()),
            (Id::Address(link, net), _) => self.netlink.remove_address(link, *net).await,
            (Id::Program(ifindex, hook), _) => {
                let link = self.links.get(ifindex).map(|seen| seen.link.name.as_str());
                // What it takes out of VXLAN must not reach the host's own stack.
                if link == Some(DETOUR_END) {
                    self.netlink.shut(DETOUR_END).await?;
                }
                attach::detach(&self.paths, *ifindex, link, *hook)
            }
            (id, _) => {
                let maps = self.maps.as_mut().context(NO_MAPS)?;
                rows::remove(maps, &mut self.gone, id)
            }
        }
    }

    /// Makes the GRO socket, or remembers that somebody else has the port: vxnet can do without.
    async fn set_gro_socket(&mut self, port: u16) -> Result<()> {
        let set = self.netlink.set_gro_socket(port).await;
        if self.without_vxlan(set)? == Some(false) {
            self.port_taken = Some(port);
        }
        Ok(())
    }

    /// Remembers that the kernel refuses the namespace of the detour, if that is why it was not made:
    /// vxnet can do without.
    fn without_detour(&mut self, made: Result<()>) -> Result<()> {
        match made {
            Err(error) if detour::is_refusal(&error) => {
                self.no_room = Some(format!("{error:#}"));
                Ok(())
            }
            made => self.without_vxlan(made).map(|_| ()),
        }
    }

    /// Remembers that the kernel knows no VXLAN devices, if that is why something was not made: vxnet
    /// can do without.
    fn without_vxlan<T>(&mut self, made: Result<T>) -> Result<Option<T>> {
        match made {
            Err(error) if netlink::is_unknown_kind(&error) => {
                self.no_vxlan = true;
                Ok(None)
            }
            made => made.map(Some),
        }
    }

    async fn remove_bridge(&mut self, name: &str) -> Result<()> {
        if !self.netlink.release_bridge(name, self.force).await? {
            return Ok(());
        }
        if self.force {
            self.doomed.push(name.to_owned());
            return Ok(());
        }
        // At once, before a guest comes in.
        self.netlink.remove_link(name).await
    }

    async fn remove_doomed(&mut self) -> Result<()> {
        if !self.doomed.is_empty() {
            self.netlink.remove_links(&self.doomed).await?;
            self.doomed.clear();
        }
        Ok(())
    }

    fn attach(&mut self, ifindex: u32, hook: Hook, name: &str) -> Result<()> {
        let seen = self.links.get(&ifindex).context("the link has vanished")?;
        let object = self.object.as_mut().context("no programs are loaded")?;
        let attached = attach::attach(&self.paths, self.way, object, target(seen), hook, name);
        if let Err(error) = &attached
            && error.is::<attach::NoXdp>()
        {
            log::warn!("{}: receiving through TC: {error:#}", seen.link.name);
            self.xdp_refused.insert(ifindex);
            return Ok(());
        }
        attached
    }
}

impl Host for Kernel {
    async fn observe(&mut self) -> Result<Observed> {
        // What someone removed is made again; the maps themselves live on in the programs.
        if let Some(object) = &self.object {
            self.paths.create()?;
            object.repin(&self.paths)?;
        }
        self.look_at_all().await
    }

    async fn apply(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::Create(id, spec) | Op::Change { id, to: spec, .. } => self.set(id, spec).await,
            Op::Delete(id, spec) => self.remove(id, spec).await,
        }
    }

    async fn settle(&mut self) -> Result<()> {
        self.remove_doomed().await?;
        match &mut self.maps {
            Some(maps) => self.gone.forget(maps),
            None => Ok(()),
        }
    }
}

fn target(seen: &Seen) -> Target<'_> {
    Target {
        ifindex: seen.link.ifindex,
        name: &seen.link.name,
        xdp_program: seen.xdp_program,
    }
}
