//! One encapsulated packet, as tcpdump and tshark see it on the underlay.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use vxnet_tests::capture::Capture;
use vxnet_tests::hypervisor::Kind;
use vxnet_tests::lab::Lab;
use vxnet_tests::ping::Ping;

use crate::report::Report;

const FIELDS: [&str; 10] = [
    "ip.src",
    "ip.dst",
    "ip.ttl",
    "ip.flags.df",
    "ip.flags.mf",
    "udp.srcport",
    "udp.dstport",
    "udp.checksum",
    "vxlan.vni",
    "vxlan.flags",
];

pub(crate) fn run(lab: &Lab, kind: Kind, report: &mut Report) -> Result<()> {
    report.section("On the wire");
    let (from, to) = (lab.guest("blue", 1, 1)?, lab.guest("blue", 2, 1)?);
    // What has aged meanwhile would be flooded.
    Ping::new(to.v4).count(1).run(&from.netns)?;
    // hv1's link of the router: what left hv1, complete.
    let capture = Capture::start(&lab.scope, &lab.router, "hv1", "udp port 4789")?;
    Ping::new(to.v4).count(2).run(&from.netns)?;
    let pcap = capture.finish()?;
    let filter = format!("icmp.type == 8 && ip.src == {}", from.v4);
    let packets = pcap.fields(&filter, &FIELDS)?;
    let packet = packets
        .first()
        .context("no encapsulated echo request was captured")?;
    let decode = pcap.decode(&filter)?;
    // One line a layer of the first packet; the fields that matter follow as checks.
    for layer in decode.lines().take_while(|line| !line.is_empty()) {
        if !layer.starts_with(' ') {
            report.note(layer);
        }
    }
    let outer = |field: &str| {
        let at = FIELDS
            .iter()
            .position(|name| *name == field)
            .expect("it is a constant");
        packet[at].split(',').next().unwrap_or_default().to_owned()
    };
    let (source, target) = (lab.hypervisor(1)?.vtep, lab.hypervisor(2)?.vtep);
    let route = format!("{} > {}", outer("ip.src"), outer("ip.dst"));
    report.expect(
        "the outer addresses are the VTEPs",
        route == format!("{source} > {target}"),
        &route,
    );
    for (what, field, wanted) in [
        ("the destination port is VXLAN's", "udp.dstport", "4789"),
        ("the VNI is blue's", "vxlan.vni", "10"),
        ("the outer UDP checksum is 0", "udp.checksum", "0x0000"),
        ("the header has the I flag only", "vxlan.flags", "0x0800"),
        ("the outer TTL is 64", "ip.ttl", "64"),
        ("DF is set", "ip.flags.df", "1"),
    ] {
        // The kernel device neither sets DF by itself nor is it what the lab checks.
        if kind == Kind::Vxnet || field != "ip.flags.df" {
            report.expect(what, outer(field) == wanted, &outer(field));
        }
    }
    let port: u16 = outer("udp.srcport").parse().context("the source port")?;
    report.expect(
        "the source port is ephemeral",
        port >= 49_152,
        &port.to_string(),
    );
    let ports: HashSet<_> = packets.iter().map(|fields| fields[5].clone()).collect();
    report.expect(
        "one flow keeps one source port",
        ports.len() == 1,
        &format!("{ports:?}"),
    );
    let well_formed = pcap.ensure_well_formed().map(|()| String::new());
    report.check("tshark finds nothing malformed", well_formed);
    Ok(())
}
