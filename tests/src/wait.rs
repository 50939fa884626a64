//! Waiting for something to become true, with a deadline and the last reason why it was not.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

const PAUSE: Duration = Duration::from_millis(20);

/// Repeats `attempt` until it succeeds, or fails with its last error once `timeout` has passed.
///
/// For states of the kernel or of another process that cannot be awaited any other way.
pub fn eventually<T>(timeout: Duration, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let deadline = Instant::now() + timeout;
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() >= deadline => {
                return Err(error).with_context(|| format!("still so after {timeout:?}"));
            }
            Err(_) => thread::sleep(PAUSE),
        }
    }
}
