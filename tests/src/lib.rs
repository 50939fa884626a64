//! The harness of vxnet's privileged tests: labs of network namespaces, hypervisors of both kinds,
//! guests behind veths and taps, traffic, captures and frames.
//!
//! A [`topology::LabBuilder`] makes a [`lab::Lab`]; everything a lab makes carries the lab's
//! name and is swept by that name ([`scope`]), so that a panic, Ctrl-C or even the `kill -9` of an
//! earlier run leaves nothing for long. Verdicts come from independent readers (ping, tcpdump,
//! `ip -j`, bpftool), never from vxnet's own code: this crate must not know how vxnet works, only
//! what its command line promises.

pub mod bpffs;
pub mod capture;
pub mod command;
pub mod counters;
pub mod frame;
pub mod guest;
pub mod hypervisor;
pub mod iperf;
pub mod lab;
pub mod netns;
pub mod network;
pub mod open_vswitch;
pub mod packet_socket;
pub mod physical;
pub mod ping;
pub mod probe;
pub mod scope;
pub mod shared_link;
pub mod snapshot;
pub mod steering;
pub mod tap;
pub mod topology;
pub mod transfer;
pub mod underlay;
pub mod vxnet;
pub mod wait;
