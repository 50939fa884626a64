//! Reading a map thousands of rows a call (`BPF_MAP_LOOKUP_BATCH`): one by one, a million rows take
//! seconds, and the daemon looks every few.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
};

use anyhow::{Context as _, Result, bail};
use aya::{
    Pod,
    maps::{IterableMap, MapData},
};

/// The command of `bpf(2)`.
const BPF_MAP_LOOKUP_BATCH: libc::c_long = 24;
/// Rows of a call, at first.
const ROWS: usize = 4096;
/// No bucket of the kernel's holds more rows than this.
const MOST_ROWS: usize = 1 << 20;

/// `union bpf_attr` for batches.
#[repr(C)]
struct Attributes {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map_fd: i32,
    elem_flags: u64,
    flags: u64,
}

/// Returns the rows of a map that are wanted: those of an array in order, those of a hash map in
/// none. Rows that come and go meanwhile may be missing.
pub(super) fn rows<K: Pod, V: Pod>(
    map: &impl IterableMap<K, V>,
    wanted: impl Fn(&K, &V) -> bool,
) -> Result<Vec<(K, V)>> {
    let map: &MapData = map.map();
    let info = map.info()?;
    // The kernel writes as many bytes as the map says.
    if info.key_size() as usize != size_of::<K>() || info.value_size() as usize != size_of::<V>() {
        bail!("the map has rows of another size");
    }
    let mut rows = Vec::new();
    let mut capacity = ROWS;
    let mut place: Option<u32> = None;
    loop {
        let mut keys: Vec<K> = Vec::with_capacity(capacity);
        let mut values: Vec<V> = Vec::with_capacity(capacity);
        let mut next = 0u32;
        let mut attributes = Attributes {
            in_batch: place.as_ref().map_or(0, |place| address(place)),
            out_batch: address(&raw mut next),
            keys: address(keys.as_mut_ptr()),
            values: address(values.as_mut_ptr()),
            count: u32::try_from(capacity)?,
            map_fd: map.fd().as_fd().as_raw_fd(),
            elem_flags: 0,
            flags: 0,
        };
        // SAFETY: the attributes are those of the command, and every address in them is that of
        // memory which outlives the call and has room for `count` rows.
        let result = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                BPF_MAP_LOOKUP_BATCH,
                &raw mut attributes,
                size_of::<Attributes>(),
            )
        };
        let error = (result != 0).then(io::Error::last_os_error);
        let last = match error.as_ref().and_then(io::Error::raw_os_error) {
            None => false,
            Some(libc::ENOENT) => true,
            // A bucket with more rows than there is room for.
            Some(libc::ENOSPC) if capacity < MOST_ROWS => {
                capacity *= 2;
                continue;
            }
            Some(code) => {
                return Err(io::Error::from_raw_os_error(code)).context("cannot read the map");
            }
        };
        let count = (attributes.count as usize).min(capacity);
        // SAFETY: the kernel has written that many keys and values, and any bytes are one (`Pod`).
        unsafe {
            keys.set_len(count);
            values.set_len(count);
        }
        let read = keys.into_iter().zip(values);
        rows.extend(read.filter(|(key, row)| wanted(key, row)));
        if last {
            return Ok(rows);
        }
        place = Some(next);
    }
}

fn address<T>(pointer: *const T) -> u64 {
    pointer as usize as u64
}
