//! Helpers that run the program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::leave_out_package;

/// The program under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_sni-check");

/// Runs a check exactly as HAProxy does: four arguments, HAProxy's variables, and `path` as PATH.
pub fn under_haproxy(path: &str, address: &str, port: &str) -> Output {
    haproxy_command(&[BINARY], path, address, port)
        .output()
        .expect("the program runs")
}

/// Returns the command with which HAProxy runs an external check. `program` may have several words:
/// a program that runs the check (such as `sh`), its arguments, and the check.
pub fn haproxy_command(program: &[&str], path: &str, address: &str, port: &str) -> Command {
    let mut command = Command::new(program[0]);
    command
        .args(&program[1..])
        .args(["NOT_USED", "NOT_USED", address, port])
        .env_clear()
        .env("HAPROXY_PROXY_NAME", "hybrid")
        .env("HAPROXY_SERVER_NAME", "blue")
        .env("HAPROXY_SERVER_ADDR", address)
        .env("HAPROXY_SERVER_PORT", port)
        .env("PATH", path);
    command
}

/// Returns a command that runs the program as a person would, but with an empty environment.
pub fn by_hand(words: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(words).env_clear().stdin(Stdio::null());
    command
}

/// Runs the program as a person would. Returns its output.
pub fn run_by_hand(words: &[&str]) -> Output {
    by_hand(words).output().expect("the program runs")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Asserts that the program exited with this code and printed this phrase on standard error. Returns
/// all of standard error.
#[track_caller]
pub fn expect(output: &Output, code: i32, phrase: &str) -> String {
    let line = stderr(output);
    let status = output.status;
    assert_eq!(status.code(), Some(code), "{status}: {line}");
    assert!(line.contains(phrase), "{line} (doesn't contain {phrase})");
    line
}

/// Returns the path of the release binary. Builds it if necessary.
pub fn release_binary() -> PathBuf {
    release("--bin", "sni-check")
}

/// Returns the path of a program of this package. Builds it with `cargo build --release` if necessary.
/// `kind` is `--bin` or `--example`.
///
/// The build that the tests normally use may differ, because development dependencies can enable
/// features.
pub fn release(kind: &str, name: &str) -> PathBuf {
    build(&["--release", kind, name]);
    let folder = target().join("release");
    match kind {
        "--example" => folder.join("examples").join(name),
        _ => folder.join(name),
    }
}

/// Returns the path of an example of this package. Builds the example first, because `cargo test
/// --test` doesn't.
pub fn example(name: &str) -> PathBuf {
    build(&["--example", name]);
    target().join("debug/examples").join(name)
}

fn build(what: &[&str]) {
    let built = leave_out_package(&mut Command::new(env!("CARGO")))
        .args(["build", "--locked"])
        .args(what)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
}

/// Returns the folder target/TRIPLE. The program's path is target/TRIPLE/PROFILE/sni-check.
fn target() -> &'static Path {
    Path::new(BINARY)
        .ancestors()
        .nth(2)
        .expect("a target folder")
}
