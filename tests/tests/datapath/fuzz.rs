//! Random and mutated frames: the programs always come to a verdict that they know.

use anyhow::{Result, ensure};

use crate::case::check;
use crate::counters::{Counter, growth};
use crate::fabric::{
    A, AT_ONE, AT_TWO, B, C, GATEWAY_MAC, ONE, PORT_A, STRANGER, UPLINK, datagram, datagram6, plain,
};
use crate::green::{
    self, ACCESS_10, AT_ACCESS, AT_ONE_GREEN, AT_TRUNK, GREEN_10, GREEN_12, PHYSICAL, TAGGED,
    TRUNK, TWICE, UNTAGGED, tag,
};
use crate::messages::{discover, ip4, ip6, solicitation};
use crate::rows;
use crate::security;
use crate::test_run;
use crate::world::World;
use vxnet_common::map::{
    port::{Port, flag},
    segment::flag as segment_flag,
};
use vxnet_tests::frame::{BROADCAST, arp_request, hexdump};

const ROUNDS: u32 = 20_000;

/// Xorshift (Marsaglia, 2003): the same frames on every run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// A frame of noise, or a good one with bytes changed, cut or appended.
    fn frame(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        if self.below(8) == 0 {
            let length = 14 + self.below(200);
            return (0..length).map(|_| self.next() as u8).collect();
        }
        let mut frame = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            let at = self.below(frame.len().min(100));
            frame[at] = self.next() as u8;
        }
        match self.below(4) {
            0 => frame.truncate(14 + self.below(frame.len() - 13)),
            1 => frame.extend((0..self.below(40)).map(|_| 0xee)),
            _ => {}
        }
        frame
    }
}

/// Whether the kernel runs a TC program on a frame: not without a whole IP header.
pub(crate) fn is_runnable(frame: &[u8]) -> bool {
    match [frame[12], frame[13]] {
        [0x08, 0x00] => frame.len() >= 14 + 20,
        [0x86, 0xdd] => frame.len() >= 14 + 40,
        _ => true,
    }
}

fn run(
    name: &str,
    allowed: &[i64],
    seeds: &[Vec<u8>],
    mut program: impl FnMut(&[u8]) -> Result<i64>,
) -> Result<()> {
    let mut random = Random(0x7678_6e74);
    let mut left = ROUNDS;
    while left > 0 {
        let frame = random.frame(seeds);
        if !is_runnable(&frame) {
            continue;
        }
        left -= 1;
        let action = program(&frame)
            .map_err(|error| error.context(format!("{name} on\n{}", hexdump(&frame))))?;
        ensure!(
            allowed.contains(&action),
            "{name}: action {action} on\n{}",
            hexdump(&frame)
        );
    }
    Ok(())
}

/// As [`tc`] on a port, and every frame is accounted for: what came in and what was made of it is
/// what went out or was dropped.
fn balanced(world: &World, slot: u32, seeds: &[Vec<u8>]) -> Result<()> {
    let before = world.counts()?;
    tc(world, "vx_port", slot, &[2, 7], seeds)?;
    let counts = growth(&before, &world.counts()?);
    let (mut came, mut left) = (0, 0);
    for (counter, count) in &counts {
        match counter {
            Counter::PortRx(_) | Counter::Replicas(_) => came += count,
            Counter::PortTx(_) | Counter::VtepTx(_) | Counter::Passed(_) | Counter::Merged(_) => {
                left += count;
            }
            Counter::Drop(_, reason) if !reason.is_notice() => left += count,
            _ => {}
        }
    }
    ensure!(
        counts.get(&Counter::PortRx(slot)) == Some(&u64::from(ROUNDS)),
        "{counts:?}"
    );
    ensure!(came == left, "{came} came, {left} left: {counts:?}");
    Ok(())
}

fn tc(world: &World, name: &str, slot: u32, allowed: &[i64], seeds: &[Vec<u8>]) -> Result<()> {
    let program = world.classifier(name)?;
    let ifindex = world.ifindex(slot);
    run(name, allowed, seeds, |frame| {
        Ok(test_run::tc(program, ifindex, frame)?.action.into())
    })
}

#[test]
fn attack_random_frames_get_a_known_verdict() {
    check(|world| {
        let family = world.family;
        let inner: Vec<Vec<u8>> = [A, B, C, AT_ONE, AT_TWO, GATEWAY_MAC, BROADCAST]
            .into_iter()
            .flat_map(|dst| {
                [
                    datagram(AT_ONE, dst),
                    datagram6(AT_ONE, dst),
                    plain(AT_ONE, dst, 60),
                ]
            })
            .collect();
        let outer: Vec<Vec<u8>> = inner
            .iter()
            .map(|frame| family.arrives(ONE, frame))
            .collect();
        let sent: Vec<Vec<u8>> = inner
            .iter()
            .map(|frame| [&frame[..6], &A, &frame[12..]].concat())
            .collect();
        // Redirect or drop; nothing of a guest's goes on to the kernel's bridge.
        tc(world, "vx_port", PORT_A, &[2, 7], &sent)?;
        tc(world, "vx_uplink", UPLINK, &[-1, 2, 7], &outer)?;
        tc(world, "vx_resolve", PORT_A, &[2, 7], &outer)?;
        rows::set_flags(world, UPLINK, flag::STRIP | flag::WIRE_CSUM)?;
        rows::set_flags(world, PORT_A, flag::XDP_TARGET)?;
        let (program, ifindex) = (world.xdp()?, world.ifindex(UPLINK));
        run("vx_uplink_xdp", &[2, 4], &outer, |frame| {
            Ok(test_run::xdp(program, ifindex, frame)?.action.into())
        })?;
        Ok(Vec::new())
    });
}

/// Every kind of port, with and without all the checks, limits and suppression.
#[test]
fn attack_random_frames_are_accounted_for() {
    check(|world| {
        let all = [
            AT_TRUNK,
            AT_ACCESS,
            AT_ONE_GREEN,
            TWICE,
            BROADCAST,
            STRANGER,
        ];
        let mut seeds = Vec::new();
        for dst in all {
            for frame in [
                datagram(AT_TRUNK, dst),
                datagram6(AT_TRUNK, dst),
                plain(AT_TRUNK, dst, 60),
                plain(AT_TRUNK, dst, 1500),
                arp_request(AT_TRUNK, ip4(AT_TRUNK), ip4(AT_ACCESS)),
                solicitation(AT_TRUNK, ip6(AT_TRUNK), ip6(AT_ACCESS)),
                discover(AT_TRUNK, AT_TRUNK),
            ] {
                for vid in [0, 10, 12, 4095] {
                    seeds.push(tag(vid, 1, &frame));
                }
                seeds.push(frame);
            }
        }
        for segment in [GREEN_10, GREEN_12] {
            rows::change_segment(world, segment, |row| row.flags |= segment_flag::SUPPRESS)?;
        }
        for slot in [TRUNK, TAGGED, UNTAGGED, ACCESS_10, PHYSICAL] {
            balanced(world, slot, &seeds)?;
            security::guard(world, slot, security::ALL, AT_TRUNK)?;
            rows::change_port(world, slot, |port| {
                port.fdb_limit = 4;
                port.bum_limit = 100;
            })?;
            balanced(world, slot, &seeds)?;
            rows::change_port(world, slot, |port| port.flags |= flag::LOCKED)?;
            balanced(world, slot, &seeds)?;
            rows::change_port(world, slot, |port| {
                *port = Port {
                    ifindex: port.ifindex,
                    name: port.name,
                    ..green::port(slot)
                };
            })?;
        }
        Ok(Vec::new())
    });
}
