//! Frames that do not fit the way to a peer: their senders are told (RFC 1191, RFC 8201).

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Result, ensure};
use etherparse::{IpFragOffset, IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, PacketBuilder};
use vxnet_common::{
    addr::Mac,
    map::{
        fdb::{FdbEntry, FdbKey, place},
        holder::Holder,
    },
    reason::Reason,
};
use vxnet_tests::frame::{BROADCAST, echo_request, tcp, udp};

use crate::case::{Case, check, on_port, on_station};
use crate::counters::{Counter, growth};
use crate::fabric::{
    A, AT_NARROW, BLUE, Family, GATEWAY_MAC, HOST, NARROW, NARROW_MTU, ONE, PORT_A, PORT_B, PORT_C,
    STRANGER, plain, v4, v6,
};
use crate::flood::copies;
use crate::green::{ACCESS_10, AT_ACCESS, AT_TAGGED, AT_TRUNK, GREEN_10, TAGGED, TRUNK, tag};
use crate::messages::{extended, fragment4, icmp6, ip4, ip6};
use crate::outcome::Receiver::{Port, Vtep};
use crate::rows::{self, set_flood};
use crate::test_run;
use crate::world::World;

/// The MTU of a guest whose packets just fit.
fn most(family: Family) -> u16 {
    let outer = family.outer_len() - 14;
    u16::try_from(NARROW_MTU as usize - outer - 14).expect("small")
}

/// Wants an answer (DF is set), and is too big for it.
pub(crate) fn large(from: [u8; 6]) -> Vec<u8> {
    udp(v4(from), v4(AT_NARROW), (5000, 6000), &[7; 1000])
}

fn large6(from: [u8; 6]) -> Vec<u8> {
    udp(v6(from), v6(AT_NARROW), (5000, 6000), &[7; 1000])
}

/// "Fragmentation needed" for a frame, from an address.
pub(crate) fn needed(frame: &[u8], source: Ipv4Addr, mtu: u16) -> Vec<u8> {
    let to: [u8; 4] = frame[26..30].try_into().expect("four bytes");
    let mut ip = Ipv4Header::new(0, 64, IpNumber::ICMP, source.octets(), to).expect("short");
    ip.dont_fragment = false;
    ip.fragment_offset = IpFragOffset::ZERO;
    let [high, low] = mtu.to_be_bytes();
    let builder = PacketBuilder::ethernet2(
        frame[..6].try_into().expect("six bytes"),
        frame[6..12].try_into().expect("six bytes"),
    )
    .ip(IpHeaders::Ipv4(ip, Ipv4Extensions::default()))
    .icmpv4_raw(3, 4, [0, 0, high, low]);
    let mut message = Vec::new();
    // Its header and enough to know the flow by.
    builder
        .write(&mut message, &frame[14..14 + 64])
        .expect("a Vec grows");
    message
}

/// "Packet too big" for a frame, from an address.
pub(crate) fn too_big(frame: &[u8], source: [u8; 16], mtu: u16) -> Vec<u8> {
    let to: [u8; 16] = frame[22..38].try_into().expect("sixteen bytes");
    let builder = PacketBuilder::ethernet2(
        frame[..6].try_into().expect("six bytes"),
        frame[6..12].try_into().expect("six bytes"),
    )
    .ipv6(source, to, 64)
    .icmpv6_raw(2, 0, u32::from(mtu).to_be_bytes());
    let mut message = Vec::new();
    builder
        .write(&mut message, &frame[14..14 + 88])
        .expect("a Vec grows");
    message
}

pub(crate) fn told(name: &str, frame: Vec<u8>, message: Vec<u8>, slot: u32) -> Case {
    Case::delivered(name, frame, [(Port(slot), message)]).counts(Reason::TooBig)
}

#[test]
fn rfc1191_rfc8201_the_sender_is_told() {
    check(|world| {
        let mtu = most(world.family);
        let (to4, to6) = (ip4(AT_NARROW), ip6(AT_NARROW).octets());
        let segment = tcp(v4(A), v4(AT_NARROW), (1, 2), 3, &[7; 1000]);
        let ping = echo_request(v4(A), v4(AT_NARROW), 1, 1, &[7; 1000]);
        let ping6 = echo_request(v6(A), v6(AT_NARROW), 1, 1, &[7; 1000]);
        let behind = extended(&large6(A), &[(60, 1)]);
        let host = large(GATEWAY_MAC);
        let cases = [
            told("rfc1191_udp", large(A), needed(&large(A), to4, mtu), PORT_A),
            told(
                "rfc1191_tcp",
                segment.clone(),
                needed(&segment, to4, mtu),
                PORT_A,
            ),
            told(
                "rfc1191_ping",
                ping.clone(),
                needed(&ping, to4, mtu),
                PORT_A,
            ),
            told(
                "rfc8201_udp",
                large6(A),
                too_big(&large6(A), to6, mtu),
                PORT_A,
            ),
            told(
                "rfc8201_ping",
                ping6.clone(),
                too_big(&ping6, to6, mtu),
                PORT_A,
            ),
            told(
                "rfc8201_extended",
                behind.clone(),
                too_big(&behind, to6, mtu),
                PORT_A,
            ),
        ];
        let mut failures = on_port(world, PORT_A, &cases);
        let case = told("rfc1191_host", host.clone(), needed(&host, to4, mtu), HOST);
        failures.extend(on_port(world, HOST, &[case]));
        // The gateway speaks, where there is one.
        let gateway = Ipv4Addr::new(10, 0, 0, 254);
        let gateway6 = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        rows::change_segment(world, BLUE, |row| {
            row.gateway_v4 = gateway.octets();
            row.gateway_v6 = gateway6;
        })?;
        let cases = [
            told(
                "rfc1191_gateway",
                large(A),
                needed(&large(A), gateway, mtu),
                PORT_A,
            ),
            told(
                "rfc8201_gateway",
                large6(A),
                too_big(&large6(A), gateway6, mtu),
                PORT_A,
            ),
        ];
        failures.extend(on_port(world, PORT_A, &cases));
        Ok(failures)
    });
}

/// Its addressee has not been heard for a while: no reason to leave the sender without a word.
#[test]
fn rfc1191_who_sends_to_a_station_of_unknown_place_is_told() {
    check(|world| {
        let (mtu, family) = (most(world.family), world.family);
        let ports = [PORT_A, PORT_B, PORT_C];
        let sized = |to, flags: u8| {
            let mut frame = udp(v4(A), v4(to), (5000, 6000), &[7; 1000]);
            frame[20] = flags;
            frame
        };
        let large = sized(STRANGER, 0x40);
        let large6 = udp(v6(A), v6(STRANGER), (5000, 6000), &[7; 1000]);
        // Whose sender is not told goes to everyone else.
        let rest = |name: &str, frame: Vec<u8>, peers: &[u32]| {
            let copies = copies(family, &[PORT_B, PORT_C, HOST], peers, &frame);
            Case::delivered(name, frame, copies).counts(Reason::TooBig)
        };
        set_flood(world, BLUE, &ports, &[NARROW])?;
        let cases = [
            told(
                "rfc1191_unknown",
                large.clone(),
                needed(&large, ip4(STRANGER), mtu),
                PORT_A,
            ),
            told(
                "rfc8201_unknown",
                large6.clone(),
                too_big(&large6, ip6(STRANGER).octets(), mtu),
                PORT_A,
            ),
            rest("may_fragment", sized(STRANGER, 0), &[]),
            rest("group", sized(BROADCAST, 0x40), &[]),
        ];
        let mut failures = on_port(world, PORT_A, &cases);
        // One of the peers can have it.
        set_flood(world, BLUE, &ports, &[NARROW, ONE])?;
        let case = rest("one_is_wide", large.clone(), &[ONE]);
        failures.extend(on_port(world, PORT_A, &[case]));
        // Nobody has looked for a while how wide the way is.
        set_flood(world, BLUE, &ports, &[NARROW])?;
        let mut row = world.vteps.get(&NARROW, 0)?;
        row.deadline = 1;
        world.vteps.set(NARROW, row, 0)?;
        let (_, counts) = run(world, &large, 0)?;
        ensure!(counts.contains(&(Counter::PortTx(PORT_B), 1)), "{counts:?}");
        ensure!(world.vteps.get(&NARROW, 0)?.deadline > 1, "not renewed");
        Ok(failures)
    });
}

/// The message's MTU is the largest that fits: told of one, a guest is heard with it.
#[test]
fn p23_what_is_told_fits() {
    check(|world| {
        let family = world.family;
        let sized = |ip_len: usize| udp(v4(A), v4(AT_NARROW), (1, 2), &vec![7; ip_len - 28]);
        let mtu = usize::from(most(family));
        let fits = sized(mtu);
        let packet = family.leaves(NARROW, &fits);
        let one_more = sized(mtu + 1);
        let message = needed(&one_more, ip4(AT_NARROW), most(family));
        let cases = [
            Case::delivered("p23_fits", fits, [(Vtep(NARROW), packet)]),
            told("p23_one_more", one_more, message, PORT_A),
        ];
        Ok(on_port(world, PORT_A, &cases))
    });
}

#[test]
fn rfc1812_rfc4443_nobody_is_told() {
    check(|world| {
        let change = |mut frame: Vec<u8>, at: usize, value: u8| {
            frame[at] = value;
            frame
        };
        let error = {
            let mut frame = echo_request(v4(A), v4(AT_NARROW), 1, 1, &[7; 1000]);
            frame[34] = 3;
            frame
        };
        let error6 = icmp6(
            (A, ip6(A)),
            (AT_NARROW, ip6(AT_NARROW)),
            1,
            [0; 4],
            &[7; 1000],
        );
        let redirect = icmp6(
            (A, ip6(A)),
            (AT_NARROW, ip6(AT_NARROW)),
            137,
            [0; 4],
            &[7; 1000],
        );
        let nobody = |len: usize, at: usize, mut frame: Vec<u8>| {
            frame[at..at + len].fill(0);
            frame
        };
        let cases = [
            ("may_fragment", change(large(A), 20, 0)),
            ("later_fragment", {
                let mut frame = fragment4(&large(A), 64, true);
                frame[20] |= 0x40;
                frame
            }),
            ("icmp_error", error),
            ("icmpv6_error", error6),
            ("icmpv6_redirect", redirect),
            ("to_an_ipv4_group", change(large(A), 30, 224)),
            ("to_an_ipv6_group", change(large6(A), 38, 0xff)),
            ("from_nobody", nobody(4, 26, large(A))),
            ("from_nobody_ipv6", nobody(16, 22, large6(A))),
            ("from_loopback", change(large(A), 26, 127)),
            ("no_ip", plain(A, AT_NARROW, 1200)),
            ("version_5", change(large(A), 14, 0x55)),
            ("ihl_4", change(large(A), 14, 0x44)),
        ]
        .map(|(name, frame)| Case::dropped(name, frame, Reason::TooBig));
        Ok(on_port(world, PORT_A, &cases))
    });
}

#[test]
fn q_07_messages_have_the_tag_of_the_port() {
    check(|world| {
        let row = FdbEntry::learned(place::VTEP, NARROW, crate::world::now()?);
        world.more_fdb = vec![(FdbKey::new(GREEN_10, Mac(AT_NARROW)), row)];
        rows::change_segment(world, GREEN_10, |row| {
            row.vteps[(NARROW / 64) as usize] |= 1 << (NARROW % 64);
        })?;
        let mtu = most(world.family);
        let (to4, to6) = (ip4(AT_NARROW), ip6(AT_NARROW).octets());
        let mut failures = Vec::new();
        for (name, slot, mac, tagged, answer) in [
            ("q_07_trunk", TRUNK, AT_TRUNK, Some((10, 3)), Some((10, 3))),
            ("q_07_native_tagged", TAGGED, AT_TAGGED, None, Some((10, 0))),
            ("q_01_access", ACCESS_10, AT_ACCESS, Some((0, 6)), None),
        ] {
            let with = |how: Option<(u16, u16)>, frame: &[u8]| match how {
                Some((vid, priority)) => tag(vid, priority, frame),
                None => frame.to_vec(),
            };
            let message = needed(&large(mac), to4, mtu);
            let message6 = too_big(&large6(mac), to6, mtu);
            let cases = [
                told(
                    name,
                    with(tagged, &large(mac)),
                    with(answer, &message),
                    slot,
                ),
                told(
                    name,
                    with(tagged, &large6(mac)),
                    with(answer, &message6),
                    slot,
                ),
            ];
            failures.extend(on_station(world, slot, &cases));
        }
        Ok(failures)
    });
}

fn run(world: &World, frame: &[u8], gso_size: u32) -> Result<(i32, Vec<(Counter, u64)>)> {
    let before = world.counts()?;
    let program = world.classifier("vx_port")?;
    let run = test_run::tc_gso(program, world.ifindex(PORT_A), frame, gso_size)?;
    let counts = growth(&before, &world.counts()?).into_iter().collect();
    Ok((run.action, counts))
}

#[test]
fn rfc1191_messages_are_limited() {
    check(|world| {
        let (mut told, mut dropped) = (0, 0);
        let program = world.classifier("vx_port")?;
        let before = world.counts()?;
        for _ in 0..1000 {
            match test_run::tc(program, world.ifindex(PORT_A), &large(A))?.action {
                7 => told += 1,
                2 => dropped += 1,
                other => anyhow::bail!("action {other}"),
            }
        }
        let counts = growth(&before, &world.counts()?);
        let count = |counter| counts.get(&counter).copied().unwrap_or(0);
        ensure!(told > 0 && dropped > told, "{told} told, {dropped} dropped");
        ensure!(count(Counter::PortTx(PORT_A)) == told, "{counts:?}");
        ensure!(
            count(Counter::Drop(PORT_A, Reason::TooBig)) == 1000,
            "{counts:?}"
        );
        // Who is not told uses nothing up.
        world.holders.set(PORT_A, Holder::default(), 0)?;
        let mut may_be_cut = large(A);
        may_be_cut[20] = 0;
        for _ in 0..1000 {
            run(world, &may_be_cut, 0)?;
        }
        let (action, counts) = run(world, &large(A), 0)?;
        ensure!(action == 7, "after those that are not told: {counts:?}");
        // Another port has messages of its own.
        world.holders.set(PORT_A, Holder::default(), 0)?;
        let (action, counts) = run(world, &large(A), 0)?;
        ensure!(action == 7, "{counts:?}");
        Ok(Vec::new())
    });
}

#[test]
fn super_packets_are_judged_by_their_segments() {
    check(|world| {
        let mut failures = Vec::new();
        let mtu = u32::from(most(world.family));
        for (name, frame, headers) in [
            ("tcp", tcp(v4(A), v4(AT_NARROW), (1, 2), 3, &[7; 2500]), 40),
            (
                "tcp_ipv6",
                tcp(v6(A), v6(AT_NARROW), (1, 2), 3, &[7; 2500]),
                60,
            ),
            ("udp", udp(v4(A), v4(AT_NARROW), (1, 2), &[7; 2500]), 28),
            (
                "udp_ipv6",
                udp(v6(A), v6(AT_NARROW), (1, 2), &[7; 2500]),
                48,
            ),
        ] {
            world.holders.set(PORT_A, Holder::default(), 0)?;
            // TEST_RUN cannot say of what kind a super-packet is, so the kernel does not encapsulate
            // it; but that it is tried shows that it fits.
            let (_, fits) = run(world, &frame, mtu - headers)?;
            if !fits.contains(&(Counter::Drop(PORT_A, Reason::EncapFailed), 1)) {
                failures.push(format!("{name} fits: {fits:?}"));
            }
            let (_, over) = run(world, &frame, mtu - headers + 1)?;
            let told = over.contains(&(Counter::PortTx(PORT_A), 1));
            if !told || !over.contains(&(Counter::Drop(PORT_A, Reason::TooBig), 1)) {
                failures.push(format!("{name} one more: {over:?}"));
            }
        }
        Ok(failures)
    });
}

#[test]
fn the_messages_of_a_family_are_of_that_family() {
    let address = |frame: &[u8]| match frame[12] {
        0x08 => IpAddr::from(<[u8; 4]>::try_from(&frame[30..34]).expect("four")),
        _ => IpAddr::from(<[u8; 16]>::try_from(&frame[38..54]).expect("sixteen")),
    };
    assert_eq!(address(&needed(&large(A), ip4(AT_NARROW), 950)), v4(A).ip);
    assert_eq!(
        address(&too_big(&large6(A), ip6(AT_NARROW).octets(), 950)),
        v6(A).ip
    );
}
