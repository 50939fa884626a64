//! `cargo xtask mutate`: breaks the code on purpose, and expects a test to notice.
//!
//! The list is `xtask/mutations.txt`. It holds the mistakes that would hurt, not every operator
//! that could be flipped: each entry costs a build. They are applied to a copy of the tree, so
//! that work can go on in the tree itself, and built for debugging: a mutant is built once and
//! run for a second, so the time to compile it counts.

use std::{fs, path::Path, time::SystemTime};

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;

use crate::{cargo, lab, privilege, toolchain};

mod list;
mod tree;

use list::Mutation;
use tree::{Tree, Verdict};

#[derive(Args)]
pub(crate) struct Options {
    /// Try only the mutants whose name contains one of these
    names: Vec<String>,
}

const LIST: &str = "xtask/mutations.txt";

pub(crate) fn run(options: &Options) -> Result<()> {
    let text = fs::read_to_string(cargo::root().join(LIST))
        .with_context(|| format!("cannot read {LIST}"))?;
    let mutations = list::parse(&text).with_context(|| LIST.to_owned())?;
    for name in &options.names {
        ensure!(
            mutations.iter().any(|other| other.name.contains(name)),
            "no mutant has `{name}` in its name\nhint: see {LIST}"
        );
    }
    let is_chosen = |mutation: &Mutation| {
        let names = &options.names;
        names.is_empty() || names.iter().any(|name| mutation.name.contains(name))
    };
    let mutations: Vec<_> = mutations.into_iter().filter(is_chosen).collect();

    let datapath = privilege::lacking()?.is_empty();
    toolchain::ensure_bpf()?;
    if datapath {
        lab::ensure()?;
    } else {
        println!("not privileged: the datapath tests do not help to kill");
    }
    let tree = Tree::copy(
        &cargo::root(),
        &cargo::target_dir()?.join("mutants"),
        datapath,
    )?;
    // Cheap, and before the first build: an entry must not rot unseen behind a slow one.
    for mutation in &mutations {
        mutate(tree.path(), mutation)?;
    }
    match tree.test()? {
        Verdict::Survived => {}
        Verdict::Killed(by) => bail!("a test fails without any mutation: {by}"),
        Verdict::Broken(output) => bail!("the tree does not build without any mutation\n{output}"),
    }

    let (mut killed, mut survived, mut broken) = (0, 0, 0);
    for mutation in &mutations {
        let start = SystemTime::now();
        let verdict = tree.with(&mutation.file, &mutate(tree.path(), mutation)?)?;
        let seconds = cargo::seconds(start);
        let name = &mutation.name;
        match verdict {
            Verdict::Killed(by) => {
                killed += 1;
                println!("killed          {name:<24} {seconds:>5.1} s  {by}");
            }
            Verdict::Survived => {
                survived += 1;
                println!(
                    "SURVIVED        {name:<24} {seconds:>5.1} s  {}",
                    mutation.why
                );
            }
            Verdict::Broken(output) => {
                broken += 1;
                println!("DOES NOT BUILD  {name:<24} {seconds:>5.1} s\n{output}");
            }
        }
    }
    println!("{killed} killed, {survived} survived");
    ensure!(
        broken == 0,
        "{broken} mutants do not build\nhint: correct them in {LIST}"
    );
    ensure!(
        survived == 0,
        "{survived} mutants survived\nhint: write the test that kills them"
    );
    Ok(())
}

/// Returns the mutated text of the file.
fn mutate(root: &Path, mutation: &Mutation) -> Result<String> {
    let Mutation {
        name, file, find, ..
    } = mutation;
    let source = fs::read_to_string(root.join(file))
        .with_context(|| format!("mutant `{name}`: cannot read {}", file.display()))?;
    let times = source.matches(find.as_str()).count();
    ensure!(
        times == 1,
        "mutant `{name}`: its text occurs {times} times in {}, not once\nhint: correct it in {LIST}",
        file.display()
    );
    Ok(source.replacen(find, &mutation.replace, 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry whose text is gone would stop a run of hours, and nobody runs it daily.
    #[test]
    fn every_entry_of_the_list_has_its_text_once() {
        let root = cargo::root();
        let text = fs::read_to_string(root.join(LIST)).unwrap();
        let failures: Vec<String> = list::parse(&text)
            .unwrap()
            .iter()
            .filter_map(|mutation| mutate(&root, mutation).err())
            .map(|error| format!("{error:#}"))
            .collect();
        assert!(failures.is_empty(), "{failures:#?}");
    }
}
