//! Licences, the change log, CONTRIBUTING.md and SECURITY.md.

use crate::tools::root;

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn both_licences_exist() {
    assert_eq!(env!("CARGO_PKG_LICENSE"), "MIT OR Apache-2.0");
    assert!(text("LICENSE-MIT").contains("Permission is hereby granted, free of charge"));
    assert!(text("LICENSE-APACHE").contains("Version 2.0, January 2004"));
}

#[test]
fn the_change_log_has_this_version_or_unreleased_changes() {
    let log = text("CHANGELOG.md");
    let released = format!("\n## [{}]", env!("CARGO_PKG_VERSION"));
    assert!(log.contains("\n## [Unreleased]") || log.contains(&released));
}

#[test]
fn contributing_md_names_only_existing_files() {
    let page = text("CONTRIBUTING.md");
    for name in page
        .split('`')
        .filter(|name| name.starts_with("src/") || name.starts_with("tests/"))
    {
        assert!(root().join(name).exists(), "CONTRIBUTING.md names {name}");
    }
}

#[test]
fn security_md_names_only_existing_files_and_options() {
    let page = text("SECURITY.md");
    let readme = text("README.md");
    for name in page.split('`').skip(1).step_by(2) {
        let option = name.split(' ').next().unwrap_or_default();
        if option.starts_with("--") {
            assert!(readme.contains(option), "SECURITY.md names {option}");
        } else if name.contains('/') || name.ends_with(".toml") {
            assert!(root().join(name).exists(), "SECURITY.md names {name}");
        }
    }
}
