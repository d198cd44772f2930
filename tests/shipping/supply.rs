//! The program's dependencies: licences, sources and duplicates (`deny.toml`), and the only file
//! with unsafe code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::tools::{self, root};

/// Returns the crates that the program contains or that its build runs, on the targets in
/// `deny.toml`.
fn packages() -> Vec<Value> {
    let mut packages = BTreeMap::new();
    for target in list("targets") {
        for package in tools::packages(&["--filter-platform", &target]) {
            packages.insert(package["id"].to_string(), package);
        }
    }
    packages.into_values().collect()
}

fn deny() -> String {
    std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml")
}

/// Returns a list of strings from `deny.toml`.
pub fn list(name: &str) -> Vec<String> {
    let text = deny();
    let start = format!("\n{name} = [");
    let (_, list) = text.split_once(&start).expect(name);
    let (list, _) = list.split_once(']').expect("an end");
    let quoted = list.split('"').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

#[test]
fn every_licence_is_allowed() {
    let allowed = list("allow");
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or("none");
        let holds = |terms: &str| {
            let mut terms = terms
                .split(" AND ")
                .map(|term| term.trim_matches(['(', ')', ' ']));
            terms.all(|term| allowed.iter().any(|allowed| allowed == term))
        };
        // In these expressions, an OR inside an AND is always in brackets and comes first.
        let fits = match licence
            .strip_prefix('(')
            .and_then(|rest| rest.split_once(") AND "))
        {
            Some((either, other)) => either.split(" OR ").any(holds) && holds(other),
            None => licence.replace('/', " OR ").split(" OR ").any(holds),
        };
        assert!(fits, "{}: {licence}", package["name"]);
    }
}

#[test]
fn every_crate_comes_from_crates_io() {
    for package in packages()
        .iter()
        .filter(|package| package["name"] != "sni-check")
    {
        let source = package["source"].as_str().unwrap_or("a path");
        assert_eq!(
            source, "registry+https://github.com/rust-lang/crates.io-index",
            "{}",
            package["name"]
        );
    }
}

#[test]
fn crates_in_two_versions_are_listed_with_a_reason() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        let text = |name: &str| package[name].as_str().expect(name).to_owned();
        versions
            .entry(text("name"))
            .or_default()
            .insert(text("version"));
    }
    let twice: BTreeSet<String> = versions
        .into_iter()
        .filter_map(|(name, versions)| (versions.len() > 1).then_some(name))
        .collect();
    let listed: BTreeSet<String> = deny()
        .lines()
        .filter_map(|line| line.trim().strip_prefix("{ crate = \""))
        .map(|skipped| {
            assert!(skipped.contains("reason = \""), "{skipped}");
            let (name, _) = skipped.split_once('@').expect("a version");
            name.to_owned()
        })
        .collect();
    assert_eq!(
        twice, listed,
        "crates in two versions, and crates in deny.toml"
    );
}

#[test]
fn unsafe_blocks_are_in_one_file_only() {
    // `concat!` splits each word, so that this file doesn't contain it.
    let lint = concat!("unsafe", "_code");
    let words = [lint, concat!("unsafe", " {"), concat!("unsafe", " fn")];
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    assert!(manifest.contains(&format!("\n{lint} = \"deny\"")));
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches", "examples", "fuzz"] {
        visit(&root().join(folder), &mut |path, text| {
            if words.iter().any(|word| text.contains(word)) {
                let path = path.strip_prefix(root()).expect("below");
                found.push(path.display().to_string());
            }
        });
    }
    assert_eq!(found, ["src/start.rs"]);
}

fn visit(folder: &Path, look: &mut impl FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("target") {
            visit(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(&path, &std::fs::read_to_string(&path).expect("text"));
        }
    }
}

#[test]
fn the_fuzzers_use_the_programs_crate_versions() {
    let locked = |file: &str| -> BTreeSet<(String, String)> {
        let text = std::fs::read_to_string(root().join(file)).expect(file);
        let packages = text.split("[[package]]").skip(1);
        packages
            .map(|package| {
                let field = |name: &str| {
                    let start = format!("\n{name} = \"");
                    let (_, rest) = package.split_once(&start).expect(name);
                    rest.split('"').next().unwrap_or_default().to_owned()
                };
                (field("name"), field("version"))
            })
            .collect()
    };
    let (ours, theirs) = (locked("Cargo.lock"), locked("fuzz/Cargo.lock"));
    for (name, version) in &ours {
        let used = theirs.iter().any(|(used, _)| used == name);
        let same = theirs.contains(&(name.clone(), version.clone()));
        assert!(
            same || !used,
            "fuzz/Cargo.lock lacks {name} {version}; copy Cargo.lock there"
        );
    }
}

/// If tests enable an additional feature of a crate, cargo builds the crate and everything that depends
/// on the crate twice.
#[test]
fn tests_share_every_build_of_a_crate_with_the_program() {
    let crates = |edges: &str| {
        let format = "--format={p} {f}";
        let mut tree = tools::cargo();
        tree.args([
            "tree",
            "--locked",
            "--prefix=none",
            "--edges",
            edges,
            format,
        ]);
        let lines = tools::run(&mut tree);
        lines.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let (program, tests) = (crates("normal"), crates("normal,dev"));
    let twice: Vec<_> = program.difference(&tests).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert!(tests.len() > program.len());
}
