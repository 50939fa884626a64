//! Loop probes: frames that a host sends out of its ports and must never see come in again.
//!
//! ```text
//!   0  destination 03:76:78:6c:70:01     14  magic "vxlp"            51  port name
//!   6  source (the port's link)          18  version                 67  VNI, 0 without overlay
//!  12  EtherType 0x88b5                  19  host name               71  VLAN, 0 without
//!                                                                    73  nonce
//! ```
//! Names are padded with zero bytes, numbers are in network order.

use crate::{
    addr::Mac,
    event::PROBE_BYTES,
    frame::{Ethernet, Packet, Wire},
    map::Name,
};

/// A group address of local administration. Bridges forward it, as they must for a loop to show:
/// it is none of 01:80:c2:00:00:00 to 0f.
pub const DESTINATION: Mac = Mac([0x03, b'v', b'x', b'l', b'p', 0x01]);
/// Local experimental EtherType 1 (IEEE 802 section 9.2.4).
pub const ETHERTYPE: u16 = 0x88b5;
/// Bytes of a probe's frame: more than the least that Ethernet carries, so nobody pads it.
pub const LEN: usize = Ethernet::LEN + size_of::<Payload>();

const MAGIC: [u8; 4] = *b"vxlp";
const VERSION: u8 = 1;

const _: () = assert!(LEN >= 60 && LEN <= PROBE_BYTES);

/// What a probe says: who sent it, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The sending host's name in the fabric.
    pub host: Name<32>,
    /// The name of the port that it was sent out of.
    pub port: Name<16>,
    /// The segment's VNI, or 0.
    pub vni: u32,
    /// The segment's VLAN, or 0.
    pub vid: u16,
    /// Drawn anew by each run of a host's daemon, so that nobody can foresee it.
    pub nonce: u64,
}

/// A probe behind its Ethernet header.
#[repr(C)]
#[derive(Clone, Copy)]
struct Payload {
    magic: [u8; 4],
    version: u8,
    host: Name<32>,
    port: Name<16>,
    vni: [u8; 4],
    vid: [u8; 2],
    nonce: [u8; 8],
}

// SAFETY: a `repr(C)` struct of byte arrays has no padding and no forbidden values.
unsafe impl Wire for Payload {}

/// Returns whether a frame is a probe of this or another version, by its header alone.
#[inline(always)]
pub fn is_probe(frame: &Ethernet) -> bool {
    frame.ethertype == ETHERTYPE && frame.dst == DESTINATION
}

impl Probe {
    /// Returns the probe's frame, without a tag.
    pub fn emit(&self, src: Mac) -> [u8; LEN] {
        let mut frame = [0; LEN];
        let mut rest = &mut frame[..];
        for field in [
            &DESTINATION.0[..],
            &src.0,
            &ETHERTYPE.to_be_bytes(),
            &MAGIC,
            &[VERSION],
            &self.host,
            &self.port,
            &self.vni.to_be_bytes(),
            &self.vid.to_be_bytes(),
            &self.nonce.to_be_bytes(),
        ] {
            let (place, after) = rest.split_at_mut(field.len());
            place.copy_from_slice(field);
            rest = after;
        }
        frame
    }

    /// Reads a frame without a tag; what follows the probe is ignored.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let ethernet = Ethernet::parse(frame, 0)?;
        let payload: Payload = frame.read(Ethernet::LEN)?;
        if !is_probe(&ethernet) || payload.magic != MAGIC || payload.version != VERSION {
            return None;
        }
        Some(Self {
            host: payload.host,
            port: payload.port,
            vni: u32::from_be_bytes(payload.vni),
            vid: u16::from_be_bytes(payload.vid),
            nonce: u64::from_be_bytes(payload.nonce),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::name;

    const SRC: Mac = Mac([0x52, 0x54, 0, 0, 0, 1]);

    fn probe() -> Probe {
        Probe {
            host: name("host1"),
            port: name("enp5s0f0"),
            vni: 0x12_3456,
            vid: 1001,
            nonce: 0x0123_4567_89ab_cdef,
        }
    }

    fn golden() -> [u8; 81] {
        let mut bytes = [0; 81];
        bytes[..14].copy_from_slice(b"\x03vxlp\x01\x52\x54\0\0\0\x01\x88\xb5");
        bytes[14..19].copy_from_slice(b"vxlp\x01");
        bytes[19..24].copy_from_slice(b"host1");
        bytes[51..59].copy_from_slice(b"enp5s0f0");
        bytes[67..73].copy_from_slice(b"\0\x12\x34\x56\x03\xe9");
        bytes[73..].copy_from_slice(b"\x01\x23\x45\x67\x89\xab\xcd\xef");
        bytes
    }

    #[test]
    fn a_probe_is_these_bytes_and_back() {
        assert_eq!(probe().emit(SRC), golden());
        assert_eq!(Probe::parse(&golden()), Some(probe()));
        let mut event = [0; PROBE_BYTES];
        event[..81].copy_from_slice(&golden());
        assert_eq!(Probe::parse(&event), Some(probe()), "as an event brings it");
    }

    #[test]
    fn the_kernel_knows_a_probe_by_its_header_and_a_bridge_forwards_it() {
        let header = Ethernet::parse(&golden()[..], 0).unwrap();
        assert!(is_probe(&header));
        assert!(header.dst.is_group() && !header.dst.is_link_local());
        for offset in [0, 5, 12, 13] {
            let mut frame = golden();
            frame[offset] ^= 1;
            assert!(
                !is_probe(&Ethernet::parse(&frame[..], 0).unwrap()),
                "{offset}"
            );
        }
    }

    #[test]
    fn what_is_no_probe_of_ours_is_not_read() {
        // The source may be anyone; the fields behind the version are what they are.
        for offset in (0..19).filter(|offset| !(6..12).contains(offset)) {
            let mut frame = golden();
            frame[offset] ^= 0x10;
            assert_eq!(Probe::parse(&frame), None, "byte {offset}");
        }
        for len in 0..81 {
            assert_eq!(Probe::parse(&golden()[..len]), None, "{len} bytes");
        }
    }
}
