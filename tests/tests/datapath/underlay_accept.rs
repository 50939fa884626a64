//! What is accepted as VXLAN for this host, over every receive path.

use vxnet_common::reason::Reason;
use vxnet_tests::frame::{BROADCAST, Outer, Vxlan, ethernet};

use crate::case::{Case, check, check_uplink, on_uplink};
use crate::fabric::{
    A, AT_ONE, B, Family, GATEWAY_MAC, ONE, PORT_A, TWO, VNI_BLUE, VNI_RED, datagram, plain,
};
use crate::outcome::Receiver::Port;
use crate::rows;

/// A faultless packet of peer ONE, with its header changed.
fn outer(family: Family, change: impl FnOnce(&mut Outer)) -> Outer {
    let mut outer = family.sent_by(ONE, VNI_BLUE);
    change(&mut outer);
    outer
}

#[test]
fn r7348_03_05_09_12_15_what_a_receiver_must_accept() {
    check_uplink(ONE, |family| {
        let inner = datagram(AT_ONE, A);
        let wrap = |change: &dyn Fn(&mut Outer)| outer(family, change).wrap(&inner);
        let vxlan = |change: &dyn Fn(&mut Vxlan)| wrap(&|outer| change(&mut outer.vxlan));
        let wrong_checksum = {
            let mut packet = wrap(&|outer| outer.checksum = true);
            packet[family.udp() + 6] ^= 0x55;
            packet
        };
        let packets = [
            (
                "r7348_03_other_flags_are_ignored",
                vxlan(&|vxlan| vxlan.flags = 0xff),
            ),
            (
                "r7348_05_reserved_bits_are_ignored",
                vxlan(&|vxlan| {
                    vxlan.reserved = [0xff; 3];
                    vxlan.last = 0xff;
                }),
            ),
            ("r7348_12_checksum_zero", wrap(&|_| ())),
            (
                "r7348_15_checksum_correct",
                wrap(&|outer| outer.checksum = true),
            ),
            ("r7348_15_checksum_not_verified", wrong_checksum),
            (
                "r7348_09_any_source_port",
                wrap(&|outer| outer.source_port = 1),
            ),
            ("any_ttl", wrap(&|outer| outer.ttl = 1)),
            ("any_dscp", wrap(&|outer| outer.traffic_class = 0xb8)),
        ];
        packets
            .into_iter()
            .map(|(name, packet)| Case::delivered(name, packet, [(Port(PORT_A), inner.clone())]))
            .collect()
    });
}

/// VXLAN in VXLAN is payload: it does not matter for whom it looks.
#[test]
fn attack6_five_deep_is_taken_out_once() {
    check_uplink(ONE, |family| {
        let again = |inner: Vec<u8>| {
            let packet = family.arrives(ONE, &inner);
            // On the inside it is from a station to a guest, and to this very VTEP above Ethernet.
            [&A[..], &AT_ONE, &packet[12..]].concat()
        };
        let mut inner = datagram(AT_ONE, B);
        for _ in 0..4 {
            inner = again(inner);
        }
        let packet = family.arrives(ONE, &inner);
        vec![Case::delivered(
            "attack6_five_deep",
            packet,
            [(Port(PORT_A), inner)],
        )]
    });
}

#[test]
fn r7348_01_19_22_p16_attack1_attack2_attack3_attack4_only_known_peers_and_shared_networks() {
    check_uplink(ONE, |family| {
        let inner = datagram(AT_ONE, A);
        let in_vni = |vni| family.sent_by(ONE, vni).wrap(&inner);
        let from = |slot, vni| family.sent_by(slot, vni).wrap(&inner);
        let spoof = |src| family.arrives(ONE, &plain(src, B, 60));
        let tagged = |ethertype| {
            let inner = ethernet(AT_ONE, A, ethertype, &[0, 10, 8, 0, 0, 0, 0, 0]);
            family.arrives(ONE, &inner)
        };
        let elsewhere = outer(family, |outer| outer.to.ip = family.peer(TWO).ip).wrap(&inner);
        let unflagged = outer(family, |outer| outer.vxlan.flags = 0).wrap(&inner);
        let all_but = outer(family, |outer| outer.vxlan.flags = 0xf7).wrap(&inner);
        vec![
            Case::dropped("r7348_01_i_flag_missing", unflagged, Reason::BadVxlan),
            Case::dropped("r7348_01_all_flags_but_i", all_but, Reason::BadVxlan),
            Case::dropped(
                "attack1_unknown_vtep",
                from(90, VNI_BLUE),
                Reason::UnknownVtep,
            ),
            Case::dropped(
                "attack1_unknown_vtep_and_vni",
                from(90, 77),
                Reason::UnknownVtep,
            ),
            Case::dropped("p16_unknown_vni", in_vni(77), Reason::UnknownVni),
            Case::dropped("r7348_vni_0", in_vni(0), Reason::UnknownVni),
            Case::dropped("r7348_vni_largest", in_vni(0xff_ffff), Reason::UnknownVni),
            Case::dropped(
                "attack2_vni_not_shared",
                from(TWO, VNI_RED),
                Reason::VniNotShared,
            ),
            Case::passed("attack3_other_local_address", elsewhere).counts(Reason::NotOurs),
            Case::dropped("attack4_mac_of_a_local_guest", spoof(A), Reason::LocalMac),
            Case::dropped(
                "attack4_mac_of_the_gateway",
                spoof(GATEWAY_MAC),
                Reason::LocalMac,
            ),
            Case::dropped("q09_group_source", spoof(BROADCAST), Reason::BadSource),
            Case::dropped("q09_zero_source", spoof([0; 6]), Reason::BadSource),
            Case::dropped("r7348_19_tagged", tagged(0x8100), Reason::Tagged),
            Case::dropped("r7348_19_service_tagged", tagged(0x88a8), Reason::Tagged),
        ]
    });
}

#[test]
fn r7348_08_the_port_is_configurable() {
    check(|world| {
        let family = world.family;
        let inner = datagram(AT_ONE, A);
        let at = |port| outer(family, |outer| outer.destination_port = port).wrap(&inner);
        let delivered = [(Port(PORT_A), inner.clone())];
        let mut failures = on_uplink(
            world,
            ONE,
            &[
                Case::delivered("r7348_07_port_4789", at(4789), delivered.clone()),
                Case::passed("r7348_08_port_8472_is_none_of_ours", at(8472)),
            ],
        );
        rows::configure(world, 8472)?;
        failures.extend(on_uplink(
            world,
            ONE,
            &[
                Case::delivered("r7348_08_port_8472", at(8472), delivered),
                Case::passed("r7348_07_port_4789_is_none_of_ours", at(4789)),
            ],
        ));
        Ok(failures)
    });
}
