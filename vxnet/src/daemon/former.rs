//! `fabric.json` in the run folder: the fabric that the host was brought to last, and can be brought
//! back to.

use std::path::PathBuf;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::Assignment;
use crate::{
    host::{Kernel, Paths, memory},
    reconcile::Host as _,
};

/// What a host was before.
pub(super) enum Former {
    /// vxnet was not set up.
    Nothing,
    Fabric(Box<Assignment>),
    /// It was, but nobody knows how: by another version, or the note is lost.
    Unknown,
}

/// What the file says.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Note {
    host: String,
    text: String,
}

impl Former {
    /// Reads what the host was brought to last. Only where nothing of vxnet's is found was it not set
    /// up: pins and notes may be lost while guests still depend on what they are of.
    pub(super) async fn read(paths: &Paths, kernel: &mut Kernel) -> Result<Self> {
        let noted = memory::read(&file(paths)).ok();
        let fabric = noted.and_then(|Note { host, text }| Assignment::of_text(text, host));
        if let Some(fabric) = fabric {
            return Ok(Self::Fabric(Box::new(fabric)));
        }
        let found = kernel.observe().await?.state;
        Ok(if found.is_empty() {
            Self::Nothing
        } else {
            Self::Unknown
        })
    }
}

impl Note {
    pub(super) fn of(assignment: &Assignment) -> Self {
        Self {
            host: assignment.host.clone(),
            text: assignment.text.clone(),
        }
    }
}

/// The file of the note.
pub(super) fn file(paths: &Paths) -> PathBuf {
    paths.run.join("fabric.json")
}
