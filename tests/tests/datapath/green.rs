//! The network with VLANs: the ports of Open vSwitch's test "VLAN handling", and their rows.
//!
//! ```text
//! VLAN 10, VNI 300: peer ONE
//! VLAN 11 and 12:   on this host only
//! port v1:   trunk of 10 and 12          port v5: native-tagged 10, all VLANs
//! port v2:   access 10                   port v6: native-tagged 10, VLANs 10 and 12
//! port v3:   access 12                   port v7: native-untagged 12, all VLANs
//! port v4:   access 12                   port v8: native-untagged 12, VLANs 10 and 12
//! port v100: to a physical switch, all VLANs
//! port v0:   without a portgroup
//! ```
//! The host, on br2, is in none of them.

use anyhow::Result;
use vxnet_common::addr::Mac;
use vxnet_common::map::{
    NO_SLOT,
    fdb::{FdbEntry, FdbKey, place},
    port::{Port, PortVlans, flag, kind},
    segment::{FloodKey, Segment, list},
    vlan::VlanKey,
};

use crate::fabric::{AGEING, LINKS, ONE};
use crate::world::{self, World};

/// Slots of `PORTS`.
pub(crate) const HOST_GREEN: u32 = 9;
pub(crate) const TRUNK: u32 = 10;
pub(crate) const ACCESS_10: u32 = 11;
pub(crate) const ACCESS_12: u32 = 12;
pub(crate) const ACCESS_12_TOO: u32 = 13;
pub(crate) const TAGGED_ALL: u32 = 14;
pub(crate) const TAGGED: u32 = 15;
pub(crate) const UNTAGGED_ALL: u32 = 16;
pub(crate) const UNTAGGED: u32 = 17;
pub(crate) const PHYSICAL: u32 = 18;
pub(crate) const BLOCKED: u32 = 19;

/// All ports but the host's.
pub(crate) const PORTS: std::ops::RangeInclusive<u32> = TRUNK..=BLOCKED;

/// Slots of `SEGMENTS`.
pub(crate) const GREEN_10: u32 = 4;
pub(crate) const GREEN_11: u32 = 5;
pub(crate) const GREEN_12: u32 = 6;

/// The VNI of VLAN 10.
pub(crate) const VNI_GREEN: u32 = 300;

pub(crate) const GATEWAY_GREEN_MAC: [u8; 6] = [2, 0, 0, 0, 0xbb, 3];

/// Stations of VLAN 10, behind [`ACCESS_10`], [`TRUNK`], [`TAGGED`], [`UNTAGGED`] and the peer ONE.
pub(crate) const AT_ACCESS: [u8; 6] = [2, 0, 0, 0, 5, 1];
pub(crate) const AT_TRUNK: [u8; 6] = [2, 0, 0, 0, 5, 2];
pub(crate) const AT_TAGGED: [u8; 6] = [2, 0, 0, 0, 5, 3];
pub(crate) const AT_UNTAGGED: [u8; 6] = [2, 0, 0, 0, 5, 4];
pub(crate) const AT_ONE_GREEN: [u8; 6] = [2, 0, 0, 0, 5, 5];
/// A station of VLAN 10 behind [`ACCESS_10`], and one of VLAN 12 behind [`ACCESS_12`].
pub(crate) const TWICE: [u8; 6] = [2, 0, 0, 0, 5, 6];

/// How a port treats tags: its own VLAN, the VLANs that it takes with a tag, and more flags.
fn mode(slot: u32) -> (u16, &'static [u16], u32) {
    match slot {
        TRUNK => (0, &[10, 12], 0),
        ACCESS_10 => (10, &[], 0),
        ACCESS_12 | ACCESS_12_TOO => (12, &[], 0),
        TAGGED_ALL => (10, &[10, 11, 12], flag::NATIVE_TAGGED),
        TAGGED => (10, &[10, 12], flag::NATIVE_TAGGED),
        UNTAGGED_ALL => (12, &[10, 11, 12], 0),
        UNTAGGED => (12, &[10, 12], 0),
        PHYSICAL => (0, &[10, 11, 12], 0),
        _ => (0, &[], 0),
    }
}

/// Returns the slot of a VLAN's segment.
pub(crate) fn segment(vid: u16) -> u32 {
    match vid {
        10 => GREEN_10,
        11 => GREEN_11,
        12 => GREEN_12,
        _ => NO_SLOT,
    }
}

/// Returns whether frames of a VLAN leave by a port, and then whether with a tag.
pub(crate) fn leaves_tagged(slot: u32, vid: u16) -> Option<bool> {
    let (own, vids, flags) = mode(slot);
    if own == vid {
        return Some(flags & flag::NATIVE_TAGGED != 0);
    }
    vids.contains(&vid).then_some(true)
}

/// Returns the flags that a port of the network has from the start.
pub(crate) fn flags(slot: u32) -> u32 {
    let (_, vids, flags) = mode(slot);
    let tagged = if vids.is_empty() { 0 } else { flag::TAGGED };
    flags | tagged | flag::VLAN_AWARE
}

/// Returns the row of a port without its link.
pub(crate) fn port(slot: u32) -> Port {
    let (own, ..) = mode(slot);
    Port {
        kind: match slot {
            HOST_GREEN => kind::HOST,
            PHYSICAL => kind::TRUNK,
            _ => kind::GUEST,
        },
        segment: segment(own),
        flags: flags(slot),
        network: HOST_GREEN,
        pvid: own,
        ..Port::FREE
    }
}

/// Fills the tables that only a network with VLANs needs.
pub(crate) fn fill(world: &mut World) -> Result<()> {
    for slot in 1..=LINKS.len() as u32 {
        let mut set = PortVlans::NONE;
        mode(slot).1.iter().for_each(|vid| set.insert(*vid));
        world.port_vlans.set(slot, set, 0)?;
    }
    for vid in [10, 11, 12] {
        let slot = segment(vid);
        let members: Vec<u32> = PORTS
            .filter(|port| leaves_tagged(*port, vid).is_some())
            .collect();
        let overlay = u32::from(vid == 10);
        let mut row = Segment {
            vni: overlay * VNI_GREEN,
            network: HOST_GREEN,
            mtu: 1450,
            vid,
            ageing: AGEING,
            flood_ports: u32::try_from(members.len())?,
            flood_vteps: overlay,
            ..Segment::FREE
        };
        row.vteps[0] = u64::from(overlay) << ONE;
        world.segments.set(slot, row, 0)?;
        let key = VlanKey {
            network: HOST_GREEN,
            vid: vid.into(),
        };
        world.vlans.insert(key, slot, 0)?;
        for (index, member) in (0..).zip(members) {
            let key = FloodKey {
                segment: slot,
                list: list::PORTS,
                index,
            };
            world.flood.insert(key, member, 0)?;
        }
    }
    let key = FloodKey {
        segment: GREEN_10,
        list: list::VTEPS,
        index: 0,
    };
    world.flood.insert(key, ONE, 0)?;
    world.vnis.insert(VNI_GREEN, GREEN_10, 0)?;
    Ok(())
}

/// Adds the stations to the FDB.
pub(crate) fn fill_fdb(world: &mut World) -> Result<()> {
    let now = world::now()?;
    for (segment, mac, at, slot) in [
        (GREEN_10, AT_ACCESS, place::PORT, ACCESS_10),
        (GREEN_10, AT_TRUNK, place::PORT, TRUNK),
        (GREEN_10, AT_TAGGED, place::PORT, TAGGED),
        (GREEN_10, AT_UNTAGGED, place::PORT, UNTAGGED),
        (GREEN_10, AT_ONE_GREEN, place::VTEP, ONE),
        (GREEN_10, TWICE, place::PORT, ACCESS_10),
        (GREEN_12, TWICE, place::PORT, ACCESS_12),
    ] {
        let row = FdbEntry::learned(at, slot, now);
        world.fdb.insert(FdbKey::new(segment, Mac(mac)), row, 0)?;
    }
    Ok(())
}

/// Puts a C-tag into a frame.
pub(crate) fn tag(vid: u16, priority: u16, frame: &[u8]) -> Vec<u8> {
    let [a, b] = (priority << 13 | vid).to_be_bytes();
    [&frame[..12], &[0x81, 0x00, a, b], &frame[12..]].concat()
}

/// Returns the bytes of a frame without its tag: the kernel keeps it beside the frame, and the
/// programs do not count it.
pub(crate) fn untagged_len(frame: &[u8]) -> usize {
    match frame.get(12..14) {
        Some([0x81, 0x00] | [0x88, 0xa8]) => frame.len() - 4,
        _ => frame.len(),
    }
}
