//! docs/json.md against the objects that the program prints.

use serde_json::Value;

const PAGE: &str = include_str!("../../docs/json.md");

/// A documented path, such as `chain[].subject`, and its types.
struct Field {
    path: String,
    types: String,
}

/// Every path of these objects is documented under this heading, with its type; and every documented
/// path is in one of them.
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
    assert!(missing.is_empty(), "{heading}: {missing:?} is in no object");
}

/// The rows of the table under a heading; a row may hold several paths.
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

/// Every path of an object with its type; `[]` stands for the elements of an array.
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
