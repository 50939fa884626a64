//! Attack 29: files that are meant to break the reader. Each is refused as a whole, with a place.

use std::{
    fs,
    ops::Range,
    path::PathBuf,
    time::{Duration, Instant},
};

use vxnet::config::{Report, load, parse};

const VALID: &str = include_str!("../../../examples/two-hosts.toml");

fn refused(text: &str) -> Report {
    let start = Instant::now();
    let Err(report) = parse("fabric.toml", text) else {
        panic!("accepted: {text:.200}")
    };
    let page = report.render(false);
    assert!(
        start.elapsed() < Duration::from_secs(20),
        "took {:?}",
        start.elapsed()
    );
    assert!(
        !page.chars().any(|c| c.is_control() && c != '\n'),
        "{page:?}"
    );
    assert!(page.len() < 1 << 20, "a page of {} bytes", page.len());
    report
}

/// Expects the only fault of a changed valid file, on a line.
fn faulty(old: &str, new: &str, line: usize, message: &str) -> Report {
    assert!(VALID.contains(old), "{old}");
    let report = refused(&VALID.replacen(old, new, 1));
    let [found] = report.diagnostics() else {
        panic!("not one error:\n{report}")
    };
    assert_eq!(
        report.position(found).map(|(line, _)| line),
        Some(line),
        "{report}"
    );
    assert!(found.message.contains(message), "{report}");
    report
}

fn lines(numbers: Range<u32>, line: impl Fn(u32) -> String) -> String {
    numbers.map(line).collect::<Vec<_>>().concat()
}

/// Loads a file of the given bytes.
fn load_bytes(name: &str, bytes: &[u8]) -> Report {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&path, bytes).expect("cannot write the file");
    let report = load(&path).expect_err("accepted");
    fs::remove_file(&path).expect("cannot remove the file");
    report
}

#[test]
fn attack29_ten_megabytes() {
    let report = load_bytes("large.toml", "a = 1\n".repeat(10 << 20).as_bytes());
    assert!(
        report.to_string().contains("larger than 1048576 bytes"),
        "{report}"
    );
    let report = refused(&"#".repeat((1 << 20) + 1));
    assert!(
        report.to_string().contains("larger than 1048576 bytes"),
        "{report}"
    );
    // Also if the limit cuts a character in two.
    let report = load_bytes("large-utf8.toml", "#é".repeat(1 << 20).as_bytes());
    assert!(
        report.to_string().contains("larger than 1048576 bytes"),
        "{report}"
    );
    let full = format!("{VALID}#{}", "x".repeat((1 << 20) - VALID.len() - 1));
    assert!(
        parse("fabric.toml", &full).is_ok(),
        "a file of exactly the limit"
    );
}

#[test]
fn attack29_a_device_that_never_ends() {
    let report = load("/dev/zero".as_ref()).expect_err("accepted");
    assert!(
        report.to_string().contains("larger than 1048576 bytes"),
        "{report}"
    );
}

#[test]
fn attack29_deep_nesting() {
    for (open, close) in [("[", "]"), ("{a=", "}")] {
        for depth in [100, 100_000] {
            refused(&format!(
                "a = {}1{}",
                open.repeat(depth),
                close.repeat(depth)
            ));
            refused(&format!("{VALID}\n[x]\na = {}", open.repeat(depth)));
        }
    }
    refused(&format!("a{} = 1", ".a".repeat(100_000)));
    refused(&format!("[a{}]", ".a".repeat(100_000)));
    refused(&"[".repeat(1 << 20));
}

#[test]
fn attack29_a_flood_of_errors() {
    for line in [
        "!\n",
        "a=1\n",
        "[host.a]\n",
        "a = \"\n",
        "[[host]]\n",
        "\n=",
        "\"\"\"",
        "'",
        "\r",
    ] {
        refused(&line.repeat((1 << 20) / line.len()));
    }
    // After a thousand errors the parser is no longer listened to.
    assert!(
        refused(&"!\n".repeat(100_000))
            .to_string()
            .ends_with("\n999 errors in fabric.toml; the first 100 are shown")
    );
    let unknown = lines(0..60_000, |index| format!("k{index} = 1\n"));
    assert_eq!(refused(&unknown).diagnostics().len(), 100);
    let unhosted = lines(0..30_000, |index| {
        format!(
            "[host.h{index}]
"
        )
    });
    assert!(refused(&unhosted).to_string().contains("30001 errors"));
    let items = "1,".repeat(300_000);
    refused(&VALID.replace("bridge", &format!("hosts = [{items}]\nbridge")));
    let nearly = "hots1,".repeat(100_000);
    refused(&VALID.replace("bridge", &format!("hosts = [\"{nearly}\"]\nbridge")));
}

#[test]
fn attack29_a_fabric_too_large_to_hold() {
    let hosts = lines(0..16_000, |index| {
        format!(
            "[host.h{index}]\nunderlay=\"10.0.{}.{}\"\n",
            index >> 8,
            index & 255
        )
    });
    let networks = lines(1..9_000, |index| {
        format!("[network.n{index}]\nbridge=\"b{index}\"\nvni={index}\n")
    });
    assert!(
        hosts.len() + networks.len() < 1 << 20,
        "it must not be refused for its size"
    );
    let report = refused(&(hosts.clone() + &networks));
    assert!(
        report.to_string().contains("more than vxnet can serve"),
        "{report}"
    );
    // Only the hosts that a network is on count.
    let networks = lines(1..4_097, |index| {
        format!(
            "[network.n{index}]\nbridge=\"b{index}\"\nvni={index}\nhosts=[\"h1\", \"h{}\"]\n",
            2 + index
        )
    });
    let fabric = parse("fabric.toml", &(hosts + &networks));
    assert!(fabric.is_ok(), "{}", fabric.unwrap_err());
}

#[test]
fn attack29_duplicate_keys() {
    let report = faulty(
        "vni = 10",
        "vni = 10\nvni = 11",
        12,
        "key `vni` is given twice",
    );
    let [found] = report.diagnostics() else {
        panic!("{report}")
    };
    assert_eq!(found.key, "network.br0-vxlan.vni");
    assert!(
        report
            .to_string()
            .contains("11 | vni = 10\n   | --- first used here"),
        "{report}"
    );
    faulty(
        "[host.host2]",
        "[host.host1]",
        6,
        "table `[host.host1]` is defined twice",
    );
    faulty(
        "host2 = \"192",
        "host1 = \"192",
        13,
        "key `host1` is given twice",
    );
}

#[test]
fn attack29_unknown_key() {
    faulty("vni = 10", "vni = 10\nvin = 10", 12, "unknown key `vin`");
    faulty(
        "[host.host1]",
        "[hosts.x]\n[host.host1]",
        3,
        "unknown key `hosts`",
    );
}

#[test]
fn attack29_names() {
    let long = "a".repeat(16);
    for name in [
        "../x",
        long.as_str(),
        "a\\nb",
        "a\\\"b",
        "%s",
        "a\\u001b[31m",
        "a\\u009b",
        "\\u202ea",
    ] {
        let bridge = format!("bridge = \"{name}\"");
        faulty("bridge = \"br0\"", &bridge, 10, "the name");
        let network = format!("[network.\"{name}\"]");
        if name != long {
            faulty("[network.br0-vxlan]", &network, 9, "the name");
        }
    }
    // A raw character of a terminal, not an escape of TOML.
    let report = refused(&VALID.replace("\"br0\"", "\"br\u{9b}31m\u{202e}0\""));
    assert!(
        !report.render(true).contains(['\u{9b}', '\u{202e}']),
        "{report}"
    );
    // And one that is in the way, not at fault.
    let report = refused(
        &VALID
            .replace("# VTEP", "# \u{9b}31m VTEP")
            .replace("vni = 10", "vni = 0"),
    );
    assert!(!report.render(true).contains('\u{9b}'), "{report}");
    let report = parse("a\u{1b}]0;x\u{7}\n.toml", "").expect_err("accepted");
    assert!(
        !report.to_string().contains(['\u{1b}', '\u{7}']),
        "{report}"
    );
}

#[test]
fn attack29_very_long_names_and_values() {
    let long = "x".repeat(1 << 19);
    for (old, new) in [
        ("br0-vxlan", long.clone()),
        ("\"br0\"", format!("\"{long}\"")),
        ("vni", long.clone()),
        ("\"172.31.0.121\"", format!("\"{long}\"")),
        ("\"192.168.124.0/24\"", format!("\"{long}\"")),
        ("10", "1".repeat(1 << 19)),
    ] {
        refused(&VALID.replacen(old, &new, 1));
    }
}

#[test]
fn attack29_overlapping_subnets() {
    let text = format!(
        "{VALID}\n[network.other]\nbridge = \"br1\"\nvni = 11\nsubnet = \"192.168.0.0/16\"\n\
         gateway = {{ host1 = \"192.168.0.1\" }}\n"
    );
    let report = refused(&text);
    let [found] = report.diagnostics() else {
        panic!("{report}")
    };
    assert_eq!(report.position(found), Some((19, 21)), "{report}");
    assert!(found.message.contains("the subnets overlap"), "{report}");
}

#[test]
fn attack29_gateway_outside_the_subnet() {
    faulty(
        "192.168.124.1\"",
        "192.168.125.1\"",
        13,
        "outside the subnet",
    );
}

#[test]
fn attack29_a_subnet_of_one_address() {
    faulty(
        "192.168.124.0/24",
        "192.168.124.1/32",
        12,
        "no room for guests",
    );
}

#[test]
fn attack29_duplicate_ids_and_addresses() {
    faulty("172.31.0.122", "172.31.0.121", 7, "that of another host");
    faulty("192.168.124.2", "192.168.124.1", 13, "held twice");
    for (bridge, vni, message) in [("br1", 10, "VNI 10"), ("br0", 11, "bridge `br0`")] {
        let text = format!("{VALID}\n[network.x]\nbridge = \"{bridge}\"\nvni = {vni}\n");
        let report = refused(&text);
        assert_eq!(report.diagnostics().len(), 1, "{report}");
        assert!(
            report
                .to_string()
                .contains(&format!("{message} is that of another")),
            "{report}"
        );
        assert!(report.to_string().contains("first used here"), "{report}");
    }
}

#[test]
fn attack29_not_text() {
    let report = load_bytes("not-utf8.toml", b"# comment\nport = 4789 # \xff\xfe\n");
    let [found] = report.diagnostics() else {
        panic!("{report}")
    };
    assert_eq!(report.position(found), Some((2, 15)), "{report}");
    load_bytes("nul.toml", b"port = 4789\n\0\n");
    load_bytes("utf16.toml", b"\xff\xfep\0o\0r\0t\0");
    load_bytes("random.toml", &(0..=255).collect::<Vec<u8>>());
}

#[test]
fn attack29_what_is_not_a_file() {
    let report = load("/nonexistent/fabric.toml".as_ref()).expect_err("accepted");
    assert!(
        report.to_string().contains("cannot read the file"),
        "{report}"
    );
    assert!(report.to_string().contains("hint: "), "{report}");
    load("/".as_ref()).expect_err("accepted");
}
