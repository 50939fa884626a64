//! How xtask starts cargo, and where the workspace lies.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::SystemTime,
};

use anyhow::{Context as _, Result, bail, ensure};

/// The packages that one build always names together.
///
/// cargo unifies the features of the dependencies over the packages it is asked for: asked for
/// `vxnet` alone, then for the tests, it would compile half of the tree twice.
pub(crate) const TOGETHER: &[&str] = &["-p", "vxnet", "-p", "vxnet-tests"];

/// Returns the root of the workspace that this xtask belongs to.
pub(crate) fn root() -> PathBuf {
    // `cargo run` sets the variable, so that a moved tree works without a rebuild.
    let own = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().map_or(own.clone(), Path::to_owned)
}

/// Returns `cargo SUBCOMMAND` in the workspace, as if it were typed in a shell.
pub(crate) fn cargo(subcommand: &str) -> Command {
    let mut command = Command::new("cargo");
    // `cargo run` described xtask to us; to a build script that is a reason to run again.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let describes = ["CARGO_PKG_", "CARGO_MANIFEST_"]
            .iter()
            .any(|prefix| text.starts_with(prefix));
        if describes {
            command.env_remove(&name);
        }
    }
    command
        .arg(subcommand)
        .current_dir(root())
        .stdin(Stdio::null());
    command
}

/// Runs `command`, and fails if it does.
pub(crate) fn spawn(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .with_context(|| format!("cannot run `{program}`"))?;
    ensure!(status.success(), "`{}` failed: {status}", line(command));
    Ok(())
}

/// Returns the standard output of `command`, or `None` if it cannot run or fails.
pub(crate) fn capture(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns `command` as it would be typed.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Returns the directory that cargo builds into.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let json = capture(cargo("metadata").args(["--no-deps", "--format-version=1"]))
        .context("`cargo metadata` failed")?;
    let metadata: serde_json::Value =
        serde_json::from_str(&json).context("`cargo metadata` printed no JSON")?;
    let dir = metadata["target_directory"].as_str();
    Ok(PathBuf::from(
        dir.context("`cargo metadata` names no target directory")?,
    ))
}

/// Builds `binaries` for release and returns the directory they are in.
pub(crate) fn build(binaries: &[&str]) -> Result<PathBuf> {
    let mut command = cargo("build");
    command.arg("--release").args(TOGETHER);
    for binary in binaries {
        command.args(["--bin", binary]);
    }
    spawn(&mut command)?;
    Ok(target_dir()?.join("release"))
}

/// Returns the files that git tracks or would track, relative to the root.
pub(crate) fn tracked() -> Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ])
    .current_dir(root());
    let Some(list) = capture(&mut git) else {
        bail!("`git ls-files` failed: this is not a git checkout");
    };
    let paths = list
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(PathBuf::from);
    let mut paths: Vec<_> = paths.filter(|path| root().join(path).is_file()).collect();
    paths.dedup();
    Ok(paths)
}

/// Returns the seconds since `start`, for a line of a report.
pub(crate) fn seconds(start: SystemTime) -> f64 {
    start.elapsed().map_or(0.0, |elapsed| elapsed.as_secs_f64())
}
