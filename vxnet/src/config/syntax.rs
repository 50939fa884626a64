//! Text to TOML with spans; all syntax errors and duplicate keys are found in one go.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::diagnostic::{Diagnostic, Findings, join, quoted};

/// What `toml` says of a key used twice: the one error after which the rest is still understood.
const DUPLICATE: &str = "duplicate key";

/// How many errors are looked at: after so many, the text is something else than a fabric file.
const MOST: usize = 1000;

/// Parses a text as far as it can be understood.
pub(super) fn parse(text: &str) -> (Spanned<DeTable<'_>>, Findings) {
    let (document, mut errors) = DeTable::parse_recoverable(text);
    errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));

    let mut keys = Vec::new();
    if errors.iter().any(|error| error.message() == DUPLICATE) {
        collect_keys(document.get_ref(), "", &mut keys);
        keys.sort_unstable_by_key(|key| key.place.start);
    }

    let mut findings = Findings::default();
    let mut line = 0..0;
    let mut first_of_line = true;
    let mut repeated_table = 0..0;
    for (count, error) in errors.into_iter().enumerate() {
        let span = error.span().unwrap_or(0..0);
        if count == MOST {
            findings.distrust(span.start..text.len());
            break;
        }
        if span.start > line.end || count == 0 {
            line = line_of(text, span.start);
            first_of_line = true;
        }
        if error.message() == DUPLICATE {
            if !repeated_table.contains(&span.start) {
                if is_header(&text[line.clone()]) {
                    repeated_table = line.start..table_end(text, line.end);
                    // It may have been meant to be another table, which is then missed elsewhere.
                    findings.expect_more();
                }
                findings.add(duplicate(text, span, &line, &keys));
            }
        } else if first_of_line {
            // One mistake makes the parser stumble several times: the first time tells most.
            first_of_line = false;
            findings.distrust(line.clone());
            findings.add(unreadable(text, &span, &line, error.message()));
        }
    }
    (document, findings)
}

/// Returns what is wrong with a line, in the words of the parser where there are no better ones.
fn unreadable(text: &str, span: &Range<usize>, line: &Range<usize>, message: &str) -> Diagnostic {
    if let Some(value) = bare_value(text, line).filter(|value| value.end >= span.start) {
        let source = &text[value.clone()];
        return if source.is_empty() {
            Diagnostic::at(value, "", "the key has no value").help("write `key = value`")
        } else {
            // By far the most common mistake: an address or a name without its quotes.
            Diagnostic::at(value, "", format!("{} is no value of TOML", quoted(source)))
                .help("write a text in double quotes, also an address or a time")
        };
    }
    let help = if message.contains("recurs") {
        "nothing in a fabric file is nested so deeply"
    } else if message.starts_with("key with no value") {
        "write `key = value`"
    } else {
        "write TOML: `[table]` or `key = value` on a line, and texts in double quotes"
    };
    Diagnostic::at(span.clone(), "", message).help(help)
}

/// Returns the place of the value in a line `key = value`, unless it begins like a string, a list
/// or a table.
fn bare_value(text: &str, line: &Range<usize>) -> Option<Range<usize>> {
    let (key, value) = text[line.clone()].split_once('=')?;
    if key.contains(['"', '\'', '[', '{', '#']) {
        return None;
    }
    let value = value.split('#').next().unwrap_or_default();
    let start = line
        .end
        .min(line.start + key.len() + 1 + value.len() - value.trim_start().len());
    let value = value.trim();
    (!value.starts_with(['"', '\'', '[', '{'])).then(|| start..start + value.len())
}

/// A key of the document.
struct Key<'t> {
    name: &'t str,
    path: String,
    place: Range<usize>,
}

fn duplicate(text: &str, span: Range<usize>, line: &Range<usize>, keys: &[Key<'_>]) -> Diagnostic {
    let (key, source) = (
        text.get(span.clone()).unwrap_or_default(),
        text[line.clone()].trim(),
    );
    let (path, message, first) = if is_header(source) {
        let path = source.trim_matches(['[', ']']).to_owned();
        let message = format!("table {} is defined twice", quoted(source));
        (path, message, first_header(text, line, source))
    } else {
        let before = keys.partition_point(|key| key.place.start < span.start);
        let name = key.trim_matches(['"', '\'']);
        // Which of two keys `b` is meant by `a.b` is not known from its last part.
        let is_dotted = text[..span.start].trim_end().ends_with('.');
        let first = keys[..before]
            .iter()
            .rev()
            .find(|key| key.name == name && !is_dotted);
        let path = first.map_or_else(|| join("", name), |first| first.path.clone());
        (
            path,
            format!("key {} is given twice", quoted(key)),
            first.map(|key| key.place.clone()),
        )
    };
    let diagnostic = Diagnostic::at(span, &path, message)
        .help("keep one of the two, or give this one its own name");
    match first {
        Some(first) => diagnostic.related(first, "first used here"),
        None => diagnostic,
    }
}

fn first_header(text: &str, line: &Range<usize>, header: &str) -> Option<Range<usize>> {
    let mut start = 0;
    text[..line.start]
        .split_inclusive('\n')
        .find_map(|earlier| {
            let here = start;
            start += earlier.len();
            (earlier.trim() == header).then(|| here..here + earlier.trim_end().len())
        })
}

fn line_of(text: &str, offset: usize) -> Range<usize> {
    let start = text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[offset..]
        .find('\n')
        .map_or(text.len(), |newline| offset + newline);
    start..end
}

fn is_header(line: &str) -> bool {
    line.trim_start().starts_with('[')
}

fn table_end(text: &str, from: usize) -> usize {
    text[from..]
        .find("\n[")
        .map_or(text.len(), |next| from + next + 1)
}

fn collect_keys<'t>(table: &'t DeTable<'_>, path: &str, keys: &mut Vec<Key<'t>>) {
    for (key, value) in table {
        let (name, path) = (key.get_ref().as_ref(), join(path, key.get_ref()));
        if let DeValue::Table(inner) = value.get_ref() {
            collect_keys(inner, &path, keys);
        }
        keys.push(Key {
            name,
            path,
            place: key.span(),
        });
    }
}
