//! Where vxnet keeps what outlives it.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::sys::statfs::{BPF_FS_MAGIC, statfs};

use crate::state::Hook;

/// Permission of a folder's group and of everybody to write in it.
const OTHERS_WRITE: u32 = 0o022;

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

    /// Makes the run folder, in which nobody else may put anything: what vxnet writes there must not
    /// follow a link to somewhere else.
    pub fn create_run(&self) -> Result<()> {
        let run = self.run.display();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&self.run)
            .with_context(|| format!("cannot create {run}"))?;
        // Without a slash at the end, which would have a link followed.
        let folder: PathBuf = self.run.components().collect();
        let found = fs::symlink_metadata(folder).with_context(|| format!("cannot see {run}"))?;
        if !found.is_dir() {
            bail!("{run} is a link to another folder\nhint: remove it, or name another --run-dir");
        }
        if found.uid() != nix::unistd::geteuid().as_raw() || found.mode() & OTHERS_WRITE != 0 {
            bail!(
                "others than you may write in {run}\nhint: `chown root {run}; chmod 755 {run}` \
                 after a look at what is in it, or name another --run-dir"
            );
        }
        Ok(())
    }

    /// Makes the folders, and mounts a bpffs if the usual place for one is empty.
    pub fn create(&self) -> Result<()> {
        let usual = Path::new("/sys/fs/bpf");
        if self.pins.starts_with(usual) && !is_bpffs(usual) {
            mount(usual)?;
        }
        self.create_run()?;
        for folder in [self.maps(), self.links()] {
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
const NOTES: &[&str] = &[
    "fabric",
    "guard",
    "loops",
    "memberships",
    "sysctl",
    "trunks",
    "warnings",
];

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
    mount(Some("bpf"), at, Some("bpf"), MsFlags::empty(), None::<&str>).map_err(|error| {
        anyhow!(
            "cannot mount a bpffs on {}: {error}\nhint: mount -t bpf bpf {0}",
            at.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack28_the_run_folder_is_nobody_elses() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let base = std::env::temp_dir().join(format!("vxnet-run-{}", std::process::id()));
        let in_folder = |name: &str| Paths {
            pins: base.join("pins"),
            run: base.join(name),
        };
        in_folder("own").create_run().unwrap();
        in_folder("own").create_run().unwrap();
        symlink(base.join("own"), base.join("link")).unwrap();
        for link in ["link", "link/"] {
            let error = in_folder(link).create_run().unwrap_err().to_string();
            assert!(
                error.contains("is a link") && error.contains("hint: "),
                "{error}"
            );
        }
        for mode in [0o775, 0o757, 0o1777] {
            fs::set_permissions(base.join("own"), fs::Permissions::from_mode(mode)).unwrap();
            let error = in_folder("own").create_run().unwrap_err().to_string();
            assert!(error.contains("others than you"), "{mode:o}: {error}");
        }
        fs::set_permissions(base.join("own"), fs::Permissions::from_mode(0o750)).unwrap();
        in_folder("own").create_run().unwrap();
        fs::remove_dir_all(base).unwrap();
    }

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
