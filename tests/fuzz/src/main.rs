//! The targets under libFuzzer. One program for all of them, as most of the time goes into linking:
//! the variable `VXNET_FUZZ_TARGET` names the one to run. `cargo xtask fuzz` sets it.
#![no_main]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;

// As the crate vxnet has them, under the same paths.
#[path = "../../../vxnet/src/config/mod.rs"]
#[allow(dead_code, unused_imports, reason = "vxnet uses the rest")]
mod config;
#[path = "../../../vxnet/src/cli/decode.rs"]
mod decode;
#[path = "../../../vxnet/src/cli/trace/pcap.rs"]
#[allow(dead_code, reason = "vxnet uses the rest")]
mod pcap;
#[path = "../../../vxnet/src/model.rs"]
#[allow(dead_code, reason = "vxnet uses the rest")]
mod model;
mod target;

static TARGET: OnceLock<target::Target> = OnceLock::new();

fuzz_target!(
    init: {
        let name = std::env::var("VXNET_FUZZ_TARGET").expect("VXNET_FUZZ_TARGET names no target");
        let found = target::TARGETS.iter().find(|(known, _)| *known == name);
        let (_, target) = found.unwrap_or_else(|| panic!("no target is named `{name}`"));
        TARGET.get_or_init(|| *target);
    },
    |data: &[u8]| {
        if let Some(target) = TARGET.get() {
            target(data);
        }
    }
);
