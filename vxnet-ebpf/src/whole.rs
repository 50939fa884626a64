//! Which flows of the underlay come in super-packets.

use vxnet_common::map::whole;

use crate::maps;

/// Returns whether a flow comes whole, a packet of which has come; from then on until the flow is
/// silent, all its packets do.
#[inline(always)]
pub(crate) fn comes_whole(vtep: u32, source_port: u16, is_gso: bool, now: u64) -> bool {
    let Some(last) = maps::WHOLE.get_ptr_mut(whole::row(vtep, source_port)) else {
        return false;
    };
    // SAFETY: array rows are never freed, and a `u64` is read and written whole.
    unsafe {
        let comes_whole = whole::comes_whole(*last, is_gso, now);
        if comes_whole {
            *last = now;
        }
        comes_whole
    }
}
