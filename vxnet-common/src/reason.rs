//! Why a frame was not delivered: the only list of drop codes in vxnet.

/// Declares the codes once, with the name that users see and what it means.
macro_rules! reasons {
    ($($variant:ident = $code:literal, $name:literal, $meaning:literal;)*) => {
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
        }
    };
}

reasons! {
    ShortFrame = 0, "short_frame", "the frame is shorter than an Ethernet header";
    UnknownPort = 1, "unknown_port", "a program runs on a link that is in no table; apply is under way, or failed";
    BadSource = 2, "bad_source", "the source address is a group address or all zero";
    LinkLocal = 3, "link_local", "the destination is one of 01:80:c2:00:00:00 to 0f, which no bridge forwards";
    SamePort = 4, "same_port", "the destination is behind the port that the frame came from";
    SplitHorizon = 5, "split_horizon", "a frame from the overlay may not go back to the overlay";
    LocalMac = 6, "local_mac", "the source address belongs to a port or the gateway of this host, but the frame came from elsewhere";
    PortGone = 7, "port_gone", "the destination's port has left the network";
    NoDestination = 8, "no_destination", "there is nobody to flood the frame to";
    UnknownVtep = 9, "unknown_vtep", "a VXLAN packet came from an address that is no host of the fabric";
    UnknownVni = 10, "unknown_vni", "a VXLAN packet carries a VNI that this host has no network for";
    VniNotShared = 11, "vni_not_shared", "a VXLAN packet came from a host that has no part in the network of its VNI";
    BadVxlan = 12, "bad_vxlan", "a VXLAN header without the I flag";
    BadOuter = 13, "bad_outer", "the lengths of the outer headers contradict each other or the frame";
    OuterFragment = 14, "outer_fragment", "a VXLAN packet is an IP fragment; RFC 7348 forbids VTEPs to fragment";
    Ecn = 15, "ecn", "the underlay marked congestion on a packet whose sender does not understand ECN (RFC 6040)";
    TooBig = 16, "too_big", "the frame and its outer header exceed the MTU of the path to the peer";
    NoRoute = 17, "no_route", "the kernel has no route to the peer's underlay address";
    NoNeighbour = 18, "no_neighbour", "the MAC address of the next hop to the peer is not resolved";
    EncapFailed = 19, "encap_failed", "the kernel refused to make room for the outer header";
    DecapFailed = 20, "decap_failed", "the kernel refused to remove the outer header";
    StaleStrip = 21, "stale_strip", "the XDP and the TC program of an uplink were built for different layouts";
    NotOurs = 22, "not_ours", "a VXLAN packet for another address than this VTEP's was left to the host (not a drop)";
    FdbFull = 23, "fdb_full", "the FDB is full, so the frame was forwarded but its source not learned (not a drop)";
    Tagged = 24, "tagged", "the frame has a VLAN tag, but its network is not VLAN-aware";
    RedirectFailed = 25, "redirect_failed", "the kernel could not hand the frame to the link";
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
        matches!(self, Self::NotOurs | Self::FdbFull)
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
