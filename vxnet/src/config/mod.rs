//! The fabric as the user writes it: one TOML file, the same on every host.
//!
//! A file goes through four steps, and every step reports all it finds before the file is refused:
//!
//! ```text
//! text ─▶ syntax ─▶ shape ─▶ raw ─▶ check ─▶ model::Fabric
//!         TOML      keys,    as     what the
//!         with      types,   typed  fields
//!         spans     limits          mean
//! ```
//!
//! The types in `raw` are the only list of keys: the JSON Schema comes from them, and `shape`
//! compares the file with that schema. Nothing here touches the host, so a file is checked alike on
//! every machine.

mod check;
mod diagnostic;
mod expectation;
mod place;
mod raw;
mod render;
mod shape;
mod syntax;

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use serde::Deserialize as _;

pub use self::{
    diagnostic::{Diagnostic, Related},
    raw::schema,
    render::Report,
};
use crate::model::Fabric;

/// The largest file that is read: far above any real fabric, and small enough to parse at once.
const MAX_BYTES: usize = 1 << 20;

/// Reads and checks a file.
pub fn load(path: &Path) -> Result<Fabric, Report> {
    load_with_text(path).map(|(fabric, _)| fabric)
}

/// As [`load`], and returns the text too.
pub fn load_with_text(path: &Path) -> Result<(Fabric, String), Report> {
    let file_name = path.display().to_string();
    let bytes = read(path).map_err(|error| {
        let help = match error.kind() {
            io::ErrorKind::NotFound => "give the path of an existing fabric file",
            io::ErrorKind::PermissionDenied => "run as a user who may read the file",
            _ => "give the path of a fabric file in TOML",
        };
        let message = format!("cannot read the file: {error}");
        Report::new(
            &file_name,
            "",
            Diagnostic::of_file(message).help(help).into(),
        )
    })?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok((parse(&file_name, &text)?, text)),
        // A file cut at the limit may end inside a character: its size is what is wrong with it.
        Err(error) if error.as_bytes().len() > MAX_BYTES => Err(too_large(&file_name)),
        Err(error) => {
            let start = error.utf8_error().valid_up_to();
            // The text before the first bad byte is kept as it is, so the offset holds.
            let text = String::from_utf8_lossy(error.as_bytes());
            let bad_byte = Diagnostic::at(start..start, "", "the file is not valid UTF-8")
                .help("save the file as UTF-8 text");
            Err(Report::new(&file_name, &text, bad_byte.into()))
        }
    }
}

/// Checks the text of a file.
pub fn parse(file_name: &str, text: &str) -> Result<Fabric, Report> {
    if text.len() > MAX_BYTES {
        return Err(too_large(file_name));
    }
    let (mut document, mut findings) = syntax::parse(text);
    shape::fit(&mut document, &schema(), &mut findings);
    let fabric = match raw::Fabric::deserialize(toml::de::Deserializer::from(document)) {
        Ok(raw) => check::fabric(&raw, &mut findings),
        Err(error) => {
            // The schema and the types are one, so this is unreachable unless `shape` misses a rule
            // of serde. The file is refused all the same.
            let message = error.message();
            findings.add(match error.span() {
                Some(span) => Diagnostic::at(span, "", message),
                None => Diagnostic::of_file(message),
            });
            None
        }
    };
    match fabric {
        Some(fabric) if findings.is_empty() => Ok(fabric),
        _ => Err(Report::new(file_name, text, findings)),
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than allowed tells a large file from one of exactly the limit.
    File::open(path)?
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn too_large(file_name: &str) -> Report {
    let message = format!("the file is larger than {MAX_BYTES} bytes");
    let too_large = Diagnostic::of_file(message).help("give the path of a fabric file in TOML");
    Report::new(file_name, "", too_large.into())
}
