//! What an IPv4 packet claims, and DHCP in it.

use network_types::{ip::Ipv4Hdr, udp::UdpHdr};

use super::{Guard, is_zero, ports};
use crate::{
    addr::{Mac, VtepAddr},
    forward::Tables,
    frame::{Ethernet, Packet, protocol},
    map::port::flag,
    reason::Reason,
};

/// UDP ports of DHCP (RFC 2131 section 4.1).
const DHCP_SERVER: u16 = 67;
const DHCP_CLIENT: u16 = 68;
/// What a client's DHCP message begins with: BOOTREQUEST, and a hardware address of Ethernet.
const BOOTREQUEST: u8 = 1;
const BOOTP_ETHERNET: [u8; 2] = [1, 6];
/// Where the client's hardware address stands in a DHCP message (RFC 2131 section 2).
const CHADDR: usize = 28;
/// Bits of an IPv4 header that hold the fragment's offset.
const FRAGMENT_OFFSET: u16 = 0x1fff;

impl<T: Tables> Guard<'_, T> {
    #[inline(always)]
    pub(super) fn ipv4(&self, packet: &(impl Packet + ?Sized)) -> Result<(), Reason> {
        let Some(ip) = packet.read::<Ipv4Hdr>(Ethernet::LEN) else {
            return self.no_header();
        };
        let header = (ip.vihl & 0x0f) as usize * 4;
        if ip.vihl >> 4 != 4 || header < Ipv4Hdr::LEN {
            return self.no_header();
        }
        let offset = Ethernet::LEN + header;
        // Ports are in the first fragment; without it the others are worth nothing.
        let is_first = u16::from_be_bytes(ip.frags) & FRAGMENT_OFFSET == 0;
        let has_ports = ip.proto == protocol::UDP && is_first;
        // What stands behind the packet's own end is padding, whatever it looks like.
        let is_whole = u16::from_be_bytes(ip.tot_len) as usize >= header + UdpHdr::LEN;
        let udp = if has_ports && is_whole {
            packet.read::<UdpHdr>(offset)
        } else {
            None
        };
        if self.checks(flag::CHECK_IP) {
            let is_allowed = if is_zero(ip.src_addr) {
                // A client without an address yet.
                matches!(udp, Some(udp) if ports(&udp) == (DHCP_CLIENT, DHCP_SERVER))
            } else {
                self.owns_v4(VtepAddr::v4(ip.src_addr))
            };
            if !is_allowed {
                return Err(Reason::SpoofedIp);
            }
        }
        let Some(udp) = udp else {
            return if has_ports {
                self.unseen_v4(&ip)
            } else {
                Ok(())
            };
        };
        let (source, destination) = ports(&udp);
        // A client looks at the destination only.
        if source == DHCP_SERVER || destination == DHCP_CLIENT {
            if self.checks(flag::NO_DHCP_SERVER) {
                return Err(Reason::RogueDhcp);
            }
        } else if destination == DHCP_SERVER && self.checks(flag::CHECK_MAC) {
            // Whatever the source port: not every server asks for 68.
            self.dhcp(packet, offset + UdpHdr::LEN)?;
        }
        if destination == self.local.port
            && self.checks(flag::NO_VXLAN)
            && self.is_vtep(VtepAddr::v4(ip.dst_addr))
        {
            return Err(Reason::GuestVxlan);
        }
        Ok(())
    }

    /// Judges UDP that ends before its ports do. No station sends such a packet, and a check that
    /// cannot see them must not guess (RFC 1858 section 3).
    #[inline(always)]
    fn unseen_v4(&self, ip: &Ipv4Hdr) -> Result<(), Reason> {
        if self.checks(flag::NO_DHCP_SERVER) {
            return Err(Reason::RogueDhcp);
        }
        if self.checks(flag::NO_VXLAN) && self.is_vtep(VtepAddr::v4(ip.dst_addr)) {
            return Err(Reason::GuestVxlan);
        }
        if self.checks(flag::CHECK_MAC) {
            return Err(Reason::SpoofedMac);
        }
        Ok(())
    }

    /// Checks the hardware address in a client's DHCP message.
    #[inline(always)]
    fn dhcp(&self, packet: &(impl Packet + ?Sized), offset: usize) -> Result<(), Reason> {
        let Some([operation, kind, len]) = packet.read::<[u8; 3]>(offset) else {
            return Err(Reason::SpoofedMac);
        };
        if operation != BOOTREQUEST {
            return Ok(());
        }
        // A longer address would be another client to the server.
        match packet.read::<[u8; 6]>(offset + CHADDR) {
            Some(mac) if [kind, len] == BOOTP_ETHERNET && self.owns(Mac(mac)) => Ok(()),
            _ => Err(Reason::SpoofedMac),
        }
    }
}
