//! A BPF file system of the lab's own, with one pin directory per hypervisor.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::mount::{MsFlags, mount};

use crate::scope::Scope;

/// The mounted file system; the scope unmounts it.
#[derive(Debug)]
pub struct Bpffs {
    directory: PathBuf,
}

impl Bpffs {
    /// Mounts a bpffs on `<scope>/bpf`.
    pub fn mount(scope: &Scope) -> Result<Self> {
        let directory = scope.directory().join("bpf");
        fs::create_dir_all(&directory)?;
        mount(
            Some("bpf"),
            &directory,
            Some("bpf"),
            MsFlags::empty(),
            None::<&Path>,
        )
        .with_context(|| format!("cannot mount a bpffs on {}", directory.display()))?;
        Ok(Self { directory })
    }

    /// The directory in which the hypervisor `host` shall keep its pins. vxnet creates it.
    pub fn pin_directory(&self, host: &str) -> PathBuf {
        self.directory.join(host)
    }

    /// Lists all pins below `host`'s directory, as paths relative to it.
    pub fn pins(&self, host: &str) -> Vec<PathBuf> {
        let root = self.pin_directory(host);
        let mut found = Vec::new();
        collect(&root, &root, &mut found);
        found.sort();
        found
    }
}

fn collect(root: &Path, directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, found);
        }
        found.extend(path.strip_prefix(root).map(Path::to_owned));
    }
}
