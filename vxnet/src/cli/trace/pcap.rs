//! Frames out of a capture file, as tcpdump writes it (the classic format of libpcap).

use std::path::Path;

use anyhow::{Context as _, Result, bail};

/// Bytes of the file's header and of each record's.
const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
/// `LINKTYPE_ETHERNET`.
const ETHERNET: u32 = 1;
/// First word of a pcapng file.
const PCAPNG: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// Returns the frame with that number, from 1.
pub(super) fn frame(path: &Path, number: usize) -> Result<Vec<u8>> {
    let file = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    pick(&file, number).with_context(|| path.display().to_string())
}

/// Returns the frame with that number out of the bytes of a file.
pub(super) fn pick(file: &[u8], number: usize) -> Result<Vec<u8>> {
    if number == 0 {
        bail!("there is no frame 0: they are numbered from 1");
    }
    let Some(magic) = file
        .first_chunk::<4>()
        .filter(|_| file.len() >= FILE_HEADER)
    else {
        bail!("this is no capture file");
    };
    if *magic == PCAPNG {
        bail!("this is a pcapng file\nhint: `editcap -F pcap IN OUT` makes a pcap file of it");
    }
    // The magic tells the byte order, and whether times are in micro- or nanoseconds.
    let word: fn([u8; 4]) -> u32 = match u32::from_le_bytes(*magic) {
        0xa1b2_c3d4 | 0xa1b2_3c4d => u32::from_le_bytes,
        0xd4c3_b2a1 | 0x4d3c_b2a1 => u32::from_be_bytes,
        _ => bail!("this is no capture file"),
    };
    let at = |offset: usize| file[offset..].first_chunk::<4>().map(|bytes| word(*bytes));
    // The upper bits say whether frames have a checksum.
    if at(20).map(|link| link & 0xffff) != Some(ETHERNET) {
        bail!("its frames are not Ethernet's\nhint: capture on the port itself, not on `any`");
    }
    let (mut offset, mut count) = (FILE_HEADER, 0);
    while let Some(header) = file.get(offset..offset + RECORD_HEADER) {
        let kept = word([header[8], header[9], header[10], header[11]]) as usize;
        let whole = word([header[12], header[13], header[14], header[15]]) as usize;
        let start = offset + RECORD_HEADER;
        let Some(frame) = start.checked_add(kept).and_then(|end| file.get(start..end)) else {
            bail!("the file ends within frame {}", count + 1);
        };
        count += 1;
        if count == number {
            // What was cut off is not looked at, but counts for the length.
            let mut frame = frame.to_vec();
            frame.resize(whole.clamp(kept, kept.max(usize::from(u16::MAX))), 0);
            return Ok(frame);
        }
        offset = start + kept;
    }
    bail!("there is no frame {number}: the file has {count}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_numbered_from_1() {
        let error = pick(&file(false, &[&[1; 60]]), 0).unwrap_err();
        assert!(error.to_string().contains("numbered from 1"), "{error}");
    }

    fn file(big: bool, frames: &[&[u8]]) -> Vec<u8> {
        let word = |value: u32| {
            if big {
                value.to_be_bytes()
            } else {
                value.to_le_bytes()
            }
        };
        let mut file = Vec::new();
        for value in [0xa1b2_c3d4, 0x0004_0002, 0, 0, 65535, 1] {
            file.extend(word(value));
        }
        for frame in frames {
            let length = frame.len() as u32;
            for value in [0, 0, length, length + 1] {
                file.extend(word(value));
            }
            file.extend(*frame);
        }
        file
    }

    #[test]
    fn frames_are_found_in_either_byte_order() {
        for big in [false, true] {
            let file = file(big, &[b"one", b"second"]);
            assert_eq!(pick(&file, 1).unwrap(), b"one\0", "cut by the capture");
            assert_eq!(pick(&file, 2).unwrap(), b"second\0");
            let error = pick(&file, 3).unwrap_err().to_string();
            assert_eq!(error, "there is no frame 3: the file has 2");
        }
    }

    #[test]
    fn a_file_that_is_cut_or_another_kind_is_refused() {
        let whole = file(false, &[b"one"]);
        for length in [0, 3, 23] {
            assert!(pick(&whole[..length], 1).is_err(), "{length}");
        }
        assert!(pick(&whole[..whole.len() - 1], 1).is_err());
        let mut other = whole.clone();
        other[20] = 113; // Linux cooked
        assert!(
            pick(&other, 1)
                .unwrap_err()
                .to_string()
                .contains("not Ethernet")
        );
        other[..4].copy_from_slice(&PCAPNG);
        assert!(pick(&other, 1).unwrap_err().to_string().contains("pcapng"));
    }
}
