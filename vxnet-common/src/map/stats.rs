//! `PORT_STATS`, `DROPS` and `VTEP_STATS`: counters, one copy a CPU.

use super::{MAX_PORTS, MAX_VTEPS, map_type};
use crate::reason::Reason;

/// The rows for all ports, and all peers, that are gone: the daemon's alone, behind those of the
/// slots.
pub const GONE_PORTS: u32 = MAX_PORTS;
pub const GONE_VTEPS: u32 = MAX_VTEPS;

/// A row of `PORT_STATS`. Packets are counted as the kernel hands them over: a GSO super-packet is
/// one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortStats {
    /// Frames that the port sent into the switch.
    pub rx_packets: u64,
    pub rx_bytes: u64,
    /// Frames that the switch sent to the port.
    pub tx_packets: u64,
    pub tx_bytes: u64,
    /// Frames that the switch made of the port's: all copies of a flooded one but the first, and
    /// ICMP messages about its size; and the segments but the first that one of an uplink's was cut
    /// into.
    pub replicas: u64,
    /// Segments that the kernel joined to another (GRO) after they were counted: they leave in one.
    pub merged: u64,
    /// Packets that went on to the host as they came.
    pub passed: u64,
}

map_type!(PortStats, 56);

impl PortStats {
    /// Adds what another CPU, or another port, has counted.
    pub const fn add(&mut self, other: &Self) {
        self.rx_packets += other.rx_packets;
        self.rx_bytes += other.rx_bytes;
        self.tx_packets += other.tx_packets;
        self.tx_bytes += other.tx_bytes;
        self.replicas += other.replicas;
        self.merged += other.merged;
        self.passed += other.passed;
    }
}

/// A row of `DROPS`: how often each reason was counted for the port, by its code.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drops(pub [u64; Reason::SLOTS as usize]);

map_type!(Drops, 512);

impl Drops {
    /// Nothing was counted.
    pub const NONE: Self = Self([0; Reason::SLOTS as usize]);

    /// Returns how often a reason was counted.
    pub const fn of(&self, reason: Reason) -> u64 {
        self.0[reason as usize]
    }

    /// Adds what another CPU, or another port, has counted.
    pub fn add(&mut self, other: &Self) {
        for (sum, count) in self.0.iter_mut().zip(other.0) {
            *sum += count;
        }
    }
}

/// A row of `VTEP_STATS`; bytes are those of the inner frames.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VtepStats {
    pub rx_packets: u64,
    pub rx_bytes: u64,
    pub tx_packets: u64,
    pub tx_bytes: u64,
    /// `CLOCK_MONOTONIC_COARSE` of the last accepted packet, in nanoseconds; 0 if there was none.
    pub last_heard: u64,
}

map_type!(VtepStats, 40);

impl VtepStats {
    /// Adds what another CPU, or another peer, has counted; of times, the later one stays.
    pub fn add(&mut self, other: &Self) {
        self.rx_packets += other.rx_packets;
        self.rx_bytes += other.rx_bytes;
        self.tx_packets += other.tx_packets;
        self.tx_bytes += other.tx_bytes;
        self.last_heard = self.last_heard.max(other.last_heard);
    }
}
