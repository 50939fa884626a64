//! What vxnet's kernel programs and its user space must agree on.
//!
//! Nothing here does I/O and nothing allocates, so that the same code runs in the kernel, in the
//! CLI and in unit tests: addresses ([`addr`]), the layout of every map ([`map`]), the only list
//! of drop codes ([`reason`]), the wire formats ([`frame`], [`ipv6`], [`vxlan`], [`outer`],
//! [`ecn`], [`checksum`], [`flow`], [`loop_probe`]), the forwarding decision ([`forward`]) with the
//! learning rule ([`learn`]), what frames say of addresses ([`neighbour`]) and may say ([`security`]),
//! and what the sender of a frame that does not fit is told ([`too_big`]).
#![no_std]

pub mod addr;
pub mod checksum;
pub mod ecn;
pub mod event;
pub mod flow;
pub mod forward;
pub mod frame;
pub mod gso;
pub mod ipv6;
pub mod learn;
pub mod loop_probe;
pub mod map;
pub mod meta;
pub mod neighbour;
pub mod outer;
pub mod reason;
pub mod security;
pub mod too_big;
pub mod vlan;
pub mod vxlan;

#[cfg(test)]
extern crate std;
