//! How a bed is made: the wire, the peer's fabric on it, and the stations.

use std::path::Path;

use anyhow::{Result, bail};
use vxnet_tests::bpffs::Bpffs;

use crate::bed::{Bed, Spec};
use crate::peer::ovs::{self, Ovs};
use crate::peer::{Peer, bridge, brvx, direct, port_name, vxnet};
use crate::station::{Kind, Station};
use crate::wire::{UPLINK, Underlay};

/// Long enough for the largest table to stay while it is measured.
const LONG_AGEING: u32 = 3600;

impl Bed {
    /// Makes hosts, fabric and stations.
    pub(super) fn make(&mut self, binary: &Path) -> Result<()> {
        let Spec { peer, wire, .. } = self.spec;
        if peer == Peer::Direct {
            self.stations = direct::make(&self.scope, &self.shell, wire)?;
            return Ok(());
        }
        let hosts = if self.spec.replicas == 0 { 2 } else { 1 };
        let underlay = Underlay::make(&self.scope, &self.shell, wire, hosts)?;
        self.fabric(&underlay, binary)?;
        self.plug(&underlay)?;
        self.underlay = Some(underlay);
        Ok(())
    }

    fn fabric(&mut self, underlay: &Underlay, binary: &Path) -> Result<()> {
        let Spec {
            peer,
            networks,
            macs,
            replicas,
            ..
        } = self.spec;
        let (scope, shell) = (&self.scope, &self.shell);
        let ageing = if macs == 0 {
            vxnet::AGEING
        } else {
            LONG_AGEING
        };
        let vteps: Vec<_> = (1..=underlay.hosts.len() + replicas)
            .map(|number| underlay.vtep(number))
            .collect();
        let hosts = underlay.hosts.iter().zip(1..);
        match peer {
            Peer::Direct => bail!("direct has no fabric"),
            Peer::Bridge => bridge::make(shell, underlay)?,
            Peer::Brvx => {
                underlay.address(shell, UPLINK)?;
                for (host, number) in hosts {
                    let local = underlay.vtep(number);
                    let mut others = vteps.clone();
                    others.retain(|vtep| *vtep != local);
                    brvx::make(shell, host, local, &others, networks, ageing)?;
                }
            }
            Peer::Vxnet(receive) => {
                underlay.address(shell, UPLINK)?;
                let bpffs = Bpffs::mount(scope)?;
                let config = vxnet::config(&vteps, self.spec, receive, ageing);
                for host in hosts {
                    let vxnet = vxnet::start(scope, shell, &bpffs, binary, host, &config)?;
                    self.vxnets.push(vxnet);
                }
            }
            Peer::OvsSystem | Peer::OvsAfXdp => {
                let ports = if peer == Peer::OvsSystem {
                    ovs::Ports::System
                } else {
                    ovs::Ports::AfXdp
                };
                for host in hosts {
                    self.ovs.push(Ovs::start(scope, shell, host, ports)?);
                }
                underlay.address(shell, ovs::PHYSICAL)?;
                for (ovs, other) in self.ovs.iter().zip([2, 1]) {
                    ovs.tunnel(shell, underlay.vtep(other))?;
                }
            }
        }
        Ok(())
    }

    fn plug(&mut self, underlay: &Underlay) -> Result<()> {
        let Spec {
            peer,
            networks,
            replicas,
            ..
        } = self.spec;
        let (scope, shell) = (&self.scope, &self.shell);
        let routed = underlay.router.is_some();
        for network in 1..=networks {
            let mut mutes = Vec::new();
            for (host, number) in underlay.hosts.iter().zip(1..) {
                let has_guests = network == 1 && replicas == 0;
                let kinds: &[Kind] = match (has_guests, peer.is_ovs()) {
                    (false, _) => &[Kind::Mute],
                    (true, false) => &[Kind::Veth, Kind::Tap, Kind::Mute],
                    // OVS takes AF_XDP only from links with that hook, and a mute tap would fill.
                    (true, true) => &[Kind::Veth],
                };
                for &kind in kinds {
                    let address = peer.address(kind, number, routed);
                    let port = port_name(network, kind);
                    let station =
                        Station::make(scope, shell, (host, number), kind, address, &port)?;
                    match self.ovs.get(number - 1) {
                        Some(ovs) => ovs.attach(shell, &station)?,
                        None => bridge::attach(shell, &station, network)?,
                    }
                    if let (Peer::Bridge, Some(router)) = (peer, &underlay.router) {
                        bridge::settle(shell, router, &station)?;
                    }
                    if kind == Kind::Mute {
                        mutes.push(station);
                    } else {
                        self.stations.push(station);
                    }
                }
            }
            self.mutes.push(mutes);
        }
        for vxnet in &self.vxnets {
            let port = port_name(networks, Kind::Mute);
            vxnet.wait_for_port(&format!("n{networks}"), &port)?;
        }
        Ok(())
    }
}
