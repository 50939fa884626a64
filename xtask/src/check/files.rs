//! Rules about single files: length, names, unsafe blocks, `no_std`.

use std::path::Path;

use super::code::code;

/// Above this a file has more than one concern.
const MAX_LINES: usize = 500;

/// Names that say nothing about what is inside, and so collect everything.
const NO_NAMES: &[&str] = &[
    "common", "helper", "helpers", "manager", "types", "util", "utils",
];

/// How far above its block a SAFETY comment may start.
const SAFETY_LINES: usize = 3;

/// Returns what is wrong with the file at `path` (relative to the workspace).
pub(super) fn check(path: &Path, source: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let shown = path.display();

    let lines = source.lines().count();
    if lines > MAX_LINES && !super::is_test(path) {
        errors.push(format!(
            "{shown}: {lines} lines, of at most {MAX_LINES}\nhint: split it"
        ));
    }
    for name in path.iter().filter_map(|part| part.to_str()) {
        let name = name.strip_suffix(".rs").unwrap_or(name);
        if NO_NAMES.contains(&name) {
            errors.push(format!(
                "{shown}: `{name}` does not say what is inside\nhint: name it after its concern"
            ));
        }
    }
    let code = code(source);
    errors.extend(bare_unsafe(&code, source).into_iter().map(|line| {
        format!(
            "{shown}:{line}: `unsafe` without a SAFETY comment in the {SAFETY_LINES} lines above"
        )
    }));
    if path == Path::new("vxnet-common/src/lib.rs") {
        errors.extend(uses_std(&code, source).map(|error| format!("{shown}: {error}")));
    }
    errors
}

/// Returns the numbers of the lines with an unsafe block or impl that nothing vouches for.
fn bare_unsafe(code: &str, source: &str) -> Vec<usize> {
    let lines: Vec<_> = source.lines().collect();
    let opens = |line: &str| {
        line.match_indices("unsafe").any(|(at, word)| {
            let after = line[at + word.len()..].trim_start();
            after.starts_with('{') || after.starts_with("impl")
        })
    };
    let vouched = |at: usize| {
        lines[at.saturating_sub(SAFETY_LINES)..=at]
            .iter()
            .any(|line| line.contains("SAFETY"))
    };
    let blocks = code.lines().enumerate().filter(|(_, line)| opens(line));
    blocks
        .filter(|(at, _)| !vouched(*at))
        .map(|(at, _)| at + 1)
        .collect()
}

/// Says why the crate that the kernel programs use is not `no_std`, if it is not.
///
/// This is enough: without `extern crate std`, the build for the BPF target refuses every path
/// that starts with `std::`.
fn uses_std(code: &str, source: &str) -> Option<&'static str> {
    if !code.lines().any(|line| line.trim() == "#![no_std]") {
        return Some("not `#![no_std]`, but the kernel programs use this crate");
    }
    let lines: Vec<_> = source.lines().collect();
    let gated = |at: usize| {
        let above = at.checked_sub(1).map_or("", |above| lines[above].trim());
        above.starts_with("#[cfg(") && (above.contains("test") || above.contains("\"user\""))
    };
    let mut externs = code
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains("extern crate std"));
    externs
        .any(|(at, _)| !gated(at))
        .then_some("`extern crate std` outside tests and the feature `user`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(path: &str, source: &str) -> Vec<String> {
        check(Path::new(path), source)
    }

    #[test]
    fn a_long_file_is_refused_unless_it_is_a_test() {
        let long = "\n".repeat(MAX_LINES + 1);
        assert_eq!(errors("vxnet/src/plan.rs", &long).len(), 1);
        assert!(errors("vxnet/src/plan/tests.rs", &long).is_empty());
        assert!(errors("tests/src/netns.rs", &long).is_empty());
    }

    #[test]
    fn a_name_that_says_nothing_is_refused() {
        assert_eq!(errors("vxnet/src/utils.rs", "").len(), 1);
        assert_eq!(errors("vxnet/src/manager/mod.rs", "").len(), 1);
        assert!(errors("vxnet-common/src/addr.rs", "").is_empty());
    }

    #[test]
    fn an_unsafe_block_needs_its_reason() {
        let path = "vxnet-ebpf/src/packet.rs";
        assert!(errors(path, "// SAFETY: checked.\nlet x = unsafe { f() };").is_empty());
        assert!(errors(path, "// unsafe {\nunsafe fn f() {}").is_empty());
        let found = errors(
            path,
            "// SAFETY: far.\n\n\n\nunsafe {\n}\nunsafe impl Pod for X {}",
        );
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("vxnet-ebpf/src/packet.rs:5: "));
    }

    #[test]
    fn the_shared_crate_is_no_std() {
        let path = "vxnet-common/src/lib.rs";
        assert!(errors(path, "#![no_std]\n#[cfg(test)]\nextern crate std;").is_empty());
        assert!(
            errors(
                path,
                "#![no_std]\n#[cfg(feature = \"user\")]\nextern crate std;"
            )
            .is_empty()
        );
        assert_eq!(errors(path, "#![no_std]\nextern crate std;").len(), 1);
        assert_eq!(errors(path, "#![cfg_attr(not(test), no_std)]").len(), 1);
    }
}
