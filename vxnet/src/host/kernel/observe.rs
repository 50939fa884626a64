//! What the kernel holds for vxnet: links, programs and rows, as things that are there or not.

use std::collections::BTreeSet;

use anyhow::Result;

use super::{Kernel, target};
use crate::{
    host::{attach, detour, membership, netlink::Seen, nft, rows, sysctl, trunk},
    state::{Bridge, GRO_SOCKET, Guard, Id, Observed, Program, Spec, State},
};

impl Kernel {
    /// Looks at everything.
    pub(super) async fn look_at_all(&mut self) -> Result<Observed> {
        let facts = self.look().await?;
        self.last = Some(facts.clone());
        let mut state = State::new();
        sysctl::observe(&self.paths, &mut state)?;
        if let Some(rules) = nft::observe(&self.paths)? {
            state.insert(Id::Guard, Spec::Guard(Guard { rules }));
        }
        self.observe_links(&mut state);
        trunk::observe(&self.paths, &self.links, &mut state)?;
        membership::observe(&self.paths, &self.links, &mut state)?;
        detour::observe(&self.paths, &self.links, &mut state);
        self.observe_gro_socket(&mut state);
        self.observe_programs(&mut state);
        if let Some(maps) = &self.maps {
            rows::observe(maps, &mut state)?;
        }
        Ok(Observed { facts, state })
    }

    fn observe_links(&self, state: &mut State) {
        // One that its guests have left since is to be removed.
        let masters: BTreeSet<u32> = self
            .links
            .values()
            .filter_map(|seen| seen.link.master)
            .collect();
        for seen in self.links.values() {
            let link = &seen.link;
            let is_done = seen.is_left && !masters.contains(&link.ifindex);
            let ours = link.is_ours || seen.is_adopted() || is_done;
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
        self.observe_taps(state);
    }

    /// The taps of guests, whose MTU vxnet sets.
    fn observe_taps(&self, state: &mut State) {
        let ours = |bridge: &Seen| bridge.link.is_ours || bridge.is_adopted();
        for tap in self.links.values().map(|seen| &seen.link) {
            let bridge = tap.master.and_then(|master| self.links.get(&master));
            if tap.kind == "tun" && bridge.is_some_and(ours) {
                state.insert(Id::PortMtu(tap.name.clone()), Spec::PortMtu(tap.mtu));
            }
        }
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

    fn observe_gro_socket(&self, state: &mut State) {
        let mut links = self.links.values();
        let found = links.find(|seen| seen.link.name == GRO_SOCKET && seen.link.is_ours);
        if let Some(seen) = found {
            let spec = Spec::GroSocket {
                port: seen.vxlan_port.unwrap_or(0),
                up: seen.link.up,
            };
            state.insert(Id::GroSocket, spec);
        }
    }

    /// Programs of ours run only where there is a pin, or a note of a filter.
    fn observe_programs(&self, state: &mut State) {
        let maps = self.object.as_ref().map(|object| &object.maps);
        for (ifindex, hook) in attach::pins(&self.paths) {
            let seen = self.links.get(&ifindex);
            let program = seen
                .and_then(|seen| attach::observe(&self.paths, self.way, maps, target(seen), hook));
            let program = program.unwrap_or(Program::PIN);
            state.insert(Id::Program(ifindex, hook), Spec::Program(program));
        }
    }
}
