//! `fabric.json` in the run folder: the fabric that the host was brought to last, and can be brought
//! back to.

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::Assignment;
use crate::host::{Paths, maps::Maps, memory};

/// What a host was before.
pub(super) enum Former {
    /// vxnet was not set up.
    Nothing,
    Fabric(Box<Assignment>),
    /// It was, but nobody knows how: by another version, or the note is lost.
    Unknown,
}

#[derive(Default, Serialize, Deserialize)]
struct Note {
    host: String,
    text: String,
}

impl Former {
    /// Reads what the host was brought to last.
    pub(super) fn read(paths: &Paths) -> Self {
        if Maps::open(paths).is_err() {
            return Self::Nothing;
        }
        let noted = memory::read(&file(paths)).ok();
        let fabric = noted.and_then(|Note { host, text }| Assignment::of_text(text, host));
        fabric.map_or(Self::Unknown, |fabric| Self::Fabric(Box::new(fabric)))
    }

    pub(super) const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// Notes what the host has been brought to.
pub(super) fn note(paths: &Paths, assignment: &Assignment) -> Result<()> {
    let note = Note {
        host: assignment.host.clone(),
        text: assignment.text.clone(),
    };
    memory::write(&file(paths), &note)
}

fn file(paths: &Paths) -> PathBuf {
    paths.run.join("fabric.json")
}
