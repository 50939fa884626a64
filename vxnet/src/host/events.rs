//! What the data path tells: the ring buffer `EVENTS`, read by the one daemon that runs.

use std::{mem::size_of, ptr};

use anyhow::{Context as _, Result};
use aya::maps::{Map, MapData, RingBuf};
use tokio::io::{Interest, unix::AsyncFd};
use vxnet_common::event::Event;

use super::Paths;

/// Events that are taken at once: the rest waits, so that nothing else does for long.
const MOST: usize = 256;

/// The reading end of the ring buffer.
pub(crate) struct Ring {
    ring: AsyncFd<RingBuf<MapData>>,
}

impl Ring {
    /// Opens the pinned ring buffer, from within a runtime.
    pub(crate) fn open(paths: &Paths) -> Result<Self> {
        let path = paths.maps().join("EVENTS");
        let map =
            MapData::from_pin(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let ring: RingBuf<MapData> = Map::RingBuf(map)
            .try_into()
            .with_context(|| format!("{} is of another version of vxnet", path.display()))?;
        // SAFETY: the ring owns the descriptor that it returns and keeps it open and the same for
        // its whole life, and `AsyncFd` drops the ring only after it has deregistered it.
        let ring = unsafe { AsyncFd::register_with_interest(ring, Interest::READABLE) };
        let ring = ring.context("cannot wait for the events of the data path")?;
        Ok(Self { ring })
    }

    /// Waits for events and returns them.
    pub(crate) async fn read(&mut self) -> Result<Vec<Event>> {
        let mut ready = self.ring.readable_mut().await?;
        let mut events = Vec::new();
        while let Some(item) = ready.get_inner_mut().next() {
            events.extend(event(&item));
            if events.len() == MOST {
                return Ok(events);
            }
        }
        ready.clear_ready();
        Ok(events)
    }
}

/// Reads an event; bytes of another length are none.
fn event(bytes: &[u8]) -> Option<Event> {
    if bytes.len() < size_of::<Event>() {
        return None;
    }
    // SAFETY: there are enough bytes, and any bytes are an event (`Pod`).
    Some(unsafe { ptr::read_unaligned(bytes.as_ptr().cast()) })
}
