//! Notes in the run folder: what things were before vxnet changed them, and what is going on.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, anyhow};
use serde::{Serialize, de::DeserializeOwned};

use super::netlink::Seen;

/// Reads a note; one that was never written is empty.
pub(crate) fn read<T: DeserializeOwned + Default>(file: &Path) -> Result<T> {
    match fs::read(file) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| {
            anyhow!(
                "{} is damaged, or another version's: {error}\nhint: remove the file; what it says \
                 of former values, which teardown would bring back, is lost then",
                file.display()
            )
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Replaces a note as a whole: who reads it meanwhile finds the former one.
pub(crate) fn write<T: Serialize>(file: &Path, note: &T) -> Result<()> {
    Draft::of(file, note)?.commit()
}

/// A note that is written but not yet in force; without [`Draft::commit`] it never will be.
pub(crate) struct Draft<'a> {
    file: &'a Path,
    draft: PathBuf,
}

impl<'a> Draft<'a> {
    pub(crate) fn of<T: Serialize>(file: &'a Path, note: &T) -> Result<Self> {
        let draft = file.with_extension("new");
        fs::write(&draft, serde_json::to_vec(note)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        Ok(Self { file, draft })
    }

    /// Puts the note in the place of the former one.
    pub(crate) fn commit(self) -> Result<()> {
        fs::rename(&self.draft, self.file)
            .with_context(|| format!("cannot write {}", self.file.display()))
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // It is not there any more after `commit`.
        fs::remove_file(&self.draft).ok();
    }
}

/// Reads a note about links, by name, under the names that they have now. What it says of links that
/// have vanished is forgotten: what comes back by such a name is as its driver made it.
pub(super) fn follow<T>(
    file: &Path,
    links: &BTreeMap<u32, Seen>,
    ifindex: impl Fn(&T) -> u32,
) -> Result<BTreeMap<String, T>>
where
    T: Clone + PartialEq + Serialize + DeserializeOwned,
{
    let noted: BTreeMap<String, T> = read(file)?;
    let current: BTreeMap<String, T> = noted
        .values()
        .filter_map(|note| {
            let seen = links.get(&ifindex(note))?;
            Some((seen.link.name.clone(), note.clone()))
        })
        .collect();
    if current != noted {
        write(file, &current)?;
    }
    Ok(current)
}

/// Removes a note, if there is one.
pub(crate) fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack28_a_damaged_note_is_named_with_the_way_out() {
        let file = std::env::temp_dir().join(format!("vxnet-note-{}.json", std::process::id()));
        let note = || read::<BTreeMap<String, String>>(&file);
        assert!(note().unwrap().is_empty(), "never written");
        write(&file, &BTreeMap::from([("a", "b")])).unwrap();
        assert_eq!(note().unwrap()["a"], "b");
        drop(Draft::of(&file, &BTreeMap::from([("a", "c")])).unwrap());
        assert_eq!(note().unwrap()["a"], "b", "never committed");
        assert!(!file.with_extension("new").exists(), "left behind");
        for text in ["", "{\"a\": 1}", "[]"] {
            fs::write(&file, text).unwrap();
            let error = format!("{:#}", note().unwrap_err());
            assert!(error.contains(&*file.to_string_lossy()), "{error}");
            assert!(error.contains("\nhint: remove the file"), "{error}");
        }
        remove(&file).unwrap();
        remove(&file).unwrap();
    }
}
