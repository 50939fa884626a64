//! What the lab prints: headed sections, one line a check, one last line.

use std::io::{Stdout, Write as _, stdout};
use std::process::ExitCode;

use anyhow::Result;

/// Prints as it goes and keeps the score.
#[derive(Debug)]
pub(crate) struct Report {
    out: Stdout,
    passed: u32,
    failed: u32,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            out: stdout(),
            passed: 0,
            failed: 0,
        }
    }

    pub(crate) fn section(&mut self, title: &str) {
        self.print(&format!("\n== {title} =="));
    }

    /// Shows `text` as it is, indented.
    pub(crate) fn show(&mut self, text: &str) {
        for line in text.trim_end().lines() {
            self.print(&format!("     {line}"));
        }
    }

    pub(crate) fn note(&mut self, text: &str) {
        self.print(&format!("     {text}"));
    }

    /// Prints one line for a check; `outcome` holds its figure or why it failed.
    pub(crate) fn check(&mut self, what: &str, outcome: Result<String>) {
        match outcome {
            Ok(figure) if figure.is_empty() => self.print(&format!("ok   {what}")),
            Ok(figure) => self.print(&format!("ok   {what}: {figure}")),
            Err(error) => {
                self.failed += 1;
                let text = format!("{error:#}");
                let mut lines = text.trim_end().lines();
                self.print(&format!(
                    "FAIL {what}: {}",
                    lines.next().unwrap_or("no reason")
                ));
                for line in lines {
                    self.print(&format!("     {line}"));
                }
                return;
            }
        }
        self.passed += 1;
    }

    /// Checks that `figure` holds.
    pub(crate) fn expect(&mut self, what: &str, holds: bool, figure: &str) {
        let outcome = if holds {
            Ok(figure.to_owned())
        } else {
            Err(anyhow::anyhow!("{figure}"))
        };
        self.check(what, outcome);
    }

    pub(crate) fn finish(&mut self) -> ExitCode {
        self.print(&format!("\n{} passed, {} failed", self.passed, self.failed));
        if self.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn print(&mut self, line: &str) {
        // A closed pipe must not keep the lab from being cleaned up.
        writeln!(self.out, "{line}").ok();
    }
}
