//! `make demo`'s story comes out as told.

use std::path::PathBuf;
use std::process::Command;

#[test]
fn the_story_comes_out_as_told() {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_sni-check"));
    let demo = binary.parent().expect("a folder").join("examples/demo");
    let output = Command::new(demo)
        .arg(&binary)
        .output()
        .expect("cargo test builds the example");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}{log}");
    for part in [
        "DOWN 65 L6RSP",
        "builtin   DOWN     L6RSP",
        "sni       UP       PROCOK    0",
        "GET / -> 200",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
