//! Which compiler and linker build the BPF object.
//!
//! `vxnet/build.rs` includes this file by path, so that the build and `cargo xtask` can never
//! disagree about the choice. Hence only the standard library, and no printing.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Names the toolchain to use instead of the one that would be found.
pub(crate) const OVERRIDE: &str = "VXNET_BPF_TOOLCHAIN";

/// The rustup name under which a distribution's compiler is linked.
pub(crate) const LINKED: &str = "debian";

/// Variables by which an outer cargo would choose the compiler of an inner one.
const LEAKS: &[&str] = &[
    "CARGO",
    "RUSTC",
    "RUSTDOC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTUP_TOOLCHAIN",
];

/// A compiler that has the source of `core`, which `bpfel-unknown-none` (tier 3) is built from.
#[derive(Debug)]
pub(crate) struct Toolchain {
    /// Its rustup name.
    pub(crate) name: String,
    /// What `rustc -vV` prints as its release.
    pub(crate) release: String,
    /// The LLVM major that bpf-linker must be linked against.
    pub(crate) llvm: u32,
    pub(crate) sysroot: PathBuf,
}

impl Toolchain {
    /// Asks the toolchain `name` for its version and source, or says what it lacks.
    pub(crate) fn probe(name: &str) -> Result<Self, String> {
        let sysroot = PathBuf::from(ask(name, &["--print", "sysroot"])?.trim());
        let version = ask(name, &["-vV"])?;
        let (release, llvm) = parse_version(&version)
            .ok_or_else(|| format!("`rustc -vV` of toolchain `{name}` is not understood"))?;
        let toolchain = Self {
            name: name.to_owned(),
            release,
            llvm,
            sysroot,
        };
        if !toolchain.source().join("core").is_dir() {
            return Err(format!("toolchain `{name}` has no rust-src"));
        }
        Ok(toolchain)
    }

    /// Returns where the source of the standard library lies.
    pub(crate) fn source(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib/src/rust/library")
    }

    /// Returns whether `-Z` flags need `RUSTC_BOOTSTRAP=1`: only a nightly takes them by itself.
    pub(crate) fn needs_bootstrap(&self) -> bool {
        !(self.release.contains("nightly") || self.release.contains("dev"))
    }

    /// Returns whether `cargo clippy` works: Debian packages it separately.
    pub(crate) fn has_clippy(&self) -> bool {
        self.sysroot.join("bin/cargo-clippy").is_file()
    }

    /// Returns a command that runs `program` of this toolchain and of no other.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = rustup_run(&self.name, program);
        if self.needs_bootstrap() {
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        command
    }
}

/// Chooses the toolchain: the override, else a nightly, else the linked one, if it has source.
pub(crate) fn toolchain() -> Result<Toolchain, String> {
    if let Ok(name) = env::var(OVERRIDE) {
        return Toolchain::probe(&name).map_err(|error| format!("{error} (named by {OVERRIDE})"));
    }
    let candidates = candidates(&rustup_toolchains()?);
    let mut refused = Vec::new();
    for name in &candidates {
        match Toolchain::probe(name) {
            Ok(toolchain) => return Ok(toolchain),
            Err(error) => refused.push(error),
        }
    }
    if refused.is_empty() {
        refused.push(format!(
            "rustup has neither a nightly nor a toolchain named `{LINKED}`"
        ));
    }
    Err(refused.join("; "))
}

/// Returns where bpf-linker is, on the PATH or where `cargo install` puts it.
pub(crate) fn linker() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(cargo_bin())
        .map(|dir| dir.join("bpf-linker"))
        .find(|file| file.is_file())
}

/// Returns the PATH on which rustc finds `linker`, which it looks up by its bare name.
pub(crate) fn path_with(linker: &Path) -> std::ffi::OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<_> = env::split_paths(&path).collect();
    if let Some(dir) = linker.parent()
        && !dirs.iter().any(|known| known == dir)
    {
        dirs.insert(0, dir.to_owned());
    }
    env::join_paths(dirs).unwrap_or(path)
}

fn cargo_bin() -> Option<PathBuf> {
    let home = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")))?;
    Some(home.join("bin"))
}

fn rustup_toolchains() -> Result<String, String> {
    let output = Command::new("rustup")
        .args(["toolchain", "list"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run rustup: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Orders the names in `rustup toolchain list`; a dated nightly was pinned for something else, so
/// the plain one, whose name is shorter, comes first.
fn candidates(list: &str) -> Vec<String> {
    let names = || {
        list.lines()
            .filter_map(|line| line.split_whitespace().next())
    };
    let mut found: Vec<_> = names()
        .filter(|name| name.starts_with("nightly"))
        .map(str::to_owned)
        .collect();
    found.sort_by_key(String::len);
    found.extend(names().filter(|name| *name == LINKED).map(str::to_owned));
    found
}

fn rustup_run(toolchain: &str, program: &str) -> Command {
    let mut command = Command::new("rustup");
    for name in LEAKS {
        command.env_remove(name);
    }
    command
        .args(["run", toolchain, program])
        .stdin(Stdio::null());
    command
}

fn ask(toolchain: &str, args: &[&str]) -> Result<String, String> {
    let output = rustup_run(toolchain, "rustc")
        .args(args)
        .output()
        .map_err(|error| format!("cannot run rustup: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let cause = stderr
            .trim()
            .trim_start_matches("error: ")
            .replace('\n', ", ");
        Err(format!("toolchain `{toolchain}` does not run: {cause}"))
    }
}

fn parse_version(version: &str) -> Option<(String, u32)> {
    let field = |name| {
        version
            .lines()
            .find_map(|line: &str| line.strip_prefix(name))
    };
    let llvm = field("LLVM version: ")?.split('.').next()?.parse().ok()?;
    Some((field("release: ")?.to_owned(), llvm))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plain_nightly_comes_first_and_the_linked_toolchain_last() {
        let list = "stable-x (active, default)\ndebian\nnightly-2026-01-01-x\nnightly-x\n";
        assert_eq!(
            candidates(list),
            ["nightly-x", "nightly-2026-01-01-x", "debian"]
        );
        assert!(candidates("no installed toolchains").is_empty());
    }

    #[test]
    fn the_version_gives_release_and_llvm_major() {
        let version = "rustc 1.96.0\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
        assert_eq!(parse_version(version), Some(("1.96.0".to_owned(), 22)));
        assert_eq!(parse_version("release: 1.96.0\n"), None);
    }
}
