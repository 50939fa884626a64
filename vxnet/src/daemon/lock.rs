//! One vxnet changes a host at a time.

use std::{
    fs::{File, OpenOptions},
    io::{Read as _, Write as _},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::fcntl::{Flock, FlockArg};

use crate::host::Paths;

/// How long another's lock is waited for. Who only asks whether a daemon runs holds it for a moment,
/// and so does a program that one was about to start when it was killed.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long between two tries.
const PAUSE: Duration = Duration::from_millis(10);

/// The right to change this host, until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Takes the lock, or tells who holds it.
    pub fn take(paths: &Paths) -> Result<Self> {
        paths.create_run()?;
        let path = paths.run.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match patiently(file) {
            Ok(mut file) => {
                file.set_len(0)?;
                write!(file, "{}", std::process::id())?;
                Ok(Self { _file: file })
            }
            Err(mut file) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder);
                bail!(
                    "another vxnet (process {}) is changing this host\nhint: a running daemon \
                     reads its file again on SIGHUP (`kill -HUP`); stop it to use `apply`",
                    holder.trim()
                )
            }
        }
    }
}

/// Takes the lock, within [`PATIENCE`].
fn patiently(mut file: File) -> Result<Flock<File>, File> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((held, _)) if Instant::now() >= deadline => return Err(held),
            Err((held, _)) => file = held,
        }
        sleep(PAUSE);
    }
}

/// Returns whether a daemon (or another vxnet) holds the lock.
pub fn is_running(paths: &Paths) -> bool {
    let Ok(file) = File::open(paths.run.join("lock")) else {
        return false;
    };
    Flock::lock(file, FlockArg::LockSharedNonblock).is_err()
}
