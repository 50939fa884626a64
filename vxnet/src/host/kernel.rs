//! The real host.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use anyhow::{Context as _, Result, bail};
use vxnet_common::{
    addr::VtepAddr,
    map::{
        fdb::place,
        local::Local,
        port::Port,
        segment::Segment,
        vtep::{NextHop, Vtep},
    },
};

use super::{
    Paths,
    attach::{self, Target},
    floor::{self, Attachment},
    maps::{Maps, absent_is_fine, entries},
    netlink::{Netlink, SHORTEST_GSO, Seen},
    nft,
    object::Object,
    offload, sysctl,
};
use crate::{
    plan::Op,
    reconcile::Host,
    state::{Bridge, Facts, GRO_END, GRO_LINK, Guard, Hook, Id, Observed, Program, Spec, State},
};

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
    can_match_bridge: bool,
    /// What the last look found.
    last: Option<Facts>,
    /// Bridges go although guests are in them.
    force: bool,
    /// The last look at the links, for operations that name one by ifindex.
    links: BTreeMap<u32, Seen>,
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

    /// Prepares to remove everything.
    pub fn for_teardown(paths: Paths) -> Result<Self> {
        let way = floor::check()?;
        let mut kernel = Self::without_programs(paths, way)?;
        kernel.force = true;
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
            can_match_bridge: nft::can_match_bridge()?,
            last: None,
            force: false,
            links: BTreeMap::new(),
        })
    }

    /// Follows another set of peers, after a change of the fabric.
    pub fn set_peers(&mut self, peers: BTreeSet<IpAddr>) {
        self.peers = peers;
    }

    /// Returns the maps.
    pub fn maps(&mut self) -> Result<&mut Maps> {
        self.maps.as_mut().context("the maps are gone")
    }

    /// Returns what the last look found.
    pub fn facts(&self) -> Option<&Facts> {
        self.last.as_ref()
    }

    /// Returns the guests' links in the bridges that vxnet made or adopted, whether programs run on
    /// them or not.
    pub async fn guests(&mut self) -> Result<Vec<String>> {
        self.links = self.netlink.links().await?;
        let ours = |seen: &Seen| seen.link.is_ours || seen.is_adopted;
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
        let mut routes = BTreeMap::new();
        for peer in &self.peers {
            if let Some(ifindex) = self.netlink.route(*peer).await {
                routes.insert(*peer, ifindex);
            }
        }
        // A refusal is of a link; another link may get the number.
        self.xdp_refused
            .retain(|ifindex| self.links.contains_key(ifindex));
        let tags = self.object.as_ref().map(|object| object.tags.clone());
        Ok(Facts {
            links: self
                .links
                .iter()
                .map(|(i, seen)| (*i, seen.link.clone()))
                .collect(),
            routes,
            xdp_refused: self.xdp_refused.clone(),
            programs: tags.unwrap_or_default(),
            can_match_bridge: self.can_match_bridge,
        })
    }

    fn observe_links(&self, state: &mut State) {
        for seen in self.links.values() {
            let link = &seen.link;
            let ours = link.is_ours || seen.is_adopted;
            if !ours || link.kind != "bridge" {
                continue;
            }
            let bridge = Bridge {
                mac: link.mac,
                mtu: link.mtu,
                up: link.up,
            };
            state.insert(Id::Bridge(link.name.clone()), Spec::Bridge(bridge));
            for address in &seen.own_addresses {
                state.insert(Id::Address(link.name.clone(), *address), Spec::Address);
            }
        }
        self.observe_anchors(state);
    }

    /// An anchor is there while its link is, in whatever state somebody has brought it.
    fn observe_anchors(&self, state: &mut State) {
        let anchors = self
            .links
            .values()
            .map(|seen| &seen.link)
            .filter(|link| link.is_ours && link.name.starts_with("vxa-"));
        for anchor in anchors {
            let bridge = anchor.master.and_then(|master| self.links.get(&master));
            let spec = Spec::Anchor {
                bridge: bridge.map_or_else(String::new, |bridge| bridge.link.name.clone()),
                mtu: anchor.mtu,
                up: anchor.up,
            };
            state.insert(Id::Anchor(anchor.name.clone()), spec);
        }
    }

    /// The GRO link is there while one of its ends is.
    fn observe_gro_link(&self, state: &mut State) {
        let ours = |name| {
            let mut links = self.links.values();
            links.find(|seen| seen.link.name == name && seen.link.is_ours)
        };
        if ours(GRO_LINK).is_none() && ours(GRO_END).is_none() {
            return;
        }
        let up = |name| ours(name).filter(|seen| seen.link.up);
        let cuts = up(GRO_LINK).is_some_and(|seen| seen.gso_max_size == Some(SHORTEST_GSO));
        let works =
            cuts && !offload::tso(GRO_LINK) && up(GRO_END).is_some() && offload::gro(GRO_END);
        state.insert(Id::GroLink, Spec::GroLink { works });
    }

    fn observe_programs(&self, state: &mut State) {
        for (ifindex, hook) in attach::pins(&self.paths) {
            state.insert(Id::Program(ifindex, hook), Spec::Program(Program::PIN));
        }
        for seen in self.links.values() {
            let maps = self.object.as_ref().map(|object| &object.maps);
            for (hook, program) in attach::observe(&self.paths, self.way, maps, target(seen)) {
                state.insert(Id::Program(seen.link.ifindex, hook), Spec::Program(program));
            }
        }
    }

    fn observe_maps(&self, state: &mut State) -> Result<()> {
        let Some(maps) = &self.maps else {
            return Ok(());
        };
        if let Some(local) = maps.local()? {
            state.insert(Id::Local, Spec::Local(local));
        }
        for (slot, row) in maps.vteps()? {
            state.insert(Id::Vtep(slot), Spec::Vtep(Box::new(without_way(row))));
        }
        for (slot, row) in maps.ports()? {
            state.insert(Id::Port(slot), Spec::Port(row));
        }
        for (slot, row) in maps.segments()? {
            state.insert(Id::Segment(slot), Spec::Segment(Box::new(row)));
        }
        for (key, row) in maps.fdb()? {
            if row.origin != vxnet_common::map::fdb::origin::LEARNED {
                state.insert(Id::Fdb(key), Spec::Fdb(row));
            }
        }
        for (key, slot) in entries(&maps.vtep_slots)? {
            state.insert(Id::VtepSlot(key), Spec::Slot(slot));
        }
        for (key, slot) in entries(&maps.flood)? {
            state.insert(Id::Flood(key), Spec::Slot(slot));
        }
        for (key, slot) in entries(&maps.vnis)? {
            state.insert(Id::Vni(key), Spec::Slot(slot));
        }
        for (key, slot) in entries(&maps.port_slots)? {
            state.insert(Id::PortSlot(key), Spec::Slot(slot));
        }
        Ok(())
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
            (Id::GroLink, Spec::GroLink { .. }) => self.netlink.set_gro_link().await,
            (Id::Address(link, net), Spec::Address) => self.netlink.add_address(link, *net).await,
            (Id::Program(ifindex, hook), Spec::Program(program)) => {
                self.attach(*ifindex, *hook, &program.name)
            }
            (id, spec) => self.set_row(id, spec),
        }
    }

    fn set_row(&mut self, id: &Id, spec: &Spec) -> Result<()> {
        let maps = self.maps()?;
        match (id, spec) {
            (Id::Local, Spec::Local(row)) => maps.local.set(0, row, 0)?,
            (Id::Vtep(slot), Spec::Vtep(row)) => {
                // The way that the kernel found stays while the peer does.
                let held = maps.vteps.get(slot, 0)?;
                let mut row = **row;
                if held.address == row.address {
                    (row.active, row.deadline) = (held.active, held.deadline);
                    row.next_hop = held.next_hop;
                }
                maps.vteps.set(*slot, row, 0)?;
            }
            (Id::Port(slot), Spec::Port(row)) => {
                let held = maps.ports.get(slot, 0)?;
                maps.ports.set(*slot, row, 0)?;
                if held.ifindex != 0 && held.ifindex != row.ifindex {
                    forget_port(maps, *slot)?;
                }
            }
            (Id::Segment(slot), Spec::Segment(row)) => maps.segments.set(*slot, **row, 0)?,
            (Id::Fdb(key), Spec::Fdb(row)) => maps.fdb.insert(key, row, 0)?,
            (Id::VtepSlot(key), Spec::Slot(slot)) => maps.vtep_slots.insert(key, slot, 0)?,
            (Id::Flood(key), Spec::Slot(slot)) => maps.flood.insert(key, slot, 0)?,
            (Id::Vni(key), Spec::Slot(slot)) => maps.vnis.insert(key, slot, 0)?,
            (Id::PortSlot(key), Spec::Slot(slot)) => maps.port_slots.insert(key, slot, 0)?,
            (id, _) => bail!("{id} cannot be set to that"),
        }
        Ok(())
    }

    async fn remove(&mut self, id: &Id, spec: &Spec) -> Result<()> {
        match (id, spec) {
            (Id::Sysctl(key), _) => sysctl::restore(&self.paths, key),
            (Id::Guard, _) => nft::remove(),
            (Id::Bridge(name), _) => self.netlink.remove_bridge(name, self.force).await,
            (Id::Anchor(port), _) => self.netlink.remove_link(port).await,
            (Id::GroLink, _) => self.netlink.remove_gro_link().await,
            (Id::Address(link, net), _) => self.netlink.remove_address(link, *net).await,
            (Id::Program(ifindex, hook), _) => {
                let link = self.links.get(ifindex).map(|seen| seen.link.name.as_str());
                attach::detach(&self.paths, *ifindex, link, *hook)
            }
            (id, _) => self.remove_row(id),
        }
    }

    fn remove_row(&mut self, id: &Id) -> Result<()> {
        let maps = self.maps()?;
        match id {
            Id::Local => maps.local.set(0, NO_LOCAL, 0)?,
            Id::Vtep(slot) => {
                maps.vteps.set(*slot, Vtep::FREE, 0)?;
                maps.remove_fdb(|_, row| row.place == place::VTEP && row.slot == *slot)?;
            }
            Id::Port(slot) => {
                maps.ports.set(*slot, Port::FREE, 0)?;
                forget_port(maps, *slot)?;
            }
            Id::Segment(slot) => {
                maps.segments.set(*slot, Segment::FREE, 0)?;
                maps.remove_fdb(|key, _| key.segment == *slot)?;
            }
            Id::Fdb(key) => absent_is_fine(maps.fdb.remove(key))?,
            Id::VtepSlot(key) => absent_is_fine(maps.vtep_slots.remove(key))?,
            Id::Flood(key) => absent_is_fine(maps.flood.remove(key))?,
            Id::Vni(key) => absent_is_fine(maps.vnis.remove(key))?,
            Id::PortSlot(key) => absent_is_fine(maps.port_slots.remove(key))?,
            id => bail!("{id} is no row"),
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
        let facts = self.look().await?;
        self.last = Some(facts.clone());
        let mut state = State::new();
        sysctl::observe(&self.paths, &mut state)?;
        if let Some(rules) = nft::observe(&self.paths)? {
            state.insert(Id::Guard, Spec::Guard(Guard { rules }));
        }
        self.observe_links(&mut state);
        self.observe_gro_link(&mut state);
        self.observe_programs(&mut state);
        self.observe_maps(&mut state)?;
        Ok(Observed { facts, state })
    }

    async fn apply(&mut self, op: &Op) -> Result<()> {
        match op {
            Op::Create(id, spec) | Op::Change { id, to: spec, .. } => self.set(id, spec).await,
            Op::Delete(id, spec) => self.remove(id, spec).await,
        }
    }
}

/// `LOCAL` before anything was written.
const NO_LOCAL: Local = Local {
    layout: 0,
    underlay: VtepAddr::NONE,
    port: 0,
    family: 0,
    pad: 0,
    gro: 0,
    resolver: 0,
    name: [0; 32],
};

/// Removes what was learned behind a port.
fn forget_port(maps: &mut Maps, slot: u32) -> Result<()> {
    maps.remove_fdb(|_, row| row.place == place::PORT && row.slot == slot)?;
    Ok(())
}

/// Returns a row of `VTEPS` without what the kernel writes into it.
fn without_way(row: Vtep) -> Vtep {
    Vtep {
        deadline: 0,
        active: 0,
        next_hop: [NextHop::default(); 2],
        ..row
    }
}

fn target(seen: &Seen) -> Target<'_> {
    Target {
        ifindex: seen.link.ifindex,
        name: &seen.link.name,
        xdp_program: seen.xdp_program,
    }
}
