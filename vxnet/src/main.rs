//! The `vxnet` command.

use std::process::ExitCode;

use clap::Parser as _;
use vxnet::cli::{Cli, run};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "this is where errors end")]
            {
                eprintln!("vxnet: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
