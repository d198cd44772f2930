//! Running the program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::leave_out_package;

/// The program under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_sni-check");

/// Runs a check exactly as HAProxy does: four arguments, `path` as PATH, nothing else in the
/// environment.
pub fn haproxy_door(path: &str, address: &str, port: &str) -> Output {
    haproxy_command(&[BINARY], path, address, port)
        .output()
        .expect("the program runs")
}

/// The call that HAProxy makes of an external check; `program` may be several words, of which the
/// later come before HAProxy's arguments.
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

/// The binary that is shipped.
pub fn release_binary() -> PathBuf {
    release("--bin", "sni-check")
}

/// A program of this package as `cargo build --release` makes it, built now or found built.
/// `kind` is `--bin` or `--example`.
///
/// The tests' own build is another: development dependencies may switch on features.
pub fn release(kind: &str, name: &str) -> PathBuf {
    build(&["--release", kind, name]);
    let folder = target().join("release");
    match kind {
        "--example" => folder.join("examples").join(name),
        _ => folder.join(name),
    }
}

/// An example of this package: cargo builds none of them for a single `--test`.
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

/// target/TRIPLE, from target/TRIPLE/PROFILE/sni-check.
fn target() -> &'static Path {
    Path::new(BINARY)
        .ancestors()
        .nth(2)
        .expect("a target folder")
}
