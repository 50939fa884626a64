//! Why a frame was not delivered: the only list of drop codes in vxnet.

/// Declares the codes once, with the name that users see, what it means and what to do about it.
macro_rules! reasons {
    ($($variant:ident = $code:literal, $name:literal, $meaning:literal, $remedy:literal;)*) => {
        /// A reason for which a program stopped handling a frame.
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = $meaning] $variant = $code,)*
        }

        impl Reason {
            /// Every reason, in the order of the codes.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns the stable name that the CLI and its JSON show.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns what the reason means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// Returns what to do about it.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)* }
            }
        }
    };
}

reasons! {
    ShortFrame = 0, "short_frame", "the frame is shorter than an Ethernet header",
        "look at what sends on this port: no network card sends such frames";
    UnknownPort = 1, "unknown_port", "a program runs on a link that is in no table; apply is under way, or failed",
        "run `vxnet apply`, or start the daemon; if it goes on, see the daemon's log";
    BadSource = 2, "bad_source", "the source address is a group address or all zero",
        "find the sender with `vxnet drop show --last`: its network card or its software is broken, or it attacks";
    LinkLocal = 3, "link_local", "the destination is one of 01:80:c2:00:00:00 to 0f, which no bridge forwards",
        "nothing to do: spanning tree, LLDP, LACP and pause frames are for the next device only";
    SamePort = 4, "same_port", "the destination is behind the port that the frame came from",
        "nothing to do if the port leads to several stations, which hear each other by themselves; else see `vxnet fdb show --mac MAC` for a station in the wrong place";
    SplitHorizon = 5, "split_horizon", "a frame from the overlay may not go back to the overlay",
        "every host gets its copy from the sender; see `vxnet fdb show --mac MAC` on the sending host for a stale row, and flush it";
    LocalMac = 6, "local_mac", "the source address belongs to a port or the gateway of this host, but the frame came from elsewhere",
        "give each guest an address of its own; if the station has moved here on purpose, remove its row with `vxnet fdb del` or from the fabric file";
    PortGone = 7, "port_gone", "the destination's port has left the network",
        "nothing to do: it ends as soon as the row is forgotten; `vxnet fdb flush --mac MAC` forgets it at once";
    NoDestination = 8, "no_destination", "there is nobody to flood the frame to",
        "see `vxnet port show` and `vxnet vtep show` for who should be in the network; a guest that is alone has nobody to talk to";
    UnknownVtep = 9, "unknown_vtep", "a VXLAN packet came from an address that is no host of the fabric",
        "add the sender to the fabric file as a host, on all hosts; a stranger that goes on should be kept out by a packet filter";
    UnknownVni = 10, "unknown_vni", "a VXLAN packet carries a VNI that this host has no network for",
        "use the same fabric file on all hosts, and `vxnet apply`; the VNI is in `vxnet drop show --last`";
    VniNotShared = 11, "vni_not_shared", "a VXLAN packet came from a host that has no part in the network of its VNI",
        "use the same fabric file on all hosts: there the sender is not among the `hosts` of the network";
    BadVxlan = 12, "bad_vxlan", "a VXLAN header without the I flag",
        "look at the sender: it is no VXLAN device, or speaks another protocol on this port";
    BadOuter = 13, "bad_outer", "the lengths of the outer headers contradict each other or the frame",
        "look for a device between the hosts that cuts or mangles packets; capture on the uplink";
    OuterFragment = 14, "outer_fragment", "a VXLAN packet is an IP fragment; RFC 7348 forbids VTEPs to fragment",
        "raise the MTU of the underlay, or lower that of the network, so that the sender need not fragment";
    Ecn = 15, "ecn", "the underlay marked congestion on a packet whose sender does not understand ECN (RFC 6040)",
        "nothing to do: the loss is how congestion is told to a sender without ECN; the underlay is congested";
    TooBig = 16, "too_big", "the frame exceeds the MTU of its port's link, or with its outer header that of the path to the peer",
        "lower the guest's MTU to that of `vxnet network show`, or raise the underlay's; a port with an MTU of its own: `vxnet port show --detail`";
    NoRoute = 17, "no_route", "the kernel has no route to the peer's underlay address",
        "see `ip route get ADDRESS` for the peer's address, and add the route";
    NoNeighbour = 18, "no_neighbour", "the MAC address of the next hop to the peer is not resolved",
        "see `ip neigh` for the next hop: is it up, and does it answer ARP on the uplink?";
    EncapFailed = 19, "encap_failed", "the kernel refused to make room for the outer header",
        "see the kernel's log and free memory; if it goes on, report it with `vxnet drop show --last --hex`";
    DecapFailed = 20, "decap_failed", "the kernel refused to remove the outer header",
        "does the sender pad packets behind the UDP datagram? the kernel trims none that a NIC or a veth marks as tunnelled; else see its log and free memory, and report it with `vxnet drop show --last --hex`";
    StaleStrip = 21, "stale_strip", "the XDP and the TC program of an uplink were built for different layouts",
        "run `vxnet apply` or restart the daemon: an upgrade stopped halfway";
    NotOurs = 22, "not_ours", "a VXLAN packet for another address than this VTEP's was left to the host (not a drop)",
        "nothing to do if another VXLAN device uses the address; else see the sender's fabric file for the `underlay` of this host";
    FdbFull = 23, "fdb_full", "the FDB is full, so the frame was forwarded but its source not learned (not a drop)",
        "see `vxnet port show --detail` for the port with too many addresses, and set an `fdb-limit` in its portgroup";
    Tagged = 24, "tagged", "the frame has a tag that its network does not know: any VLAN where none is, a service tag, or one tag in another",
        "take the tag off the guest's interface, or make the network VLAN-aware with `vlans`: then single tags of 802.1Q pass";
    RedirectFailed = 25, "redirect_failed", "the kernel could not hand the frame to the link",
        "see `ip -s link` for a port that is down; a tap drops while nobody reads it (the VM is off)";
    NoVlan = 26, "no_vlan", "the frame has no VLAN: the port has no portgroup, or takes tagged frames only",
        "give the port a portgroup in the fabric file, or mark one with `default = true`; a port of tagged VLANs only needs a native one for this; for the bridge itself it is no fault: the host has no place in any VLAN";
    VlanDenied = 27, "vlan_denied", "the frame is tagged with a VLAN that the port does not carry",
        "add the VLAN to the port's portgroup and the network's `vlans`, or take it off the guest's interface";
    BadVid = 28, "bad_vid", "VLAN 4095 is reserved and never on a wire",
        "set another VLAN, 1 to 4094, on the interface that sends";
    FloodOff = 29, "flood_off", "the network does not flood frames of this kind",
        "see `unknown-unicast`, `broadcast` and `multicast` of the network in the fabric file; with unknown unicast off, stations must be known: `vxnet fdb add`";
    Storm = 30, "storm", "the port floods more frames a second than its limit allows",
        "find the sender with `vxnet drop show --last --reason storm`: it has a loop behind it, or needs a higher `bum-limit` in its portgroup";
    Isolated = 31, "isolated", "both ports are isolated from each other",
        "nothing to do if the ports shall not talk; else take `isolated` off one of their portgroups";
    Locked = 32, "locked", "the port is locked and the source has no static address there",
        "name the station in the fabric file or with `vxnet fdb add`, or take `locked` off the portgroup";
    SpoofedMac = 33, "spoofed_mac", "the frame claims a MAC address that its port may not use",
        "add the address to the port's `mac` in the fabric file if it is the guest's own; else the guest lies";
    SpoofedIp = 34, "spoofed_ip", "the frame claims an IP address that its port may not use",
        "add the address to the port's `ip` in the fabric file if it is the guest's own; else the guest lies";
    RogueDhcp = 35, "rogue_dhcp", "a guest that is no DHCP server sent a DHCP server's message",
        "set `allow = [\"dhcp-server\"]` in the portgroup if the guest shall be one; else stop the server in the guest";
    RogueRa = 36, "rogue_ra", "a guest that is no router sent a router advertisement or redirect",
        "set `allow = [\"router\"]` in the portgroup if the guest shall be one; else stop the router daemon in the guest";
    GuestVxlan = 37, "guest_vxlan", "a guest sent VXLAN to a VTEP of the fabric",
        "nothing to do: guests have no business with the underlay; between guests, VXLAN passes";
    Looped = 38, "looped", "the port is shut because it is part of a loop",
        "see `vxnet status` for both ends of the loop, and take one of the links out; the port then opens by itself";
    LoopProbe = 39, "loop_probe", "a loop probe has come back; the daemon judges it",
        "see `vxnet status` for both ends of the loop; a few of these are counted while it is there";
    Answered = 40, "answered", "an ARP request or neighbour solicitation was answered in place (not a drop)",
        "nothing to do: a broadcast was saved; `suppress` of the network in the fabric file turns it off";
    MacFlap = 41, "mac_flap", "the source moves so often that the FDB no longer follows (not a drop)",
        "see the daemon's log for both places: two stations have one address, or there is a loop";
    FdbLimit = 42, "fdb_limit", "the port or peer holds as many addresses as it may: its oldest went, or the new one was not learned (not a drop)",
        "see `vxnet port show --detail` for the limit; raise `fdb-limit` in the portgroup if so many stations are right";
    BadNeighbour = 43, "bad_neighbour", "an ARP or neighbour discovery message that contradicts itself",
        "find the sender with `vxnet drop show --last --reason bad_neighbour`: its message names an address that no station has";
}

impl Reason {
    /// How many counters the drop table keeps for one port: a power of two above the last code.
    pub const SLOTS: u32 = 64;

    /// Returns the reason with the given code.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.get(code as usize).copied()
    }

    /// Returns whether the frame went on in spite of the count.
    pub const fn is_notice(self) -> bool {
        matches!(
            self,
            Self::NotOurs | Self::FdbFull | Self::Answered | Self::MacFlap | Self::FdbLimit
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_dense_and_fit_the_table() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index);
            assert_eq!(Reason::from_code(index as u32), Some(*reason));
        }
        assert!(Reason::ALL.len() < Reason::SLOTS as usize);
        assert_eq!(Reason::from_code(Reason::SLOTS), None);
    }

    #[test]
    fn all_have_a_remedy_of_their_own() {
        for reason in Reason::ALL {
            assert!(reason.remedy().len() > 20, "{}", reason.name());
            assert!(!reason.remedy().ends_with('.'), "{}", reason.name());
            assert_ne!(reason.remedy(), reason.meaning());
        }
    }

    #[test]
    fn names_are_unique() {
        for (index, reason) in Reason::ALL.iter().enumerate() {
            assert!(
                Reason::ALL[index + 1..]
                    .iter()
                    .all(|other| other.name() != reason.name())
            );
        }
    }
}
