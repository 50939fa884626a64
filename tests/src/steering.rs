//! Receive packet steering: which CPUs take in the frames of a link.
//!
//! A veth puts a frame into the backlog of the CPU that sends it (`netif_rx` in the kernel's
//! `veth.c`; its own queue is for who has no TSO). A TCP flow is sent from two CPUs, that of the
//! sender and the one where acknowledgements come in, so that two backlogs race through all hops: a
//! bare veth without any switch puts flows out of order. A NIC has a queue for a flow, which one CPU
//! empties. Receive packet steering (`rps_cpus`) gives veths the like.

use anyhow::Result;

use crate::command::Cmd;
use crate::netns::Netns;

/// Sets the CPUs that take in what a link receives, as a bit mask; 0 is none in particular.
pub fn steer(netns: &Netns, link: &str, cpus: u32) -> Result<()> {
    // `/sys` shows the links of the namespace that it was mounted in.
    let script = format!(
        "for queue in /sys/class/net/{link}/queues/rx-*; do echo {cpus:x} > $queue/rps_cpus; done"
    );
    Cmd::new("ip")
        .args(["netns", "exec", netns.name(), "sh", "-c", &script])
        .run()
        .map(drop)
}
