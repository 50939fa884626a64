//! What frames say of who has which IP address (ARP, RFC 826 and 5227; neighbour discovery, RFC
//! 4861), and answering in a station's place.
//!
//! Only what a careful station would believe is heard. What is not a sound message is left alone:
//! it goes its way as any frame does.

use network_types::{arp::ArpHdr, eth::EthHdr, ip::Ipv6Hdr};

use crate::{
    addr::{Mac, VtepAddr},
    checksum,
    frame::{Ethernet, Packet, PacketMut, ethertype, protocol},
    map::{
        fdb::FdbEntry,
        neighbour::{NOBODY, Neighbour},
    },
    reason::Reason,
};

/// What a frame says and asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    pub claim: Option<Claim>,
    pub question: Option<Question>,
}

impl Heard {
    /// Nothing to believe and nothing to answer.
    pub const NOTHING: Self = Self {
        claim: None,
        question: None,
    };
}

/// The sender says that an address is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub mac: Mac,
    pub address: VtepAddr,
    /// Whether the sender is a router, where the message tells (only an advertisement does).
    pub router: Option<bool>,
}

/// The sender asks everybody who has an address, and can be answered in its own frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    pub target: VtepAddr,
    /// The sender's own address.
    pub asker: VtepAddr,
    /// 4 for ARP, 6 for neighbour discovery.
    pub family: u8,
}

/// ARP over Ethernet for IPv4, in network order.
const ARP_ETHERNET: [u8; 2] = [0, 1];
const ARP_IPV4: [u8; 2] = ethertype::IPV4.to_be_bytes();
/// ARP operations, in network order.
const REQUEST: [u8; 2] = [0, 1];
const REPLY: [u8; 2] = [0, 2];

/// ICMPv6 types of neighbour discovery (RFC 4861 section 4).
pub mod icmp {
    pub const ROUTER_SOLICITATION: u8 = 133;
    pub const ROUTER_ADVERTISEMENT: u8 = 134;
    pub const SOLICITATION: u8 = 135;
    pub const ADVERTISEMENT: u8 = 136;
    pub const REDIRECT: u8 = 137;
}

/// Types of a link-layer address option (RFC 4861 section 4.6.1).
pub mod option {
    pub const SOURCE: u8 = 1;
    pub const TARGET: u8 = 2;
}

/// The hop limit that proves that a message crossed no router (RFC 4861 section 7.1).
const HOP_LIMIT: u8 = 255;
/// Where an ICMPv6 message stands without extension headers.
const MESSAGE: usize = Ethernet::LEN + Ipv6Hdr::LEN;
/// Bytes of a solicitation or advertisement without an option, and with one link-layer address.
const BARE: u16 = 24;
const WITH_OPTION: u16 = 32;

/// Flags of an advertisement (RFC 4861 section 4.4).
const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// Listens to a frame without a tag.
#[inline(always)]
pub fn hear(packet: &(impl Packet + ?Sized), frame: &Ethernet) -> Result<Heard, Reason> {
    match frame.ethertype {
        ethertype::ARP => arp(packet, frame),
        ethertype::IPV6 => discovery(packet, frame),
        _ => Ok(Heard::NOTHING),
    }
}

/// Returns whether an address may be that of a station behind `holder`: `owner` is the address's row
/// of `RESERVED`, if it has one.
///
/// Whoever answers for the gateway gets what a network sends to all others; who it is, the
/// configuration says.
#[inline(always)]
pub const fn may_have(owner: Option<u32>, holder: u32) -> bool {
    match owner {
        Some(owner) => owner != NOBODY && owner == holder,
        None => true,
    }
}

/// Returns whether an address that a station behind `holder` claims is known to be another's: a guest
/// that says that it is the gateway. `owner` is as for [`may_have`]; that nobody is answered for an
/// address does not make it anybody's.
#[inline(always)]
pub const fn is_stolen(owner: Option<u32>, holder: u32) -> bool {
    match owner {
        Some(owner) => owner != NOBODY && owner != holder,
        None => false,
    }
}

/// Returns whether it is certain enough to answer in its place that a station has an address: it said
/// so not long ago, its place is known, and there it may have it, also by a configuration that is
/// newer than what it said. `owner` is as for [`may_have`]; times in nanoseconds.
#[inline(always)]
pub const fn is_certain(
    known: &Neighbour,
    station: &FdbEntry,
    owner: Option<u32>,
    now: u64,
    ageing: u64,
) -> bool {
    now.saturating_sub(known.last_seen) < ageing
        && station.is_live(now, ageing)
        && may_have(owner, station.holder())
}

/// Turns a question's frame into its answer: `mac` has the target, and is a router or not.
/// Returns whether it could.
#[inline(always)]
pub fn answer(
    packet: &mut (impl PacketMut + ?Sized),
    frame: &Ethernet,
    question: &Question,
    mac: Mac,
    router: bool,
) -> bool {
    // What is written last cannot fail if this did not, so no frame is left half an answer.
    let written = if question.family == 6 {
        advertise(packet, question, mac, router)
    } else {
        let reply = ArpHdr {
            htype: ARP_ETHERNET,
            ptype: ARP_IPV4,
            hlen: 6,
            plen: 4,
            oper: REPLY,
            sha: mac.0,
            spa: v4(question.target),
            tha: frame.src.0,
            tpa: v4(question.asker),
        };
        packet.write(Ethernet::LEN, &reply)
    };
    let ethernet = EthHdr {
        dst_addr: frame.src.0,
        src_addr: mac.0,
        ether_type: frame.ethertype.to_be(),
    };
    written && packet.write(0, &ethernet)
}

#[inline(always)]
fn arp(packet: &(impl Packet + ?Sized), frame: &Ethernet) -> Result<Heard, Reason> {
    let Some(arp) = packet.read::<ArpHdr>(Ethernet::LEN) else {
        return Ok(Heard::NOTHING);
    };
    let is_request = arp.oper == REQUEST;
    let is_ours = arp.htype == ARP_ETHERNET && arp.ptype == ARP_IPV4;
    if !is_ours || arp.hlen != 6 || arp.plen != 4 || !(is_request || arp.oper == REPLY) {
        return Ok(Heard::NOTHING);
    }
    let mac = Mac(arp.sha);
    if !is_station(mac) {
        return Err(Reason::BadNeighbour);
    }
    let address = VtepAddr::v4(arp.spa);
    // A probe (RFC 5227 section 2.1.1) comes from nobody yet.
    if mac != frame.src || !is_host(arp.spa) {
        return Ok(Heard::NOTHING);
    }
    let target = VtepAddr::v4(arp.tpa);
    // An announcement asks nothing (RFC 5227 section 2.3), and who asks one station alone wants to
    // know whether that one is there (RFC 1122 section 2.3.2.1).
    let asks = is_request && frame.dst == Mac::BROADCAST && target != address;
    Ok(Heard {
        claim: Some(Claim {
            mac,
            address,
            router: None,
        }),
        question: asks.then_some(Question {
            target,
            asker: address,
            family: 4,
        }),
    })
}

/// Hears a message whose options are at most one link-layer address: the ones that stations send.
#[inline(always)]
fn discovery(packet: &(impl Packet + ?Sized), frame: &Ethernet) -> Result<Heard, Reason> {
    let Some(ip) = packet.read::<Ipv6Hdr>(Ethernet::LEN) else {
        return Ok(Heard::NOTHING);
    };
    let len = u16::from_be_bytes(ip.payload_len);
    if ip.next_hdr != protocol::ICMPV6
        || ip.hop_limit != HOP_LIMIT
        || ip.vcf[0] >> 4 != 6
        || !matches!(len, BARE | WITH_OPTION)
    {
        return Ok(Heard::NOTHING);
    }
    let Some([head, high, low]) = packet.read::<[u64; 3]>(MESSAGE) else {
        return Ok(Heard::NOTHING);
    };
    let [kind, code, _, _, flags, ..] = head.to_ne_bytes();
    if !matches!(kind, icmp::SOLICITATION | icmp::ADVERTISEMENT) || code != 0 {
        return Ok(Heard::NOTHING);
    }
    // Without the option there is nobody's address in the message.
    if len == BARE {
        return Ok(Heard::NOTHING);
    }
    let Some([link_layer]) = packet.read::<[u64; 1]>(MESSAGE + BARE as usize) else {
        return Ok(Heard::NOTHING);
    };
    let source = VtepAddr::v6(ip.src_addr);
    let destination = VtepAddr::v6(ip.dst_addr);
    let sum = checksum::pseudo_v6(source, destination, len, protocol::ICMPV6)
        + checksum::sum(&[head, high, low, link_layer]);
    if checksum::fold(sum) != 0xffff {
        return Ok(Heard::NOTHING);
    }
    let target = VtepAddr::from_halves([high, low]);
    let [option, units, a, b, c, d, e, f] = link_layer.to_ne_bytes();
    let is_solicitation = kind == icmp::SOLICITATION;
    let wanted = if is_solicitation {
        option::SOURCE
    } else {
        option::TARGET
    };
    if option != wanted || units != 1 || !is_unicast(target) {
        return Ok(Heard::NOTHING);
    }
    let mac = Mac([a, b, c, d, e, f]);
    if !is_station(mac) {
        return Err(Reason::BadNeighbour);
    }
    // Who has no address yet (RFC 4861 section 7.1.1) must not be answered by others.
    if mac != frame.src || !is_unicast(source) {
        return Ok(Heard::NOTHING);
    }
    if is_solicitation {
        let question = Question {
            target,
            asker: source,
            family: 6,
        };
        return Ok(Heard {
            claim: Some(Claim {
                mac,
                address: source,
                router: None,
            }),
            // An announcement of the sender's own address asks nothing.
            question: (frame.dst.is_group() && target != source).then_some(question),
        });
    }
    // RFC 4861 section 7.1.2.
    if destination.is_multicast() && flags & SOLICITED != 0 {
        return Ok(Heard::NOTHING);
    }
    Ok(Heard {
        claim: Some(Claim {
            mac,
            address: target,
            router: Some(flags & ROUTER != 0),
        }),
        question: None,
    })
}

/// Writes an advertisement over a solicitation, which is as long.
#[inline(always)]
fn advertise(
    packet: &mut (impl PacketMut + ?Sized),
    question: &Question,
    mac: Mac,
    router: bool,
) -> bool {
    let flags = SOLICITED | OVERRIDE | if router { ROUTER } else { 0 };
    let [high, low] = question.target.halves();
    let Mac([a, b, c, d, e, f]) = mac;
    let link_layer = u64::from_ne_bytes([option::TARGET, 1, a, b, c, d, e, f]);
    let head = |[x, y]: [u8; 2]| u64::from_ne_bytes([icmp::ADVERTISEMENT, 0, x, y, flags, 0, 0, 0]);
    let (source, destination) = (question.target, question.asker);
    let sum = checksum::pseudo_v6(source, destination, WITH_OPTION, protocol::ICMPV6)
        + checksum::sum(&[head([0; 2]), high, low, link_layer]);
    let check = (!checksum::fold(sum)).to_ne_bytes();
    let ip = Ipv6Hdr {
        vcf: [6 << 4, 0, 0, 0],
        payload_len: WITH_OPTION.to_be_bytes(),
        next_hdr: protocol::ICMPV6,
        hop_limit: HOP_LIMIT,
        src_addr: source.octets(),
        dst_addr: destination.octets(),
    };
    packet.write(MESSAGE, &[head(check), high, low, link_layer]) && packet.write(Ethernet::LEN, &ip)
}

/// Returns whether one station can have the address.
#[inline(always)]
const fn is_station(mac: Mac) -> bool {
    !mac.is_group() && !mac.is_zero()
}

/// Returns whether one station can have the IPv4 address: neither zero nor of the classes D and E,
/// broadcast among them.
#[inline(always)]
const fn is_host([a, b, c, d]: [u8; 4]) -> bool {
    a | b | c | d != 0 && a < 224
}

/// Returns whether one station can have the IPv6 address.
#[inline(always)]
fn is_unicast(address: VtepAddr) -> bool {
    address != VtepAddr::NONE && !address.is_multicast() && !address.is_v4()
}

#[inline(always)]
const fn v4(address: VtepAddr) -> [u8; 4] {
    address.words()[3].to_ne_bytes()
}

#[cfg(test)]
mod tests;
