//! The object of `--json` has the shape that docs/json.md documents.

use serde_json::Value;

use crate::report::diagnose;
use crate::support::NAME;
use crate::support::dead_port;
use crate::support::nginx::{Nginx, refusal, site};
use crate::support::pki::Ca;

const PAGE: &str = include_str!("../../docs/json.md");

/// Every path of an object, `[]` for the elements of an array.
fn paths(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(key, value)| {
            let path = format!("{at}.{key}");
            let path = path.trim_start_matches('.');
            found.push(path.to_owned());
            paths(value, path, found);
        }),
        Value::Array(array) => array
            .iter()
            .for_each(|value| paths(value, &format!("{at}[]"), found)),
        _ => {}
    }
}

/// The documented paths with their types.
fn documented() -> Vec<(String, String)> {
    let (_, section) = PAGE
        .split_once("\n## diagnose --json\n")
        .expect("the section");
    let rows = section.lines().skip_while(|line| !line.starts_with('|'));
    rows.take_while(|line| line.starts_with('|'))
        .skip(2)
        .flat_map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let kind = cells[1].to_owned();
            let names = cells[0]
                .split(", ")
                .map(|name| name.trim_matches('`').to_owned());
            names.map(|name| (name, kind.clone())).collect::<Vec<_>>()
        })
        .collect()
}

fn kinds(value: &Value, path: &str, found: &mut Vec<&'static str>) {
    let (head, rest) = path.split_once('.').unwrap_or((path, ""));
    let name = head.trim_end_matches("[]");
    let values = match (&value[name], head.ends_with("[]")) {
        (Value::Array(values), true) => values.iter().collect(),
        (value, _) => vec![value],
    };
    for value in values {
        match (rest, value) {
            ("", Value::Null) => found.push("null"),
            ("", Value::String(_)) => found.push("string"),
            ("", Value::Number(_)) => found.push("number"),
            ("", Value::Array(_)) => found.push("array"),
            ("", Value::Object(_)) => found.push("object"),
            ("", Value::Bool(_)) => found.push("boolean"),
            (rest, value) => kinds(value, rest, found),
        }
    }
}

#[test]
fn the_object_is_as_documented_for_a_healthy_server_and_for_a_dead_port() {
    let ca = Ca::new();
    let leaf = ca.leaf(&[NAME], 30);
    let nginx = Nginx::serve(|folder, port| {
        refusal(port) + &site((folder, port), "", NAME, (&leaf, &[]), "")
    });
    let documented = documented();
    let names: Vec<&String> = documented.iter().map(|(name, _)| name).collect();
    for port in [nginx.port, dead_port()] {
        let report = diagnose(&ca, port, NAME, &[]).value;
        let mut found = Vec::new();
        paths(&report, "", &mut found);
        for path in &found {
            assert!(names.contains(&path), "{path} is not documented");
        }
        for (name, kind) in &documented {
            let mut kinds_found = Vec::new();
            kinds(&report, name, &mut kinds_found);
            for found in kinds_found {
                assert!(
                    kind.contains(found),
                    "{name} is a {found}, documented as {kind}"
                );
            }
            let top = name.split(['.', '[']).next().expect("a name");
            assert!(report.get(top).is_some(), "{name} is missing");
        }
    }
    // For a healthy server every documented path is there.
    let report = diagnose(&ca, nginx.port, NAME, &[]).value;
    let mut found = Vec::new();
    paths(&report, "", &mut found);
    for name in names {
        let there = found.contains(name)
            || name.ends_with("[]") && found.contains(&name[..name.len() - 2].to_owned());
        assert!(there, "{name}");
    }
}
