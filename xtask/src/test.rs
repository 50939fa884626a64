//! `cargo xtask test`: every tier, cheapest first.
//!
//! Nearly everything is built for release, as `cargo xtask run` does: the daemon under test is
//! the one that is shipped, and on two cores a second profile would compile the dependencies, and
//! `core` for the BPF object, once more. Only vxnet-common and xtask, which have next to no
//! dependencies, are tested with the dev profile: it panics on overflow, release does not.

use std::{
    env,
    io::{self, BufRead as _, BufReader},
    process::Command,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use crate::{cargo, lab, privilege, toolchain};

mod report;

use report::{Count, Outcome};

#[derive(Args)]
pub(crate) struct Options {
    /// Run only the tests whose name contains this
    filter: Option<String>,
    /// Run only this tier
    #[arg(long, value_enum)]
    tier: Option<Tier>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tier {
    Unit,
    Object,
    Datapath,
    E2e,
}

/// One `cargo test`, and one line of the summary.
struct Target {
    name: &'static str,
    tier: Tier,
    args: &'static [&'static str],
    /// Tests that wait for timers more than they compute gain from running in parallel, but two
    /// labs on two cores are what still keeps their deadlines.
    threads: Option<u32>,
}

const TARGETS: &[Target] = &[
    Target {
        name: "vxnet-common, xtask",
        tier: Tier::Unit,
        args: &["-p", "vxnet-common", "-p", "xtask"],
        threads: None,
    },
    Target {
        name: "vxnet",
        tier: Tier::Unit,
        args: &["--release", "--lib", "--bin", "vxnet", "--test", "config"],
        threads: None,
    },
    Target {
        name: "vxnet-bench",
        tier: Tier::Unit,
        args: &["--release", "-p", "vxnet-tests", "--bin", "vxnet-bench"],
        threads: None,
    },
    Target {
        name: "fuzz corpus",
        tier: Tier::Unit,
        args: &["--release", "--test", "fuzz"],
        threads: None,
    },
    Target {
        name: "doc",
        tier: Tier::Unit,
        args: &["--release", "--doc"],
        threads: None,
    },
    Target {
        name: "object",
        tier: Tier::Object,
        args: &["--release", "--test", "object"],
        threads: None,
    },
    Target {
        name: "datapath",
        tier: Tier::Datapath,
        args: &["--release", "--test", "datapath"],
        threads: None,
    },
    Target {
        name: "oracle",
        tier: Tier::Datapath,
        args: &["--release", "--test", "oracle"],
        threads: None,
    },
    Target {
        name: "e2e",
        tier: Tier::E2e,
        args: &["--release", "--test", "e2e"],
        threads: Some(2),
    },
    // Last and alone: the kernel can do nothing else with links while thousands of them go.
    Target {
        name: "scale",
        tier: Tier::E2e,
        args: &["--release", "--test", "scale"],
        threads: Some(1),
    },
];

impl Target {
    fn is_privileged(&self) -> bool {
        matches!(self.tier, Tier::Datapath | Tier::E2e)
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let chosen = TARGETS
        .iter()
        .filter(|target| options.tier.is_none_or(|tier| tier == target.tier));
    let chosen: Vec<_> = chosen.collect();
    let skip = skips(chosen.iter().any(|target| target.is_privileged()))?;

    toolchain::ensure_bpf()?;
    if !skip && chosen.iter().any(|target| target.is_privileged()) {
        lab::ensure()?;
        if chosen.iter().any(|target| target.name == "oracle") {
            lab::ensure_open_vswitch()?;
        }
    }
    let vxnet = cargo::build(&["vxnet"])?.join("vxnet");

    let mut report = Vec::new();
    for target in chosen {
        let start = SystemTime::now();
        let outcome = if skip && target.is_privileged() {
            Outcome::Skipped
        } else {
            println!("\n=== {} ===", target.name);
            let mut command = cargo::cargo("test");
            command
                .env("VXNET_BIN", &vxnet)
                .arg("--no-fail-fast")
                .args(target.args);
            if !target.args.contains(&"-p") {
                command.args(cargo::TOGETHER);
            }
            command.arg("--").args(options.filter.as_deref());
            command.args(
                target
                    .threads
                    .map(|threads| format!("--test-threads={threads}")),
            );
            listen(command)?
        };
        report.push((target.name, outcome, cargo::seconds(start)));
    }

    println!("\n=== summary ===");
    for (name, outcome, seconds) in &report {
        println!("{name:<20} {outcome} in {seconds:.1} s");
    }
    if skip {
        warn_of_skip();
    }
    if report.iter().any(|(_, outcome, _)| outcome.is_failure()) {
        bail!("tests failed");
    }
    if let Some(filter) = &options.filter
        && report.iter().all(|(_, outcome, _)| outcome.ran() == 0)
    {
        bail!("no test has `{filter}` in its name");
    }
    Ok(())
}

/// Returns whether privileged tests are skipped: only on request, for a skip looks like a pass.
fn skips(wanted: bool) -> Result<bool> {
    if env::var_os("VXNET_SKIP_PRIVILEGED").is_some_and(|value| value == "1") {
        if wanted {
            warn_of_skip();
        }
        return Ok(wanted);
    }
    let lacking = if wanted {
        privilege::lacking()?
    } else {
        Vec::new()
    };
    if lacking.is_empty() {
        return Ok(false);
    }
    Err(privilege::Refused(format!(
        "the datapath and e2e tests load programs into the kernel; this process lacks {}\n\
         hint: sudo -E env PATH=\"$PATH\" cargo xtask test\n\
         hint: VXNET_SKIP_PRIVILEGED=1 leaves them out",
        lacking.join(", ")
    ))
    .into())
}

fn warn_of_skip() {
    println!("\n*** VXNET_SKIP_PRIVILEGED=1: the datapath and e2e tests ARE NOT RUN ***");
}

/// Runs a `cargo test`, shows what it prints while it prints it, and counts.
fn listen(mut command: Command) -> Result<Outcome> {
    // One pipe for both streams, so that libtest's lines and cargo's stay whole and in order.
    let (reader, writer) = io::pipe().context("cannot create a pipe")?;
    command
        .stdout(writer.try_clone().context("cannot share a pipe")?)
        .stderr(writer);
    let mut child = command.spawn().context("cannot run `cargo test`")?;
    // It holds the ends for writing, which would keep the pipe open.
    drop(command);

    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
            if sender
                .send(String::from_utf8_lossy(&line).into_owned())
                .is_err()
            {
                break;
            }
        }
    });
    let mut count = Count::default();
    loop {
        match lines.recv_timeout(Duration::from_secs(1)) {
            Ok(line) => {
                println!("{line}");
                count.add(&line);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                if child
                    .try_wait()
                    .context("cannot wait for `cargo test`")?
                    .is_some()
                {
                    println!("warning: a process that the tests started outlives them");
                    break;
                }
            }
        }
    }
    let status = child.wait().context("cannot wait for `cargo test`")?;
    Ok(Outcome::of(count, status.success()))
}
