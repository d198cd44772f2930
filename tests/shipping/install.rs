//! Tests `make install` and `make archive`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::tools::{cargo, output, root, run, tool, workspace};

#[test]
fn make_install_puts_everything_below_destdir_and_prefix() {
    run(cargo().args(["build", "--release", "--locked"]));
    let place = workspace("make install");
    run(tool("make")
        .args(["install", "PREFIX=/opt/checks"])
        .arg(format!("DESTDIR={}", place.display())));
    let files = run(tool("find")
        .arg(&place)
        .args(["-type", "f", "-printf", "%m %P\\n"]));
    let mut files: Vec<&str> = files.lines().collect();
    files.sort_unstable();
    assert_eq!(
        files,
        [
            "644 opt/checks/lib/systemd/system/sni-check.service",
            "644 opt/checks/lib/systemd/system/sni-check.socket",
            "644 opt/checks/share/bash-completion/completions/sni-check",
            "644 opt/checks/share/fish/vendor_completions.d/sni-check.fish",
            "644 opt/checks/share/man/man1/sni-check.1",
            "644 opt/checks/share/zsh/site-functions/_sni-check",
            "755 opt/checks/bin/sni-check",
        ]
    );
    let manual = std::fs::read_to_string(place.join("opt/checks/share/man/man1/sni-check.1"));
    let manual = manual.expect("the manual");
    assert!(
        manual.contains("command /opt/checks/bin/sni-check") && !manual.contains("/usr/bin/"),
        "{manual}"
    );
    let unit =
        std::fs::read_to_string(place.join("opt/checks/lib/systemd/system/sni-check.service"));
    let unit = unit.expect("the unit");
    assert!(
        unit.contains("ExecStart=/opt/checks/bin/sni-check serve") && !unit.contains("/usr/bin/"),
        "{unit}"
    );
    let mut installed = std::process::Command::new(place.join("opt/checks/bin/sni-check"));
    let version = run(installed.arg("--version"));
    assert_eq!(
        version,
        format!("sni-check {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn below_usr_zsh_finds_the_completion_where_debian_looks() {
    run(cargo().args(["build", "--release", "--locked"]));
    let place = workspace("make install below usr");
    run(tool("make")
        .args(["install", "PREFIX=/usr"])
        .arg(format!("DESTDIR={}", place.display())));
    let file = place.join("usr/share/zsh/vendor-completions/_sni-check");
    assert!(file.exists(), "{}", file.display());
}

/// Rust and the kernel use different names for some processors.
#[test]
fn make_install_finds_the_binary_on_every_processor() {
    for (kernel, target) in [
        ("x86_64", "x86_64-unknown-linux-gnu"),
        ("aarch64", "aarch64-unknown-linux-gnu"),
        ("armv7l", "armv7-unknown-linux-gnueabihf"),
        ("riscv64", "riscv64gc-unknown-linux-gnu"),
        ("ppc64le", "powerpc64le-unknown-linux-gnu"),
        ("x86_64", "x86_64-unknown-linux-musl"),
    ] {
        let place = workspace(&format!("make install for {target}"));
        let folder = place.join(target).join("release");
        std::fs::create_dir_all(&folder).expect("a folder");
        std::fs::write(folder.join("sni-check"), "").expect("a file");
        let path = stand_in(&place, "uname", &format!("echo {kernel}"));
        let commands = run(tool("make")
            .args(["--dry-run", "install"])
            .arg(format!("CARGO_TARGET_DIR={}", place.display()))
            .env("PATH", path));
        assert!(commands.contains(target), "{target}: {commands}");
    }
}

/// Writes a script as a program with this name, and returns a PATH on which the script comes first.
fn stand_in(place: &Path, name: &str, script: &str) -> String {
    let program = place.join(name);
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("a file");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&program, executable).expect("a mode");
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{}:{path}", place.display())
}

/// Cargo.toml describes the same names to cargo-binstall.
#[test]
fn make_archive_names_the_archive_and_its_folder_as_cargo_binstall_expects() {
    run(cargo().args(["build", "--release", "--locked"]));
    let target = run(tool("rustc").args(["--print", "host-tuple"]));
    let name = format!("sni-check-{}-{}", env!("CARGO_PKG_VERSION"), target.trim());
    let archive = run(tool("make").args(["--silent", "archive"]));
    assert_eq!(archive, format!("target/archive/{name}.tar.gz\n"));
    let files = run(tool("tar").args(["--list", "--file", archive.trim()]));
    for file in [
        "sni-check",
        "sni-check.1",
        "README.md",
        "LICENSE-THIRD-PARTY",
        "completions/_sni-check",
        "docs/install.md",
        "haproxy/hybrid.cfg",
        "systemd/sni-check.socket",
    ] {
        let path = format!("{name}/{file}");
        assert!(files.lines().any(|line| line == path), "{path}: {files}");
    }
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let folder = "{ name }-{ version }-{ target }";
    for line in [
        format!("/{folder}{{ archive-suffix }}\""),
        format!("bin-dir = \"{folder}/{{ bin }}{{ binary-ext }}\""),
    ] {
        assert!(manifest.contains(&line), "{line}");
    }
}

#[test]
fn a_rust_that_is_too_old_is_named_before_anything_is_built() {
    let place = workspace("old rust");
    let version = "echo 'rustc 1.85.1 (4eb161250 2025-03-15)'";
    let path = stand_in(&place, "rustc", version);
    let make = output(tool("make").args(["--silent", "build"]).env("PATH", path));
    assert!(!make.status.success());
    let said = String::from_utf8_lossy(&make.stdout);
    let oldest = env!("CARGO_PKG_RUST_VERSION");
    let sentence = format!("Rust 1.85.1 is too old: install {oldest} or later; rustup has it\n");
    assert_eq!(said, sentence);
}
