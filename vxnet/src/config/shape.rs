//! Compares a document with the JSON Schema of the file: unknown and missing keys, types, limits.
//!
//! What does not fit is reported and taken out, so that the rest can still be read and checked.

use std::{mem, ops::Range};

use schemars::Schema;
use serde_json::Value;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{
    diagnostic::{Diagnostic, Findings, join, quoted},
    expectation::{alternatives, describe, example},
};

/// Takes out of a document all that does not fit the schema.
pub(super) fn fit(document: &mut Spanned<DeTable<'_>>, schema: &Schema, findings: &mut Findings) {
    fit_table(document.get_mut(), "", None, schema.as_value(), findings);
}

/// `owner` is the place of the table's name, to point at if a key is missing; the file has none.
fn fit_table(
    table: &mut DeTable<'_>,
    path: &str,
    owner: Option<&Range<usize>>,
    schema: &Value,
    findings: &mut Findings,
) {
    let mut unfit = Vec::new();
    for (key, value) in table.iter_mut() {
        let name = key.get_ref();
        let properties = schema.get("properties");
        let known = properties
            .and_then(|known| known.get(name.as_ref()))
            .or_else(|| {
                schema
                    .get("additionalProperties")
                    .filter(|any| any.is_object())
            });
        let fits = if let Some(schema) = known {
            fit_value(value, &join(path, name), &key.span(), schema, findings)
        } else {
            if !findings.is_unreadable(&key.span()) {
                findings.add(unknown_key(path, name, key.span(), properties));
            }
            false
        };
        if !fits {
            unfit.push(name.clone().into_owned());
        }
    }
    if findings.is_complete() {
        report_missing(table, path, owner, schema, findings);
    }
    for name in unfit {
        table.remove(name.as_str());
    }
}

/// Returns whether a value fits, having reported it if not.
fn fit_value(
    value: &mut Spanned<DeValue<'_>>,
    path: &str,
    key: &Range<usize>,
    schema: &Value,
    findings: &mut Findings,
) -> bool {
    let span = value.span();
    if findings.is_unreadable(&span) {
        return false;
    }
    let mut alternatives = alternatives(schema).into_iter();
    let Some(schema) = alternatives.find(|schema| admits(schema, value.get_ref())) else {
        findings.add(unexpected(value, path, schema));
        return false;
    };
    match value.get_mut() {
        DeValue::Table(table) => fit_table(table, path, Some(key), schema, findings),
        DeValue::Array(items) => {
            let any = Value::Bool(true);
            let of_item = schema.get("items").unwrap_or(&any);
            let all = mem::replace(items, DeArray::new());
            let fitting = all.into_iter().enumerate().filter_map(|(index, mut item)| {
                let path = format!("{path}[{index}]");
                fit_value(&mut item, &path, key, of_item, findings).then_some(item)
            });
            *items = fitting.collect();
        }
        _ => {}
    }
    true
}

/// Returns whether a value is of the type and within the limits of one alternative of a schema.
/// What is inside a table or a list is judged apart, so that the message can point at it.
fn admits(schema: &Value, value: &DeValue<'_>) -> bool {
    let Some(kind) = schema.get("type").and_then(Value::as_str) else {
        return true;
    };
    let limit = |name| schema.get(name).and_then(Value::as_i64);
    let at_least = |count: usize, name| {
        limit(name).is_none_or(|least| i64::try_from(count).is_ok_and(|count| count >= least))
    };
    match (kind, value) {
        ("string", DeValue::String(text)) => {
            let is_text = |constant: &Value| constant.as_str() == Some(text.as_ref());
            schema.get("const").is_none_or(is_text)
        }
        ("integer", DeValue::Integer(integer)) => {
            i64::from_str_radix(integer.as_str(), integer.radix()).is_ok_and(|number| {
                limit("minimum").is_none_or(|least| number >= least)
                    && limit("maximum").is_none_or(|most| number <= most)
            })
        }
        ("boolean", DeValue::Boolean(_)) => true,
        ("array", DeValue::Array(items)) => at_least(items.len(), "minItems"),
        ("object", DeValue::Table(table)) => at_least(table.len(), "minProperties"),
        _ => false,
    }
}

fn unexpected(value: &Spanned<DeValue<'_>>, path: &str, schema: &Value) -> Diagnostic {
    let found = match value.get_ref() {
        DeValue::String(text) => format!("the string {}", quoted(text)),
        DeValue::Integer(integer) => quoted(&integer.to_string()),
        DeValue::Float(float) => format!("the float {}", quoted(float.as_str())),
        DeValue::Boolean(boolean) => quoted(&boolean.to_string()),
        DeValue::Datetime(_) => "a date or time".to_owned(),
        DeValue::Array(items) if items.is_empty() => "an empty list".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(table) if table.is_empty() => "an empty table".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    };
    let message = format!("expected {}, found {found}", describe(schema));
    let diagnostic = Diagnostic::at(value.span(), path, message);
    match (example(schema), path) {
        (Some(example), _) => {
            let key = path.rsplit('.').next().unwrap_or(path);
            diagnostic.help(format!("write a value such as `{key} = {example}`"))
        }
        (None, "host" | "network") => {
            diagnostic.help(format!("write tables `[{path}.NAME]`, at least one"))
        }
        _ => diagnostic.help(format!("write {}", describe(schema))),
    }
}

fn unknown_key(
    path: &str,
    name: &str,
    span: Range<usize>,
    properties: Option<&Value>,
) -> Diagnostic {
    let known = properties.and_then(Value::as_object);
    let known: Vec<&str> = known
        .into_iter()
        .flat_map(|known| known.keys())
        .map(String::as_str)
        .collect();
    let help = match nearest(name, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known keys here: {}", known.join(", ")),
    };
    Diagnostic::at(
        span,
        &join(path, name),
        format!("unknown key {}", quoted(name)),
    )
    .help(help)
}

fn report_missing(
    table: &DeTable<'_>,
    path: &str,
    owner: Option<&Range<usize>>,
    schema: &Value,
    findings: &mut Findings,
) {
    let required = schema.get("required").and_then(Value::as_array);
    for key in required.into_iter().flatten().filter_map(Value::as_str) {
        if table.contains_key(key) {
            continue;
        }
        let example = schema
            .pointer(&format!("/properties/{key}"))
            .and_then(example);
        let help = match example {
            Some(example) => format!("add `{key} = {example}`"),
            None => format!("add a table `[{key}.NAME]`"),
        };
        let missing = match owner {
            Some(owner) => Diagnostic::at(
                owner.clone(),
                &join(path, key),
                format!("missing key `{key}`"),
            ),
            None => Diagnostic::of_file(format!("the file has no {key}")),
        };
        findings.add(missing.help(help));
    }
}

/// Returns the name that the user may have meant.
pub(super) fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    known
        .iter()
        .map(|known| (strsim::jaro_winkler(name, known), *known))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}
