//! Where vxnet keeps what outlives it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

/// The folders of one vxnet instance.
#[derive(Clone, Debug)]
pub struct Paths {
    /// In a bpffs: pinned maps and links.
    pub pins: PathBuf,
    /// On a tmpfs: the lock, and what teardown must restore.
    pub run: PathBuf,
}

impl Paths {
    /// Folder of the pinned maps.
    pub fn maps(&self) -> PathBuf {
        self.pins.join("maps")
    }

    /// Folder of the pinned links.
    pub fn links(&self) -> PathBuf {
        self.pins.join("links")
    }

    /// Makes the folders, and mounts a bpffs if the usual place for one is empty.
    pub fn create(&self) -> Result<()> {
        let usual = Path::new("/sys/fs/bpf");
        if self.pins.starts_with(usual) && !is_bpffs(usual) {
            mount(usual)?;
        }
        for folder in [self.maps(), self.links(), self.run.clone()] {
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        if !is_bpffs(&self.pins) {
            bail!(
                "{} is not on a bpffs\nhint: mount one there, or give another folder with \
                 --pin-dir",
                self.pins.display()
            );
        }
        Ok(())
    }

    /// Removes the folders with everything pinned in them.
    pub fn remove(&self) -> Result<()> {
        for folder in [&self.pins, &self.run] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error)
                        .with_context(|| format!("cannot remove {}", folder.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_bpffs(path: &Path) -> bool {
    statfs(path).is_ok_and(|fs| fs.filesystem_type() == BPF_FS_MAGIC)
}

fn mount(at: &Path) -> Result<()> {
    use nix::mount::{MsFlags, mount};
    mount(Some("bpf"), at, Some("bpf"), MsFlags::empty(), None::<&str>).with_context(|| {
        format!(
            "cannot mount a bpffs on {}\nhint: mount -t bpf bpf {0}",
            at.display()
        )
    })
}
