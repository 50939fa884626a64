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
}

const _: () = assert!(core::mem::size_of::<Stripped>() == Stripped::LEN);
