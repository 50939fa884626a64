//! What the run prints: progress to stderr, the report to stdout.

use std::io::Write as _;

/// Text of the report, and how it is written.
pub(crate) struct Report;

impl Report {
    /// Says what is going on, to who waits.
    pub(crate) fn progress(line: &str) {
        // A closed pipe must not keep the beds from being cleaned up.
        writeln!(std::io::stderr(), "{line}").ok();
    }

    pub(crate) fn line(line: &str) {
        writeln!(std::io::stdout(), "{line}").ok();
    }

    pub(crate) fn heading(title: &str) {
        Self::line(&format!("\n== {title} =="));
    }

    pub(crate) fn table<const N: usize>(heads: [&str; N], lines: &[[String; N]]) {
        for line in table(heads, lines) {
            Self::line(&line);
        }
    }
}

/// Lays a table out in columns.
fn table<const N: usize>(heads: [&str; N], lines: &[[String; N]]) -> Vec<String> {
    let heads = heads.map(str::to_owned);
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = std::iter::once(&heads).chain(lines);
        let lengths = cells.map(|cells| cells[column].chars().count());
        lengths.max().unwrap_or(0)
    });
    let lay = |cells: &[String; N]| {
        let padded: Vec<String> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    std::iter::once(&heads).chain(lines).map(lay).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let line = |cells: [&str; 2]| cells.map(str::to_owned);
        let text = table(["A", "B"], &[line(["long", "x"]), line(["y", ""])]);
        assert_eq!(text, ["A     B", "long  x", "y"]);
    }
}
