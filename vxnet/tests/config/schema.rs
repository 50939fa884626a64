//! The JSON Schema and the checks agree: both come from the same types.

use serde_json::Value;
use vxnet::config::schema;

const EXAMPLES: [&str; 3] = [
    include_str!("../../../examples/two-hosts.toml"),
    include_str!("../../../examples/two-networks.toml"),
    include_str!("../../../examples/ipv6-underlay.toml"),
];

fn at(pointer: &str) -> Value {
    let schema = schema();
    schema
        .as_value()
        .pointer(pointer)
        .cloned()
        .unwrap_or_else(|| panic!("no {pointer}"))
}

fn keys(pointer: &str) -> Vec<String> {
    at(pointer)
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect()
}

#[test]
fn the_schema_lists_the_keys() {
    assert_eq!(keys("/properties"), ["host", "network", "port"]);
    assert_eq!(
        keys("/properties/host/additionalProperties/properties"),
        ["receive", "underlay", "uplinks"]
    );
    assert_eq!(
        keys("/properties/network/additionalProperties/properties"),
        [
            "ageing", "bridge", "gateway", "hosts", "mtu", "subnet", "vni"
        ]
    );
    assert_eq!(
        at("/properties/network/additionalProperties/required"),
        serde_json::json!(["bridge", "vni"])
    );
    assert_eq!(
        at("/properties/host/additionalProperties/required"),
        serde_json::json!(["underlay"])
    );
}

#[test]
fn every_key_is_described_and_shown_by_an_example() {
    for table in [
        "",
        "/properties/host/additionalProperties",
        "/properties/network/additionalProperties",
    ] {
        let properties = at(&format!("{table}/properties"));
        for (key, schema) in properties.as_object().expect("an object") {
            assert!(
                schema.get("description").is_some_and(Value::is_string),
                "{key}"
            );
            let is_used = EXAMPLES.iter().any(|text| {
                text.contains(&format!("\n{key} = ")) || text.contains(&format!("\n[{key}."))
            });
            assert!(is_used, "no example uses {key}");
        }
    }
}

#[test]
fn the_schema_is_closed_and_without_null() {
    let text = schema().to_value().to_string();
    assert!(!text.contains("null"), "TOML has none: {text}");
    for table in [
        "",
        "/properties/host/additionalProperties",
        "/properties/network/additionalProperties",
    ] {
        assert_eq!(
            at(&format!("{table}/additionalProperties")),
            Value::Bool(false),
            "{table}"
        );
    }
}
