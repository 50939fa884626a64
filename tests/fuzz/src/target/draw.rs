//! Making values of bytes.

use vxnet_common::addr::{Mac, VtepAddr};

/// Bytes that are taken from the front; behind the end there are zeros, so that a short input means
/// something too.
pub(super) struct Draw<'a>(&'a [u8]);

impl<'a> Draw<'a> {
    pub(super) const fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_at(self.0.len().min(N));
        self.0 = rest;
        let mut bytes = [0; N];
        bytes[..taken.len()].copy_from_slice(taken);
        bytes
    }

    pub(super) fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.array())
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.array())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.array())
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.array())
    }

    pub(super) fn flag(&mut self) -> bool {
        self.u8() & 1 == 1
    }

    /// Takes a number below `bound`, of at most 256.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.u8()) % bound
    }

    pub(super) fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    pub(super) fn mac(&mut self) -> Mac {
        Mac(self.array())
    }

    /// Takes an address of a family 4 or 6.
    pub(super) fn address(&mut self, family: u8) -> VtepAddr {
        if family == 6 {
            VtepAddr::v6(self.array())
        } else {
            VtepAddr::v4(self.array())
        }
    }

    /// Takes what is left. A copy of that very length: the sanitizer sees a read behind its end.
    pub(super) fn rest(&mut self) -> Box<[u8]> {
        std::mem::take(&mut self.0).into()
    }
}
