//! Notes in the run folder: what things were before vxnet changed them, and what is going on.

use std::{fs, io, path::Path};

use anyhow::{Context as _, Result};
use serde::{Serialize, de::DeserializeOwned};

/// Reads a note; one that was never written is empty.
pub(crate) fn read<T: DeserializeOwned + Default>(file: &Path) -> Result<T> {
    match fs::read(file) {
        Ok(text) => {
            serde_json::from_slice(&text).with_context(|| format!("cannot read {}", file.display()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Replaces a note as a whole: who reads it meanwhile finds the former one.
pub(crate) fn write<T: Serialize>(file: &Path, note: &T) -> Result<()> {
    let draft = file.with_extension("new");
    fs::write(&draft, serde_json::to_vec(note)?)
        .and_then(|()| fs::rename(&draft, file))
        .with_context(|| format!("cannot write {}", file.display()))
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
