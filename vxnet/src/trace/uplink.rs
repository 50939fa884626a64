//! A packet that comes in by an uplink: the order of `vxnet-ebpf/src/prog/uplink.rs` and
//! `arrival.rs`. What XDP does of it comes to the same.

use vxnet_common::{
    ecn,
    forward::{self, Tables as _},
    frame::{Ethernet, ethertype},
    map::{NO_SLOT, segment},
    neighbour,
    reason::Reason,
    vxlan::{self, Outer, Tunnelled},
};

use super::{
    Ends, Rows, Trace, Verdict, Walk, deliver::Inside, learn::Sender, port::describe, words,
};

/// Follows a packet that comes in by the uplink in a slot of `PORTS`. `now` is on the clock of the
/// rows.
pub fn uplink(rows: &impl Rows, slot: u32, packet: &[u8], now: u64) -> Trace {
    let mut walk = Walk::new(rows, now);
    let outcome = match receive(&mut walk, slot, packet) {
        Err(Reason::NotOurs) => {
            walk.notices.push(Reason::NotOurs);
            Ok(Verdict::Passed)
        }
        outcome => outcome,
    };
    walk.end(outcome)
}

fn receive<R: Rows>(walk: &mut Walk<'_, R>, slot: u32, packet: &[u8]) -> Ends<Verdict> {
    let rows = walk.tables.rows();
    if let Some(port) = rows.port(slot) {
        walk.step("port", describe(rows, slot, port));
    }
    let Some(local) = rows.local().copied() else {
        walk.step("outer", "this host is not set up: the host gets the packet");
        return Ok(Verdict::Passed);
    };
    let tunnelled = match vxlan::classify(packet, &local, false) {
        Outer::Foreign => {
            let text = format!("not VXLAN on UDP port {}: the host gets it", local.port);
            walk.step("outer", text);
            return Ok(Verdict::Passed);
        }
        Outer::NotOurs => {
            walk.step(
                "outer",
                format!("VXLAN, but not for {}: the host gets it", local.underlay),
            );
            return Err(Reason::NotOurs);
        }
        Outer::Bad(reason) => {
            walk.step("outer", "VXLAN for this host, but malformed");
            return Err(reason);
        }
        Outer::Vxlan(tunnelled) => tunnelled,
    };
    walk.step("outer", outer_text(&tunnelled));
    let admitted = forward::admit(&walk.tables, &tunnelled);
    let text = match admitted {
        Ok((segment, vtep)) => {
            let row = rows.segment(segment).map(words::segment);
            format!(
                "{} sends into {}",
                words::vtep(rows, vtep),
                row.unwrap_or_default()
            )
        }
        Err(reason) => reason.meaning().to_owned(),
    };
    walk.step("admit", text);
    let (segment_slot, vtep) = admitted?;
    inner(walk, &local, &tunnelled, (segment_slot, vtep), packet)
}

/// Follows the inner frame.
fn inner<R: Rows>(
    walk: &mut Walk<'_, R>,
    local: &vxnet_common::map::local::Local,
    tunnelled: &Tunnelled,
    (segment_slot, vtep): (u32, u32),
    packet: &[u8],
) -> Ends<Verdict> {
    let (start, end) = (tunnelled.start as usize, tunnelled.end as usize);
    let Some(ethernet) = Ethernet::parse(packet, start) else {
        return Err(Reason::BadOuter);
    };
    let Some(segment) = walk.tables.segment(segment_slot).copied() else {
        return Err(Reason::UnknownVni);
    };
    let text = format!(
        "{} > {}, EtherType 0x{:04x}, {}",
        ethernet.src,
        ethernet.dst,
        ethernet.ethertype,
        words::bytes(tunnelled.end - tunnelled.start)
    );
    walk.step("inner", text);
    if ethernet.is_tagged() {
        return Err(Reason::Tagged);
    }
    let sender = Sender::vtep(vtep);
    walk.learn(segment_slot, &segment, ethernet.src, sender)?;
    let to = forward::decide(
        &walk.tables,
        segment_slot,
        &segment,
        sender.from,
        0,
        ethernet.dst,
        walk.now,
    );
    walk.decided(ethernet.dst, to);
    let to = to?;
    let mut copy = packet.to_vec();
    let payload = start + Ethernet::LEN;
    let class = tunnelled.traffic_class;
    if ecn::decapsulate(&mut copy[..], ethernet.ethertype, payload, class).is_err() {
        walk.step(
            "ecn",
            "congestion was marked on a packet whose sender does not understand it",
        );
        return Err(Reason::Ecn);
    }
    let frame = copy.get(start..end).ok_or(Reason::BadOuter)?;
    if segment.flags & segment::flag::SUPPRESS != 0
        && matches!(ethernet.ethertype, ethertype::ARP | ethertype::IPV6)
        && let Ok(heard) = neighbour::hear(frame, &ethernet)
        && let Some(claim) = heard.claim
    {
        let text = format!("{} is at {}", claim.address, claim.mac);
        walk.step("neighbour", text);
    }
    let inside = Inside {
        local,
        segment_slot,
        segment: &segment,
        except: NO_SLOT,
        sender: 0,
        priority: 0,
        frame,
        ethernet,
    };
    walk.deliver_locally(&inside, to)
}

fn outer_text(tunnelled: &Tunnelled) -> String {
    let group = if tunnelled.group == vxnet_common::addr::VtepAddr::NONE {
        String::new()
    } else {
        format!(" to group {}", tunnelled.group)
    };
    format!(
        "VXLAN from {}{group}, VNI {}",
        tunnelled.source, tunnelled.vni
    )
}
