//! End to end: the real binary in labs of namespaces, judged by independent readers.
//!
//! The names of the tests begin with the case they come from: `p..` are third-party cases,
//! `r7348_..` rules of RFC 7348, `attack..` and `fail_closed..` what must not happen. Each test has
//! a lab of its own, so that they may run in parallel.
//!
//! With `VXNET_TEST_SWITCH=kernel` the tests that ask nothing of vxnet's command line run against
//! the kernel's bridge and VXLAN device instead: that checks the tests.

mod attack;
mod burst;
mod commands;
mod conservation;
mod detour;
mod fail_closed;
mod gro_socket;
mod guest_vxlan;
mod her_256;
mod hostile;
mod inject;
mod instruments;
mod interop;
mod learning;
mod leaving;
mod lifetime;
mod loops;
mod mac_flood;
mod membership;
mod moving;
mod multicast;
mod next_hop;
mod one_host;
mod order;
mod overlay_learning;
mod ovs_peer;
mod peer_flood;
mod plan;
mod rollback;

mod suppress;
mod teardown;
mod theft;
mod too_big;
mod trunk;
mod vlan_trunk;
mod wire;

use vxnet_tests::hypervisor::Kind;

/// The switch under test.
fn switch() -> Kind {
    match std::env::var("VXNET_TEST_SWITCH").as_deref() {
        Ok("kernel") => Kind::Kernel,
        _ => Kind::Vxnet,
    }
}
