//! The frame that is traced: given in hexadecimal, out of a capture file, or built.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use anyhow::{Result, bail};
use vxnet_common::{
    addr::Mac,
    frame::{ethertype, protocol},
};

use super::pcap;
use crate::cli::words::parse_mac;

/// Bytes of a frame that Ethernet asks for, without its checksum.
const SHORTEST: usize = 60;
/// Bytes of a frame that is traced at most.
const LONGEST: usize = 65_535;
/// Time to live of built packets.
const TTL: u8 = 64;

/// Where the frame comes from.
#[derive(clap::Args)]
#[group(id = "built", multiple = true)]
pub(super) struct Source {
    /// The frame in hexadecimal, from its destination address on
    #[arg(conflicts_with_all = ["pcap", "src"], required_unless_present_any = ["pcap", "src"])]
    hex: Vec<String>,
    /// Take the frame from a capture file
    #[arg(long, value_name = "FILE", conflicts_with = "src")]
    pcap: Option<PathBuf>,
    /// Which frame of the file, from 1
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        requires = "pcap",
        conflicts_with = "hex"
    )]
    number: usize,
    /// Build a frame from this address
    #[arg(long, value_name = "MAC", value_parser = parse_mac)]
    src: Option<Mac>,
    /// To this address; without it, an ARP request goes to everybody
    #[arg(long, value_name = "MAC", value_parser = parse_mac, requires = "src")]
    dst: Option<Mac>,
    /// With a tag of this VLAN; 0 for one that only holds a priority
    #[arg(long, value_name = "VID", value_parser = clap::value_parser!(u16).range(..=4095), requires = "src")]
    vlan: Option<u16>,
    /// Priority in the tag
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(..=7), requires = "vlan")]
    pcp: Option<u16>,
    /// An ARP request for this address
    #[arg(long, value_name = "IP", requires_all = ["src", "sender_ip"], group = "payload")]
    arp: Option<Ipv4Addr>,
    /// The address that asks
    #[arg(long, value_name = "IP", requires = "arp")]
    sender_ip: Option<Ipv4Addr>,
    /// A UDP datagram from one address and port to another
    #[arg(long, num_args = 2, value_names = ["SRC:PORT", "DST:PORT"], requires_all = ["src", "dst"], group = "payload")]
    udp: Vec<SocketAddr>,
    /// An ICMP or ICMPv6 echo request from one address to another
    #[arg(long, num_args = 2, value_names = ["SRC", "DST"], requires_all = ["src", "dst"], group = "payload")]
    icmp: Vec<IpAddr>,
    /// Zeros of this EtherType, as in 0x88cc
    #[arg(long, value_name = "TYPE", value_parser = parse_ethertype, requires_all = ["src", "dst"], group = "payload")]
    ethertype: Option<u16>,
    /// Bytes of the frame, headers and tag included
    #[arg(long, value_name = "N", requires = "src")]
    len: Option<usize>,
}

impl Source {
    /// Returns the frame.
    pub(super) fn frame(&self) -> Result<Vec<u8>> {
        if let Some(path) = &self.pcap {
            return pcap::frame(path, self.number);
        }
        match self.src {
            Some(src) => self.build(src),
            None => parse_hex(&self.hex.concat()),
        }
    }

    fn build(&self, src: Mac) -> Result<Vec<u8>> {
        let Some(dst) = self.dst.or_else(|| self.arp.map(|_| Mac::BROADCAST)) else {
            bail!("to whom does the frame go?\nhint: add --dst MAC");
        };
        let mut frame = [dst.0, src.0].concat();
        if let Some(vlan) = self.vlan {
            frame.extend(ethertype::VLAN.to_be_bytes());
            frame.extend((self.pcp.unwrap_or(0) << 13 | vlan).to_be_bytes());
        }
        let len = self.len.unwrap_or(SHORTEST);
        if !(frame.len() + 2..=LONGEST).contains(&len) {
            bail!("a frame has {} to {LONGEST} bytes", frame.len() + 2);
        }
        let room = len - frame.len() - 2;
        let (kind, payload) = self.payload(src, room)?;
        frame.extend(kind.to_be_bytes());
        frame.extend(payload);
        if frame.len() < len {
            frame.resize(len, 0);
        }
        Ok(frame)
    }

    /// Returns the EtherType and what follows, which fills `room` if it can.
    fn payload(&self, src: Mac, room: usize) -> Result<(u16, Vec<u8>)> {
        if let (Some(target), Some(sender)) = (self.arp, self.sender_ip) {
            return Ok((ethertype::ARP, arp(src, sender, target)));
        }
        if let [from, to] = self.udp[..] {
            let header = |length: usize| {
                let [high, low] = u16::try_from(length)?.to_be_bytes();
                let ports = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
                Ok([&ports[..], &[high, low, 0, 0]].concat())
            };
            return ip(from.ip(), to.ip(), protocol::UDP, room, 6, header);
        }
        if let [from, to] = self.icmp[..] {
            let (number, kind) = match from {
                IpAddr::V4(_) => (protocol::ICMP, 8),
                IpAddr::V6(_) => (protocol::ICMPV6, 128),
            };
            let header = |_| Ok(vec![kind, 0, 0, 0, 0, 1, 0, 1]);
            return ip(from, to, number, room, 2, header);
        }
        match self.ethertype {
            Some(kind) => Ok((kind, Vec::new())),
            None => bail!("what is in the frame?\nhint: add --arp, --udp, --icmp or --ethertype"),
        }
    }
}

/// Reads a frame in hexadecimal; blanks and colons do not count.
fn parse_hex(text: &str) -> Result<Vec<u8>> {
    let digits: Vec<char> = text
        .chars()
        .filter(|c| !c.is_whitespace() && *c != ':')
        .collect();
    let byte = |pair: &[char]| {
        let [high, low] = pair else { return None };
        Some((high.to_digit(16)? << 4 | low.to_digit(16)?) as u8)
    };
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    match bytes {
        Some(bytes) if bytes.is_empty() => bail!("the frame has no bytes"),
        Some(bytes) if bytes.len() <= LONGEST => Ok(bytes),
        Some(_) => bail!("a frame has {LONGEST} bytes at most"),
        None => {
            bail!("a frame in hexadecimal has two digits a byte, as in ff:ff:ff:ff:ff:ff 52:54:…")
        }
    }
}

fn parse_ethertype(text: &str) -> Result<u16, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u16::from_str_radix(digits, 16).map_err(|_| "write four digits, as in 0x0800".to_owned())
}

/// Builds an ARP request (RFC 826).
fn arp(src: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
    // Ethernet (1), IPv4, address lengths 6 and 4, request.
    let mut body = vec![0, 1, 8, 0, 6, 4, 0, 1];
    body.extend(src.0);
    body.extend(sender.octets());
    body.extend([0; 6]);
    body.extend(target.octets());
    body
}

/// Builds an IP packet of `room` bytes if its headers fit; `header` makes the upper layer's of its
/// length, whose checksum stands at `check`.
fn ip(
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    room: usize,
    check: usize,
    header: impl Fn(usize) -> Result<Vec<u8>>,
) -> Result<(u16, Vec<u8>)> {
    let len = if from.is_ipv4() { 20 } else { 40 };
    let mut upper = header(room.saturating_sub(len).max(8))?;
    upper.resize(room.saturating_sub(len).max(8), 0);
    let bytes = u16::try_from(upper.len())?.to_be_bytes();
    let (kind, mut packet, pseudo) = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let total = u16::try_from(upper.len() + len)?.to_be_bytes();
            // "Don't fragment", as Linux sends.
            let mut head = vec![
                0x45, 0, total[0], total[1], 0, 0, 0x40, 0, TTL, protocol, 0, 0,
            ];
            head.extend(from.octets());
            head.extend(to.octets());
            let sum = (!checksum(&[&head])).to_be_bytes();
            head[10..12].copy_from_slice(&sum);
            let pseudo = [&from.octets()[..], &to.octets(), &[0, protocol], &bytes].concat();
            (ethertype::IPV4, head, pseudo)
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let mut head = vec![0x60, 0, 0, 0, bytes[0], bytes[1], protocol, TTL];
            head.extend(from.octets());
            head.extend(to.octets());
            let pseudo = [&from.octets()[..], &to.octets(), &[0, protocol], &bytes].concat();
            (ethertype::IPV6, head, pseudo)
        }
        _ => bail!("{from} and {to} are of different families"),
    };
    // ICMP alone has no pseudo-header (RFC 792).
    let pseudo = if protocol == protocol::ICMP {
        Vec::new()
    } else {
        pseudo
    };
    let sum = !checksum(&[&pseudo, &upper]);
    upper[check..check + 2].copy_from_slice(&sum.to_be_bytes());
    packet.extend(upper);
    Ok((kind, packet))
}

/// Returns the sum of the 16-bit words of parts, each of an even length but the last (RFC 1071).
fn checksum(parts: &[&[u8]]) -> u16 {
    let words = parts.iter().flat_map(|part| part.chunks(2));
    let sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | word.get(1).copied().map_or(0, u32::from))
        .sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests;
