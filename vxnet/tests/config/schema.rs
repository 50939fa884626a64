//! The JSON Schema and the checks agree: both come from the same types.

use serde_json::Value;
use vxnet::config::schema;

const EXAMPLES: [&str; 6] = [
    include_str!("../../../examples/two-hosts.toml"),
    include_str!("../../../examples/two-networks.toml"),
    include_str!("../../../examples/ipv6-underlay.toml"),
    include_str!("../../../examples/vlan-trunk.toml"),
    include_str!("../../../examples/multicast.toml"),
    include_str!("../../../examples/overlay-vlans.toml"),
];

/// The tables of the file, as pointers into the schema.
const TABLES: [&str; 10] = [
    "",
    "/properties/host/additionalProperties",
    "/properties/host/additionalProperties/properties/port/additionalProperties",
    "/properties/host/additionalProperties/properties/trunk/additionalProperties/anyOf/1",
    "/properties/network/additionalProperties",
    "/properties/network/additionalProperties/properties/fdb/additionalProperties",
    "/properties/network/additionalProperties/properties/portgroup/additionalProperties",
    "/properties/network/additionalProperties/properties/suppress/anyOf/1",
    "/properties/network/additionalProperties/properties/vlan/additionalProperties",
    "/properties/network/additionalProperties/properties/vlan/additionalProperties/properties/fdb/\
     additionalProperties",
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
        [
            "gro-socket",
            "multicast",
            "port",
            "receive",
            "trunk",
            "underlay",
            "uplinks"
        ]
    );
    assert_eq!(
        keys("/properties/network/additionalProperties/properties"),
        [
            "ageing",
            "bridge",
            "broadcast",
            "fdb",
            "flood",
            "gateway",
            "hosts",
            "mtu",
            "multicast",
            "portgroup",
            "subnet",
            "suppress",
            "unknown-unicast",
            "vlan",
            "vlans",
            "vni"
        ]
    );
    assert_eq!(
        at("/properties/network/additionalProperties/required"),
        serde_json::json!(["bridge"])
    );
    assert_eq!(
        at("/properties/host/additionalProperties/required"),
        serde_json::json!(["underlay"])
    );
}

/// Returns whether a file uses a key: on a line, in an inline table or in a header.
fn is_used(text: &str, key: &str) -> bool {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    lines.into_iter().any(|line| {
        let is_header = line.starts_with('[');
        line.starts_with(&format!("{key} = "))
            || line.contains(&format!("{{ {key} = "))
            || line.contains(&format!(", {key} = "))
            || is_header && line.contains(&format!("[{key}."))
            || is_header && line.contains(&format!(".{key}."))
    })
}

#[test]
fn every_key_is_described_and_shown_by_an_example() {
    for table in TABLES {
        let properties = at(&format!("{table}/properties"));
        for (key, schema) in properties.as_object().expect("an object") {
            assert!(
                schema.get("description").is_some_and(Value::is_string),
                "{key}"
            );
            let is_used = EXAMPLES.iter().any(|text| is_used(text, key));
            assert!(is_used, "no example uses {key}");
        }
    }
}

#[test]
fn the_schema_is_closed_and_without_null() {
    let text = schema().to_value().to_string();
    assert!(!text.contains("null"), "TOML has none: {text}");
    for table in TABLES {
        assert_eq!(
            at(&format!("{table}/additionalProperties")),
            Value::Bool(false),
            "{table}"
        );
    }
}

#[test]
fn the_schema_tells_which_keys_go_together() {
    let network = "/properties/network/additionalProperties";
    let either = serde_json::json!([{ "required": ["vni"] }, { "required": ["vlans"] }]);
    assert_eq!(at(&format!("{network}/allOf/0/oneOf")), either);
    let vlan = format!("{network}/properties/vlan/additionalProperties/dependentRequired");
    assert_eq!(at(&vlan)["trunk-gateway"], serde_json::json!(["vni"]));
    let portgroup = format!("{network}/properties/portgroup/additionalProperties");
    let both = serde_json::json!({ "required": ["vlan", "vlans"] });
    assert_eq!(at(&format!("{portgroup}/not")), both);
}
