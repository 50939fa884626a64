//! Keys, types and limits; and that all errors are reported, each once.

use vxnet::model::Receive;

use crate::fabric_file::{BASE, accepted, faulty, refused, with};

#[test]
fn keys_and_types() {
    faulty(
        &format!("prot = 1\n{BASE}"),
        "prot",
        "prot",
        "unknown key `prot`",
    );
    faulty(
        &with("uplinks", "uplink"),
        "host.h1.uplink",
        "uplink",
        "unknown key",
    );
    faulty(&format!("port = 0\n{BASE}"), "port", "0", "from 1 to 65535");
    faulty(
        &format!("port = 65536\n{BASE}"),
        "port",
        "65536",
        "from 1 to 65535",
    );
    faulty(
        &format!("port = -1\n{BASE}"),
        "port",
        "-1",
        "from 1 to 65535",
    );
    faulty(
        &format!("port = \"x\"\n{BASE}"),
        "port",
        "\"x\"",
        "found the string `x`",
    );
    faulty(
        &with("[\"eth0\"]", "\"eth0\""),
        "host.h1.uplinks",
        "\"eth0\"",
        "expected a list",
    );
    faulty(
        &with("\"eth0\"", "3"),
        "host.h1.uplinks[0]",
        "3",
        "expected a string",
    );
    faulty(
        &with("bridge = \"br0\"\n", ""),
        "network.n.bridge",
        "n",
        "missing key `bridge`",
    );
    faulty(
        &with("vni = 10\n", ""),
        "network.n.vni",
        "n",
        "missing key `vni`",
    );
    faulty(
        &with("underlay = \"172.31.0.122\"", ""),
        "host.h2.underlay",
        "h2",
        "missing key",
    );
    faulty(
        &with("uplinks = [\"eth0\"]", "receive = \"xpd\""),
        "host.h1.receive",
        "\"xpd\"",
        "\"xdp\"",
    );
    let fabric = accepted(&with("uplinks = [\"eth0\"]", "receive = \"xdp\""));
    assert_eq!(fabric.hosts["h1"].receive, Receive::Xdp);
    assert!(fabric.hosts["h1"].gro_socket);
    let fabric = accepted(&with("uplinks = [\"eth0\"]", "gro-socket = false"));
    assert!(!fabric.hosts["h1"].gro_socket);
    assert_eq!(accepted(&format!("port = 8472\n{BASE}")).port, 8472);
}

#[test]
fn an_unknown_key_is_told_its_likely_meaning() {
    let report = refused(&with("uplinks", "uplnks"));
    assert_eq!(
        report.diagnostics()[0].help.as_deref(),
        Some("did you mean `uplinks`?")
    );
}

#[test]
fn no_hosts_or_networks() {
    let report = refused("");
    let messages: Vec<_> = report
        .diagnostics()
        .iter()
        .map(|found| &found.message)
        .collect();
    assert_eq!(
        messages,
        ["the file has no host", "the file has no network"]
    );
    let report = refused("[host]\n[network]\n");
    let keys: Vec<_> = report
        .diagnostics()
        .iter()
        .map(|found| &found.key)
        .collect();
    assert_eq!(keys, ["host", "network"], "{report}");
    let report = refused("host = {}\nnetwork = 3\n");
    assert_eq!(report.diagnostics().len(), 2, "{report}");
}

#[test]
fn all_errors_are_reported_at_once() {
    let text = "prot = 1\nport = 0\n[host.h1]\nunderlay = 5\nx = 1\ny = 2\n[host.h2]\nunderlay = \"a\"\n\
        [network.n]\nbridge = \"a/b\"\nvni = 0\nsubnet = \"10.0.0.1/8\"\ngateway = { h3 = \"b\" }\nmtu = \"c\"\n";
    let report = refused(text);
    let lines: Vec<_> = report
        .diagnostics()
        .iter()
        .filter_map(|found| Some(report.position(found)?.0))
        .collect();
    assert_eq!(
        lines,
        [1, 2, 4, 5, 6, 8, 10, 11, 12, 13, 13, 14],
        "{report}"
    );
}

#[test]
fn one_mistake_makes_one_error() {
    // What depends on a faulty value is not judged as well.
    faulty(
        &with("\"172.31.0.122\"", "3"),
        "host.h2.underlay",
        "3",
        "expected a string",
    );
    faulty(
        &with("\"192.168.124.0/24\"", "3"),
        "network.n.subnet",
        "3",
        "expected a string",
    );
    faulty(
        &with("192.168.124.0/24", "192.168.124.0"),
        "network.n.subnet",
        "\"192.168.124.0\"",
        "no prefix length",
    );
    faulty(
        &format!(
            "{}\n[host]\nh2 = 3\n",
            BASE.replace("[host.h2]\nunderlay = \"172.31.0.122\"\n", "")
        ),
        "host.h2",
        "3",
        "expected a table",
    );
    faulty(
        &with("gateway = {", "hosts = [\"h1\", 2]\ngateway = {"),
        "network.n.hosts[1]",
        "2",
        "expected a string",
    );
}

#[test]
fn a_syntax_error_hides_no_other() {
    let text = with("vni = 10", "vni = ").replace("172.31.0.121", "172.31.0.300");
    let report = refused(&text);
    let lines: Vec<_> = report
        .diagnostics()
        .iter()
        .map(|found| report.position(found))
        .collect();
    assert_eq!(lines, [Some((3, 12)), Some((11, 7))], "{report}");
}

#[test]
fn syntax_errors_tell_what_to_write() {
    for (line, at, message) in [
        ("vni =", "", "the key has no value"),
        ("vni = ten", "ten", "`ten` is no value of TOML"),
        (
            "vni = 10.0.0.1 # comment",
            "10.0.0.1",
            "`10.0.0.1` is no value of TOML",
        ),
        ("vni = 10 10", "10 10", "`10 10` is no value of TOML"),
        ("vni", "", "key with no value"),
        ("bridge = \"br0", "", "invalid basic string"),
        ("hosts = [\"h1\"", "", "unclosed array"),
        ("hosts = [abc]", "abc", "must be quoted"),
    ] {
        let text = format!("{BASE}\n[network.other]\n{line}");
        let report = refused(&text);
        let [found] = report.diagnostics() else {
            panic!("not one error:\n{report}")
        };
        assert_eq!(&text[found.span.clone().expect("a place")], at, "{report}");
        assert!(found.message.contains(message), "{report}");
        assert!(found.help.is_some(), "{report}");
    }
}

#[test]
fn the_first_use_of_a_duplicate_key_is_the_one_of_its_table() {
    let of = |text: &str, line: usize| {
        let report = refused(text);
        let [found] = report.diagnostics() else {
            panic!("not one error:\n{report}")
        };
        assert!(found.message.contains("twice"), "{report}");
        assert_eq!(
            report.position(found).map(|(line, _)| line),
            Some(line),
            "{report}"
        );
        found
            .related
            .iter()
            .map(|first| text[..first.span.start].lines().count() + 1)
            .collect::<Vec<_>>()
    };
    let twice = with(
        "underlay = \"172.31.0.122\"",
        "underlay = \"172.31.0.122\"\nunderlay = \"172.31.0.9\"",
    );
    assert_eq!(of(&twice, 8), [7]);
    // Behind a dot the parser does not say of which table: better no place than a wrong one.
    let dotted = "host.h1.underlay = \"10.0.0.1\"\nhost.h2.underlay = \"10.0.0.2\"\n\
                  host.h1.underlay = \"10.0.0.3\"\n[network.n]\nbridge = \"br0\"\nvni = 1\n";
    assert!(of(dotted, 3).is_empty());
}
