//! The programs, frame by frame: BPF_PROG_TEST_RUN over tables that are filled by hand.
//!
//! A case is a frame, where it comes in, and everything that must happen: what is delivered to
//! whom, byte for byte, whether the host gets it, which counters move and what is learned. Nothing
//! else may happen. Names begin with the rule that a case stands for (of RFC 7348, RFC 6040,
//! IEEE 802.1Q, third parties' cases and attacks).
//!
//! Frames shorter than an Ethernet header cannot be tested here, nor those of IP's EtherTypes
//! without a whole IP header: the kernel refuses to run a TC program on them.

mod case;
mod counters;
mod encap;
mod fabric;
mod flood;
mod flood_rules;
mod fuzz;
mod green;
mod last_drops;
mod limits;
mod links;
mod messages;
mod narrow_port;
mod networks;
mod outcome;
mod peer_limits;
mod port;
mod receive;
mod rows;
mod security;
mod security_drops;
mod security_services;
mod slots;
mod source;
mod suppress;
mod test_run;
mod too_big;
mod trace;
mod underlay;
mod underlay_accept;
mod underlay_ecn;
mod underlay_malformed;
mod underlay_paths;
mod vlan;
mod vlan_ovs;
mod world;
