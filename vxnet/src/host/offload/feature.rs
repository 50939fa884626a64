//! Features of links by name (`ethtool -k`): each is one bit, whose place only the kernel's list of
//! names tells.

use anyhow::{Context as _, Result, ensure};

use super::ioctl;

/// The hardware passes only frames of VLANs that somebody has registered
/// (`NETIF_F_HW_VLAN_CTAG_FILTER`).
pub(in crate::host) const VLAN_FILTER: &str = "rx-vlan-filter";

const GET_STRINGS: u32 = 0x1b;
const GET_FEATURES: u32 = 0x3a;
const SET_FEATURES: u32 = 0x3b;
/// `ETH_SS_FEATURES`.
const NAMES: u32 = 4;
/// `ETH_GSTRING_LEN`.
const NAME: usize = 32;
/// Room for more features than any kernel has: it has 64 bits of them or a few more, and writes
/// as many as it has.
const MOST: usize = 512;
/// Blocks of 32 features.
const BLOCKS: usize = MOST / 32;

/// What a link says of one feature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::host) struct Feature {
    /// It can be switched.
    pub(in crate::host) is_available: bool,
    /// Somebody wants it on.
    pub(in crate::host) is_wanted: bool,
    /// It is on.
    pub(in crate::host) is_active: bool,
}

impl Feature {
    /// Reads a feature of a link; one that the kernel does not know is off.
    pub(in crate::host) fn read(link: &str, name: &str) -> Result<Self> {
        let Some(bit) = place(link, name)? else {
            return Ok(Self::default());
        };
        let mut features = Box::new(Features {
            command: GET_FEATURES,
            size: BLOCKS as u32,
            blocks: [Block::default(); BLOCKS],
        });
        // SAFETY: the kernel writes at most as many blocks as `size` says.
        unsafe { ioctl(link, (&raw mut *features).cast()) }
            .with_context(|| format!("cannot read the features of {link}"))?;
        let block = features.blocks[bit / 32];
        let is_set = |word: u32| word >> (bit % 32) & 1 == 1;
        Ok(Self {
            is_available: is_set(block.available),
            is_wanted: is_set(block.requested),
            is_active: is_set(block.active),
        })
    }

    /// Switches a feature of a link. Some drivers keep it as it is while something needs it: the
    /// wish stays noted in the kernel then.
    pub(in crate::host) fn set(link: &str, name: &str, on: bool) -> Result<()> {
        let bit = place(link, name)?.with_context(|| format!("{link} has no feature {name}"))?;
        let mut change = Change {
            command: SET_FEATURES,
            // The kernel takes its own number of blocks only.
            size: blocks(link)?,
            blocks: [Wish::default(); BLOCKS],
        };
        let mask = 1 << (bit % 32);
        change.blocks[bit / 32] = Wish {
            valid: mask,
            requested: if on { mask } else { 0 },
        };
        // SAFETY: the kernel reads as many blocks as `size` says, which are at most those there are.
        unsafe { ioctl(link, (&raw mut change).cast()) }
            .with_context(|| format!("cannot switch {name} of {link}"))?;
        Ok(())
    }
}

/// `struct ethtool_gfeatures`.
#[repr(C)]
struct Features {
    command: u32,
    size: u32,
    blocks: [Block; BLOCKS],
}

/// `struct ethtool_get_features_block`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Block {
    available: u32,
    requested: u32,
    active: u32,
    never_changed: u32,
}

/// `struct ethtool_sfeatures`.
#[repr(C)]
struct Change {
    command: u32,
    size: u32,
    blocks: [Wish; BLOCKS],
}

/// `struct ethtool_set_features_block`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Wish {
    valid: u32,
    requested: u32,
}

/// `struct ethtool_gstrings`.
#[repr(C)]
struct Names {
    command: u32,
    set: u32,
    len: u32,
    texts: [[u8; NAME]; MOST],
}

/// Returns the number of blocks that the kernel has features in.
fn blocks(link: &str) -> Result<u32> {
    let mut features = Features {
        command: GET_FEATURES,
        size: 0,
        blocks: [Block::default(); BLOCKS],
    };
    // SAFETY: with no room given, the kernel writes nothing but the size that it wants.
    unsafe { ioctl(link, (&raw mut features).cast()) }
        .with_context(|| format!("cannot read the features of {link}"))?;
    ensure!(
        features.size as usize <= BLOCKS,
        "this kernel has too many features of links"
    );
    Ok(features.size)
}

/// Returns the place of a feature's bit, or none if the kernel does not know its name.
fn place(link: &str, name: &str) -> Result<Option<usize>> {
    // The kernel writes all names, however much room there is, so their number must be known to be
    // small enough before.
    blocks(link)?;
    let mut names = Box::new(Names {
        command: GET_STRINGS,
        set: NAMES,
        len: 0,
        texts: [[0; NAME]; MOST],
    });
    // SAFETY: there is room for 32 names a block, of as many blocks as the kernel can have here.
    unsafe { ioctl(link, (&raw mut *names).cast()) }
        .with_context(|| format!("cannot read the names of the features of {link}"))?;
    let count = (names.len as usize).min(MOST);
    Ok(names.texts[..count]
        .iter()
        .position(|bytes| bytes.split(|byte| *byte == 0).next() == Some(name.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reading needs no privilege, and every network namespace has a loopback.
    #[test]
    fn features_are_found_by_name() {
        assert_eq!(
            Feature::read("lo", "no-such-feature").unwrap(),
            Feature::default()
        );
        let loopback = Feature::read("lo", "loopback").unwrap();
        assert!(loopback.is_active && !loopback.is_available);
        assert!(Feature::read("no-such-link", VLAN_FILTER).is_err());
    }
}
