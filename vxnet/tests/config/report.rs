//! How reports read, and that no file breaks the reader or the report.

use proptest::prelude::*;
use vxnet::config::parse;

const VALID: [&str; 2] = [
    include_str!("../../../examples/two-networks.toml"),
    include_str!("../../../examples/overlay-vlans.toml"),
];

fn page(text: &str) -> String {
    parse("fabric.toml", text)
        .expect_err("accepted")
        .render(false)
}

#[test]
fn a_report_shows_all_errors_with_their_lines() {
    let text = r#"prot = 4789
[host.h1]
underlay = "172.31.0.121"
[host.h2]
underlay = "172.31.0.121"
[network.blue]
bridge = "br0"
vni = 0
"#;
    let expected = r#"error: prot: unknown key `prot`
 --> fabric.toml:1:1
  |
1 | prot = 4789
  | ^^^^
  |
  = hint: did you mean `port`?

error: host.h2.underlay: underlay address 172.31.0.121 is that of another host
 --> fabric.toml:5:12
  |
3 | underlay = "172.31.0.121"
  |            -------------- first used here
4 | [host.h2]
5 | underlay = "172.31.0.121"
  |            ^^^^^^^^^^^^^^
  |
  = hint: give each host the address of its own VTEP

error: network.blue.vni: expected an integer from 1 to 16777215, found `0`
 --> fabric.toml:8:7
  |
8 | vni = 0
  |       ^
  |
  = hint: write a value such as `vni = 10`

3 errors in fabric.toml"#;
    assert_eq!(page(text), expected);
}

#[test]
fn a_report_on_syntax_points_at_the_first_mistake_of_a_line() {
    let text = "[host.h1]\nunderlay = 172.31.0.121\n[host.h1]\nunderlay = \"172.31.0.122\"\n";
    assert_eq!(
        page(text),
        r"error: `172.31.0.121` is no value of TOML
 --> fabric.toml:2:12
  |
2 | underlay = 172.31.0.121
  |            ^^^^^^^^^^^^
  |
  = hint: write a text in double quotes, also an address or a time

error: host.h1: table `[host.h1]` is defined twice
 --> fabric.toml:3:7
  |
1 | [host.h1]
  | --------- first used here
2 | underlay = 172.31.0.121
3 | [host.h1]
  |       ^^
  |
  = hint: keep one of the two, or give this one its own name

2 errors in fabric.toml"
    );
}

#[test]
fn a_report_has_colours_only_if_asked() {
    let report = parse("fabric.toml", "prot = 1").expect_err("accepted");
    assert!(!report.render(false).contains('\u{1b}'));
    assert!(report.render(true).contains('\u{1b}'));
    assert_eq!(report.to_string(), report.render(false));
}

/// Returns a valid file with some of its bytes replaced, removed or doubled.
fn mutated(valid: &str, edits: &[(prop::sample::Index, u8, String)]) -> String {
    let mut text = valid.to_owned();
    for (at, kind, piece) in edits {
        let places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
        if places.is_empty() {
            break;
        }
        let start = places[at.index(places.len())];
        let end = text[start..]
            .char_indices()
            .nth(piece.len())
            .map_or(text.len(), |(len, _)| start + len);
        match kind % 3 {
            0 => text.insert_str(start, piece),
            1 => text.replace_range(start..end, piece),
            _ => text.replace_range(start..end, ""),
        }
    }
    text
}

/// Pieces that mean something in the file, among others that do not.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "\n",
            "=",
            "\"",
            "'",
            "[",
            "]",
            "{",
            "}",
            ",",
            ".",
            "#",
            "[host.host1]\n",
            "host3",
            "office",
            "[network.office.vlan.20]\n",
            "0",
            "-",
            "/",
            "\"\"\"",
            "\u{feff}",
            "\r",
            "\0",
            "é",
            "\u{202e}",
            "10",
            "99999999999",
            "[[",
            "]]",
            "::",
            "true",
            "\\u",
        ])
        .prop_map(str::to_owned),
        ".{0,8}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_mutation_of_a_file_panics(
        valid in prop::sample::select(&VALID[..]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), piece()), 1..8)
    ) {
        let text = mutated(valid, &edits);
        if let Err(report) = parse("fabric.toml", &text) {
            prop_assert!(!report.diagnostics().is_empty());
            for found in report.diagnostics() {
                prop_assert!(!found.message.is_empty());
                prop_assert_eq!(report.position(found).is_some(), found.span.is_some());
            }
            let page = report.render(false);
            prop_assert!(!page.chars().any(|c| c.is_control() && c != '\n'), "{:?}", page);
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        if let Err(report) = parse("fabric.toml", &text) {
            prop_assert!(!report.render(true).is_empty());
        }
    }
}
