//! `warnings.json` in the run folder: what is probably not as the user means it, and what cannot be
//! done, for `vxnet status`.

use std::path::PathBuf;

use anyhow::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::host::{Paths, memory};

/// The warnings of now. Each is logged when it comes up, and not again while it lasts.
#[derive(Debug)]
pub(super) struct Warnings {
    file: PathBuf,
    doubts: Vec<String>,
    error: Option<String>,
    refused: Option<String>,
}

/// What the daemon, or the last `apply`, has to say.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Why the host is not as the file says.
    pub degraded: Option<String>,
    /// What is probably not as the user means it.
    pub warnings: Vec<String>,
}

/// Returns what the daemon, or the last `apply`, has to say.
pub fn told(paths: &Paths) -> Result<Told> {
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
            refused: None,
        }
    }

    /// Takes why a file was not applied, or that the last one was.
    pub(super) fn refused(&mut self, why: Option<String>) -> Result<()> {
        self.refused = why;
        self.write()
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
        let degraded = self.refused.iter().chain(&self.error).cloned();
        let told = Told {
            degraded: degraded.reduce(|all, next| format!("{all}\n{next}")),
            warnings: self.doubts.clone(),
        };
        if told == Told::default() {
            return memory::remove(&self.file);
        }
        memory::write(&self.file, &told)
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
        let mut lasting = Warnings::new(&paths);
        assert_eq!(lasting.doubts(doubts(&["no eth7"])).unwrap(), ["no eth7"]);
        assert!(lasting.doubts(doubts(&["no eth7"])).unwrap().is_empty());
        let error = anyhow!("busy");
        assert_eq!(lasting.error(&error).unwrap().as_deref(), Some("busy"));
        assert_eq!(lasting.error(&error).unwrap(), None);
        let seen = || told(&paths).unwrap();
        assert_eq!(seen().degraded.as_deref(), Some("busy"));
        assert_eq!(seen().warnings, ["no eth7"]);
        assert_eq!(lasting.doubts(doubts(&["no eth8"])).unwrap(), ["no eth8"]);
        assert_eq!(
            (seen().degraded, seen().warnings),
            (None, vec!["no eth8".into()])
        );
        assert_eq!(
            lasting.error(&error).unwrap().as_deref(),
            Some("busy"),
            "anew"
        );
        lasting.doubts(Vec::new()).unwrap();
        assert_eq!(seen(), Told::default());
        // A file that was refused is told of until one is not, whatever goes well meanwhile.
        lasting.refused(Some("line 3".into())).unwrap();
        lasting.doubts(Vec::new()).unwrap();
        assert_eq!(seen().degraded.as_deref(), Some("line 3"));
        lasting.error(&error).unwrap();
        assert_eq!(seen().degraded.as_deref(), Some("line 3\nbusy"));
        lasting.doubts(Vec::new()).unwrap();
        lasting.refused(None).unwrap();
        assert_eq!(seen(), Told::default());
        fs::remove_dir_all(&run).unwrap();
    }
}
