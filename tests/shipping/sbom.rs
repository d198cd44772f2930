//! `make sbom` lists the components of the binary.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::tools::{dependencies, root, run, tool};

#[test]
fn the_sbom_names_every_crate_in_the_binary_and_no_test_crate() {
    run(tool("make").args(["--silent", "sbom"]));
    let text = std::fs::read(root().join("target/sbom/sni-check.cdx.json")).expect("the SBOM");
    let sbom: Value = serde_json::from_slice(&text).expect("JSON");
    assert_eq!(sbom["bomFormat"], "CycloneDX");
    let component = &sbom["metadata"]["component"];
    assert_eq!(component["name"], "sni-check");
    assert_eq!(component["version"], env!("CARGO_PKG_VERSION"));
    let named: BTreeSet<String> = sbom["components"]
        .as_array()
        .expect("components")
        .iter()
        .map(|component| {
            let word = |key: &str| component[key].as_str().expect("a word").to_owned();
            format!("{} v{}", word("name"), word("version"))
        })
        .collect();
    let linked = dependencies(&["--edges=normal,build"]);
    // The list may have more crates, because cargo's metadata merges the features that the whole
    // workspace needs.
    let missing: Vec<&String> = linked.difference(&named).collect();
    assert!(!linked.is_empty() && missing.is_empty(), "{missing:?}");
    for test in ["rcgen v", "nix v", "time v"] {
        assert!(!named.iter().any(|name| name.starts_with(test)), "{test}");
    }
}
