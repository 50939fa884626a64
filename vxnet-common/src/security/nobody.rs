//! What a station may send before it has an IPv6 address.

use network_types::ip::Ipv6Hdr;

use super::Guard;
use crate::{
    addr::VtepAddr,
    forward::Tables,
    frame::{Ethernet, Packet, protocol},
    map::port::flag,
    neighbour::icmp,
    reason::Reason,
};

/// Types of multicast listener reports (RFC 2710 section 3, RFC 3810 section 5).
const LISTENER_REPORT: u8 = 131;
const LISTENER_REPORT_V2: u8 = 143;
/// The number of the hop-by-hop options header, and the length in it if it holds nothing but the
/// router alert (RFC 2711), as a report does.
const HOP_BY_HOP: u8 = 0;
const ONE_UNIT: u8 = 0;
/// Where the upper layer stands without that header.
const UPPER: usize = Ethernet::LEN + Ipv6Hdr::LEN;

impl<T: Tables> Guard<'_, T> {
    /// Refuses an IPv6 packet from `::` but those that a station without an address sends: is an
    /// address its own (RFC 4862 section 5.4.2), is there a router (RFC 4861 section 4.1), and which
    /// groups it listens to (RFC 3590). From nobody else's address, anything else would be the way
    /// around the check of sources.
    #[inline(always)]
    pub(super) fn nobody_v6(&self, packet: &(impl Packet + ?Sized)) -> Result<(), Reason> {
        if !self.checks(flag::CHECK_IP) {
            return Ok(());
        }
        let Some(ip) = packet.read::<Ipv6Hdr>(Ethernet::LEN) else {
            return self.no_header();
        };
        if VtepAddr::v6(ip.src_addr) != VtepAddr::NONE {
            return Ok(());
        }
        // Every station builds these alike; what is hidden behind more headers is not looked for.
        let is_needed = match ip.next_hdr {
            protocol::ICMPV6 => matches!(
                packet.read::<[u8; 1]>(UPPER),
                Some([icmp::SOLICITATION | icmp::ROUTER_SOLICITATION])
            ),
            HOP_BY_HOP => matches!(
                packet.read::<[u8; 9]>(UPPER),
                Some([
                    protocol::ICMPV6,
                    ONE_UNIT,
                    ..,
                    LISTENER_REPORT | LISTENER_REPORT_V2
                ])
            ),
            _ => false,
        };
        if is_needed {
            Ok(())
        } else {
            Err(Reason::SpoofedIp)
        }
    }
}
