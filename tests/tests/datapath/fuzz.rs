//! Random and mutated frames: the programs always come to a verdict that they know.

use anyhow::{Result, ensure};

use crate::case::check;
use crate::fabric::{
    A, AT_ONE, AT_TWO, B, C, GATEWAY_MAC, ONE, PORT_A, UPLINK, datagram, datagram6, plain,
};
use crate::rows;
use crate::test_run;
use crate::world::World;
use vxnet_common::map::port::flag;
use vxnet_tests::frame::{BROADCAST, hexdump};

const ROUNDS: u32 = 20_000;

/// Xorshift (Marsaglia, 2003): the same frames on every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
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
fn is_runnable(frame: &[u8]) -> bool {
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
