//! Diagnostics as a person reads them, with the lines of the file they are about.

use std::{borrow::Cow, fmt, ops::Range};

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::diagnostic::{Diagnostic, Findings, printable};

/// How many diagnostics are kept; a file with more is no fabric file.
const MOST: usize = 100;

/// All that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    file_name: String,
    text: String,
    diagnostics: Vec<Diagnostic>,
    dropped: usize,
}

impl Report {
    pub(super) fn new(file_name: &str, text: &str, findings: Findings) -> Self {
        let mut diagnostics = findings.into_sorted();
        let dropped = diagnostics.len().saturating_sub(MOST);
        diagnostics.truncate(MOST);
        Self {
            file_name: printable(file_name),
            text: text.to_owned(),
            diagnostics,
            dropped,
        }
    }

    /// Returns the name of the file, fit to be printed.
    pub fn file_name(&self) -> &str {
        &self.file_name
    }

    /// Returns what is wrong, in the order of the file.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.diagnostics
    }

    /// Returns the line and column of a diagnostic, both counted from 1 and the column in
    /// characters, or `None` if it is about the file as a whole.
    pub fn position(&self, diagnostic: &Diagnostic) -> Option<(usize, usize)> {
        let before = self.text.get(..diagnostic.span.as_ref()?.start)?;
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.matches('\n').count() + 1;
        Some((line, before[line_start..].chars().count() + 1))
    }

    /// Returns the report as text, with ANSI colours if asked for.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut parts: Vec<_> = self
            .diagnostics
            .iter()
            .map(|diagnostic| renderer.render(&[self.group(diagnostic)]))
            .collect();
        let count = self.diagnostics.len() + self.dropped;
        let noun = if count == 1 { "error" } else { "errors" };
        let dropped = if self.dropped > 0 {
            format!("; the first {MOST} are shown")
        } else {
            String::new()
        };
        parts.push(format!("{count} {noun} in {}{dropped}", self.file_name));
        parts.join("\n\n")
    }

    fn group<'a>(&'a self, diagnostic: &'a Diagnostic) -> Group<'a> {
        let title = if diagnostic.key.is_empty() {
            diagnostic.message.clone()
        } else {
            format!("{}: {}", diagnostic.key, diagnostic.message)
        };
        let mut group = if let Some(span) = &diagnostic.span {
            Level::ERROR
                .primary_title(title)
                .element(self.snippet(span, diagnostic))
        } else {
            Group::with_title(Level::ERROR.primary_title(format!("{}: {title}", self.file_name)))
        };
        if let Some(help) = &diagnostic.help {
            group = group.element(Level::HELP.with_name("hint").message(help.as_str()));
        }
        group
    }

    fn snippet<'a>(
        &'a self,
        span: &Range<usize>,
        diagnostic: &'a Diagnostic,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let related = &diagnostic.related;
        // Only the lines in question: the renderer reads all of a source once per diagnostic.
        let first = related
            .iter()
            .map(|other| other.span.start)
            .fold(span.start, usize::min);
        let last = related
            .iter()
            .map(|other| other.span.end)
            .fold(span.end, usize::max);
        let start = self.text[..first]
            .rfind('\n')
            .map_or(0, |newline| newline + 1);
        let end = self.text[last..]
            .find('\n')
            .map_or(self.text.len(), |newline| last + newline);
        let within = |span: &Range<usize>| span.start - start..span.end - start;

        Snippet::source(displayable(&self.text[start..end]))
            .path(self.file_name.as_str())
            .line_start(self.text[..start].matches('\n').count() + 1)
            .annotation(AnnotationKind::Primary.span(within(span)))
            .annotations(related.iter().map(|other| {
                AnnotationKind::Context
                    .span(within(&other.span))
                    .label(other.message.as_str())
            }))
    }
}

/// Replaces the C1 control characters, which some terminals obey and `annotate-snippets` lets
/// through, by one of the same length, so that the spans stay right.
fn displayable(source: &str) -> Cow<'_, str> {
    let is_c1 = |c: char| ('\u{80}'..='\u{9f}').contains(&c);
    if source.contains(is_c1) {
        source.replace(is_c1, "\u{b7}").into()
    } else {
        source.into()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}
