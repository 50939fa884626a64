//! Packets put on the wire towards a hypervisor, as anyone on the underlay could.

use std::net::IpAddr;

use anyhow::Result;
use vxnet_tests::frame::{Endpoint, Outer};
use vxnet_tests::hypervisor::link_mac;
use vxnet_tests::lab::Lab;
use vxnet_tests::packet_socket::PacketSocket;
use vxnet_tests::topology::UPLINK;

/// The router's end of a hypervisor's uplink.
pub(crate) struct Injector {
    socket: PacketSocket,
    router: [u8; 6],
    hypervisor: [u8; 6],
    vtep: IpAddr,
}

impl Injector {
    pub(crate) fn new(lab: &Lab, number: usize) -> Result<Self> {
        let hypervisor = lab.hypervisor(number)?;
        let link = &hypervisor.name;
        Ok(Self {
            socket: PacketSocket::open(&lab.router, link)?,
            router: link_mac(&lab.router, link)?,
            hypervisor: hypervisor.mac(UPLINK)?,
            vtep: hypervisor.vtep,
        })
    }

    /// The outer header of a packet from `source` to this hypervisor's VTEP.
    pub(crate) fn outer(&self, source: IpAddr, vni: u32) -> Outer {
        let (from, to) = (
            Endpoint::new(self.router, source),
            Endpoint::new(self.hypervisor, self.vtep),
        );
        Outer::new(from, to, vni)
    }

    pub(crate) fn send(&self, outer: &Outer, inner: &[u8]) -> Result<()> {
        self.raw(&outer.wrap(inner))
    }

    /// Sends a whole packet.
    pub(crate) fn raw(&self, packet: &[u8]) -> Result<()> {
        self.socket.send(packet)
    }
}
