//! What the XDP program tells the TC program of the same uplink about a frame that it stripped.
//!
//! XDP removes the outer header and passes the frame up, so that GRO merges the *inner* segments;
//! TC then finds the segment in the packet's metadata. GRO never merges packets of different
//! metadata, so a super-packet has one segment and one sender.
//!
//! A stripped frame must never be taken for underlay traffic. TC consumes every frame that carries
//! this metadata and drops those of another layout (half-replaced programs); XDP strips only frames that the host
//! would ignore if TC were gone: unicast, and not to the uplink's own address (the kernel types
//! them `PACKET_OTHERHOST`).

use crate::map::LAYOUT;

/// The metadata of a stripped frame.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stripped {
    /// [`Stripped::MAGIC`].
    pub magic: u32,
    /// [`crate::map::LAYOUT`] that the XDP program was built with.
    pub layout: u32,
    /// Slot of the segment.
    pub segment: u32,
    /// Slot of the VTEP that sent it.
    pub vtep: u32,
}

impl Stripped {
    /// Tells the metadata from that of other programs ("vxnt").
    pub const MAGIC: u32 = 0x7678_6e74;
    /// Bytes of metadata; the kernel wants a multiple of 4, at most 32 on older kernels.
    pub const LEN: usize = 16;

    /// Returns whether the metadata is vxnet's and not another program's.
    #[inline(always)]
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.magic == Self::MAGIC
    }

    /// Returns whether the program that wrote it was built with the layout of this one.
    #[inline(always)]
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.layout == LAYOUT
    }
}

const _: () = assert!(core::mem::size_of::<Stripped>() == Stripped::LEN);

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: Stripped = Stripped {
        magic: Stripped::MAGIC,
        layout: LAYOUT,
        segment: 1,
        vtep: 2,
    };

    #[test]
    fn metadata_of_other_programs_is_not_ours() {
        assert!(NOTE.is_ours());
        for magic in [0, Stripped::MAGIC + 1, Stripped::MAGIC.swap_bytes()] {
            assert!(!Stripped { magic, ..NOTE }.is_ours(), "{magic:#x}");
        }
    }

    #[test]
    fn a_note_of_another_layout_is_stale() {
        assert!(NOTE.is_current());
        for layout in [0, LAYOUT - 1, LAYOUT + 1] {
            let note = Stripped { layout, ..NOTE };
            assert!(!note.is_current(), "{layout}");
            // It is ours all the same: TC drops it.
            assert!(note.is_ours(), "{layout}");
        }
    }
}
