//! `cargo package`, `cargo install`, `cargo doc`, and the oldest Rust that builds it.

use crate::tools::{cargo, packages, run, workspace};

#[test]
fn the_crate_holds_what_it_needs_and_builds_from_that_alone() {
    let list = run(cargo().args(["package", "--locked", "--allow-dirty", "--list"]));
    let files: Vec<&str> = list.lines().collect();
    for needed in [
        "Cargo.lock",
        "LICENSE-MIT",
        "LICENSE-APACHE",
        "README.md",
        "CHANGELOG.md",
        ".cargo/config.toml",
        "src/main.rs",
        "packaging/man/sni-check.1",
        "packaging/completions/_sni-check",
    ] {
        assert!(files.contains(&needed), "the crate lacks {needed}");
    }
    assert!(!files.iter().any(|file| file.starts_with("tests/")));
    // With another profile than the repository's build: otherwise cargo would reuse the one for the
    // other from then on, even after changes in the repository.
    run(cargo()
        .args(["package", "--locked", "--allow-dirty"])
        .args(["--config", "profile.dev.package.sni-check.opt-level=1"]));
}

#[test]
fn cargo_install_yields_the_program() {
    let place = workspace("cargo-install");
    run(cargo()
        .args(["install", "--locked", "--path", ".", "--root"])
        .arg(&place));
    let version = run(std::process::Command::new(place.join("bin/sni-check")).arg("--version"));
    assert_eq!(
        version,
        format!("sni-check {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn the_documentation_builds_without_a_warning() {
    run(cargo()
        .args(["doc", "--no-deps", "--locked"])
        .env("RUSTDOCFLAGS", "-D warnings"));
}

#[test]
fn no_locked_crate_of_the_program_needs_a_newer_rust_than_stated() {
    let stated = version(env!("CARGO_PKG_RUST_VERSION"));
    for package in packages(&[]) {
        if let Some(needed) = package["rust_version"].as_str() {
            assert!(
                version(needed) <= stated,
                "{} needs Rust {needed}",
                package["id"]
            );
        }
    }
}

/// `1.88` and `1.88.0` are the same.
fn version(text: &str) -> [u32; 3] {
    let mut numbers = text
        .split('.')
        .map(|number| number.parse().expect("a number"));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}
