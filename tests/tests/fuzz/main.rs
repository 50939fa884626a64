//! The fuzz targets over their corpus, without a fuzzer: the seeds, and every input that once
//! found a bug. Needs neither root nor libFuzzer; `cargo xtask fuzz` looks for new ones.

use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use vxnet::{config, model};

// Parts of commands, which nobody else needs to see.
#[path = "../../../vxnet/src/cli/decode.rs"]
mod decode;
#[path = "../../../vxnet/src/cli/trace/pcap.rs"]
#[allow(dead_code, reason = "vxnet uses the rest")]
mod pcap;
#[path = "../../fuzz/src/target/mod.rs"]
mod target;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

/// Returns the files of a directory, by name.
fn entries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths
}

#[test]
fn every_target_has_seeds_and_every_directory_a_target() {
    let named: BTreeSet<_> = target::TARGETS
        .iter()
        .map(|(name, _)| corpus().join(name))
        .collect();
    let found: BTreeSet<_> = entries(&corpus()).into_iter().collect();
    assert_eq!(named, found);
    for dir in found {
        assert!(entries(&dir).len() >= 2, "{}", dir.display());
    }
}

#[test]
fn what_holds_for_all_inputs_holds_for_the_corpus() {
    let mut failed = Vec::new();
    for (name, target) in target::TARGETS {
        let short = [&[][..], &[0], &[0xff; 64]].map(<[u8]>::to_vec);
        let short = short.map(|input| (format!("{name}: {input:02x?}"), input));
        let kept = entries(&corpus().join(name)).into_iter();
        let kept = kept.map(|path| (path.display().to_string(), fs::read(path).expect("a file")));
        for (input, bytes) in kept.chain(short) {
            // All of them: each has printed its message.
            if catch_unwind(AssertUnwindSafe(|| target(&bytes))).is_err() {
                failed.push(input);
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
