//! What an IPv6 packet claims, and neighbour discovery in it.

use network_types::{ip::Ipv6Hdr, udp::UdpHdr};

use super::{Guard, ports};
use crate::{
    addr::{Mac, VtepAddr},
    forward::Tables,
    frame::{Ethernet, Packet, protocol},
    ipv6::{REACH, Upper},
    map::port::flag,
    neighbour::{icmp, option},
    reason::Reason,
};

/// UDP ports of DHCPv6 (RFC 8415 section 7.2).
const DHCPV6_CLIENT: u16 = 546;
const DHCPV6_SERVER: u16 = 547;
/// How many options of a neighbour discovery message are looked at.
const OPTIONS: usize = 8;

impl<T: Tables> Guard<'_, T> {
    #[inline(always)]
    pub(super) fn ipv6(&self, packet: &(impl Packet + ?Sized)) -> Result<(), Reason> {
        let Some(ip) = packet.read::<Ipv6Hdr>(Ethernet::LEN) else {
            return self.no_header();
        };
        if ip.vcf[0] >> 4 != 6 {
            return self.no_header();
        }
        let source = VtepAddr::v6(ip.src_addr);
        // Without an address a station may look for one (RFC 4862 section 5.4).
        if self.checks(flag::CHECK_IP) && source != VtepAddr::NONE && !self.owns_v6(source) {
            return Err(Reason::SpoofedIp);
        }
        match packet.upper(&ip) {
            Upper::At {
                protocol: protocol::UDP,
                offset,
            } => match packet.read::<UdpHdr>(offset) {
                Some(udp) => self.udp_v6(&ip, udp),
                None => self.unseen(&ip),
            },
            Upper::At {
                protocol: protocol::ICMPV6,
                offset,
            } => match packet.read::<[u8; 4]>(offset) {
                Some([kind, ..]) => self.icmp_v6(packet, &ip, kind, offset),
                None => self.unseen(&ip),
            },
            Upper::At { .. } | Upper::Earlier => Ok(()),
            Upper::Unseen => self.unseen(&ip),
        }
    }

    #[inline(always)]
    fn udp_v6(&self, ip: &Ipv6Hdr, udp: UdpHdr) -> Result<(), Reason> {
        let (source, destination) = ports(&udp);
        // A client looks at the destination only.
        let is_server = source == DHCPV6_SERVER || destination == DHCPV6_CLIENT;
        if is_server && self.checks(flag::NO_DHCP_SERVER) {
            return Err(Reason::RogueDhcp);
        }
        if destination == self.local.port
            && self.checks(flag::NO_VXLAN)
            && self.is_vtep(VtepAddr::v6(ip.dst_addr))
        {
            return Err(Reason::GuestVxlan);
        }
        Ok(())
    }

    /// Checks a message of neighbour discovery, also behind extension headers.
    #[inline(always)]
    fn icmp_v6(
        &self,
        packet: &(impl Packet + ?Sized),
        ip: &Ipv6Hdr,
        kind: u8,
        offset: usize,
    ) -> Result<(), Reason> {
        if matches!(kind, icmp::ROUTER_ADVERTISEMENT | icmp::REDIRECT) && self.checks(flag::NO_RA) {
            return Err(Reason::RogueRa);
        }
        if !self.checks(flag::CHECK_MAC | flag::CHECK_IP) {
            return Ok(());
        }
        // Where the options begin (RFC 4861 section 4). A redirect's are about another station.
        let options = match kind {
            icmp::ROUTER_SOLICITATION => 8,
            icmp::ROUTER_ADVERTISEMENT => 16,
            icmp::SOLICITATION | icmp::ADVERTISEMENT => 24,
            _ => return Ok(()),
        };
        // A solicitation from nobody asks whether the address may be its own: a claim, which makes
        // the owner's own question fail (RFC 4862 section 5.4.3).
        let claims = kind == icmp::ADVERTISEMENT
            || kind == icmp::SOLICITATION && VtepAddr::v6(ip.src_addr) == VtepAddr::NONE;
        if claims && self.checks(flag::CHECK_IP) {
            match packet.read::<[u64; 2]>(offset + 8) {
                Some(target) if self.owns_v6(VtepAddr::from_halves(target)) => {}
                _ => return Err(Reason::SpoofedIp),
            }
        }
        if !self.checks(flag::CHECK_MAC) {
            return Ok(());
        }
        let end = Ethernet::LEN + Ipv6Hdr::LEN + u16::from_be_bytes(ip.payload_len) as usize;
        if self.owns_options(packet, offset + options, end)? || kind == icmp::ROUTER_ADVERTISEMENT {
            // A router's advertisement may well have more options than are looked at.
            return Ok(());
        }
        Err(Reason::SpoofedMac)
    }

    /// Checks the link-layer addresses in the options from `offset` to `end`; returns whether all
    /// options were seen.
    #[inline(always)]
    fn owns_options(
        &self,
        packet: &(impl Packet + ?Sized),
        mut offset: usize,
        end: usize,
    ) -> Result<bool, Reason> {
        for _ in 0..OPTIONS {
            if offset + 8 > end {
                return Ok(true);
            }
            if offset > REACH + 24 {
                return Ok(false);
            }
            let Some([kind, units, a, b, c, d, e, f]) = packet.read::<[u8; 8]>(offset) else {
                return Ok(false);
            };
            if units == 0 {
                return Ok(false);
            }
            if matches!(kind, option::SOURCE | option::TARGET)
                && !self.owns(Mac([a, b, c, d, e, f]))
            {
                return Err(Reason::SpoofedMac);
            }
            offset += units as usize * 8;
        }
        Ok(offset + 8 > end)
    }

    /// Judges a packet whose upper layer cannot be seen, although it is no later fragment. No
    /// station sends such a one (RFC 7112); RFC 7113 section 3 names who does.
    #[inline(always)]
    fn unseen(&self, ip: &Ipv6Hdr) -> Result<(), Reason> {
        // Advertisements and DHCPv6 come from link-local addresses only.
        let is_link_local = ip.src_addr[0] == 0xfe && ip.src_addr[1] & 0xc0 == 0x80;
        if is_link_local && self.checks(flag::NO_RA) {
            return Err(Reason::RogueRa);
        }
        if is_link_local && self.checks(flag::NO_DHCP_SERVER) {
            return Err(Reason::RogueDhcp);
        }
        if self.checks(flag::NO_VXLAN) && self.is_vtep(VtepAddr::v6(ip.dst_addr)) {
            return Err(Reason::GuestVxlan);
        }
        if self.checks(flag::CHECK_IP) {
            return Err(Reason::SpoofedIp);
        }
        if self.checks(flag::CHECK_MAC) {
            return Err(Reason::SpoofedMac);
        }
        Ok(())
    }
}
