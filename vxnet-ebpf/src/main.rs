//! vxnet's XDP and TC programs.
//!
//! One file per hook under `prog`, with entry points of a few lines; the decisions are
//! `vxnet_common`'s. `maps` and `packet` are leaves, and only `packet` touches raw packet
//! pointers. A step returns `Result<_, Reason>`; one exit per program turns a reason into an
//! action and a count.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

#[cfg(target_arch = "bpf")]
mod account;
#[cfg(target_arch = "bpf")]
mod arrival;
#[cfg(target_arch = "bpf")]
mod decap;
#[cfg(target_arch = "bpf")]
mod deliver;
#[cfg(target_arch = "bpf")]
mod detour;
#[cfg(target_arch = "bpf")]
mod encap;
#[cfg(target_arch = "bpf")]
mod flood;
#[cfg(target_arch = "bpf")]
mod gso;
#[cfg(target_arch = "bpf")]
mod guard;
#[cfg(target_arch = "bpf")]
mod learning;
#[cfg(target_arch = "bpf")]
mod maps;
#[cfg(target_arch = "bpf")]
mod next_hop;
#[cfg(target_arch = "bpf")]
mod packet;
#[cfg(target_arch = "bpf")]
mod probe;
#[cfg(target_arch = "bpf")]
mod prog;
#[cfg(target_arch = "bpf")]
mod suppress;
#[cfg(target_arch = "bpf")]
mod tables;
#[cfg(target_arch = "bpf")]
mod tell;
#[cfg(target_arch = "bpf")]
mod whole;

/// Lets the kernel grant the helpers that it keeps for GPL programs.
#[cfg(target_arch = "bpf")]
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// On any other target there is nothing to run: the crate is built for BPF by `vxnet/build.rs`.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
