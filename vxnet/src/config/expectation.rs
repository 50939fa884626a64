//! A JSON Schema in words: what a value is expected to be, and an example of one.

use serde_json::Value;

/// Returns the schemas of which a value must fit one.
pub(super) fn alternatives(schema: &Value) -> Vec<&Value> {
    let either = schema
        .get("anyOf")
        .or_else(|| schema.get("oneOf"))
        .and_then(Value::as_array);
    match either {
        Some(either) => either.iter().flat_map(alternatives).collect(),
        None => vec![schema],
    }
}

/// Returns what a value is expected to be, such as "an integer from 1 to 65535".
pub(super) fn describe(schema: &Value) -> String {
    let mut words: Vec<_> = alternatives(schema).into_iter().map(describe_one).collect();
    let last = words.pop().unwrap_or_default();
    if words.is_empty() {
        last
    } else {
        format!("{} or {last}", words.join(", "))
    }
}

fn describe_one(schema: &Value) -> String {
    if let Some(constant) = schema.get("const") {
        return constant.to_string();
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("integer") => match (schema.get("minimum"), schema.get("maximum")) {
            (Some(least), Some(most)) => format!("an integer from {least} to {most}"),
            _ => "an integer".to_owned(),
        },
        Some("string") => "a string".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("array") => format!("a list of at least one {}", item(schema)),
        _ => "a table".to_owned(),
    }
}

fn item(schema: &Value) -> &str {
    schema
        .pointer("/items/type")
        .and_then(Value::as_str)
        .unwrap_or("value")
}

/// Returns an example of a value as TOML.
pub(super) fn example(schema: &Value) -> Option<String> {
    schema.pointer("/examples/0").map(in_toml)
}

fn in_toml(value: &Value) -> String {
    let all = |values: Vec<String>| values.join(", ");
    match value {
        Value::Array(items) => format!("[{}]", all(items.iter().map(in_toml).collect())),
        Value::Object(fields) => {
            let pair = |(key, value): (&String, &Value)| format!("{key} = {}", in_toml(value));
            format!("{{ {} }}", all(fields.iter().map(pair).collect()))
        }
        scalar => scalar.to_string(),
    }
}
