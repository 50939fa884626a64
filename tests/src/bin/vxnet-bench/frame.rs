//! Frames that are injected, and tables that are filled by them.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use vxnet_tests::network::mac_text;
use vxnet_tests::vxnet::Vxnet;

use crate::bed::Bed;

/// Ethernet, IPv4 and UDP headers.
pub(crate) const HEADERS: usize = 14 + 20 + 8;
/// The first two bytes of the addresses that tables are filled with; the number follows.
const FILLER: [u8; 2] = [0x52, 0x56];

/// The address number `index` of a filled table. The last bytes are in the order in which the
/// injecting program stores a random number.
pub(crate) fn filler(index: u32) -> [u8; 6] {
    let [a, b, c, d] = index.to_ne_bytes();
    [FILLER[0], FILLER[1], a, b, c, d]
}

/// A broadcast that tells who is where; of a protocol for experiments, so that nobody answers.
pub(crate) fn announcement(source: [u8; 6]) -> Vec<u8> {
    let mut frame = vec![0; 60];
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&source);
    frame[12..14].copy_from_slice(&0x88b5_u16.to_be_bytes());
    frame
}

/// A UDP packet of `length` bytes with its Ethernet header, without UDP checksum.
pub(crate) fn udp(
    macs: ([u8; 6], [u8; 6]),
    addresses: (std::net::Ipv4Addr, std::net::Ipv4Addr),
    length: usize,
) -> Vec<u8> {
    let mut frame = vec![0; length.max(HEADERS)];
    frame[..6].copy_from_slice(&macs.1);
    frame[6..12].copy_from_slice(&macs.0);
    frame[12..14].copy_from_slice(&0x0800_u16.to_be_bytes());
    let ip = (frame.len() - 14) as u16;
    frame[14] = 0x45;
    frame[16..18].copy_from_slice(&ip.to_be_bytes());
    frame[22] = 64;
    frame[23] = 17;
    frame[26..30].copy_from_slice(&addresses.0.octets());
    frame[30..34].copy_from_slice(&addresses.1.octets());
    let checksum = internet_checksum(&frame[14..34]);
    frame[24..26].copy_from_slice(&checksum.to_be_bytes());
    frame[34..36].copy_from_slice(&7_u16.to_be_bytes());
    frame[36..38].copy_from_slice(&9_u16.to_be_bytes());
    frame[38..40].copy_from_slice(&(ip - 20).to_be_bytes());
    frame
}

/// A VXLAN packet (RFC 7348) that holds `inner`, as it arrives from the wire.
pub(crate) fn vxlan(
    macs: ([u8; 6], [u8; 6]),
    vteps: (std::net::Ipv4Addr, std::net::Ipv4Addr),
    vni: usize,
    inner: &[u8],
) -> Vec<u8> {
    let mut packet = udp(macs, vteps, HEADERS + 8 + inner.len());
    packet[34..36].copy_from_slice(&50_000_u16.to_be_bytes());
    packet[36..38].copy_from_slice(&4789_u16.to_be_bytes());
    packet[HEADERS] = 0x08;
    packet[HEADERS + 4..HEADERS + 8].copy_from_slice(&((vni as u32) << 8).to_be_bytes());
    packet[HEADERS + 8..].copy_from_slice(inner);
    packet
}

/// RFC 1071.
fn internet_checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        u32::from(u16::from_be_bytes([pair[0], low]))
    });
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// Makes the bed's many MACs on the second host known.
///
/// One guest and one peer may have only so many addresses with vxnet, whose tables are filled by
/// hand therefore; the kernel learns from a frame of each.
pub(crate) fn load(bed: &Bed) -> Result<()> {
    let Some([near, far]) = bed.mutes.first().map(Vec::as_slice) else {
        return Ok(());
    };
    if bed.spec.macs == 0 {
        return Ok(());
    }
    if let ([first, second], Some(underlay)) = (&bed.vxnets[..], &bed.underlay) {
        fill(
            first,
            bed.spec.macs,
            &format!("--vtep {}", underlay.vtep(2)),
        )?;
        return fill(second, bed.spec.macs, &format!("--port {}", far.port));
    }
    for index in 0..bed.spec.macs {
        let macs = (filler(index), near.address.mac);
        let addresses = (far.address.v4, near.address.v4);
        far.send(&udp(macs, addresses, 60)).context("filling")?;
    }
    near.drain();
    Ok(())
}

/// Says where the fillers are.
fn fill(vxnet: &Vxnet, count: u32, place: &str) -> Result<()> {
    let mut text = String::new();
    for index in 0..count {
        let mac = mac_text(filler(index));
        writeln!(text, "{mac} --network n1 {place}")?;
    }
    let told = vxnet.command(["fdb", "load", "-"]).stdin(text).run()?;
    ensure!(told.contains(&format!("{count} addresses")), "{told}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_with_its_checksum_sums_to_zero() {
        let frame = udp(
            ([2; 6], [4; 6]),
            ([192, 168, 50, 11].into(), [192, 168, 50, 21].into()),
            60,
        );
        assert_eq!(frame.len(), 60);
        assert_eq!(internet_checksum(&frame[14..34]), 0);
    }

    #[test]
    fn a_vxlan_packet_holds_the_frame_behind_50_bytes() {
        let addresses = ([10, 77, 1, 2].into(), [10, 77, 2, 2].into());
        let packet = vxlan(([2; 6], [4; 6]), addresses, 10, &[7; 60]);
        assert_eq!(packet.len(), 110);
        assert_eq!(packet[46..50], [0, 0, 10, 0]);
        assert_eq!(packet[50..], [7; 60]);
    }

    #[test]
    fn fillers_differ_and_are_unicast() {
        assert_ne!(filler(0), filler(1));
        assert_eq!(filler(70_000)[0] & 1, 0);
    }
}
