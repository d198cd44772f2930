//! Helpers that run the programs that these tests need.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::leave_out_package;

/// Returns the repository's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Creates a new, empty directory with this name for a test.
pub fn workspace(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if path.exists() {
        std::fs::remove_dir_all(&path).expect("the previous run's files can be removed");
    }
    std::fs::create_dir_all(&path).expect("a directory can be made");
    path
}

/// Returns a program that must be installed: on the PATH, or where `make setup` installs programs
/// that Debian doesn't have.
pub fn tool(name: &str) -> Command {
    let target = root().join("target");
    let mut path = format!("{0}/linters/bin:{0}/tools/bin", target.display());
    for more in [
        &*std::env::var("PATH").unwrap_or_default(),
        "/usr/sbin",
        "/sbin",
    ] {
        path = format!("{path}:{more}");
    }
    let mut command = Command::new(name);
    leave_out_package(&mut command)
        .env("PATH", path)
        .current_dir(root())
        .stdin(Stdio::null());
    command
}

/// Returns the README's code block in this language that contains `part`, without `sudo`.
#[track_caller]
pub fn readme(language: &str, part: &str) -> String {
    let text = std::fs::read_to_string(root().join("README.md")).expect("README.md");
    let blocks = text.split("\n```").skip(1).step_by(2);
    let block = blocks
        .filter_map(|block| block.strip_prefix(language)?.strip_prefix('\n'))
        .find(|block| block.contains(part));
    let block = block.unwrap_or_else(|| panic!("the README has no {language} with {part}"));
    format!("{block}\n").replace("sudo ", "")
}

/// Returns the cargo that runs these tests.
pub fn cargo() -> Command {
    tool(env!("CARGO"))
}

/// Returns the packages of `Cargo.lock`, as `cargo metadata` with these options describes them.
#[track_caller]
pub fn packages(more: &[&str]) -> Vec<Value> {
    let metadata = run(cargo()
        .args(["metadata", "--format-version=1", "--locked"])
        .args(more));
    let mut metadata: Value = serde_json::from_str(&metadata).expect("JSON");
    match metadata["packages"].take() {
        Value::Array(packages) => packages,
        other => panic!("no packages: {other}"),
    }
}

/// Returns the crates that the program depends on, as `cargo tree` with these options lists them,
/// each as `NAME vVERSION`.
#[track_caller]
pub fn dependencies(more: &[&str]) -> BTreeSet<String> {
    let mut tree = cargo();
    tree.args(["tree", "--locked", "--prefix=none", "--format={p}"]);
    run(tree.args(more))
        .lines()
        .map(|line| line.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .filter(|name| !name.starts_with("sni-check "))
        .collect()
}

/// Runs the command until it exits, with any status.
#[track_caller]
pub fn output(command: &mut Command) -> Output {
    match command.output() {
        Ok(output) => output,
        Err(error) => panic!("{}: {error}; install it", command.get_program().display()),
    }
}

/// Runs the command, asserts success, and returns its standard output.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = output(command);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    text
}
