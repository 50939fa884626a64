//! What is wrong with a file, where, and what to write instead.

use std::{collections::BTreeSet, ops::Range};

/// How much of a name or value from the file a message quotes.
const QUOTED_CHARS: usize = 60;

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The bytes at fault; `None` if the file as a whole is.
    pub span: Option<Range<usize>>,
    /// The path of the key, such as `network.blue.vni`; empty where no key is concerned.
    pub key: String,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// Other places that have to do with it, such as the first of two uses.
    pub related: Vec<Related>,
}

/// Another place of the file that has to do with a [`Diagnostic`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Related {
    /// The bytes of that place.
    pub span: Range<usize>,
    /// What is there.
    pub message: String,
}

impl Diagnostic {
    pub(super) fn at(span: Range<usize>, key: &str, message: impl AsRef<str>) -> Self {
        Self {
            span: Some(span),
            key: printable(key),
            message: printable(message.as_ref()),
            help: None,
            related: Vec::new(),
        }
    }

    pub(super) fn of_file(message: impl AsRef<str>) -> Self {
        Self {
            span: None,
            ..Self::at(0..0, "", message)
        }
    }

    pub(super) fn message(mut self, message: impl AsRef<str>) -> Self {
        self.message = printable(message.as_ref());
        self
    }

    pub(super) fn help(mut self, help: impl AsRef<str>) -> Self {
        self.help = Some(printable(help.as_ref()));
        self
    }

    pub(super) fn related(mut self, span: Range<usize>, message: impl AsRef<str>) -> Self {
        self.related.push(Related {
            span,
            message: printable(message.as_ref()),
        });
        self
    }
}

/// What is wrong with a value, told by code that does not know where the value stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) message: String,
    pub(super) help: String,
}

impl Fault {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }

    pub(super) fn at(self, span: Range<usize>, key: &str) -> Diagnostic {
        Diagnostic::at(span, key, self.message).help(self.help)
    }
}

/// All that the steps have found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    diagnostics: Vec<Diagnostic>,
    /// The keys at fault.
    blamed: BTreeSet<String>,
    /// The places that are not TOML. What stands there was guessed by the parser, so the later
    /// steps neither trust it nor complain about it, nor of what may be missing because of it.
    unreadable: Vec<Range<usize>>,
    /// Whether what is not there may have been meant to be.
    is_incomplete: bool,
}

impl Findings {
    pub(super) fn add(&mut self, diagnostic: Diagnostic) {
        self.blamed.insert(diagnostic.key.clone());
        self.diagnostics.push(diagnostic);
    }

    /// Takes note of a place that is not TOML; places come in the order of the file.
    pub(super) fn distrust(&mut self, place: Range<usize>) {
        self.unreadable.push(place);
        self.is_incomplete = true;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.diagnostics.is_empty()
    }

    /// Takes note that something may be in the file that was not recognised.
    pub(super) fn expect_more(&mut self) {
        self.is_incomplete = true;
    }

    /// Returns whether all of the file was understood, so that what is not there is missing.
    pub(super) fn is_complete(&self) -> bool {
        !self.is_incomplete
    }

    /// Returns whether a key or an item of its list was at fault or not understood, so that its
    /// value, or the lack of one, proves nothing.
    pub(super) fn may_be_unread(&self, key: &str) -> bool {
        let item = format!("{key}[");
        let next = self.blamed.range(item.clone()..).next();
        self.is_incomplete
            || self.blamed.contains(key)
            || next.is_some_and(|next| next.starts_with(&item))
    }

    /// Returns whether a place touches one that is not TOML.
    pub(super) fn is_unreadable(&self, span: &Range<usize>) -> bool {
        let next = self
            .unreadable
            .partition_point(|place| place.end < span.start);
        self.unreadable
            .get(next)
            .is_some_and(|place| place.start <= span.end)
    }

    /// Returns the diagnostics in the order of the file.
    pub(super) fn into_sorted(mut self) -> Vec<Diagnostic> {
        let start = |diagnostic: &Diagnostic| diagnostic.span.as_ref().map(|span| span.start);
        self.diagnostics.sort_by_key(start);
        self.diagnostics
    }
}

impl From<Diagnostic> for Findings {
    fn from(diagnostic: Diagnostic) -> Self {
        let mut findings = Self::default();
        findings.add(diagnostic);
        findings
    }
}

/// Returns a name or value from the file as a message quotes it: short and on one line.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", shortened(text))
}

/// Returns the path of a key in a table, with what is no bare key of TOML in quotes.
pub(super) fn join(table: &str, key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let key = if !key.is_empty() && key.chars().all(is_bare) {
        shortened(key)
    } else {
        format!("\"{}\"", shortened(key).replace('"', "\\\""))
    };
    if table.is_empty() {
        key
    } else {
        format!("{table}.{key}")
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED_CHARS) {
        Some((end, _)) => printable(&text[..end]) + "…",
        None => printable(text),
    }
}

/// Returns a text in which no character breaks a line, moves a cursor or turns the direction of
/// writing, whatever the file holds.
pub(super) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns_direction(c) {
            printable.extend(c.escape_default());
        } else {
            printable.push(c);
        }
    }
    printable
}

fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_the_file_breaks_a_line() {
        assert_eq!(
            quoted("a\nb\u{1b}[31m%s\u{202e}"),
            r"`a\nb\u{1b}[31m%s\u{202e}`"
        );
        assert_eq!(quoted(&"x".repeat(61)), format!("`{}…`", "x".repeat(60)));
    }

    #[test]
    fn a_key_path_reads_as_toml() {
        assert_eq!(join("", "port"), "port");
        assert_eq!(join("network.br0-vxlan", "vni"), "network.br0-vxlan.vni");
        assert_eq!(join("host", "../x"), r#"host."../x""#);
        assert_eq!(join("host", "a\"\n"), r#"host."a\"\n""#);
    }
}
