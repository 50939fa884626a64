//! What a guest may claim to be: the checks of [`crate::map::port::flag::SECURITY`].
//!
//! What a check cannot see, because headers are cut off or hidden, does not pass it; what no check
//! of the port is about passes, be it as malformed as it likes (the switch is no firewall).

mod ipv4;
mod ipv6;
mod nobody;

use network_types::{arp::ArpHdr, udp::UdpHdr};

use crate::{
    addr::{Mac, VtepAddr},
    forward::Tables,
    frame::{Ethernet, Packet, ethertype},
    map::{
        allowed::AllowedKey,
        fdb::{FdbKey, origin, place},
        local::Local,
        port::{Port, flag},
    },
    reason::Reason,
};

/// Length fields end here and EtherTypes begin (IEEE 802.3 section 3.2.6).
const FIRST_ETHERTYPE: u16 = 0x0600;

/// A port and the sender of one of its frames.
struct Guard<'a, T> {
    tables: &'a T,
    local: &'a Local,
    /// Slot of the port.
    slot: u32,
    /// Flags of the port.
    flags: u32,
    /// The frame's source.
    src: Mac,
}

/// Checks what a frame without a tag, from the port in that slot and in that segment, claims.
#[inline(always)]
pub fn check(
    tables: &impl Tables,
    slot: u32,
    port: &Port,
    segment: u32,
    local: &Local,
    packet: &(impl Packet + ?Sized),
    frame: &Ethernet,
) -> Result<(), Reason> {
    if port.flags & flag::SECURITY == 0 {
        return Ok(());
    }
    let guard = Guard {
        tables,
        local,
        slot,
        flags: port.flags,
        src: frame.src,
    };
    if guard.checks(flag::LOCKED) && !guard.is_fixed(segment) {
        return Err(Reason::Locked);
    }
    if guard.checks(flag::CHECK_MAC) && !tables.allows(&AllowedKey::mac(slot, frame.src)) {
        return Err(Reason::SpoofedMac);
    }
    match frame.ethertype {
        ethertype::IPV4 => guard.ipv4(packet),
        ethertype::IPV6 => {
            guard.nobody_v6(packet)?;
            guard.ipv6(packet)
        }
        ethertype::ARP => guard.arp(packet),
        length if length < FIRST_ETHERTYPE => guard.snap(packet),
        _ => Ok(()),
    }
}

impl<T: Tables> Guard<'_, T> {
    /// Returns whether the port has one of these checks.
    #[inline(always)]
    fn checks(&self, flags: u32) -> bool {
        self.flags & flags != 0
    }

    /// Returns whether somebody wrote down that the source is at this port.
    #[inline(always)]
    fn is_fixed(&self, segment: u32) -> bool {
        match self.tables.fdb(&FdbKey::new(segment, self.src)) {
            Some(row) => {
                row.origin != origin::LEARNED && row.place == place::PORT && row.slot == self.slot
            }
            None => false,
        }
    }

    /// Returns whether the port may use a MAC address; the frame's source has been checked.
    #[inline(always)]
    fn owns(&self, mac: Mac) -> bool {
        mac == self.src || self.tables.allows(&AllowedKey::mac(self.slot, mac))
    }

    /// Returns whether the port may use an IPv4 address, in its mapped form.
    #[inline(always)]
    fn owns_v4(&self, address: VtepAddr) -> bool {
        self.tables.allows(&AllowedKey::ip(self.slot, address))
    }

    /// Returns whether the port may use an IPv6 address: an allowed one, or the link-local one that
    /// a station makes of its MAC address (RFC 4291 appendix A).
    #[inline(always)]
    fn owns_v6(&self, address: VtepAddr) -> bool {
        let Mac([a, b, c, d, e, f]) = self.src;
        let own = [
            0xfe,
            0x80,
            0,
            0,
            0,
            0,
            0,
            0,
            a ^ 2,
            b,
            c,
            0xff,
            0xfe,
            d,
            e,
            f,
        ];
        address == VtepAddr::v6(own) || (!address.is_v4() && self.owns_v4(address))
    }

    /// Returns whether VTEPs receive what is sent to an address.
    #[inline(always)]
    fn is_vtep(&self, address: VtepAddr) -> bool {
        // Networks may flood to a group, which every VTEP of theirs has joined. Which groups those
        // are is not asked: a guest has no VXLAN to send to any.
        address.is_multicast()
            // Free rows hold no address; nobody may be taken for theirs.
            || address != VtepAddr::NONE
                && (address == self.local.underlay || self.tables.vtep(address).is_some())
    }

    /// Judges an IP packet without a header that can be read.
    #[inline(always)]
    fn no_header(&self) -> Result<(), Reason> {
        if self.checks(flag::CHECK_IP) {
            return Err(Reason::SpoofedIp);
        }
        Ok(())
    }

    #[inline(always)]
    fn arp(&self, packet: &(impl Packet + ?Sized)) -> Result<(), Reason> {
        if !self.checks(flag::CHECK_MAC | flag::CHECK_IP) {
            return Ok(());
        }
        let unsound = if self.checks(flag::CHECK_IP) {
            Reason::SpoofedIp
        } else {
            Reason::SpoofedMac
        };
        let Some(arp) = packet.read::<ArpHdr>(Ethernet::LEN) else {
            return Err(unsound);
        };
        if arp.ptype != ethertype::IPV4.to_be_bytes() {
            return Ok(());
        }
        // Any hardware type: Linux takes 6 (IEEE 802) for Ethernet's too.
        if arp.hlen != 6 || arp.plen != 4 {
            return Err(unsound);
        }
        if self.checks(flag::CHECK_MAC) && !self.owns(Mac(arp.sha)) {
            return Err(Reason::SpoofedMac);
        }
        // A probe has no sender (RFC 5227 section 2.1.1).
        if self.checks(flag::CHECK_IP) && !is_zero(arp.spa) && !self.owns_v4(VtepAddr::v4(arp.spa))
        {
            return Err(Reason::SpoofedIp);
        }
        Ok(())
    }

    /// Refuses IP and ARP in LLC and SNAP headers, which no station needs (RFC 1042) but some
    /// understand: a way around every check here (CERT VU#855201, CVE-2021-27854).
    #[inline(always)]
    fn snap(&self, packet: &(impl Packet + ?Sized)) -> Result<(), Reason> {
        let Some([0xaa, 0xaa, 3, _, _, _, high, low]) = packet.read::<[u8; 8]>(Ethernet::LEN)
        else {
            return Ok(());
        };
        let is_checked = matches!(
            u16::from_be_bytes([high, low]),
            ethertype::IPV4
                | ethertype::IPV6
                | ethertype::ARP
                | ethertype::VLAN
                | ethertype::SERVICE_VLAN
        );
        if !is_checked {
            return Ok(());
        }
        if self.checks(flag::CHECK_IP) {
            return Err(Reason::SpoofedIp);
        }
        if self.checks(flag::CHECK_MAC) {
            return Err(Reason::SpoofedMac);
        }
        if self.checks(flag::NO_RA) {
            return Err(Reason::RogueRa);
        }
        if self.checks(flag::NO_DHCP_SERVER) {
            return Err(Reason::RogueDhcp);
        }
        Ok(())
    }
}

#[inline(always)]
const fn is_zero(address: [u8; 4]) -> bool {
    u32::from_ne_bytes(address) == 0
}

/// Returns the source and destination port, host order.
#[inline(always)]
const fn ports(udp: &UdpHdr) -> (u16, u16) {
    (u16::from_be_bytes(udp.src), u16::from_be_bytes(udp.dst))
}

#[cfg(test)]
mod tests;
