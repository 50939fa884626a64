//! Recognising VXLAN packets that are addressed to this host (RFC 7348 section 5).
//!
//! ```text
//! +----------+---------+-----+-------------------------------+----------------
//! | Ethernet | IPv4/v6 | UDP | flags(8) 0(24) VNI(24) 0(8)   | inner Ethernet …
//! +----------+---------+-----+-------------------------------+----------------
//! ```

use network_types::{
    ip::{Ipv4Hdr, Ipv6Hdr},
    udp::UdpHdr,
    vxlan::VxlanHdr,
};

use crate::{
    addr::VtepAddr,
    frame::{Ethernet, Packet, ethertype, protocol},
    map::local::Local,
    reason::Reason,
};

/// What an underlay packet is to this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outer {
    /// Not VXLAN, or malformed in a way that the host's own stack judges: leave it alone.
    Foreign,
    /// VXLAN for another address than our VTEP's: leave it alone and count it.
    NotOurs,
    /// VXLAN for us.
    Vxlan(Tunnelled),
    /// VXLAN for us that must be dropped.
    Bad(Reason),
}

/// A VXLAN packet for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tunnelled {
    /// Underlay address of the sender, IPv4 as mapped.
    pub source: VtepAddr,
    /// The multicast group that it is addressed to, or none if it is to this host's VTEP.
    pub group: VtepAddr,
    /// VNI as found, 24 bits; not checked against any table.
    pub vni: u32,
    /// Source port of the outer UDP header, which stands for the inner flow.
    pub source_port: u16,
    /// TOS or traffic class of the outer header.
    pub traffic_class: u8,
    /// Where the inner frame starts.
    pub start: u32,
    /// Where the inner frame ends: the smallest bound that the headers and the packet give, so
    /// that padding is never taken for payload.
    pub end: u32,
}

/// What the IP header says, whichever family it is of.
struct Ip {
    source: VtepAddr,
    destination: VtepAddr,
    traffic_class: u8,
    /// Where the UDP header starts.
    payload: u32,
    /// Where the IP packet ends by its own length field.
    end: u32,
    more_fragments: bool,
}

/// Classifies a packet that an uplink received.
///
/// `is_gso` marks a super-packet, whose length fields describe one segment or overflow 16 bits.
#[inline(always)]
pub fn classify(packet: &(impl Packet + ?Sized), local: &Local, is_gso: bool) -> Outer {
    let Some(ethernet) = Ethernet::parse(packet, 0) else {
        return Outer::Foreign;
    };
    let ip = match (ethernet.ethertype, local.family) {
        (ethertype::IPV4, 4) => ipv4(packet),
        (ethertype::IPV6, 6) => ipv6(packet),
        _ => None,
    };
    let Some(ip) = ip else { return Outer::Foreign };
    let Some(udp) = packet.read::<UdpHdr>(ip.payload as usize) else {
        return Outer::Foreign;
    };
    if u16::from_be_bytes(udp.dst) != local.port {
        return Outer::Foreign;
    }
    if ip.destination == local.underlay {
        if ip.more_fragments {
            return Outer::Bad(Reason::OuterFragment);
        }
        return tunnelled(packet, &ip, &udp, is_gso);
    }
    // A group may be others' too: what is wrong with its packets is not ours to judge.
    if !ip.destination.is_multicast() || ip.more_fragments {
        return Outer::NotOurs;
    }
    match tunnelled(packet, &ip, &udp, is_gso) {
        Outer::Vxlan(packet) => Outer::Vxlan(Tunnelled {
            group: ip.destination,
            ..packet
        }),
        _ => Outer::NotOurs,
    }
}

/// Reads an IPv4 header up to its options; `None` if it is not UDP's or not a first fragment.
#[inline(always)]
fn ipv4(packet: &(impl Packet + ?Sized)) -> Option<Ip> {
    let ip: Ipv4Hdr = packet.read(Ethernet::LEN)?;
    let header = u32::from(ip.ihl());
    let fragment = u16::from_be_bytes(ip.frags);
    if ip.version() != 4
        || header < Ipv4Hdr::LEN as u32
        || ip.proto != protocol::UDP
        || fragment & 0x1fff != 0
    {
        return None;
    }
    let start = Ethernet::LEN as u32;
    Some(Ip {
        source: VtepAddr::v4(ip.src_addr),
        destination: VtepAddr::v4(ip.dst_addr),
        traffic_class: ip.tos,
        payload: start + header,
        end: start + u32::from(u16::from_be_bytes(ip.tot_len)),
        more_fragments: fragment & 0x2000 != 0,
    })
}

/// Reads an IPv6 header. Extension headers are left to the host: no VTEP sends them, and a
/// fragment hides behind one.
#[inline(always)]
fn ipv6(packet: &(impl Packet + ?Sized)) -> Option<Ip> {
    let ip: Ipv6Hdr = packet.read(Ethernet::LEN)?;
    if ip.vcf[0] >> 4 != 6 || ip.next_hdr != protocol::UDP {
        return None;
    }
    let payload = (Ethernet::LEN + Ipv6Hdr::LEN) as u32;
    Some(Ip {
        source: VtepAddr::v6(ip.src_addr),
        destination: VtepAddr::v6(ip.dst_addr),
        traffic_class: ip.vcf[0] << 4 | ip.vcf[1] >> 4,
        payload,
        end: payload + u32::from(u16::from_be_bytes(ip.payload_len)),
        more_fragments: false,
    })
}

/// Checks the lengths and the VXLAN header. A non-zero UDP checksum is accepted unverified, as
/// RFC 7348 section 5 allows; reserved bits are ignored.
#[inline(always)]
fn tunnelled(packet: &(impl Packet + ?Sized), ip: &Ip, udp: &UdpHdr, is_gso: bool) -> Outer {
    let start = ip.payload + (UdpHdr::LEN + VxlanHdr::LEN) as u32;
    let udp_end = ip.payload + u32::from(u16::from_be_bytes(udp.len));
    let end = if is_gso { packet.len() } else { udp_end };
    let contradicts = !is_gso && (udp_end > ip.end || ip.end > packet.len());
    if contradicts || end < start + Ethernet::LEN as u32 {
        return Outer::Bad(Reason::BadOuter);
    }
    let Some(vxlan) = packet.read::<VxlanHdr>(ip.payload as usize + UdpHdr::LEN) else {
        return Outer::Bad(Reason::BadOuter);
    };
    if !vxlan.vni_present() {
        return Outer::Bad(Reason::BadVxlan);
    }
    Outer::Vxlan(Tunnelled {
        source: ip.source,
        group: VtepAddr::NONE,
        vni: vxlan.vni(),
        source_port: u16::from_be_bytes(udp.src),
        traffic_class: ip.traffic_class,
        start,
        end,
    })
}

#[cfg(test)]
mod tests;
