//! `PORTS` and `PORT_VLANS`: every link that a program of ours runs on.

use super::map_type;
use crate::frame::Ethernet;

/// What a port is.
pub mod kind {
    /// A free slot.
    pub const NONE: u32 = 0;
    /// A guest's tap or veth.
    pub const GUEST: u32 = 1;
    /// The bridge device: the host as a station of the segment.
    pub const HOST: u32 = 2;
    /// A link to the underlay.
    pub const UPLINK: u32 = 3;
    /// A link to a physical switch, which carries VLANs of a network.
    pub const TRUNK: u32 = 4;
}

/// Bits of [`Port::flags`].
pub mod flag {
    /// XDP may redirect frames straight to this link: it takes XDP frames without an XDP program
    /// of its own (a tap does, a veth only if its peer runs NAPI).
    pub const XDP_TARGET: u32 = 1;
    /// On an uplink: checksums of received packets are complete on the wire, so that a frame may
    /// leave the skb world (false for veth, which hands over unfinished checksums).
    pub const WIRE_CSUM: u32 = 1 << 1;
    /// On an uplink: the XDP program may strip the outer header.
    pub const STRIP: u32 = 1 << 2;
    /// The port's network has VLANs.
    pub const VLAN_AWARE: u32 = 1 << 3;
    /// The port takes and gets tagged frames of the VLANs in its row of `PORT_VLANS`.
    pub const TAGGED: u32 = 1 << 4;
    /// Frames of the port's own VLAN leave with a tag too (native-tagged).
    pub const NATIVE_TAGGED: u32 = 1 << 5;
    /// The port exchanges no frames with other ports that bear this flag.
    pub const ISOLATED: u32 = 1 << 6;
    /// Only sources with a static row of `FDB` at this port may send.
    pub const LOCKED: u32 = 1 << 7;
    /// Only source MAC addresses in `ALLOWED` may send.
    pub const CHECK_MAC: u32 = 1 << 8;
    /// Only source IP addresses in `ALLOWED` may send.
    pub const CHECK_IP: u32 = 1 << 9;
    /// Messages that only a DHCP server sends are dropped.
    pub const NO_DHCP_SERVER: u32 = 1 << 10;
    /// Router advertisements and redirects are dropped.
    pub const NO_RA: u32 = 1 << 11;
    /// VXLAN to a VTEP of the fabric, or to a multicast group, is dropped.
    pub const NO_VXLAN: u32 = 1 << 12;
    /// A full share of `FDB` is not made room in: a new address is not learned. Otherwise the
    /// port's oldest row goes.
    pub const KEEP_ROWS: u32 = 1 << 13;
    /// Super-packets may be sent there as a program stripped them, which look like a tunnel's to the
    /// kernel still: a veth hands them over whole. A tap gets them cut, and hardware that cuts for
    /// tunnels would be told of headers that are gone.
    pub const TAKES_MARKED: u32 = 1 << 14;

    /// All checks of what a frame claims to be.
    pub const SECURITY: u32 = LOCKED | CHECK_MAC | CHECK_IP | NO_DHCP_SERVER | NO_RA | NO_VXLAN;
}

/// A row of `PORTS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    pub ifindex: u32,
    /// One of [`kind`].
    pub kind: u32,
    /// Slot of the segment of untagged frames in `SEGMENTS`; 0 for an uplink, and for a port
    /// without a VLAN of its own.
    pub segment: u32,
    /// Bits of [`flag`].
    pub flags: u32,
    /// The network, by the slot of its host port; 0 for an uplink.
    pub network: u32,
    /// How many broadcast, unknown-unicast and multicast frames a second may come in; 0 for any
    /// number.
    pub bum_limit: u32,
    /// How many rows of `FDB` the port may hold; 0 for any number.
    pub fdb_limit: u32,
    /// The link's MTU, in bytes; 0 if it takes what is longer too, as a tap and the host do.
    pub mtu: u32,
    /// The VLAN of untagged frames, or 0.
    pub pvid: u16,
    /// The link's own address: the gateway's MAC for a host port.
    pub mac: [u8; 6],
    /// Name of the link.
    pub name: [u8; 16],
}

map_type!(Port, 56);

impl Port {
    /// A free slot.
    pub const FREE: Self = Self {
        ifindex: 0,
        kind: kind::NONE,
        segment: 0,
        flags: 0,
        network: 0,
        bum_limit: 0,
        fdb_limit: 0,
        mtu: 0,
        pvid: 0,
        mac: [0; 6],
        name: [0; 16],
    };
}

impl Port {
    /// Returns whether the link takes a frame of so many bytes, its tag not among them.
    #[inline(always)]
    pub const fn takes(&self, frame: u32) -> bool {
        self.mtu == 0 || frame <= self.mtu + Ethernet::LEN as u32
    }
}

/// A row of `PORT_VLANS`: bit n is set if the port takes and gets frames tagged with VLAN n.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortVlans {
    pub vids: [u64; 64],
}

map_type!(PortVlans, 512);

impl PortVlans {
    /// No VLAN.
    pub const NONE: Self = Self { vids: [0; 64] };

    /// Returns whether the VLAN is in the set.
    #[inline(always)]
    pub const fn contains(&self, vid: u16) -> bool {
        let word = (vid >> 6) as usize & 63;
        self.vids[word] >> (vid & 63) & 1 == 1
    }

    /// Adds a VLAN to the set.
    pub const fn insert(&mut self, vid: u16) {
        self.vids[(vid >> 6) as usize & 63] |= 1 << (vid & 63);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vlan_is_one_bit() {
        let mut set = PortVlans::NONE;
        for vid in [1, 63, 64, 1001, 4094] {
            assert!(!set.contains(vid));
            set.insert(vid);
            assert!(set.contains(vid));
        }
        let count: u32 = set.vids.iter().map(|word| word.count_ones()).sum();
        assert_eq!(count, 5);
        assert!(!set.contains(0) && !set.contains(2) && !set.contains(1002));
    }
}
