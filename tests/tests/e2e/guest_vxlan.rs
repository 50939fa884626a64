//! A guest that sends VXLAN itself, to the hosts of the fabric.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use vxnet_tests::guest::Port;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::network::{Network, gateway_v4};
use vxnet_tests::packet_socket::PacketSocket;
use vxnet_tests::topology::LabBuilder;
use vxnet_tests::wait::eventually;

const VXLAN: u16 = 4789;
/// Not VXLAN's: shows that the way there is open.
const OTHER: u16 = 4790;
/// Ports of the gateway that a rule of the host's leads to the peer's two.
const LED_TO_VXLAN: u16 = 7001;
const LED_TO_OTHER: u16 = 7002;
const TIMES: u64 = 5;
const PATIENCE: Duration = Duration::from_secs(10);
/// Whatever else is on the way when the last packet has been sent.
const QUIET: Duration = Duration::from_millis(300);

#[test]
fn attack5_a_guest_reaches_no_vtep_not_even_by_the_hosts_nat() -> Result<()> {
    let mut lab = LabBuilder::new("guestvxlan")
        .hypervisors(&[Kind::Vxnet, Kind::Vxnet])
        .network(Network::new("blue", 10).gateways(&[1]))
        .guest("blue", 1, Port::Veth)
        .build()?;
    let gateway = IpAddr::from(gateway_v4(1));
    let (own, peer) = (lab.hypervisor(1)?.vtep, lab.hypervisor(2)?.vtep);
    let netns = lab.hypervisor(1)?.netns.clone();
    netns.sysctl("net.ipv4.ip_forward", "1")?;
    let rules = format!(
        "table ip lab {{ chain pre {{ type nat hook prerouting priority dstnat; \
         udp dport {LED_TO_VXLAN} dnat to {peer}:{VXLAN}; \
         udp dport {LED_TO_OTHER} dnat to {peer}:{OTHER}; }}; \
         chain post {{ type nat hook postrouting priority srcnat; oifname \"eth0\" masquerade; }}; }}"
    );
    netns.line("nft -f -").stdin(rules).run()?;
    let guest = lab.guest("blue", 1, 1)?;
    guest
        .netns
        .ip(&format!("route add default via {gateway}"))?;
    let port = guest.port.clone();
    let wire = PacketSocket::open(&lab.router, "hv1")?;
    let socket = guest.netns.enter(|| UdpSocket::bind("0.0.0.0:0"))??;
    let holds = |text: &'static str| {
        move |frame: &[u8]| {
            frame
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        }
    };
    let send =
        |text: &str, to: IpAddr, port| socket.send_to(text.as_bytes(), SocketAddr::new(to, port));

    // The ways are open for anything else: also after the rules.
    for (text, to, port) in [
        ("openly", peer, OTHER),
        ("by a rule", gateway, LED_TO_OTHER),
    ] {
        eventually(PATIENCE, || {
            send(text, to, port)?;
            let seen = wire.receive(QUIET, holds(text))?;
            seen.map(drop)
                .with_context(|| format!("{text}: not on the wire"))
        })?;
    }
    for _ in 0..TIMES {
        send("forbidden", peer, VXLAN)?;
        send("forbidden", own, VXLAN)?;
        send("forbidden", gateway, LED_TO_VXLAN)?;
    }
    let seen = wire.collect(QUIET, holds("forbidden"))?;
    ensure!(seen.is_empty(), "on the wire: {seen:02x?}");
    let counted = lab.vxnet(1)?.drops_of(&port, "guest_vxlan")?;
    ensure!(counted == 2 * TIMES, "{counted} counted");
    // What the rule led there came to the host and died in the guard, by its own count.
    let guard = netns.line("nft list table inet vxnet").run()?;
    ensure!(guard.contains("udp dport 4789"), "{guard}");
    Ok(())
}
