//! The whole way of a frame through the switch, over random tables: which segment, what is learned,
//! where it goes, and with which tag.

use vxnet_common::{
    addr::{Mac, VtepAddr},
    forward::{From, Tables, To, admit, decide},
    frame::Ethernet,
    learn::{Lesson, judge, marked, yields},
    map::{
        NO_SLOT,
        fdb::{FdbEntry, FdbKey, flag as row_flag, origin, place},
        port::{Port, flag, kind},
        segment::Segment,
    },
    reason::Reason,
    vlan::{Tag, egress, ingress},
    vxlan::Tunnelled,
};

use super::{
    draw::Draw,
    tables::{VTEPS, World, peer, station},
};

/// A frame in its segment.
struct Frame {
    from: From,
    /// Flags of the port that it comes from, or 0.
    sender: u32,
    slot: u32,
    segment: Segment,
    header: Ethernet,
    now: u64,
}

pub(super) fn target(data: &[u8]) {
    let mut draw = Draw::new(data);
    let mut world = World::draw(&mut draw);
    let now = u64::from(draw.u16());
    let mut bytes = Vec::from(station(&mut draw).0);
    bytes.extend(station(&mut draw).0);
    let entry = draw.u8();
    let arrival = if entry & 1 == 0 {
        From::Port(u32::from(entry >> 1) % 18)
    } else {
        From::Vtep(u32::from(entry >> 1))
    };
    let vni = 0x100 + draw.below(36) as u32;
    bytes.extend(&draw.rest()[..]);
    let Some(header) = Ethernet::parse(&bytes[..], 0) else {
        return;
    };
    let tag = header.tag(&bytes[..]);
    let entered = match arrival {
        From::Port(slot) => from_port(&world, slot, tag),
        From::Vtep(sender) => from_overlay(&world, sender, vni, tag),
    };
    let Some((from, sender, slot)) = entered else {
        return;
    };
    let frame = Frame {
        from,
        sender,
        slot,
        segment: *world.segment(slot).expect("it was found"),
        header,
        now,
    };
    if learns(&mut world, &frame) {
        goes(&world, &frame);
    }
}

/// Returns the source, the flags of the port and the segment.
fn from_port(world: &World, slot: u32, tag: Tag) -> Option<(From, u32, u32)> {
    let port = world.port(slot)?;
    let segment_slot = match ingress(world, slot, port, tag) {
        Ok(segment) => segment,
        Err(reason) => {
            let known = [
                Reason::UnknownPort,
                Reason::NoVlan,
                Reason::Tagged,
                Reason::BadVid,
                Reason::VlanDenied,
            ];
            assert!(known.contains(&reason), "{reason:?}");
            return None;
        }
    };
    assert!(matches!(port.kind, kind::GUEST | kind::HOST | kind::TRUNK));
    let segment = world.segment(segment_slot).expect("an untagged segment");
    assert_eq!(segment.network, port.network, "another network");
    match tag {
        Tag::Customer(tci) if tci & 0xfff != 0 => {
            assert_eq!(segment.vid, tci & 0xfff);
            assert!(port.flags & flag::VLAN_AWARE != 0 && port.flags & flag::TAGGED != 0);
            assert!(world.carries(slot, segment.vid));
        }
        Tag::Customer(_) | Tag::None => assert_eq!(segment_slot, port.segment),
        Tag::Other => panic!("Q-13, Q-14: such tags are not understood"),
    }
    Some((From::Port(slot), port.flags, segment_slot))
}

fn from_overlay(world: &World, sender: u32, vni: u32, tag: Tag) -> Option<(From, u32, u32)> {
    let source = if sender == 0 {
        VtepAddr::NONE
    } else {
        peer(sender)
    };
    let packet = Tunnelled {
        source,
        group: VtepAddr::NONE,
        vni,
        source_port: 50_000,
        traffic_class: 0,
        start: 50,
        end: 110,
    };
    let (slot, vtep) = admit(world, &packet).ok()?;
    let segment = world.segment(slot).expect("it was found");
    assert_eq!(segment.vni, vni);
    assert!(VTEPS.contains(&sender) && vtep == sender, "a stranger");
    assert!(segment.has_vtep(vtep));
    // RFC 7348 section 6.1: an inner tag is not for us.
    (tag == Tag::None).then_some((From::Vtep(vtep), 0, slot))
}

/// Returns whether the frame goes on, and does to the table what the switch would.
fn learns(world: &mut World, frame: &Frame) -> bool {
    let key = FdbKey::new(frame.slot, frame.header.src);
    let row = world.fdb.get(&key).copied();
    let ageing = frame.segment.ageing;
    let lesson = judge(
        row.as_ref(),
        frame.header.src,
        frame.from,
        frame.now,
        ageing,
    );
    let live = row.filter(|row| row.is_live(frame.now, ageing));
    let here = |row: &FdbEntry| match frame.from {
        From::Port(slot) => row.place == place::PORT && row.slot == slot,
        From::Vtep(slot) => row.place == place::VTEP && row.slot == slot,
    };
    let is_station = !frame.header.src.is_group() && frame.header.src != Mac([0; 6]);
    assert_eq!(lesson == Lesson::Lie(Reason::BadSource), !is_station);
    match lesson {
        Lesson::Known | Lesson::Refresh => assert!(live.is_some_and(|row| here(&row))),
        Lesson::Write(new) => {
            let many = u8::from(frame.sender & flag::KEEP_ROWS != 0);
            let new = marked(new, row.as_ref(), many, frame.now);
            assert!(here(&new) && new.origin == origin::LEARNED);
            assert_eq!(new.last_seen, frame.now);
            if let Some(old) = live {
                assert_eq!(old.origin, origin::LEARNED, "not for a frame to change");
                assert_eq!(old.flags & row_flag::STICKY, 0);
                let is_stolen = old.place == place::PORT && new.place == place::VTEP;
                assert!(
                    !is_stolen || yields(&old, frame.now),
                    "the overlay takes no live guest's address"
                );
            }
            world.fdb.insert(key, new);
        }
        Lesson::Freeze(frozen) => {
            let old = live.expect("only a live row freezes");
            assert!(!here(&old));
            assert_eq!((frozen.slot, frozen.place), (old.slot, old.place));
            world.fdb.insert(key, frozen);
        }
        Lesson::Frozen => assert!(live.is_some_and(|row| !here(&row))),
        Lesson::Lie(reason) => {
            assert!(matches!(reason, Reason::BadSource | Reason::LocalMac));
            return false;
        }
    }
    true
}

fn goes(world: &World, frame: &Frame) {
    let dst = frame.header.dst;
    let decided = decided(world, frame, dst);
    assert_eq!(decided, self::decided(world, frame, dst));
    match decided {
        Ok(To::Port {
            slot,
            ifindex,
            flags,
            tagged,
        }) => {
            let port = world.port(slot).expect("a port");
            assert_eq!((ifindex, flags), (port.ifindex, port.flags));
            assert_ne!(port.kind, kind::HOST);
            delivered(world, frame, slot, port, Some(tagged));
        }
        Ok(To::Host { slot, ifindex }) => {
            let port = world.port(slot).expect("a port");
            assert_eq!((port.kind, port.ifindex), (kind::HOST, ifindex));
            delivered(world, frame, slot, port, None);
        }
        Ok(To::Vtep(_)) => assert!(matches!(frame.from, From::Port(_)), "split horizon"),
        Ok(To::Flood { overlay }) => {
            assert_eq!(
                overlay,
                matches!(frame.from, From::Port(_)),
                "split horizon"
            );
            for (slot, port) in &world.ports {
                if let Some(tagged) = egress(world, *slot, port, frame.slot, &frame.segment) {
                    member(world, frame, *slot, port, Some(tagged));
                }
            }
        }
        Err(Reason::LinkLocal) => assert_eq!(dst.0[..5], [1, 0x80, 0xc2, 0, 0]),
        Err(Reason::FloodOff) => assert_ne!(frame.segment.flags & 7, 0),
        Err(Reason::SplitHorizon) => assert!(matches!(frame.from, From::Vtep(_))),
        Err(Reason::SamePort | Reason::PortGone) => {}
        Err(Reason::Isolated) => assert_ne!(frame.sender & flag::ISOLATED, 0),
        Err(reason) => panic!("{reason:?}"),
    }
    if dst.is_link_local() {
        assert!(decided.is_err(), "IEEE 802.1Q table 8-1");
    }
    answered(world, frame);
}

fn decided(world: &World, frame: &Frame, dst: Mac) -> Result<To, Reason> {
    let Frame { from, sender, .. } = *frame;
    decide(
        world,
        frame.slot,
        &frame.segment,
        from,
        sender,
        dst,
        frame.now,
    )
}

/// Checks one way out of the switch.
fn delivered(world: &World, frame: &Frame, slot: u32, port: &Port, tagged: Option<bool>) {
    assert_ne!(From::Port(slot), frame.from, "back where it came from");
    assert_eq!(frame.sender & port.flags & flag::ISOLATED, 0);
    assert!(!frame.header.dst.is_group());
    member(world, frame, slot, port, tagged);
}

/// Checks that a port is in the frame's segment, and gets the tag that it should.
fn member(world: &World, frame: &Frame, slot: u32, port: &Port, tagged: Option<bool>) {
    assert!(matches!(port.kind, kind::GUEST | kind::HOST | kind::TRUNK));
    assert_eq!(port.network, frame.segment.network, "another network");
    let is_own = port.segment == frame.slot && port.segment != NO_SLOT;
    let is_carried = port.flags & flag::TAGGED != 0 && world.carries(slot, frame.segment.vid);
    assert!(is_own || is_carried, "another VLAN");
    if let Some(tagged) = tagged {
        assert_eq!(tagged, !is_own || port.flags & flag::NATIVE_TAGGED != 0);
        assert!(!tagged || frame.segment.vid != 0, "a tag without a VLAN");
    }
}

/// Checks that whoever was just learned is found where it is.
fn answered(world: &World, frame: &Frame) {
    let src = frame.header.src;
    let Some(row) = world.fdb.get(&FdbKey::new(frame.slot, src)) else {
        return;
    };
    let is_learned = row.origin == origin::LEARNED && row.last_seen == frame.now;
    if !is_learned || frame.segment.ageing == 0 {
        return;
    }
    let From::Port(slot) = frame.from else {
        return;
    };
    if row.place != place::PORT || row.slot != slot {
        return;
    }
    let reply = decide(
        world,
        frame.slot,
        &frame.segment,
        From::Vtep(1),
        0,
        src,
        frame.now,
    );
    match reply {
        Ok(To::Port { slot: to, .. } | To::Host { slot: to, .. }) => assert_eq!(to, slot),
        other => panic!("{other:?} to a port that has just sent"),
    }
}
