//! Where vxnet keeps what outlives it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use crate::state::Hook;

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

    /// Removes what vxnet keeps in the folders, and the folders if nothing else is in them: the user
    /// may have named any folder.
    pub fn remove(&self) -> Result<()> {
        if is_bpffs(&self.pins) {
            for folder in [self.maps(), self.links()] {
                remove_files(&folder, |_| true)?;
                remove_folder(&folder)?;
            }
            remove_folder(&self.pins)?;
        }
        remove_files(&self.run, is_note)?;
        remove_folder(&self.run)
    }
}

/// The notes in the run folder, without their endings.
const NOTES: &[&str] = &["guard", "loops", "memberships", "sysctl", "trunks"];

/// Returns whether a file of the run folder is vxnet's: `lock`, a note or the draft of one, or what
/// begins with an ifindex.
fn is_note(name: &str) -> bool {
    let is_kept =
        |(note, ending): (&str, &str)| NOTES.contains(&note) && matches!(ending, "json" | "new");
    let is_of_link = |(ifindex, rest): (&str, &str)| {
        ifindex.parse::<u32>().is_ok() && (rest == "qdisc" || Hook::from_name(rest).is_some())
    };
    name == "lock"
        || name.split_once('.').is_some_and(is_kept)
        || name.split_once(['-', '.']).is_some_and(is_of_link)
}

fn remove_files(folder: &Path, is_ours: impl Fn(&str) -> bool) -> Result<()> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_str().is_some_and(&is_ours) {
            fs::remove_file(entry.path())
                .with_context(|| format!("cannot remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Removes a folder unless something is left in it.
fn remove_folder(folder: &Path) -> Result<()> {
    use std::io::ErrorKind::{DirectoryNotEmpty, NotFound};
    match fs::remove_dir(folder) {
        Err(error) if !matches!(error.kind(), NotFound | DirectoryNotEmpty) => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn teardown_removes_its_own_files_only() {
        let run = std::env::temp_dir().join(format!("vxnet-paths-{}", std::process::id()));
        fs::create_dir_all(run.join("folder")).unwrap();
        for name in [
            "lock",
            "guard.json",
            "sysctl.new",
            "trunks.json",
            "loops.txt",
            "7-tc-ingress",
            "7.qdisc",
            "data",
            "7-notes",
            "x.qdisc",
        ] {
            fs::write(run.join(name), "").unwrap();
        }
        let paths = Paths {
            pins: run.join("no-bpffs"),
            run: run.clone(),
        };
        paths.remove().unwrap();
        let mut left: Vec<_> = fs::read_dir(&run)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["7-notes", "data", "folder", "loops.txt", "x.qdisc"]);
        fs::remove_dir_all(run).unwrap();
    }
}
