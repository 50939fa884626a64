//! The places where frames enter and leave.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use vxnet_common::loop_probe;
use vxnet_tests::frame::destination;
use vxnet_tests::lab::Lab;
use vxnet_tests::netns::Netns;
use vxnet_tests::packet_socket::PacketSocket;

use super::ledger::Cable;

/// A place where frames enter and leave, and what has arrived there.
pub(crate) struct Edge {
    pub(crate) name: String,
    pub(crate) mac: [u8; 6],
    /// The number of the hypervisor, and the port there.
    pub(crate) host: usize,
    pub(crate) port: String,
    /// Where the other end of the port's cable is, if it has one.
    pub(crate) far_end: Option<(Netns, String)>,
    pub(crate) socket: PacketSocket,
    /// Each frame but loop probes, and how often it came.
    pub(crate) seen: BTreeMap<Vec<u8>, u64>,
    pub(crate) probes: u64,
}

impl Edge {
    /// Takes what has arrived since.
    pub(crate) fn take(&mut self) -> Result<()> {
        for frame in self.socket.collect(Duration::ZERO, |_| true)? {
            // The daemon sends loop probes out of ports, past the switch.
            if destination(&frame) == Some(loop_probe::DESTINATION.0) {
                self.probes += 1;
            } else {
                *self.seen.entry(frame).or_default() += 1;
            }
        }
        Ok(())
    }

    pub(crate) fn count(&self) -> u64 {
        self.seen.values().sum()
    }

    pub(crate) fn forget(&mut self) {
        self.seen.clear();
        self.probes = 0;
    }

    pub(crate) fn cable(&self, lab: &Lab) -> Result<Option<Cable>> {
        let Some((netns, link)) = &self.far_end else {
            return Ok(None);
        };
        let hypervisor = &lab.hypervisor(self.host)?.netns;
        Cable::read((netns, link), (hypervisor, &self.port)).map(Some)
    }
}
