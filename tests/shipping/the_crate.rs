//! `cargo package`, `cargo install`, `cargo doc`, and the oldest Rust that builds the crate.

use crate::tools::{cargo, packages, root, run, tool, workspace};

#[test]
fn the_packaged_crate_is_complete_and_builds() {
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
        "packaging/systemd/sni-check.socket",
        "docs/install.md",
    ] {
        assert!(files.contains(&needed), "the crate lacks {needed}");
    }
    assert!(!files.iter().any(|file| file.starts_with("tests/")));
    // The profile differs from the profile of the repository's build. With the same profile, cargo
    // would reuse this build for the repository, even after changes in the repository.
    run(cargo()
        .args(["package", "--locked", "--allow-dirty"])
        .args(["--config", "profile.dev.package.sni-check.opt-level=1"]));
}

/// docs/install.md has the `cargo install` command with its settings. Users run the command
/// outside the repository, where cargo doesn't find `.cargo/config.toml`.
#[test]
fn the_documented_cargo_install_yields_a_static_program() {
    let page = std::fs::read_to_string(root().join("docs/install.md")).expect("docs/install.md");
    let block = page
        .split("```")
        .find(|block| block.contains("cargo install sni-check"));
    let command = block.expect("the command").trim_start_matches("sh").trim();
    let place = workspace("cargo-install");
    let from_here = format!(
        "cargo install --path {} --root {}",
        root().display(),
        place.display()
    );
    let command = command.replace("cargo install sni-check", &from_here);
    run(tool("sh")
        .args(["-c", &command])
        .current_dir("/")
        .env("CARGO_TARGET_DIR", root().join("target")));
    let binary = place.join("bin/sni-check");
    let version = run(std::process::Command::new(&binary).arg("--version"));
    assert_eq!(
        version,
        format!("sni-check {}\n", env!("CARGO_PKG_VERSION"))
    );
    let segments = run(tool("readelf").args(["-l", "-W"]).arg(&binary));
    assert!(!segments.contains("INTERP"), "{segments}");
}

/// Compiles and runs the build script as cargo does.
#[test]
fn refusing_a_dynamic_build_names_the_right_command() {
    let place = workspace("build-script");
    let script = place.join("build");
    run(tool("rustc")
        .args(["--edition", "2024", "-o"])
        .arg(&script)
        .arg(root().join("build.rs"))
        .env("CARGO_MANIFEST_DIR", root()));
    let built_with = |features: &str, more: &[(&str, &str)]| {
        run(std::process::Command::new(&script)
            .env_clear()
            .envs([("PROFILE", "release"), ("CARGO_CFG_TARGET_OS", "linux")])
            .env("CARGO_CFG_TARGET_FEATURE", features)
            .envs(more.iter().copied()))
    };
    let refused = built_with("fxsr,sse", &[]);
    let page = std::fs::read_to_string(root().join("docs/install.md")).expect("docs/install.md");
    let mut lines = page.lines();
    let command = lines.find(|line| line.contains("cargo install sni-check"));
    let command = command.expect("the command");
    let error = refused
        .lines()
        .find(|line| line.starts_with("cargo::error="));
    let error = error.unwrap_or_else(|| panic!("{refused}"));
    assert!(error.ends_with(command), "{error}");
    assert!(!built_with("crt-static,sse", &[]).contains("error"));
    assert!(!built_with("sse", &[("SNI_CHECK_DYNAMIC", "1")]).contains("error"));
}

#[test]
fn the_documentation_builds_without_a_warning() {
    run(cargo()
        .args(["doc", "--no-deps", "--locked"])
        .env("RUSTDOCFLAGS", "-D warnings"));
}

#[test]
fn no_locked_crate_needs_a_newer_rust_than_stated() {
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

/// Returns the three numbers of a version. `1.88` is the same version as `1.88.0`.
fn version(text: &str) -> [u32; 3] {
    let mut numbers = text
        .split('.')
        .map(|number| number.parse().expect("a number"));
    std::array::from_fn(|_| numbers.next().unwrap_or(0))
}
