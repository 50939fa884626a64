//! `vxnet check` and `vxnet schema`, as a user or a script calls them.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;

fn vxnet(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vxnet"))
        .args(arguments)
        .output()
        .expect("cannot start vxnet")
}

fn example(name: &str) -> String {
    format!("{}/../examples/{name}.toml", env!("CARGO_MANIFEST_DIR"))
}

/// A file that is gone with the test.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::write(&path, text).expect("cannot write the file");
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path in UTF-8")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("not UTF-8")
}

#[test]
fn check_sums_a_good_file_up() {
    for name in [
        "two-hosts",
        "two-networks",
        "ipv6-underlay",
        "vlan-trunk",
        "multicast",
        "overlay-vlans",
    ] {
        let output = vxnet(&["check", &example(name)]);
        assert!(output.status.success(), "{name}: {}", text(&output.stderr));
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    }
    let output = vxnet(&["check", &example("two-hosts")]);
    assert_eq!(
        text(&output.stdout),
        "ok: 2 hosts, 1 network, VXLAN on UDP port 4789\n\
         host host1: underlay 172.31.0.121, br0-vxlan\n\
         host host2: underlay 172.31.0.122, br0-vxlan\n\
         network br0-vxlan: VNI 10, bridge br0, MTU of the underlay less 50, ageing 300 s, subnet \
         192.168.124.0/24, gateway 192.168.124.1 on host1, gateway 192.168.124.2 on host2\n"
    );
}

#[test]
fn check_sums_vlans_up() {
    let output = vxnet(&["check", &example("vlan-trunk")]);
    assert_eq!(
        text(&output.stdout),
        "ok: 2 hosts, 1 network, VXLAN on UDP port 4789\n\
         host hv1: underlay 192.168.1.11, ovs-network, trunk enp5s0f0 into ovs-network, 2 known \
         ports\n\
         host hv2: underlay 192.168.1.12, ovs-network, trunk enp5s0f0 into ovs-network, 2 known \
         ports\n\
         network ovs-network: VLANs 1001,1002, bridge ovsbr0, ageing 300 s, portgroups vlan-1001 \
         vlan-1002 vlan-all, ports without a portgroup are blocked, nothing goes over the \
         underlay\n"
    );
    let output = vxnet(&["check", &example("overlay-vlans")]);
    let summary = text(&output.stdout);
    for part in [
        "trunk enp5s0f0 into office, untagged is VLAN 10",
        "VLANs 10,20-29,40, VNI 5020 for VLAN 20, bridge br-office",
        "ageing 600 to 3600 s, flooded to 239.0.0.20",
    ] {
        assert!(summary.contains(part), "{part:?} is not in:\n{summary}");
    }
}

#[test]
fn check_reports_a_bad_file_on_stderr() {
    let file = File::new("command-bad.toml", "prot = 1\n");
    let output = vxnet(&["check", file.path()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let page = text(&output.stderr);
    assert!(
        page.contains("unknown key `prot`") && page.contains("command-bad.toml:1:1"),
        "{page}"
    );
    assert!(page.contains("3 errors in "), "{page}");
    assert!(
        !page.contains('\u{1b}'),
        "colours without a terminal: {page}"
    );
}

#[test]
fn check_tells_of_a_missing_file() {
    let output = vxnet(&["check", "/nonexistent.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let page = text(&output.stderr);
    assert!(
        page.contains("cannot read the file") && page.contains("hint: "),
        "{page}"
    );
}

#[test]
fn check_answers_a_script_in_json() {
    let json = |arguments: &[&str]| -> (Option<i32>, Value) {
        let output = vxnet(arguments);
        assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
        (
            output.status.code(),
            serde_json::from_slice(&output.stdout).expect("not JSON"),
        )
    };
    let (code, result) = json(&["check", "--json", &example("two-hosts")]);
    assert_eq!(
        (code, result),
        (Some(0), serde_json::json!({ "ok": true, "errors": [] }))
    );

    let bad = fs::read_to_string(example("two-hosts"))
        .expect("an example")
        .replace("10", "0");
    let file = File::new("command-json.toml", &bad);
    let (code, result) = json(&["check", "--json", file.path()]);
    assert_eq!(code, Some(1));
    let expected = serde_json::json!({ "ok": false, "errors": [{
        "file": file.path(),
        "line": 11,
        "column": 7,
        "key": "network.br0-vxlan.vni",
        "message": "expected an integer from 1 to 16777215, found `0`",
        "help": "write a value such as `vni = 10`",
    }]});
    assert_eq!(result, expected);

    let (code, result) = json(&["check", "--json", "/nonexistent.toml"]);
    assert_eq!(
        (code, &result["errors"][0]["line"]),
        (Some(1), &Value::Null)
    );
}

#[test]
fn schema_is_json() {
    let output = vxnet(&["schema"]);
    assert!(output.status.success());
    let schema: Value = serde_json::from_slice(&output.stdout).expect("not JSON");
    assert_eq!(schema, vxnet::config::schema().to_value());
}
