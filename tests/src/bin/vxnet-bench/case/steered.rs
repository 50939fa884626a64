//! Veths whose frames one CPU takes in for a while, as the CPU of a queue of a NIC would.

use anyhow::{Context as _, Result};
use vxnet_tests::netns::Netns;
use vxnet_tests::steering::steer;

use crate::machine;
use crate::station::{Kind, Station};

/// The ports that were changed; they are as before when this goes.
pub(crate) struct Steered {
    ports: Vec<(Netns, String)>,
}

impl Steered {
    /// Lets what a station's veth sends be taken in by the CPU that the station runs on.
    pub(crate) fn new(from: &Station, to: &Station) -> Result<Self> {
        let mut steered = Self { ports: Vec::new() };
        for (station, cpu) in [(from, machine::SENDER), (to, machine::RECEIVER)] {
            if station.kind == Kind::Veth {
                let (netns, port) = (station.host_netns.clone(), station.port.clone());
                steer(&netns, &port, 1 << cpu).context("receive packet steering")?;
                steered.ports.push((netns, port));
            }
        }
        Ok(steered)
    }
}

impl Drop for Steered {
    fn drop(&mut self) {
        for (netns, port) in &self.ports {
            // The bed may be gone already.
            let _ = steer(netns, port, 0);
        }
    }
}
