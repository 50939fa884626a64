use super::*;

fn errors(path: &str, source: &str) -> Vec<String> {
    check(Path::new(path), source)
}

#[test]
fn an_arrow_of_the_table_is_followed() {
    assert!(errors("vxnet/src/config.rs", "use crate::model::Fabric;").is_empty());
    assert!(errors("vxnet/src/config/raw.rs", "use crate::config::Error;").is_empty());
    assert!(errors("vxnet/src/main.rs", "use crate::cli;").is_empty());
    assert!(errors("vxnet-common/src/forward.rs", "use crate::addr::Mac;").is_empty());
}

#[test]
fn an_arrow_against_the_table_is_named_with_its_line() {
    let found = errors(
        "vxnet/src/host/tc.rs",
        "//! Doc.\n\nuse crate::config::Config;\n",
    );
    assert_eq!(
        found,
        [
            "vxnet/src/host/tc.rs:3: `host` uses `config`, but may use only state, model, plan, reconcile"
        ]
    );
}

#[test]
fn a_group_and_a_path_in_code_are_read_too() {
    let group = "use crate::{\n    model::{Fabric, host},\n    daemon,\n};";
    assert_eq!(errors("vxnet/src/config.rs", group).len(), 1);
    let path = "fn f() { let x = g(crate::cli::X, crate::model::Y); }";
    assert_eq!(errors("vxnet/src/config.rs", path).len(), 1);
    assert_eq!(errors("vxnet/src/state.rs", path).len(), 2);
}

#[test]
fn comments_and_tests_may_name_any_room() {
    assert!(errors("vxnet/src/state.rs", "/// See [`crate::plan`].\nstruct S;").is_empty());
    let test = "#[cfg(test)]\nmod tests { use crate::plan::Op; }";
    assert!(errors("vxnet/src/state.rs", test).is_empty());
    assert!(errors("vxnet/src/state/tests.rs", "use crate::plan::Op;").is_empty());
}

#[test]
fn nothing_but_the_roots_uses_cli_and_only_cli_uses_daemon() {
    for of in CRATES {
        for room in of.rooms {
            assert!(!room.uses.contains(&"cli"));
            assert!(room.name == "cli" || !room.uses.contains(&"daemon"));
        }
    }
}

#[test]
fn an_unknown_room_is_an_error_that_says_where_to_add_it() {
    let found = errors("vxnet/src/qos/mod.rs", "");
    assert!(found[0].contains("room `qos` is unknown"), "{found:?}");
    assert!(found[0].contains("hint: add it"), "{found:?}");
    assert!(errors("vxnet-ebpf/src/encap.rs", "use crate::maps::FDB;").is_empty());
}

#[test]
fn the_leaves_of_the_bpf_crate_use_nothing() {
    assert_eq!(
        errors("vxnet-ebpf/src/packet.rs", "use crate::maps::FDB;").len(),
        1
    );
    assert_eq!(
        errors("vxnet-ebpf/src/maps.rs", "use crate::verdict::Verdict;").len(),
        1
    );
}
