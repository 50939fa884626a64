//! `vxnet schema`: the fabric file as a JSON Schema, for editors.

use std::process::ExitCode;

use super::output;
use crate::config;

/// Print the JSON Schema of the fabric file
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

/// Prints the schema.
pub(super) fn run(_args: &Args) -> anyhow::Result<ExitCode> {
    output::json(&config::schema())
}
