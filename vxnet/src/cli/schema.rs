//! `vxnet schema`: the fabric file as a JSON Schema, for editors.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use crate::config;

/// Print the JSON Schema of the fabric file.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Prints the schema.
pub fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    writeln!(
        io::stdout(),
        "{}",
        serde_json::to_string_pretty(&config::schema())?
    )?;
    Ok(ExitCode::SUCCESS)
}
