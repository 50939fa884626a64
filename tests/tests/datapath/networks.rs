//! Networks and VLANs side by side: each has its own ports and peers, and nothing crosses.

use vxnet_common::addr::Mac;
use vxnet_common::map::fdb::{FdbEntry, FdbKey, place};
use vxnet_common::map::segment::{FloodKey, list};
use vxnet_common::reason::Reason;
use vxnet_tests::frame::{BROADCAST, inner_of};

use crate::case::{Case, check, check_uplink, on_station, on_uplink};
use crate::counters::Counter;
use crate::fabric::{
    A, AT_TWO, B, D, HOST, ONE, PORT_A, PORT_B, PORT_C, PORT_RED, STRANGER, TWO, VNI_BLUE, VNI_RED,
    datagram, datagram6, plain,
};
use crate::green::{
    ACCESS_10, ACCESS_12, AT_ACCESS, AT_ONE_GREEN, AT_TAGGED, AT_TRUNK, BLOCKED, GREEN_12,
    PHYSICAL, PORTS, TWICE, VNI_GREEN, tag,
};
use crate::outcome::Receiver::{self, Port, Vtep};
use crate::receive::from_port;
use crate::rows;
use crate::vlan::local_copies;
use crate::world::{self, World};

/// The VNI that VLAN 12 gets here.
const VNI_TWELVE: u32 = 301;

/// Puts VLAN 12 on the overlay too, with the peer TWO: VLAN 10 is shared with ONE.
fn on_overlay(world: &mut World) -> anyhow::Result<()> {
    rows::change_segment(world, GREEN_12, |row| {
        row.vni = VNI_TWELVE;
        row.flood_vteps = 1;
        row.vteps[0] = 1 << TWO;
    })?;
    let key = FloodKey {
        segment: GREEN_12,
        list: list::VTEPS,
        index: 0,
    };
    world.flood.insert(key, TWO, 0)?;
    Ok(world.vnis.insert(VNI_TWELVE, GREEN_12, 0)?)
}

/// Of two VLANs with the same ports and addresses, each floods to its own ports and its own peer, in
/// its own VNI; and from there likewise.
#[test]
fn p15_every_vlan_floods_in_its_own_vni() {
    check(|world| {
        on_overlay(world)?;
        let row = FdbEntry::learned(place::VTEP, TWO, world::now()?);
        world.more_fdb = vec![(FdbKey::new(GREEN_12, Mac(AT_TWO)), row)];
        let family = world.family;
        let mut failures = Vec::new();
        for (vid, vni, peer, far, sender) in [
            (10, VNI_GREEN, ONE, AT_ONE_GREEN, ACCESS_10),
            (12, VNI_TWELVE, TWO, AT_TWO, ACCESS_12),
        ] {
            let frame = datagram(TWICE, BROADCAST);
            let mut copies = local_copies(vid, 0, sender, &frame);
            copies.push((Vtep(peer), family.leaves_in(vni, peer, &frame)));
            let out = Case::delivered("p15_out", frame, copies);
            failures.extend(on_station(world, sender, &[out]));

            let inner = datagram(far, BROADCAST);
            let packet = family.sent_by(peer, vni).wrap(&inner);
            let everyone = local_copies(vid, 0, 0, &inner);
            let back = Case::delivered("p15_back", packet, everyone);
            failures.extend(on_uplink(world, peer, &[back]));

            let other = if peer == ONE { TWO } else { ONE };
            let packet = family.sent_by(other, vni).wrap(&inner);
            let stranger = Case::dropped("p15_of_the_other", packet, Reason::VniNotShared);
            failures.extend(on_uplink(world, other, &[stranger]));
        }
        Ok(failures)
    });
}

/// The VNI decides, whatever else a peer says.
#[test]
fn p15_the_vlan_of_a_packet_is_that_of_its_vni() {
    check_uplink(ONE, |family| {
        let inner = datagram(AT_ONE_GREEN, TWICE);
        let packet = family.sent_by(ONE, VNI_GREEN).wrap(&inner);
        vec![Case::delivered(
            "p15_twice",
            packet,
            [(Port(ACCESS_10), inner)],
        )]
    });
}

#[test]
fn p08_two_networks_never_cross() {
    const VIDS: [u16; 14] = [
        0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 4000, 4094,
    ];
    const BLUE_PORTS: [u32; 4] = [PORT_A, PORT_B, PORT_C, HOST];
    let kinds = |src: [u8; 6], there: [u8; 6]| {
        [
            datagram(src, there),
            datagram6(src, there),
            datagram(src, [1, 0, 0x5e, 0, 0, 9]),
            datagram6(src, [0x33, 0x33, 0, 0, 0, 9]),
            datagram(src, BROADCAST),
            datagram(src, STRANGER),
            plain(src, there, 60),
        ]
    };
    check(|world| {
        let mut failures = Vec::new();
        for (sender, src, there) in [
            (PORT_A, A, AT_ACCESS),
            (PORT_A, A, D),
            (PORT_RED, D, AT_TRUNK),
            (ACCESS_10, AT_ACCESS, B),
            (PHYSICAL, AT_TAGGED, B),
            (BLOCKED, STRANGER, A),
        ] {
            let (own, vni): (Vec<u32>, _) = match sender {
                PORT_A => (BLUE_PORTS.into(), VNI_BLUE),
                PORT_RED => (vec![PORT_RED, crate::fabric::HOST_RED], VNI_RED),
                _ => (PORTS.collect(), VNI_GREEN),
            };
            let mut delivered = 0;
            for frame in kinds(src, there) {
                let tagged = VIDS.iter().map(|vid| tag(*vid, 0, &frame));
                for frame in tagged.chain([frame.clone()]) {
                    let got = from_port(world, sender, &frame)?;
                    let counted = |counter: &Counter| matches!(counter, Counter::PortTx(slot) if !own.contains(slot));
                    let is_elsewhere =
                        |(receiver, packets): (&Receiver, &Vec<Vec<u8>>)| match receiver {
                            Port(slot) => !own.contains(slot),
                            Vtep(_) => packets
                                .iter()
                                .any(|packet| inner_of(packet).is_none_or(|(own, _)| own != vni)),
                        };
                    if got.counts.keys().any(counted) || got.delivered.iter().any(is_elsewhere) {
                        failures.push(format!("from {sender}: {got:?}"));
                    }
                    delivered += got.delivered.len();
                }
            }
            // Nothing crosses where nothing gets through at all.
            if (delivered == 0) != (sender == BLOCKED) {
                failures.push(format!("from {sender}: {delivered} deliveries"));
            }
        }
        Ok(failures)
    });
}
