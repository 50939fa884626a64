//! Printing: tables for people, JSON for programs.

use std::{fmt::Write as _, io::Write as _, process::ExitCode};

use anyhow::Result;
use serde::Serialize;

/// Whether to print JSON; flattened into every command that reads.
#[derive(clap::Args, Clone, Copy)]
pub(super) struct Format {
    /// Print JSON with stable names
    #[arg(long)]
    pub(super) json: bool,
}

/// A row of a table, which is also an object of the JSON.
pub(super) trait Row: Serialize {
    /// Headings of the columns.
    const HEADINGS: &'static [&'static str];
    /// Those that are left out if no row has anything there but a dash.
    const SPARSE: &'static [&'static str] = &[];

    /// Returns the cells for people.
    fn cells(&self) -> Vec<String>;
}

/// Prints rows as a table or as a JSON array.
pub(super) fn rows<R: Row>(format: Format, rows: &[R]) -> Result<ExitCode> {
    if format.json {
        return json(&rows);
    }
    text(&table(rows))
}

/// Prints a value as JSON.
pub(super) fn json(value: &impl Serialize) -> Result<ExitCode> {
    text(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Prints text. A reader that has seen enough (`| head`) is no error.
pub(super) fn text(text: &str) -> Result<ExitCode> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Lays rows out in columns, two blanks apart, as iproute2 and docker do.
pub(super) fn table<R: Row>(rows: &[R]) -> String {
    let headings = R::HEADINGS
        .iter()
        .map(|heading| (*heading).to_owned())
        .collect();
    let mut lines: Vec<Vec<String>> = std::iter::once(headings)
        .chain(rows.iter().map(Row::cells))
        .collect();
    for heading in R::SPARSE {
        let is_empty = |column: &usize| lines[1..].iter().all(|line| line[*column] == "-");
        let column = R::HEADINGS.iter().position(|other| other == heading);
        if let Some(column) = column.filter(is_empty) {
            for line in &mut lines {
                line[column].clear();
            }
        }
    }
    // No heading is empty but those of columns that are left out.
    let shown: Vec<usize> = (0..R::HEADINGS.len())
        .filter(|column| !lines[0][*column].is_empty())
        .collect();
    for line in &mut lines {
        *line = shown.iter().map(|column| line[*column].clone()).collect();
    }
    let width = |column: usize| {
        lines
            .iter()
            .filter_map(|line| line.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..shown.len()).map(|c| width(c).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in &lines {
        let mut padded = String::new();
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(padded, "{cell:<width$}  ");
        }
        text.push_str(padded.trim_end());
        text.push('\n');
    }
    text
}

/// Returns a cell for a value that may be missing.
pub(super) fn or_dash<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| "-".into(), T::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Pair(&'static str, u32);

    impl Row for Pair {
        const HEADINGS: &'static [&'static str] = &["NAME", "N"];

        fn cells(&self) -> Vec<String> {
            vec![self.0.into(), self.1.to_string()]
        }
    }

    #[derive(Serialize)]
    struct Triple(&'static str, &'static str, &'static str);

    impl Row for Triple {
        const HEADINGS: &'static [&'static str] = &["A", "B", "C"];
        const SPARSE: &'static [&'static str] = &["B"];

        fn cells(&self) -> Vec<String> {
            [self.0, self.1, self.2].map(String::from).to_vec()
        }
    }

    #[test]
    fn sparse_columns_show_only_what_is_there() {
        let empty = [Triple("1", "-", "3"), Triple("4", "-", "-")];
        assert_eq!(table(&empty), "A  C\n1  3\n4  -\n");
        let full = [Triple("1", "-", "3"), Triple("4", "5", "-")];
        assert_eq!(table(&full), "A  B  C\n1  -  3\n4  5  -\n");
        assert_eq!(table::<Triple>(&[]), "A  C\n");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let text = table(&[Pair("a", 1), Pair("longer", 22)]);
        assert_eq!(text, "NAME    N\na       1\nlonger  22\n");
        assert_eq!(table::<Pair>(&[]), "NAME  N\n");
    }
}
