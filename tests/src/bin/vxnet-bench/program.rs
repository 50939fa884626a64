//! The benchmark's own programs, a few instructions each.
//!
//! The one that runs on every injected frame writes the headers anew, for the kernel recycles the
//! frames' pages as the switch left them, and lets the frame pass.

use anyhow::Result;

use crate::bpf::{Hook, Program};

/// Ethernet and IPv4 header: what a switch or a router may have changed.
const REWRITTEN: usize = 34;
/// Where the number in a destination address starts.
const NUMBER: i16 = 2;

const ALU64_MOV_REG: u8 = 0xbf;
const ALU64_MOV: u8 = 0xb7;
const ALU64_ADD: u8 = 0x07;
const ALU64_AND: u8 = 0x57;
const LOAD_WORD: u8 = 0x61;
const STORE_WORD: u8 = 0x62;
const STORE_HALF: u8 = 0x6a;
const STORE_WORD_REG: u8 = 0x63;
const JUMP_GREATER_REG: u8 = 0x2d;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

const XDP_PASS: i32 = 2;
const TC_ACT_SHOT: i32 = 2;
const GET_PRANDOM_U32: i32 = 7;

/// Returns the program that gives a frame the headers of `frame`. With `targets`, a power of two,
/// the destination is one of the first so many fillers (see [`crate::frame::filler`]), at random.
pub(crate) fn refresh(frame: &[u8], targets: Option<u32>) -> Result<Program> {
    Program::load(Hook::Xdp, "bench_refresh", &instructions(frame, targets))
}

/// Returns a program that does nothing.
pub(crate) fn empty(hook: Hook) -> Result<Program> {
    Program::load(hook, "bench_empty", &verdict(XDP_PASS))
}

/// Returns a TC program that drops everything.
pub(crate) fn sink() -> Result<Program> {
    Program::load(Hook::Tc, "bench_sink", &verdict(TC_ACT_SHOT))
}

fn verdict(verdict: i32) -> [u64; 2] {
    [
        instruction(ALU64_MOV, 0, 0, 0, verdict),
        instruction(EXIT, 0, 0, 0, 0),
    ]
}

fn instructions(frame: &[u8], targets: Option<u32>) -> Vec<u64> {
    let mut code = vec![instruction(ALU64_MOV_REG, 6, 1, 0, 0)];
    if let Some(targets) = targets {
        code.push(instruction(CALL, 0, 0, 0, GET_PRANDOM_U32));
        let mask = (targets - 1).cast_signed();
        code.push(instruction(ALU64_AND, 0, 0, 0, mask));
        code.push(instruction(ALU64_MOV_REG, 7, 0, 0, 0));
    }
    let mut writes = Vec::new();
    for at in (0..REWRITTEN - 2).step_by(4) {
        let word = i32::from_le_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
        writes.push(instruction(STORE_WORD, 2, 0, at as i16, word));
    }
    let last = REWRITTEN - 2;
    let half = i16::from_le_bytes([frame[last], frame[last + 1]]);
    writes.push(instruction(STORE_HALF, 2, 0, last as i16, half.into()));
    if targets.is_some() {
        writes.push(instruction(STORE_WORD_REG, 2, 7, NUMBER, 0));
    }
    code.extend([
        instruction(LOAD_WORD, 2, 6, 0, 0),
        instruction(LOAD_WORD, 3, 6, 4, 0),
        instruction(ALU64_MOV_REG, 4, 2, 0, 0),
        instruction(ALU64_ADD, 4, 0, 0, REWRITTEN as i32),
        instruction(JUMP_GREATER_REG, 4, 3, writes.len() as i16, 0),
    ]);
    code.extend(writes);
    code.extend(verdict(XDP_PASS));
    code
}

/// One `struct bpf_insn` on a little-endian machine.
fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> u64 {
    let [low, high] = offset.to_le_bytes();
    let [a, b, c, d] = immediate.to_le_bytes();
    u64::from_le_bytes([code, from << 4 | to, low, high, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_laid_out_as_the_kernel_reads_it() {
        // r0 = 2; exit
        assert_eq!(
            instruction(ALU64_MOV, 0, 0, 0, 2).to_le_bytes(),
            [0xb7, 0, 0, 0, 2, 0, 0, 0]
        );
        // if r4 > r3 goto +9
        assert_eq!(
            instruction(JUMP_GREATER_REG, 4, 3, 9, 0).to_le_bytes(),
            [0x2d, 0x34, 9, 0, 0, 0, 0, 0]
        );
    }
}
