//! Veths whose frames one CPU takes in for a while.
//!
//! A veth puts a frame into the backlog of the CPU that sends it (`netif_rx` in the kernel's
//! `veth.c`; its own queue is for who has no TSO). A TCP flow is sent from two CPUs, that of the
//! sender and the one where acknowledgements come in, so that two backlogs race through all hops: a
//! bare veth without any switch puts flows out of order. A NIC has a queue for a flow, which one CPU
//! empties. Receive packet steering (`rps_cpus`) gives veths the like.

use anyhow::{Context as _, Result};
use vxnet_tests::command::Cmd;
use vxnet_tests::netns::Netns;

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
                let port = (station.host_netns.clone(), station.port.clone());
                steer(&port, 1 << cpu).context("receive packet steering")?;
                steered.ports.push(port);
            }
        }
        Ok(steered)
    }
}

impl Drop for Steered {
    fn drop(&mut self) {
        for port in &self.ports {
            // The bed may be gone already.
            let _ = steer(port, 0);
        }
    }
}

/// Sets the CPUs that take in what a link receives, as a bit mask; 0 is none in particular.
fn steer((netns, link): &(Netns, String), cpus: u32) -> Result<()> {
    // `/sys` shows the links of the namespace that it was mounted in.
    let script = format!(
        "for queue in /sys/class/net/{link}/queues/rx-*; do echo {cpus:x} > $queue/rps_cpus; done"
    );
    Cmd::new("ip")
        .args(["netns", "exec", netns.name(), "sh", "-c", &script])
        .run()
        .map(drop)
}
