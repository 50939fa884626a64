//! A frame that comes in by a port: the order of `vxnet-ebpf/src/prog/port.rs`.

use vxnet_common::{
    forward::{self, Tables as _, To},
    frame::{Ethernet, ethertype},
    loop_probe,
    map::{
        holder,
        port::{Port, flag, kind},
        segment,
    },
    reason::Reason,
    security,
    vlan::{self, Tag},
};

use super::{Ends, Rows, Trace, Verdict, Walk, deliver::Inside, learn::Sender, words};

/// Follows a frame, its VLAN tag in its header, that comes in by the port in a slot of `PORTS`.
/// `now` is on the clock of the rows.
pub fn port(rows: &impl Rows, slot: u32, frame: &[u8], now: u64) -> Trace {
    let mut walk = Walk::new(rows, now);
    let outcome = switch(&mut walk, slot, frame);
    walk.end(outcome)
}

fn switch<R: Rows>(walk: &mut Walk<'_, R>, slot: u32, frame: &[u8]) -> Ends<Verdict> {
    let rows = walk.tables.rows();
    let port = match walk.tables.port(slot) {
        Some(port) if port.ifindex != 0 => *port,
        _ => return Err(Reason::UnknownPort),
    };
    walk.step("port", describe(rows, slot, &port));
    let Some(local) = rows.local().copied() else {
        return Err(Reason::UnknownPort);
    };
    let Some(ethernet) = Ethernet::parse(frame, 0) else {
        return Err(Reason::ShortFrame);
    };
    let tag = ethernet.tag(frame);
    let at = vlan::ingress(&walk.tables, slot, &port, tag);
    walk.step("tag", tag_text(&ethernet, tag));
    let frame = untagged(frame, tag);
    let Some(ethernet) = Ethernet::parse(&frame[..], 0) else {
        return Err(Reason::ShortFrame);
    };
    if matches!(tag, Tag::Customer(_)) && ethernet.is_tagged() {
        return Err(Reason::Tagged);
    }
    if loop_probe::is_probe(&ethernet) {
        walk.step("probe", "a loop probe, which goes to the daemon");
        return Err(Reason::LoopProbe);
    }
    if walk.tables.is_shut(slot, walk.now) {
        walk.step("shut", "the port is shut because of a loop");
        return Err(Reason::Looped);
    }
    let segment_slot = at?;
    let Some(segment) = walk.tables.segment(segment_slot).copied() else {
        return Err(Reason::UnknownPort);
    };
    walk.step(
        "segment",
        format!("{} (slot {segment_slot})", words::segment(&segment)),
    );
    if port.flags & flag::SECURITY != 0 {
        let checked = security::check(
            &walk.tables,
            slot,
            &port,
            segment_slot,
            &local,
            &frame[..],
            &ethernet,
        );
        let checks = checks(port.flags).join(", ");
        let outcome = if checked.is_ok() { "passed" } else { "failed" };
        walk.step("security", format!("{outcome} ({checks})"));
        checked?;
    }
    let sender = Sender::port(slot, &port);
    walk.learn(segment_slot, &segment, ethernet.src, sender)?;
    let inside = Inside {
        local: &local,
        segment_slot,
        segment: &segment,
        except: slot,
        sender: port.flags,
        priority: tag.priority(),
        frame: &frame,
        ethernet,
    };
    let is_heard = matches!(ethernet.ethertype, ethertype::ARP | ethertype::IPV6);
    if segment.flags & segment::flag::SUPPRESS != 0
        && is_heard
        && let Some(verdict) = walk.suppress(&inside)?
    {
        return Ok(verdict);
    }
    let to = forward::decide(
        &walk.tables,
        segment_slot,
        &segment,
        sender.from,
        port.flags,
        ethernet.dst,
        walk.now,
    );
    walk.decided(ethernet.dst, to);
    let to = to?;
    if matches!(to, To::Flood { .. }) && port.bum_limit != 0 {
        let counted = rows.holder(slot).bum;
        let state = match holder::budget(counted, port.bum_limit, walk.now) {
            (_, true) => "not reached",
            (_, false) => "reached at this moment: more would be dropped (storm)",
        };
        walk.step(
            "limit",
            format!("{} flooded frames a second, {state}", port.bum_limit),
        );
    }
    walk.deliver(&inside, to)
}

/// Returns the frame without a tag that the programs take off.
fn untagged(frame: &[u8], tag: Tag) -> Vec<u8> {
    match tag {
        Tag::Customer(_) => [&frame[..12], &frame[16..]].concat(),
        Tag::None | Tag::Other => frame.to_vec(),
    }
}

/// Describes a port, as `vnet1 (slot 4, guest, access VLAN 1001)`.
pub(super) fn describe(rows: &impl Rows, slot: u32, port: &Port) -> String {
    let kind = match port.kind {
        kind::GUEST => "guest",
        kind::HOST => "host",
        kind::UPLINK => "uplink",
        kind::TRUNK => "trunk link",
        _ => "unknown",
    };
    let mode = match words::mode(port, |vid| rows.carries(slot, vid)) {
        mode if mode == "-" => String::new(),
        mode if mode == "blocked" => ", blocked: no VLAN".to_owned(),
        mode => format!(", {}", mode.replacen(' ', " VLAN ", 1)),
    };
    format!("{} (slot {slot}, {kind}{mode})", words::port(rows, slot))
}

fn tag_text(ethernet: &Ethernet, tag: Tag) -> String {
    match tag {
        Tag::None => "none".to_owned(),
        Tag::Customer(tci) if tci & vlan::VID == 0 => format!("priority {} only", tci >> 13),
        Tag::Customer(tci) => format!("VLAN {}, priority {}", tci & vlan::VID, tci >> 13),
        Tag::Other if ethernet.ethertype == ethertype::VLAN => {
            "two tags, or half of one".to_owned()
        }
        Tag::Other => "an S-tag".to_owned(),
    }
}

/// Returns the names of a port's checks.
fn checks(flags: u32) -> Vec<&'static str> {
    [
        (flag::LOCKED, "static addresses only"),
        (flag::CHECK_MAC, "MAC"),
        (flag::CHECK_IP, "IP"),
        (flag::NO_DHCP_SERVER, "DHCP"),
        (flag::NO_RA, "RA"),
        (flag::NO_VXLAN, "VXLAN"),
    ]
    .into_iter()
    .filter(|(bit, _)| flags & bit != 0)
    .map(|(_, name)| name)
    .collect()
}
