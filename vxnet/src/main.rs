//! The `vxnet` command.

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;
use vxnet::cli::{Cli, run};

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            // Nothing is left to do if nobody reads this.
            let _ = writeln!(std::io::stderr(), "vxnet: {error:#}");
            ExitCode::FAILURE
        }
    }
}
