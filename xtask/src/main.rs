//! vxnet's development commands: `cargo xtask COMMAND`.
//!
//! One file per command. xtask uses no crate of the workspace, so that it still builds, and can
//! say what is wrong, when they do not: it only starts cargo and other tools.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a terminal is its only reader"
)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod apt;
mod bench;
mod cargo;
mod check;
mod fuzz;
mod lab;
mod mutate;
mod privilege;
mod run;
mod test;
mod toolchain;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, try and test vxnet")]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure vxnet against other switches, and judge its goals
    Bench(bench::Options),
    /// Check formatting, lints, docs and the arrows between rooms
    Check(check::Options),
    /// Look for inputs that break the parsers, with libFuzzer
    Fuzz(fuzz::Options),
    /// Break the code on purpose and see the tests fail
    Mutate(mutate::Options),
    /// Run the lab, or `vxnet` with the arguments after `--`
    Run(run::Options),
    /// Run the tests of every tier
    Test(test::Options),
    /// Show the tools that were found, or install what is missing
    Toolchain(toolchain::Options),
}

fn main() -> ExitCode {
    let result = match Options::parse().command {
        Command::Bench(options) => bench::run(&options),
        Command::Check(options) => check::run(&options),
        Command::Fuzz(options) => fuzz::run(&options),
        Command::Mutate(options) => mutate::run(&options),
        Command::Run(options) => run::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Toolchain(options) => toolchain::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            let refused = error.is::<privilege::Refused>();
            ExitCode::from(if refused { 2 } else { 1 })
        }
    }
}
