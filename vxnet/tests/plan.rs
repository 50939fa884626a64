//! `vxnet plan --offline`: what the example files come to, without a host.

use std::{path::PathBuf, process::Command};

fn vxnet(words: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_vxnet"))
        .args(words)
        // Nothing of this machine is looked at.
        .env("PATH", "/nowhere")
        .env("VXNET_PIN_DIR", "/nowhere")
        .env("VXNET_RUN_DIR", "/nowhere")
        .output()
        .expect("vxnet starts");
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code(),
        String::from_utf8(text).expect("UTF-8"),
    )
}

fn examples() -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let entries = std::fs::read_dir(folder).expect("the examples");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files
}

fn hosts(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file).expect("the file");
    let fabric: toml::Table = text.parse().expect("TOML");
    let hosts = fabric["host"].as_table().expect("hosts");
    hosts.keys().cloned().collect()
}

#[test]
fn every_host_of_every_example_has_a_plan() {
    let mut seen = 0;
    for file in examples() {
        let file = file.to_str().expect("UTF-8");
        for host in hosts(file) {
            let words = ["plan", "--offline", "--config", file, "--host", &host];
            let (code, text) = vxnet(&words);
            assert_eq!(code, Some(0), "{file} {host}: {text}");
            for part in [
                "+ bridge guard (nftables): ",
                "+ bridge ",
                "+ host row: host ",
                "+ tc-ingress program of ",
            ] {
                assert!(text.contains(part), "{file} {host}: no {part:?} in\n{text}");
            }
            assert!(!text.contains("program of link "), "{file} {host}: {text}");
            assert!(!text.contains("\nwarning: "), "{file} {host}: {text}");
            assert_eq!(vxnet(&words).1, text, "it is the same each time");
            seen += 1;
        }
    }
    assert!(seen > 10, "{seen} hosts");
}

#[test]
fn a_wrong_file_has_none() {
    let (code, text) = vxnet(&["plan", "--offline", "--config", "/nowhere/fabric.toml"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("cannot read the file"), "{text}");
}
