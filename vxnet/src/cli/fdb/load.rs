//! `vxnet fdb load`: many addresses at once.

use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{CommandFactory as _, FromArgMatches as _, Parser};

use super::{View, add::Add};
use crate::{cli::output, host::maps::Maps};

/// Arguments of `vxnet fdb load`.
#[derive(clap::Args)]
pub(in crate::cli) struct Load {
    /// The file, or - for the standard input; each line has the arguments of `fdb add`
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// A line of the file.
#[derive(Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Line {
    #[command(flatten)]
    add: Add,
}

impl Load {
    pub(super) fn run(&self, view: &View, maps: &mut Maps) -> Result<ExitCode> {
        let (name, text) = read(&self.file)?;
        let mut checked = Vec::new();
        let mut places = HashMap::new();
        for (number, add) in lines(&text).map_err(|error| error.in_file(&name))? {
            let row = add.check(view, maps);
            let row = row.map_err(|error| anyhow!("{name}:{number}: {error:#}"))?;
            if let Some(other) = places.insert(row.key, number) {
                bail!("{name}:{number}: line {other} has that address too");
            }
            checked.push(row);
        }
        // Not one before all are known to be fine.
        for (done, row) in checked.iter().enumerate() {
            row.write(maps)
                .with_context(|| format!("only {done} of {} were added", checked.len()))?;
        }
        let mut told = format!("{} addresses added\n", checked.len());
        let notes: BTreeSet<_> = checked.iter().filter_map(|row| row.note).collect();
        for note in notes {
            told.push_str(note);
        }
        output::text(&told)
    }
}

fn read(file: &Path) -> Result<(String, String)> {
    if file == Path::new("-") {
        let text = io::read_to_string(io::stdin()).context("cannot read the standard input")?;
        return Ok(("-".into(), text));
    }
    let name = file.display().to_string();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    Ok((name, text))
}

/// A line that is none of `fdb add`'s.
#[derive(Debug)]
struct Malformed {
    number: usize,
    reason: String,
}

impl Malformed {
    fn in_file(&self, name: &str) -> anyhow::Error {
        anyhow!("{name}:{}: {}", self.number, self.reason)
    }
}

/// Reads the lines; empty ones and those that begin with # are none.
fn lines(text: &str) -> Result<Vec<(usize, Add)>, Malformed> {
    // Made once: that takes longer than reading a line.
    let mut command = Line::command();
    let numbered = (1..).zip(text.lines());
    let told = numbered.filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let read = |(number, line): (usize, &str)| {
        let line = command
            .try_get_matches_from_mut(line.split_whitespace())
            .and_then(|mut matches| Line::from_arg_matches_mut(&mut matches));
        match line {
            Ok(line) => Ok((number, line.add)),
            Err(error) => {
                let text = error.to_string();
                // What is wrong, without the usage behind it.
                let what = text.split("\n\n").next().unwrap_or_default();
                let words: Vec<_> = what.split_whitespace().skip(1).collect();
                let reason = words.join(" ");
                Err(Malformed { number, reason })
            }
        }
    };
    told.map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_those_of_fdb_add() {
        let text = "# stations\n\n52:54:00:00:00:01 --network blue --port vnet1\n  \n\
                    52:54:00:00:00:02 --network red --vlan 7 --vtep 10.0.0.1 --sticky\n";
        let numbers: Vec<_> = lines(text)
            .unwrap()
            .iter()
            .map(|(number, _)| *number)
            .collect();
        assert_eq!(numbers, [3, 5]);
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        for (line, says) in [
            ("nonsense", "nonsense"),
            ("52:54:00:00:00:01 --network blue", "--port"),
            (
                "52:54:00:00:00:01 --network blue --port a --vtep 10.0.0.1",
                "--vtep",
            ),
            ("52:54:00:00:00:01 --port a", "--network"),
            ("52:54:00:00:00:01 --network blue --port a --help", "--help"),
            ("52:54:00:00:00:01 --network blue --port a b", "'b'"),
        ] {
            let text = format!("52:54:00:00:00:01 --network blue --port a\n{line}\n");
            let Err(error) = lines(&text) else {
                panic!("{line} is taken");
            };
            let shown = error.in_file("macs").to_string();
            assert!(
                shown.starts_with("macs:2: ") && shown.contains(says),
                "{shown}"
            );
        }
    }
}
