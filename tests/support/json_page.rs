//! Compares docs/json.md with the objects that the program prints.

use serde_json::{Value, json};

const PAGE: &str = include_str!("../../docs/json.md");

/// A documented path, such as `chain[].subject`, with its types.
struct Field {
    path: String,
    types: String,
}

/// Asserts that every path in these objects is documented under this heading with its type, and
/// that every documented path occurs in the objects.
#[track_caller]
pub fn assert_documented(heading: &str, objects: &[Value]) {
    let fields = fields(heading);
    let mut missing: Vec<&str> = fields.iter().map(|field| &field.path[..]).collect();
    for object in objects {
        let mut found = Vec::new();
        paths(object, "", &mut found);
        for (path, kind) in found {
            let field = fields.iter().find(|field| field.path == path);
            let field = field.unwrap_or_else(|| panic!("{heading}: {path} is not documented"));
            let known = field.types.split(' ').any(|word| word == kind);
            let types = &field.types;
            assert!(known, "{heading}: {path} is {kind}, documented as {types}");
            missing.retain(|name| *name != path);
        }
    }
    assert!(missing.is_empty(), "{heading}: no object has {missing:?}");
}

/// Returns the rows of the table under a heading. A row may hold several paths.
#[track_caller]
fn fields(heading: &str) -> Vec<Field> {
    let section = PAGE.split_once(&format!("\n## {heading}\n"));
    let (_, section) = section.expect("the section");
    let rows = section.lines().skip_while(|line| !line.starts_with('|'));
    let rows = rows.take_while(|line| line.starts_with('|')).skip(2);
    rows.flat_map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let paths = cells[0].split(", ").map(|name| name.trim_matches('`'));
        let field = |path: &str| Field {
            path: path.to_owned(),
            types: cells[1].to_owned(),
        };
        paths.map(field).collect::<Vec<_>>()
    })
    .collect()
}

/// Collects every path of an object with its type. `[]` stands for the elements of an array.
fn paths(value: &Value, at: &str, found: &mut Vec<(String, &'static str)>) {
    if !at.is_empty() {
        found.push((at.to_owned(), kind(value)));
    }
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| {
            let path = format!("{at}.{key}");
            paths(value, path.trim_start_matches('.'), found);
        }),
        Value::Array(array) => array
            .iter()
            .for_each(|value| paths(value, &format!("{at}[]"), found)),
        _ => {}
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::String(_) => "string",
        Value::Number(_) => "number",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Bool(_) => "boolean",
    }
}

/// The page's headings, and the name of each object in the schema.
const OBJECTS: [(&str, &str); 4] = [
    ("A check", "check"),
    ("diagnose --json", "diagnose"),
    ("diagnose --json for haproxy.cfg", "servers"),
    ("doctor --json", "doctor"),
];

/// Returns the JSON Schema of the page's objects: `docs/sni-check.schema.json`.
///
/// Later versions may add names to an object, so the schema allows additional names. It requires
/// every name on the page, because the program prints `null` for a missing value.
pub fn schema() -> Value {
    let definitions = OBJECTS.map(|(heading, name)| {
        let mut root = json!({});
        for field in fields(heading) {
            insert(&mut root, &field);
        }
        root["type"] = json!("object");
        (name.to_owned(), root)
    });
    let any = OBJECTS.map(|(_, name)| json!({ "$ref": format!("#/$defs/{name}") }));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What sni-check prints with --json",
        "anyOf": any,
        "$defs": definitions.into_iter().collect::<serde_json::Map<_, _>>(),
    })
}

/// Adds a field at its path: `chain[].subject` becomes a property of the items of `chain`.
fn insert(root: &mut Value, field: &Field) {
    let mut at = root;
    for part in field.path.split('.') {
        let name = part.trim_end_matches("[]");
        let required = &mut at["required"];
        match required.as_array_mut() {
            Some(names) if names.contains(&json!(name)) => {}
            Some(names) => names.push(json!(name)),
            None => *required = json!([name]),
        }
        at = &mut at["properties"][name];
        if part.ends_with("[]") {
            at = &mut at["items"];
        }
    }
    let types: Vec<&str> = field.types.split(' ').collect();
    at["type"] = match types.as_slice() {
        [one] => json!(one),
        several => json!(several),
    };
}
