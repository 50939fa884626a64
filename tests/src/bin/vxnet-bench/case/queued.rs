//! Veths that receive through a queue of their own for a while.
//!
//! By default a veth hands a frame to the backlog of the CPU that sends it. A TCP flow is sent from
//! two CPUs, that of the sender and the one where acknowledgements come in, and so is out of order
//! before any switch has seen it: a bare veth without a switch shows it. With GRO on, a veth has a
//! queue that one CPU at a time empties (`veth_xdp_rx` in the kernel's `veth.c`), as a NIC has, and
//! what is out of order at the receiver is the switch's doing.

use anyhow::{Context as _, Result};
use vxnet_tests::netns::Netns;

use crate::station::{Kind, Station};

/// The links that were changed; they are as before when this goes.
pub(crate) struct Queued {
    links: Vec<(Netns, String)>,
}

impl Queued {
    /// Changes both ends of each veth among the stations' links.
    pub(crate) fn new<'a>(stations: impl IntoIterator<Item = &'a Station>) -> Result<Self> {
        let mut queued = Self { links: Vec::new() };
        for station in stations {
            if station.kind != Kind::Veth {
                continue;
            }
            queued.change(&station.host_netns, &station.port)?;
            queued.change(&station.netns, "eth0")?;
        }
        Ok(queued)
    }

    fn change(&mut self, netns: &Netns, link: &str) -> Result<()> {
        let features = netns.line(&format!("ethtool -k {link}")).run()?;
        let is_on = features
            .lines()
            .find_map(|line| line.strip_prefix("generic-receive-offload: "))
            .context("ethtool does not tell of GRO")?
            .starts_with("on");
        if !is_on {
            netns.line(&format!("ethtool -K {link} gro on")).run()?;
            self.links.push((netns.clone(), link.to_owned()));
        }
        Ok(())
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        for (netns, link) in &self.links {
            // The bed may be gone already.
            let _ = netns.line(&format!("ethtool -K {link} gro off")).run();
        }
    }
}
