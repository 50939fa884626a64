//! What vxnet's kernel programs and its user space must agree on.
//!
//! Nothing here does I/O and nothing allocates, so that the same code runs in the kernel, in the
//! CLI and in unit tests: addresses ([`addr`]), the layout of every map ([`map`]), the only list
//! of drop codes ([`reason`]), the wire formats ([`frame`], [`vxlan`], [`outer`], [`ecn`]) and the
//! forwarding decision ([`forward`]) with the learning rule ([`learn`]).
#![no_std]

pub mod addr;
pub mod ecn;
pub mod forward;
pub mod frame;
pub mod learn;
pub mod map;
pub mod meta;
pub mod outer;
pub mod reason;
pub mod vxlan;

#[cfg(test)]
extern crate std;
