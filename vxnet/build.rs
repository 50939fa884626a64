//! Builds the BPF object, which `vxnet` embeds from `OUT_DIR/vxnet-bpf`.

use std::{env, process::ExitCode};

use aya_build::{Package, Toolchain};

#[path = "../xtask/src/toolchain/detect.rs"]
#[allow(dead_code, reason = "xtask uses the rest")]
mod detect;

/// What the object is made from besides the crate vxnet-ebpf, which aya-build watches itself.
const INPUTS: &[&str] = &[
    "build.rs",
    "../Cargo.lock",
    "../Cargo.toml",
    "../vxnet-common/Cargo.toml",
    "../vxnet-common/src",
    "../xtask/src/toolchain/detect.rs",
];

#[expect(
    clippy::print_stderr,
    reason = "cargo shows what a failed build script wrote there"
)]
fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    const INSTALL: &str = "hint: run `cargo xtask toolchain --install`";

    for input in INPUTS {
        println!("cargo:rerun-if-changed={input}");
    }
    // Not PATH: rustup's proxies lengthen it at each nesting.
    println!("cargo:rerun-if-env-changed={}", detect::OVERRIDE);

    let toolchain = detect::toolchain()
        .map_err(|error| format!("no toolchain can build the BPF object: {error}\n{INSTALL}"))?;
    let linker = detect::linker()
        .ok_or_else(|| format!("bpf-linker is neither on the PATH nor installed\n{INSTALL}"))?;
    // An upgrade of either must rebuild the object.
    println!("cargo:rerun-if-changed={}", linker.display());
    println!(
        "cargo:rerun-if-changed={}",
        toolchain.sysroot.join("bin/rustc").display()
    );

    let mut set = vec![("PATH", detect::path_with(&linker))];
    if toolchain.needs_bootstrap() {
        set.push(("RUSTC_BOOTSTRAP", "1".into()));
    }
    // aya-build repeats what the inner cargo says as warnings, on every build.
    if env::var_os("CARGO_TERM_VERBOSE").is_none() {
        set.push(("CARGO_TERM_QUIET", "true".into()));
    }
    for (name, value) in set {
        // SAFETY: no other thread exists yet, so none can read the environment meanwhile.
        unsafe { env::set_var(name, value) };
    }

    let object = Package {
        name: "vxnet-ebpf",
        root_dir: "../vxnet-ebpf",
        ..Package::default()
    };
    aya_build::build_ebpf([object], Toolchain::Custom(&toolchain.name)).map_err(|error| {
        format!(
            "the BPF object does not build with toolchain `{}`: {error:#}",
            toolchain.name
        )
    })
}
