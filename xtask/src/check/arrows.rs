//! The arrows between rooms: which module may use which other module of its crate.
//!
//! Read from paths that start with `crate::`. A path through `super` cannot leave a room, unless
//! it stands in the room's own file. Tests may look anywhere.

use std::path::Path;

use super::code::{code, without_tests};

/// The crates whose rooms have arrows. A new room is one line here.
const CRATES: &[Crate] = &[
    Crate {
        src: "vxnet/src",
        rooms: &[
            // Pure: what the user wants.
            room("config", &["model"]),
            room("model", &[]),
            room("desired", &["model", "state"]),
            // Desired and observed are this same type, so it knows neither.
            room("state", &[]),
            room("plan", &["state"]),
            // Over the rows of the maps, whoever read them.
            room("trace", &[]),
            room("reconcile", &["desired", "plan", "state", "model"]),
            // Input and output. The host is not told that a fabric came from a file.
            // `reconcile` says what a host must be able to do, and knows no host.
            room("host", &["state", "model", "plan", "reconcile"]),
            room(
                "daemon",
                &[
                    "config",
                    "model",
                    "reconcile",
                    "host",
                    "state",
                    "desired",
                    "plan",
                ],
            ),
            room(
                "cli",
                &[
                    "config",
                    "model",
                    "reconcile",
                    "host",
                    "state",
                    "desired",
                    "plan",
                    "daemon",
                    "trace",
                ],
            ),
        ],
        others: Others::Unknown,
    },
    Crate {
        src: "vxnet-ebpf/src",
        // The leaves: every program uses them.
        rooms: &[room("maps", &[]), room("packet", &[])],
        others: Others::Free,
    },
];

struct Crate {
    src: &'static str,
    rooms: &'static [Room],
    others: Others,
}

struct Room {
    name: &'static str,
    uses: &'static [&'static str],
}

/// What a module is that the table does not name.
#[derive(PartialEq)]
enum Others {
    /// An error: somebody has to decide where it stands.
    Unknown,
    /// Free to use all others.
    Free,
}

const fn room(name: &'static str, uses: &'static [&'static str]) -> Room {
    Room { name, uses }
}

/// Returns what is wrong with the file at `path` (relative to the workspace).
pub(super) fn check(path: &Path, source: &str) -> Vec<String> {
    let Some((of, own)) = CRATES
        .iter()
        .find_map(|of| Some((of, path.strip_prefix(of.src).ok()?)))
    else {
        return Vec::new();
    };
    let Some(name) = room_of(own) else {
        return Vec::new();
    };
    let Some(room) = of.rooms.iter().find(|room| room.name == name) else {
        return match of.others {
            Others::Free => Vec::new(),
            Others::Unknown => vec![format!(
                "{}: room `{name}` is unknown\nhint: add it, and what it may use, to the table in \
                 xtask/src/check/arrows.rs",
                path.display()
            )],
        };
    };
    let code = without_tests(&code(source));
    let is_room =
        |used: &str| of.others == Others::Free || of.rooms.iter().any(|room| room.name == used);
    uses(&code)
        .into_iter()
        .filter(|(_, used)| used != room.name && is_room(used))
        .filter(|(_, used)| !room.uses.contains(&used.as_str()))
        .map(|(line, used)| {
            let may = match room.uses {
                [] => "no other module of its crate".to_owned(),
                uses => format!("only {}", uses.join(", ")),
            };
            format!(
                "{}:{line}: `{name}` uses `{used}`, but may use {may}",
                path.display()
            )
        })
        .collect()
}

/// Returns the room that a file belongs to, if it has one: the roots and tests have none.
fn room_of(own: &Path) -> Option<String> {
    if super::is_test(own) {
        return None;
    }
    let first = own.components().next()?.as_os_str().to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    // Further binaries and the roots stand above all rooms.
    (!matches!(name, "lib" | "main" | "bin")).then(|| name.to_owned())
}

/// Returns the modules that `crate::` paths name, each with the number of its line.
fn uses(code: &str) -> Vec<(usize, String)> {
    const CRATE: &str = "crate::";

    let mut found = Vec::new();
    for (at, _) in code.match_indices(CRATE) {
        // `super_crate::` is another word.
        if !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            let line = code[..at].matches('\n').count() + 1;
            let heads = heads(&code[at + CRATE.len()..]);
            found.extend(heads.into_iter().map(|head| (line, head)));
        }
    }
    found
}

/// Returns the first segments of a path's rest: one, or those of a group in braces.
fn heads(rest: &str) -> Vec<String> {
    let rest = rest.trim_start();
    let Some(group) = rest.strip_prefix('{') else {
        return word(rest).into_iter().collect();
    };
    let mut found: Vec<String> = word(group).into_iter().collect();
    let mut depth = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => found.extend(word(&group[at + 1..])),
            _ => {}
        }
    }
    found
}

fn word(text: &str) -> Option<String> {
    let text = text.trim_start();
    let end = text
        .find(|c: char| !(c.is_alphanumeric() || c == '_'))
        .unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

#[cfg(test)]
mod tests;
