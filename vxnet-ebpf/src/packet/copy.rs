//! Copying headers out of and into packets, word by word.

use core::{arch::asm, mem::MaybeUninit, ptr};

use vxnet_common::frame::Wire;

/// Defines a load and a store of one machine word at any address.
///
/// BPF has them, but the compiler does not know that the kernel's JITs take unaligned ones: it
/// moves a header byte by byte, which costs more than everything else that a program does to it.
macro_rules! word {
    ($load:ident, $store:ident, $word:ty, $name:literal) => {
        /// # Safety
        /// The verifier must know that `from` points to as many readable bytes.
        #[inline(always)]
        unsafe fn $load(from: *const u8) -> $word {
            let word: u64;
            // SAFETY: one load, of what the caller vouches for; it zero-extends.
            unsafe {
                asm!(
                    concat!("{word} = *(", $name, " *)({from} + 0)"),
                    word = lateout(reg) word,
                    from = in(reg) from,
                    options(pure, readonly, nostack, preserves_flags),
                );
            }
            word as $word
        }

        /// # Safety
        /// The verifier must know that `to` points to as many writable bytes.
        #[inline(always)]
        unsafe fn $store(to: *mut u8, word: $word) {
            // SAFETY: one store, to what the caller vouches for.
            unsafe {
                asm!(
                    concat!("*(", $name, " *)({to} + 0) = {word}"),
                    to = in(reg) to,
                    word = in(reg) u64::from(word),
                    options(nostack, preserves_flags),
                );
            }
        }
    };
}

word!(load_u8, store_u8, u8, "u8");
word!(load_u16, store_u16, u16, "u16");
word!(load_u32, store_u32, u32, "u32");
word!(load_u64, store_u64, u64, "u64");

/// Copies a header out of a packet, in the widest words that fit.
///
/// # Safety
/// `from` must come from `at` of the packet.
#[inline(always)]
pub(super) unsafe fn load<T: Wire>(from: *const T) -> T {
    let mut header = MaybeUninit::<T>::uninit();
    let (from, to): (*const u8, *mut u8) = (from.cast(), header.as_mut_ptr().cast());
    let mut done = 0;
    // SAFETY: every word lies within `T`, and when all are written, they make a `T` (`Wire`).
    unsafe {
        while done + 8 <= size_of::<T>() {
            to.add(done)
                .cast::<u64>()
                .write_unaligned(load_u64(from.add(done)));
            done += 8;
        }
        if done + 4 <= size_of::<T>() {
            to.add(done)
                .cast::<u32>()
                .write_unaligned(load_u32(from.add(done)));
            done += 4;
        }
        if done + 2 <= size_of::<T>() {
            to.add(done)
                .cast::<u16>()
                .write_unaligned(load_u16(from.add(done)));
            done += 2;
        }
        if done < size_of::<T>() {
            to.add(done).write(load_u8(from.add(done)));
        }
        header.assume_init()
    }
}

/// Copies a header into a packet, in the widest words that fit.
///
/// # Safety
/// `to` must come from `at` of the packet.
#[inline(always)]
pub(super) unsafe fn store<T: Wire>(to: *mut T, header: &T) {
    let (from, to): (*const u8, *mut u8) = (ptr::from_ref(header).cast(), to.cast());
    let mut done = 0;
    // SAFETY: every word lies within `T`, which has no padding (`Wire`).
    unsafe {
        while done + 8 <= size_of::<T>() {
            store_u64(to.add(done), from.add(done).cast::<u64>().read_unaligned());
            done += 8;
        }
        if done + 4 <= size_of::<T>() {
            store_u32(to.add(done), from.add(done).cast::<u32>().read_unaligned());
            done += 4;
        }
        if done + 2 <= size_of::<T>() {
            store_u16(to.add(done), from.add(done).cast::<u16>().read_unaligned());
            done += 2;
        }
        if done < size_of::<T>() {
            store_u8(to.add(done), from.add(done).read());
        }
    }
}
