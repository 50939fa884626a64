//! The format of `xtask/mutations.txt`, which describes itself at its head.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};

/// One deliberate mistake.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mutation {
    pub(super) name: String,
    pub(super) file: PathBuf,
    pub(super) why: String,
    pub(super) find: String,
    pub(super) replace: String,
}

/// Reads the list, or says which line is wrong.
pub(super) fn parse(text: &str) -> Result<Vec<Mutation>> {
    let mut found: Vec<Mutation> = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((at, line)) = lines.next() {
        let number = at + 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            let known = found.iter().any(|mutation| mutation.name == name);
            ensure!(!known, "line {number}: a second mutant `{name}`");
            found.push(Mutation {
                name: name.to_owned(),
                ..Mutation::default()
            });
            continue;
        }
        let current = found
            .last_mut()
            .with_context(|| format!("line {number}: expected `[name]`, found `{line}`"))?;
        if let Some(file) = line.strip_prefix("file: ") {
            current.file = PathBuf::from(file);
        } else if let Some(why) = line.strip_prefix("why: ") {
            why.clone_into(&mut current.why);
        } else if line == "<<<" {
            let mut texts = lines.by_ref().map(|(_, line)| line);
            current.find = until(&mut texts, "===", number)?;
            current.replace = until(&mut texts, ">>>", number)?;
        } else {
            bail!("line {number}: `{line}` is not understood");
        }
    }
    for Mutation {
        name,
        file,
        why,
        find,
        replace,
    } in &found
    {
        let complete = !(file.as_os_str().is_empty() || why.is_empty() || find.is_empty());
        ensure!(complete, "mutant `{name}` lacks a file, a reason or a text");
        ensure!(find != replace, "mutant `{name}` changes nothing");
    }
    Ok(found)
}

/// Returns the lines up to `end`, which was opened in line `from`.
fn until<'a>(lines: &mut impl Iterator<Item = &'a str>, end: &str, from: usize) -> Result<String> {
    let mut text = Vec::new();
    for line in lines {
        if line == end {
            return Ok(text.join("\n"));
        }
        text.push(line);
    }
    bail!("line {from}: the text has no `{end}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRY: &str = "# c\n[a]\nfile: x/y.rs\nwhy: z\n<<<\n  one\n  two\n===\n\n>>>\n";

    #[test]
    fn an_entry_is_read() {
        let mutation = Mutation {
            name: "a".to_owned(),
            file: PathBuf::from("x/y.rs"),
            why: "z".to_owned(),
            find: "  one\n  two".to_owned(),
            replace: String::new(),
        };
        assert_eq!(parse(ENTRY).unwrap(), [mutation]);
    }

    #[test]
    fn a_wrong_line_is_named() {
        let error = |text: &str| parse(text).unwrap_err().to_string();
        assert_eq!(
            error("file: x"),
            "line 1: expected `[name]`, found `file: x`"
        );
        assert_eq!(error("[a]\nfiel: x"), "line 2: `fiel: x` is not understood");
        assert_eq!(error("[a]\n<<<\nx"), "line 2: the text has no `===`");
        assert_eq!(
            error("[a]\nfile: x"),
            "mutant `a` lacks a file, a reason or a text"
        );
        assert_eq!(
            error(&(ENTRY.to_owned() + ENTRY)),
            "line 12: a second mutant `a`"
        );
    }

    #[test]
    fn the_committed_list_is_well_formed() {
        assert!(
            !parse(include_str!("../../mutations.txt"))
                .unwrap()
                .is_empty()
        );
    }
}
