//! `warnings.json` in the run folder: what is probably not as the user means it, and what cannot be
//! done, for `vxnet status`.

use std::path::PathBuf;

use anyhow::{Error, Result};

use crate::host::{Paths, memory};

/// The warnings of now. Each is logged when it comes up, and not again while it lasts.
#[derive(Debug)]
pub(super) struct Warnings {
    file: PathBuf,
    doubts: Vec<String>,
    error: Option<String>,
}

/// Returns the warnings of the daemon, or of the last `apply`.
pub fn warnings(paths: &Paths) -> Result<Vec<String>> {
    memory::read(&file(paths))
}

fn file(paths: &Paths) -> PathBuf {
    paths.run.join("warnings.json")
}

impl Warnings {
    /// Begins with none, whatever there was before.
    pub(super) fn new(paths: &Paths) -> Self {
        Self {
            file: file(paths),
            doubts: Vec::new(),
            error: None,
        }
    }

    /// Takes what is doubtful now that everything could be done, and returns what is news.
    pub(super) fn doubts(&mut self, doubts: Vec<String>) -> Result<Vec<String>> {
        let is_news = |doubt: &&String| !self.doubts.contains(doubt);
        let news = doubts.iter().filter(is_news).cloned().collect();
        (self.doubts, self.error) = (doubts, None);
        self.write().map(|()| news)
    }

    /// Takes what could not be done, and returns it if it is news.
    pub(super) fn error(&mut self, error: &Error) -> Result<Option<String>> {
        let text = format!("{error:#}");
        if self.error.as_ref() == Some(&text) {
            return Ok(None);
        }
        self.error = Some(text.clone());
        self.write().map(|()| Some(text))
    }

    fn write(&self) -> Result<()> {
        let all: Vec<&String> = self.error.iter().chain(&self.doubts).collect();
        if all.is_empty() {
            return memory::remove(&self.file);
        }
        memory::write(&self.file, &all)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use anyhow::anyhow;

    use super::*;

    #[test]
    fn what_lasts_is_told_once_and_stays_on_file() {
        let run = std::env::temp_dir().join(format!("vxnet-warnings-{}", std::process::id()));
        fs::create_dir_all(&run).unwrap();
        let paths = Paths {
            run: run.clone(),
            pins: run.clone(),
        };
        let doubts = |lines: &[&str]| {
            lines
                .iter()
                .map(|&line| line.to_owned())
                .collect::<Vec<_>>()
        };
        let mut told = Warnings::new(&paths);
        assert_eq!(told.doubts(doubts(&["no eth7"])).unwrap(), ["no eth7"]);
        assert!(told.doubts(doubts(&["no eth7"])).unwrap().is_empty());
        let error = anyhow!("busy");
        assert_eq!(told.error(&error).unwrap().as_deref(), Some("busy"));
        assert_eq!(told.error(&error).unwrap(), None);
        assert_eq!(warnings(&paths).unwrap(), ["busy", "no eth7"]);
        assert_eq!(told.doubts(doubts(&["no eth8"])).unwrap(), ["no eth8"]);
        assert_eq!(warnings(&paths).unwrap(), ["no eth8"]);
        assert_eq!(told.error(&error).unwrap().as_deref(), Some("busy"), "anew");
        told.doubts(Vec::new()).unwrap();
        assert!(warnings(&paths).unwrap().is_empty());
        fs::remove_dir_all(&run).unwrap();
    }
}
