//! The physical network behind trunk links: a switch that carries VLANs, and a PC at one of its
//! access ports.
//!
//! The switch is a kernel bridge that is not VLAN-aware: tagged frames cross it as they are, and for
//! want of independent learning it learns nothing and floods them all. The access port is a thread that puts tags on and takes them off, for the kernels of test machines
//! may lack 802.1Q devices.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::frame::{self, tagged};
use crate::lab::Lab;
use crate::netns::Netns;
use crate::packet_socket::PacketSocket;

const BRIDGE: &str = "phy";
/// The MTU of tagged frames' payload is that of others (IEEE 802.1Q).
const MTU: u32 = 1500;
const POLL: Duration = Duration::from_millis(50);

/// A switch that trunk links of hypervisors lead to.
#[derive(Debug)]
pub struct Switch {
    pub netns: Netns,
}

impl Switch {
    /// Makes the switch, and in each of `hypervisors` the link `phys0` to it.
    pub fn connect(lab: &Lab, hypervisors: &[usize]) -> Result<Self> {
        let netns = Netns::create(&lab.scope, "switch")?;
        netns.ip(&format!(
            "link add {BRIDGE} type bridge mcast_snooping 0 ageing_time 0"
        ))?;
        netns.ip(&format!("link set {BRIDGE} up"))?;
        for &number in hypervisors {
            let far = &lab.hypervisor(number)?.netns;
            netns.ip(&format!(
                "link add to-hv{number} mtu {MTU} type veth peer name {TRUNK} mtu {MTU} netns {far}"
            ))?;
            // Neither end is to talk on its own.
            netns.sysctl(&format!("net.ipv6.conf.to-hv{number}.disable_ipv6"), "1")?;
            far.sysctl(&format!("net.ipv6.conf.{TRUNK}.disable_ipv6"), "1")?;
            netns.ip(&format!("link set to-hv{number} master {BRIDGE} up"))?;
        }
        netns.sysctl(&format!("net.ipv6.conf.{BRIDGE}.disable_ipv6"), "1")?;
        Ok(Self { netns })
    }

    /// Returns a socket at a port of the switch that takes and gets all VLANs.
    pub fn tap(&self, name: &str) -> Result<PacketSocket> {
        let netns = &self.netns;
        netns.ip(&format!("link add {name} type veth peer name {name}-port"))?;
        for end in [name.to_owned(), format!("{name}-port")] {
            netns.sysctl(&format!("net.ipv6.conf.{end}.disable_ipv6"), "1")?;
            netns.ip(&format!("link set {end} up"))?;
        }
        netns.ip(&format!("link set {name}-port master {BRIDGE}"))?;
        PacketSocket::open(netns, name)
    }

    /// Connects a PC to an access port of VLAN `vid`.
    pub fn pc(&self, lab: &Lab, vid: u16, address: Ipv4Addr) -> Result<Pc> {
        let name = format!("pc{vid}");
        let netns = Netns::create(&lab.scope, &name)?;
        netns.ip(&format!(
            "link add eth0 type veth peer name {name} netns {}",
            self.netns
        ))?;
        // The thread carries finished frames of wire size only.
        netns.line("ethtool -K eth0 tx off tso off gso off").run()?;
        netns.ip(&format!("address add {address}/24 dev eth0"))?;
        netns.ip("link set eth0 up")?;
        self.netns
            .sysctl(&format!("net.ipv6.conf.{name}.disable_ipv6"), "1")?;
        self.netns.ip(&format!("link set {name} up"))?;
        let access = PacketSocket::open(&self.netns, &name)?;
        let wire = self.tap(&format!("vlan{vid}"))?;
        let (access, wire) = (Arc::new(access), Arc::new(wire));
        let stop = Arc::new(AtomicBool::new(false));
        let mut threads = Vec::new();
        for inwards in [true, false] {
            let (access, wire, stop) = (Arc::clone(&access), Arc::clone(&wire), Arc::clone(&stop));
            threads.push(std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    if inwards {
                        carry(&access, &wire, |frame| Some(tagged(frame, vid)))?;
                    } else {
                        carry(&wire, &access, |frame| untag(frame, vid))?;
                    }
                }
                Ok(())
            }));
        }
        Ok(Pc {
            netns,
            address,
            stop,
            threads,
        })
    }
}

/// The trunk link in a hypervisor.
pub const TRUNK: &str = "phys0";

/// A computer at an access port.
#[derive(Debug)]
pub struct Pc {
    pub netns: Netns,
    pub address: Ipv4Addr,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Drop for Pc {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

/// Passes on what arrives, changed by `change` or left out.
fn carry(
    from: &PacketSocket,
    to: &PacketSocket,
    change: impl Fn(&[u8]) -> Option<Vec<u8>>,
) -> Result<()> {
    let frame = from.receive(POLL, |_| true)?;
    match frame.and_then(|frame| change(&frame)) {
        Some(frame) => to.send(&frame).context("access port"),
        None => Ok(()),
    }
}

/// Takes the tag of VLAN `vid` off.
fn untag(frame: &[u8], vid: u16) -> Option<Vec<u8>> {
    let tci = frame::tci(frame)?;
    (tci & 0x0fff == vid).then(|| [&frame[..12], &frame[16..]].concat())
}
